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

// events checks spec.sli: exactly one of errors and good, and total.
func (c *checker) events() {
	const field = "spec.sli.events"
	var in EventsText
	if c.in.Spec.SLI.Events != nil {
		in = *c.in.Spec.SLI.Events
	}
	if c.in.Spec.SLI.Events == nil {
		if !c.hasProblemBelow("spec.sli") {
			c.missing(field, "errors (or good) and total: selectors of counters")
		}
		return
	}
	c.out.SLI.Events = &Events{Errors: strings.TrimSpace(in.Errors), Good: strings.TrimSpace(in.Good), Total: strings.TrimSpace(in.Total)}
	switch e := c.out.SLI.Events; {
	case e.Errors != "" && e.Good != "":
		c.add(field+".good", "errors and good are both given", "keep one: the other follows from total")
	case e.Errors == "" && e.Good == "" && !c.hasProblemBelow(field+".errors") && !c.hasProblemBelow(field+".good"):
		c.add(field, "neither errors nor good is given", `add one, such as errors: http_requests_total{app="shop",status=~"5.."}`)
	}
	if in.Total == "" {
		c.missing(field+".total", `the counter of all events, such as total: http_requests_total{app="shop"}`)
	}
	c.selector(field+".errors", in.Errors)
	c.selector(field+".good", in.Good)
	c.selector(field+".total", in.Total)
}

// selector checks that a text is a plain vector selector with a metric name.
func (c *checker) selector(field, text string) {
	if text == "" {
		return
	}
	if len(text) > maxSelector {
		c.add(field, fmt.Sprintf("longer than %d bytes", maxSelector), "")
		return
	}
	expr, ok := c.parse(field, text)
	if !ok {
		return
	}
	vs, ok := expr.(*parser.VectorSelector)
	switch {
	case !ok:
		c.add(field, "not a plain selector but "+kindOf(expr), "give the counter alone, such as http_requests_total{app=\"shop\"}: Midwatch adds rate, range and sum")
	case vs.OriginalOffset != 0 || vs.OriginalOffsetExpr != nil || vs.Timestamp != nil || vs.StartOrEnd != 0:
		c.add(field, "a selector with offset or @", "give the counter alone: Midwatch chooses the time")
	case !hasName(vs.LabelMatchers):
		c.add(field, "no metric name", "name one counter, such as http_requests_total{app=\"shop\"}")
	}
}

// parse returns a text as an expression, or notes why it is none.
func (c *checker) parse(field, text string) (parser.Expr, bool) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		c.syntax(field, text, err)
	}
	return expr, err == nil
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

func hasName(ms []*labels.Matcher) bool {
	for _, m := range ms {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && m.Value != "" {
			return true
		}
	}
	return false
}

// logs checks that a text looks like a LogQL stream selector, which has the
// syntax of a PromQL selector without a metric name.
func (c *checker) logs() {
	const field, hint = "spec.logs", `a LogQL stream selector, such as {namespace="prod", app="shop"}`
	text := strings.TrimSpace(c.in.Spec.Logs)
	c.out.Logs = text
	if text == "" {
		return
	}
	if len(text) > maxSelector || !strings.HasPrefix(text, "{") || !strings.HasSuffix(text, "}") {
		c.add(field, fmt.Sprintf("%q is not a stream selector", clip(text)), hint+", without a filter or a pipe")
		return
	}
	expr, ok := c.parse(field, text)
	if !ok {
		return
	}
	vs, ok := expr.(*parser.VectorSelector)
	if !ok || vs.Name != "" || hasName(vs.LabelMatchers) {
		c.add(field, fmt.Sprintf("%q is not a stream selector", clip(text)), hint)
	}
}

// syntax notes the first error of Prometheus' parser at its place in the YAML.
func (c *checker) syntax(field, text string, err error) {
	message, offset := err.Error(), 0
	if pes, ok := errors.AsType[parser.ParseErrors](err); ok && len(pes) > 0 {
		message, offset = pes[0].Err.Error(), int(pes[0].PositionRange.Start)
	}
	p := c.problem(field, "cannot be parsed: "+message, `a selector has the form metric_name{label="value"}`)
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
	if n == nil {
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
