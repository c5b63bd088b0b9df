package slo

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

// maxExpression bounds a selector or an expression, in bytes.
const maxExpression = 4000

const selectorForm = `a selector has the form metric_name{label="value"}`

// selector checks that a text is a plain vector selector with a metric name
// and returns it, nil when it is none.
func (c *checker) selector(field, text, remedy string) *parser.VectorSelector {
	expr := c.parse(field, text, selectorForm)
	if expr == nil {
		return nil
	}
	vs, ok := expr.(*parser.VectorSelector)
	switch {
	case !ok:
		c.add(field, "not a plain selector but "+kindOf(expr), remedy)
	case vs.OriginalOffset != 0 || vs.OriginalOffsetExpr != nil || vs.Timestamp != nil || vs.StartOrEnd != 0:
		c.add(field, "a selector with offset or @", "give it alone: Midwatch chooses the time")
	case metricName(vs) == "":
		c.add(field, "no metric name", "name one, such as http_requests_total{app=\"shop\"}")
	default:
		return vs
	}
	return nil
}

// instant checks an expression without $window that gives an instant vector
// and returns it, nil when it is none.
func (c *checker) instant(field, text string) parser.Expr {
	if strings.Contains(text, windowVariable) {
		c.add(field, "$window has no meaning here", "promql is for expressions over a range")
		return nil
	}
	return c.vector(field, text)
}

// vector checks an expression that gives an instant vector at whatever time it
// is asked for, and returns it, nil when it is none.
func (c *checker) vector(field, text string) parser.Expr {
	expr := c.parse(field, text, "")
	switch {
	case expr == nil:
		return nil
	case expr.Type() != parser.ValueTypeVector:
		c.add(field, "not an instant vector but "+kindOf(expr), "an expression that gives series, such as a selector or sum(…)")
		return nil
	case isPinned(expr):
		c.add(field, "a selector with @", "Midwatch chooses the time")
		return nil
	}
	return expr
}

// isPinned says whether a part of an expression has a time of its own.
func isPinned(expr parser.Expr) bool {
	pinned := false
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch x := n.(type) {
		case *parser.VectorSelector:
			pinned = pinned || x.Timestamp != nil || x.StartOrEnd != 0
		case *parser.SubqueryExpr:
			pinned = pinned || x.Timestamp != nil || x.StartOrEnd != 0
		}
		return nil
	})
	return pinned
}

// parse returns a text as an expression, or notes why it is none and returns
// nil.
func (c *checker) parse(field, text, hint string) parser.Expr {
	if len(text) > maxExpression {
		c.add(field, fmt.Sprintf("longer than %d bytes", maxExpression), "")
		return nil
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(text, windowVariable, standIn))
	if err != nil {
		c.syntax(field, text, hint, err)
		return nil
	}
	return expr
}

// kindOf names what an expression is, for a message.
func kindOf(e parser.Expr) string {
	switch x := e.(type) {
	case *parser.Call:
		return "a call of " + x.Func.Name
	case *parser.AggregateExpr:
		return "an aggregation by " + x.Op.String()
	case *parser.MatrixSelector:
		return "a selector with a range"
	case *parser.SubqueryExpr:
		return "a subquery"
	case *parser.NumberLiteral, *parser.StringLiteral:
		return "a constant"
	default:
		return "an expression"
	}
}

// metricName returns the metric that a selector names, "" when it names none.
func metricName(vs *parser.VectorSelector) string {
	if vs.Name != "" {
		return vs.Name
	}
	for _, m := range vs.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// syntax notes the first error of Prometheus' parser at its place in the YAML.
func (c *checker) syntax(field, text, hint string, err error) {
	message, offset := err.Error(), 0
	if pes, ok := errors.AsType[parser.ParseErrors](err); ok && len(pes) > 0 {
		message, offset = pes[0].Err.Error(), int(pes[0].PositionRange.Start)
	}
	message = strings.ReplaceAll(message, standIn, windowVariable)
	p := c.problem(field, "cannot be parsed: "+message, hint)
	if p == nil {
		return
	}
	n, _ := c.from.Find(field)
	if place, ok := c.place(n, text, offset); ok {
		p.Line, p.Column, p.Source = place.Line, place.Column, place.Source
	}
	c.problems = append(c.problems, *p)
}

// place returns where a byte of a scalar's text is in the file, if the line
// holds the text as it is.
func (c *checker) place(n *yaml.Node, text string, offset int) (diag.Problem, bool) {
	if n == nil || n.Kind != yaml.ScalarNode {
		return diag.Problem{}, false
	}
	offset = max(0, min(offset, len(text)))
	before := text[:offset]
	row := strings.Count(before, "\n")
	start := strings.LastIndexByte(before, '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	probe := yaml.Node{Line: n.Line + row, Column: n.Column}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		probe.Line++
	}
	p := c.from.File.At(&probe, "", "", "")
	from := 0
	if probe.Line == n.Line {
		from = min(len(p.Source), bytesOf(p.Source, n.Column-1))
	}
	at := strings.Index(p.Source[from:], line)
	if at < 0 {
		return p, false
	}
	p.Column = utf8.RuneCountInString(p.Source[:from+at]) + utf8.RuneCountInString(text[start:offset]) + 1
	return p, true
}

// bytesOf returns how many bytes the first n characters of s have.
func bytesOf(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}
