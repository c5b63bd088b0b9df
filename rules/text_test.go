package rules

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// dice makes random expressions of the nodes that rules are made of.
type dice struct{ *rand.Rand }

func (d dice) word() string {
	words := []string{"a", "ab", "a0", "code", "http_requests_total", `q"uote`, "bäcker", "x.y", "Σ", "-", "", "back\\slash", "line\nbreak", "le"}
	return words[d.IntN(len(words))]
}

func (d dice) name() string { return []string{"up", "slo:sli_total:rate5m", "a_total"}[d.IntN(3)] }

func (d dice) label() string { return []string{"a", "ab", "a0", "code", "path", "x_y"}[d.IntN(6)] }

func (d dice) span() time.Duration {
	return []time.Duration{time.Millisecond, 15 * time.Second, 5 * time.Minute, 54*time.Minute + 59*time.Second + 999*time.Millisecond, 72 * time.Hour}[d.IntN(5)]
}

func (d dice) selector() *parser.VectorSelector {
	var ms []*labels.Matcher
	for range d.IntN(4) {
		if name, value := d.label(), d.word(); d.IntN(2) == 0 {
			ms = append(ms, eq(name, value))
		} else {
			ms = append(ms, ne(name, value))
		}
	}
	vs := series(d.name(), ms...)
	if d.IntN(3) == 0 {
		vs = ago(vs, d.span())
	}
	return vs
}

func (d dice) vector(depth int) parser.Expr {
	if depth == 0 {
		return d.selector()
	}
	v := func() parser.Expr { return d.vector(depth - 1) }
	switch d.IntN(13) {
	case 0:
		return sumBy(d.groups(), v())
	case 1:
		return maxBy(d.groups(), v())
	case 2:
		return call("rate", over(d.selector(), d.span()))
	case 3:
		return call("clamp_min", v(), num(d.Float64()-0.5))
	case 4:
		return mul(num(float64(d.IntN(1000))/1000), v())
	case 5:
		return chain(parser.LOR, v(), v(), v())
	case 6:
		return onIdentity(parser.DIV, v(), v())
	case 7:
		return constant(big.NewRat(int64(d.IntN(1000)), 1000), d.label(), d.word())
	case 8:
		return call("avg_over_time", over(d.selector(), d.span()))
	case 9:
		b := binary(parser.GTR, v(), num(d.Float64())).(*parser.BinaryExpr)
		b.ReturnBool = true
		return b
	case 10:
		b := both(v(), v()).(*parser.BinaryExpr)
		b.VectorMatching.MatchingLabels = []string{d.label()}
		return b
	case 11:
		return aggregate(parser.GROUP, d.groups(), finite(v()))
	default:
		return unless(div(v(), num(300)), above(v(), num(0)))
	}
}

func (d dice) groups() []string {
	var out []string
	for range d.IntN(3) {
		out = append(out, d.label())
	}
	return out
}

// The text of thousands of random expressions is what the parser's own printer
// makes of them, and is parsed as the same tree.
func TestTextIsThatOfTheParser(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(1, 2))}
	var w writer
	for range 5000 {
		e := d.vector(d.IntN(5))
		w.print(e)
		text := string(w.text)
		if want := strings.TrimSpace(e.Pretty(0)); text != want {
			t.Fatalf("got\n%s\nwant\n%s", text, want)
		}
		if _, err := verified(e, text); err != nil {
			t.Fatal(err)
		}
	}
}

// A subquery's text is parsed as the same tree. The parser's own printer does
// not indent it.
func TestTextOfSubqueries(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(3, 4))}
	var w writer
	for range 1000 {
		e := sumBy(d.groups(), call("avg_over_time", subquery(d.vector(d.IntN(4)), d.span(), 15*time.Second)))
		w.print(e)
		if _, err := verified(e, string(w.text)); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(strings.Fields(string(w.text)), ""), strings.Join(strings.Fields(e.Pretty(0)), ""); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// One expression of a shape is parsed again, and every one of another shape.
func TestEachShapeIsParsedAgain(t *testing.T) {
	sum := add(num(1), num(2)).(*parser.BinaryExpr)
	bare := &parser.BinaryExpr{Op: parser.MUL, LHS: sum, RHS: num(3)} // prints as 1 + 2 * 3
	var c compiler
	for _, e := range []parser.Expr{sum, add(num(3), num(4)), mul(sum, num(3))} {
		if _, err := c.text(e); err != nil {
			t.Error(err)
		}
	}
	if text, err := c.text(bare); err == nil {
		t.Errorf("%s is printed", text)
	}
	if len(c.seen) != 2 {
		t.Errorf("%d shapes of three expressions", len(c.seen))
	}
}
