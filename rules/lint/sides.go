package lint

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// side is one expression of an SLI.
type side struct {
	what  string // errors, good, total, histogram or gauge
	field string
	text  string
	expr  parser.Expr // nil where it is not PromQL
	raw   bool        // the text is a selector of counters
}

// The range that stands for $window in parsed expressions; nobody writes it.
const (
	window       = "$window"
	windowText   = "299993s"
	windowLength = 299993 * time.Second
)

// sidesOf returns the PromQL of an SLI.
func sidesOf(s slo.SLO) (sides []side) {
	add := func(what, field, text string, raw bool) {
		if text == "" {
			return
		}
		expr, _ := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(text, window, windowText)) // nil when it is none
		sides = append(sides, side{what: what, field: "spec.sli." + field, text: text, expr: expr, raw: raw})
	}
	three := func(kind, errors, good, total string, raw bool) {
		add("errors", kind+".errors", errors, raw)
		add("good", kind+".good", good, raw)
		add("total", kind+".total", total, raw)
	}
	switch sli := s.SLI; {
	case sli.Events != nil:
		three("events", sli.Events.Errors, sli.Events.Good, sli.Events.Total, true)
	case sli.Latency != nil && sli.Latency.Native:
		add("histogram", "latency.native", sli.Latency.Histogram, false)
	case sli.Latency != nil:
		add("histogram", "latency.histogram", sli.Latency.Histogram, false)
	case sli.Gauge != nil:
		add("gauge", "gauge.expr", sli.Gauge.Expr, false)
	case sli.PromQL != nil:
		three("promql", sli.PromQL.Errors, sli.PromQL.Good, sli.PromQL.Total, false)
	case sli.Ratio != nil:
		three("ratio", sli.Ratio.Errors, sli.Ratio.Good, sli.Ratio.Total, false)
	}
	return sides
}

// side returns the side of that name.
func (s *subject) side(what ...string) (side, bool) {
	i := slices.IndexFunc(s.sides, func(d side) bool { return slices.Contains(what, d.what) })
	if i < 0 {
		return side{}, false
	}
	return s.sides[i], true
}

// selectors returns all selectors of a side.
func (d side) selectors() (out []*parser.VectorSelector) {
	if d.expr == nil {
		return nil
	}
	parser.Inspect(d.expr, func(n parser.Node, _ []parser.Node) error {
		if vs, ok := n.(*parser.VectorSelector); ok {
			out = append(out, vs)
		}
		return nil
	})
	return out
}

// selector returns the selector that a side is, nil where it is anything
// else.
func (d side) selector() *parser.VectorSelector {
	vs, _ := d.expr.(*parser.VectorSelector)
	return vs
}

// sole returns the one selector that a side has, nil where it has several.
func (d side) sole() *parser.VectorSelector {
	if all := d.selectors(); len(all) == 1 {
		return all[0]
	}
	return nil
}

// calls returns the calls of a function in a side.
func (d side) calls(names ...string) (out []*parser.Call) {
	if d.expr == nil {
		return nil
	}
	parser.Inspect(d.expr, func(n parser.Node, _ []parser.Node) error {
		if c, ok := n.(*parser.Call); ok && slices.Contains(names, c.Func.Name) {
			out = append(out, c)
		}
		return nil
	})
	return out
}

// matchers returns the matchers of a selector but that of its name, sorted.
func matchers(vs *parser.VectorSelector) (out []*labels.Matcher) {
	for _, m := range vs.LabelMatchers {
		if m.Name != model.MetricNameLabel {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b *labels.Matcher) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// eachSelector visits every selector of every side.
func (s *subject) eachSelector(visit func(d side, vs *parser.VectorSelector)) {
	for _, d := range s.sides {
		for _, vs := range d.selectors() {
			visit(d, vs)
		}
	}
}

// eachMatcher visits every matcher of every selector but those of names.
func (s *subject) eachMatcher(visit func(d side, m *labels.Matcher)) {
	s.eachSelector(func(d side, vs *parser.VectorSelector) {
		for _, m := range matchers(vs) {
			visit(d, m)
		}
	})
}

// name returns the metric of a selector, "" for one that names none.
func name(vs *parser.VectorSelector) string {
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

// span writes a length of time as files have it.
func span(d time.Duration) string { return slo.FormatDuration(d) }
