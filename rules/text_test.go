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
		ms = append(ms, labels.MustNewMatcher([]labels.MatchType{labels.MatchEqual, labels.MatchNotEqual}[d.IntN(2)], d.label(), d.word()))
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
	switch d.IntN(10) {
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
