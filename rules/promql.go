package rules

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Expressions are made of the nodes of Prometheus' parser. The printer sets
// no parentheses, so binary sets them around every operand that is binary
// itself; what is printed is parsed again and must be the same tree.

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

func num(v float64) parser.Expr { return &parser.NumberLiteral{Val: v} }

func str(s string) parser.Expr { return &parser.StringLiteral{Val: s} }

// eq and ne are matchers of a label.
func eq(name, value string) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, name, value)
}

func ne(name, value string) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchNotEqual, name, value)
}

// series selects a metric at the instant.
func series(name string, ms ...*labels.Matcher) *parser.VectorSelector {
	return &parser.VectorSelector{Name: name, LabelMatchers: append(slices.Clone(ms), eq(model.MetricNameLabel, name))}
}

// ago returns a selector with an offset.
func ago(vs *parser.VectorSelector, offset time.Duration) *parser.VectorSelector {
	out := *vs
	out.OriginalOffset = offset
	return &out
}

// over returns a selector's range.
func over(vs *parser.VectorSelector, d time.Duration) parser.Expr {
	return &parser.MatrixSelector{VectorSelector: vs, Range: d}
}

func call(name string, args ...parser.Expr) parser.Expr {
	return &parser.Call{Func: parser.Functions[name], Args: args}
}

func aggregate(op parser.ItemType, by []string, e parser.Expr) parser.Expr {
	return &parser.AggregateExpr{Op: op, Expr: e, Grouping: by}
}

func sumBy(by []string, e parser.Expr) parser.Expr { return aggregate(parser.SUM, by, e) }
func maxBy(by []string, e parser.Expr) parser.Expr { return aggregate(parser.MAX, by, e) }

// binary applies an operator to operands whose label sets are the same.
func binary(op parser.ItemType, l, r parser.Expr) parser.Expr {
	b := &parser.BinaryExpr{Op: op, LHS: operand(l), RHS: operand(r)}
	if l.Type() == parser.ValueTypeVector && r.Type() == parser.ValueTypeVector {
		b.VectorMatching = &parser.VectorMatching{Card: parser.CardOneToOne}
		if op.IsSetOperator() {
			b.VectorMatching.Card = parser.CardManyToMany
		}
	}
	return b
}

func operand(e parser.Expr) parser.Expr {
	if _, ok := e.(*parser.BinaryExpr); ok {
		return &parser.ParenExpr{Expr: e}
	}
	return e
}

func add(l, r parser.Expr) parser.Expr { return binary(parser.ADD, l, r) }
func sub(l, r parser.Expr) parser.Expr { return binary(parser.SUB, l, r) }
func mul(l, r parser.Expr) parser.Expr { return binary(parser.MUL, l, r) }
func div(l, r parser.Expr) parser.Expr { return binary(parser.DIV, l, r) }
func either(l, r parser.Expr) parser.Expr {
	return binary(parser.LOR, l, r)
}
func both(l, r parser.Expr) parser.Expr { return binary(parser.LAND, l, r) }
func unless(l, r parser.Expr) parser.Expr {
	return binary(parser.LUNLESS, l, r)
}
func above(l, r parser.Expr) parser.Expr  { return binary(parser.GTR, l, r) }
func equals(l, r parser.Expr) parser.Expr { return binary(parser.EQLC, l, r) }

// chain joins operands of one left-associative operator without parentheses
// around what is already joined.
func chain(op parser.ItemType, es ...parser.Expr) parser.Expr {
	out := es[0]
	for _, e := range es[1:] {
		b := binary(op, out, e).(*parser.BinaryExpr)
		if _, joined := out.(*parser.BinaryExpr); joined && out != es[0] {
			b.LHS = out
		}
		out = b
	}
	return out
}

// identity is what an SLO's series are joined on.
func identity() []string { return []string{"slo", "service"} }

// onIdentity joins many series of an SLO with the one on the right side.
func onIdentity(op parser.ItemType, many, one parser.Expr) parser.Expr {
	b := binary(op, many, one).(*parser.BinaryExpr)
	b.VectorMatching.On, b.VectorMatching.MatchingLabels = true, identity()
	if !op.IsSetOperator() {
		b.VectorMatching.Card = parser.CardManyToOne
	}
	return b
}

// print returns an expression's text, after it has been parsed again and
// found to be the same tree.
func print(e parser.Expr) (string, error) {
	var w writer
	w.print(e)
	return verified(e, string(w.text))
}

// verified returns the text of an expression, if it is parsed as such.
func verified(e parser.Expr, text string) (string, error) {
	again, err := newParser().ParseExpr(text)
	if err != nil {
		return "", fmt.Errorf("parse what was printed: %w: %s", err, text)
	}
	if !same(again, e) {
		return "", fmt.Errorf("parse what was printed: another expression: %s", text)
	}
	return text, nil
}

// text returns an expression's text. Of all expressions of one shape, whose
// texts differ by names, numbers and strings alone, one is parsed again and
// compared.
func (c *compiler) text(e parser.Expr) (string, error) {
	c.writer.print(e)
	text := string(c.writer.text)
	if !c.writer.foreign && c.seen[c.writer.shape] {
		return text, nil
	}
	if _, err := verified(e, text); err != nil {
		return "", err
	}
	if c.seen == nil {
		c.seen = map[uint64]bool{}
	}
	c.seen[c.writer.shape] = true
	return text, nil
}

// same says whether two trees have the same nodes. A parent that does not
// show all of itself is compared by its type and what it shows.
func same(a, b parser.Node) bool {
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false
	}
	x, y := parser.Children(a), parser.Children(b)
	if len(x) == 0 || len(x) != len(y) {
		return len(x) == len(y) && a.String() == b.String()
	}
	if p, ok := a.(interface{ ShortString() string }); ok && p.ShortString() != b.(interface{ ShortString() string }).ShortString() {
		return false
	}
	for i := range x {
		if !same(x[i], y[i]) {
			return false
		}
	}
	return true
}
