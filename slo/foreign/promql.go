package foreign

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// windowVariables are what other tools write where the native format has
// $window: Sloth's template, and Grafana's variables for a range.
var windowVariables = regexp.MustCompile(`\{\{-?\s*\.window\s*-?\}\}|\$\{?(?:__range|__rate_interval|__interval|window)\}?`)

// unknownVariable finds what is left of templates and variables. A dollar is
// fine within a regular expression, where no letter follows.
var unknownVariable = regexp.MustCompile(`\{\{[^{}]*\}\}|\$\{?[A-Za-z_]\w*\}?`)

const window = "$window"

// maxQuery bounds an expression, in bytes: the parser of one that nests
// millions of times would have no end.
const maxQuery = 4000

// Query is an expression of another tool.
type Query struct {
	Text     string // with $window where the tool has its variable for a range
	Windowed bool   // whether it has one

	bare string      // Text with standIn for $window
	expr parser.Expr // of it
}

// standIn takes the place of $window while an expression is parsed: a range
// that nobody writes.
const (
	standIn     = 86399 * time.Second
	standInText = "86399s"
)

// ParseQuery reads an expression. The error says what is wrong with it, and
// where the text that another tool would put in is unknown.
func ParseQuery(text string) (Query, error) {
	if len(text) > maxQuery {
		return Query{}, fmt.Errorf("longer than %d bytes", maxQuery)
	}
	q := Query{Text: strings.TrimSpace(windowVariables.ReplaceAllString(text, strings.ReplaceAll(window, "$", "$$")))}
	q.Windowed = strings.Contains(q.Text, window)
	bare := strings.ReplaceAll(q.Text, window, standInText)
	if v := unknownVariable.FindString(unquoted(bare)); v != "" {
		return q, fmt.Errorf("the variable %s is not known", Clip(v))
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(bare)
	if err != nil {
		if pes, ok := errors.AsType[parser.ParseErrors](err); ok && len(pes) > 0 {
			err = pes[0].Err
		}
		return q, fmt.Errorf("cannot be parsed: %s", strings.ReplaceAll(err.Error(), standInText, window))
	}
	q.bare, q.expr = bare, expr
	return q, nil
}

var quoted = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`[^`]*`")

// unquoted returns PromQL without its strings, but for templates in them.
func unquoted(text string) string {
	return quoted.ReplaceAllStringFunc(text, func(s string) string {
		if strings.Contains(s, "{{") {
			return s
		}
		return ""
	})
}

// Counter is an expression that does no more than count events: how fast
// counters grow, or counters themselves.
type Counter struct {
	Selector string   // of the counters, as its author wrote it
	By       []string // what their sum is grouped by, sorted

	printed string // the selector as the parser prints it
}

// Rate returns the counters of an expression such as sum(rate(x[$window])),
// with by or without, and with "or vector(0)" behind it, which says of errors
// what holds of them anyway: that those which are not there are none. Without
// sum it is the same: the events of all series count together.
func (q Query) Rate() (Counter, bool) {
	e, by, ok := summed(withoutZero(q.expr))
	if !ok {
		return Counter{}, false
	}
	call, ok := e.(*parser.Call)
	if !ok || (call.Func.Name != "rate" && call.Func.Name != "increase") {
		return Counter{}, false
	}
	ms, ok := unwrap(call.Args[0]).(*parser.MatrixSelector)
	if !ok || ms.RangeExpr != nil || (q.Windowed && ms.Range != standIn) {
		return Counter{}, false
	}
	return q.counter(ms.VectorSelector, by)
}

// Level returns the counters of an expression that has no rate yet: the
// counters, or their sum.
func (q Query) Level() (Counter, bool) {
	e, by, ok := summed(withoutZero(q.expr))
	if !ok {
		return Counter{}, false
	}
	return q.counter(e, by)
}

func (q Query) counter(e parser.Expr, by []string) (Counter, bool) {
	vs, ok := unwrap(e).(*parser.VectorSelector)
	if !ok || vs.OriginalOffset != 0 || vs.OriginalOffsetExpr != nil || vs.Timestamp != nil || vs.StartOrEnd != 0 || name(vs) == "" {
		return Counter{}, false
	}
	at := vs.PositionRange()
	return Counter{Selector: strings.TrimSpace(q.bare[at.Start:at.End]), By: by, printed: vs.String()}, true
}

// name returns the metric that a selector names, "" for none.
func name(vs *parser.VectorSelector) string {
	for _, m := range vs.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// unwrap returns an expression without the parentheses around it.
func unwrap(e parser.Expr) parser.Expr {
	for {
		switch x := e.(type) {
		case *parser.ParenExpr:
			e = x.Expr
		case *parser.StepInvariantExpr:
			e = x.Expr
		default:
			return e
		}
	}
}

// withoutZero returns what stands before "or vector(0)".
func withoutZero(e parser.Expr) parser.Expr {
	b, ok := unwrap(e).(*parser.BinaryExpr)
	if !ok || b.Op != parser.LOR {
		return unwrap(e)
	}
	call, ok := unwrap(b.RHS).(*parser.Call)
	if !ok || call.Func.Name != "vector" {
		return unwrap(e)
	}
	if zero, ok := unwrap(call.Args[0]).(*parser.NumberLiteral); !ok || zero.Val != 0 {
		return unwrap(e)
	}
	return withoutZero(b.LHS)
}

// summed returns what a sum is of, and its groups. Anything else is its own
// sum; ok is false for what is grouped without labels.
func summed(e parser.Expr) (of parser.Expr, by []string, ok bool) {
	agg, is := e.(*parser.AggregateExpr)
	if !is {
		return e, nil, true
	}
	if agg.Op != parser.SUM || agg.Without {
		return nil, nil, false
	}
	return unwrap(agg.Expr), slices.Sorted(slices.Values(agg.Grouping)), true
}

// difference returns the two sides of "a - b".
func difference(e parser.Expr) (a, b parser.Expr, ok bool) {
	x, is := unwrap(e).(*parser.BinaryExpr)
	if !is || x.Op != parser.SUB || x.VectorMatching == nil || len(x.VectorMatching.MatchingLabels) > 0 {
		return nil, nil, false
	}
	return unwrap(x.LHS), unwrap(x.RHS), true
}

// The sides of a ratio that a query may count.
const (
	Errors = "errors"
	Good   = "good"
)

// Events makes an SLI of two queries, that of failed or of good events and
// that of all: one of counters where the queries are no more than the rates of
// counters, for that is cheap; else one of expressions over a window. ok is
// false where they are neither: there is no window in them.
func Events(side string, counted, total Query) (sli slo.SLIText, groups []string, ok bool) {
	if all, ok := total.Rate(); ok && withoutZero(total.expr) == unwrap(total.expr) { // "or vector(0)" would make no data no traffic
		if part, ok := counted.Rate(); ok && slices.Equal(part.By, all.By) && sameFunction(counted, total) {
			return Counted(side, part, all), all.By, true
		}
		if good, ok := counted.rest(total, all); ok && side == Errors {
			return Counted(Good, good, all), all.By, true
		}
	}
	if !counted.Windowed || !total.Windowed {
		return slo.SLIText{}, nil, false
	}
	out := &slo.PromQLText{Errors: counted.Text, Total: total.Text, Unit: unit(total.expr)}
	if side == Good {
		out.Errors, out.Good = "", counted.Text
	}
	groups, _ = Groups(counted, total)
	return slo.SLIText{PromQL: out}, groups, true
}

// Counted makes an SLI of two counters, that of failed or of good events and
// that of all: a latency SLI where the good ones are a bucket of a histogram
// whose count is all, for the bounds of buckets are written in more than one
// way.
func Counted(side string, counted, all Counter) slo.SLIText {
	if side != Good {
		return slo.SLIText{Events: &slo.EventsText{Errors: counted.Selector, Total: all.Selector}}
	}
	if histogram, le, ok := Histogram(counted.Selector, all.Selector); ok {
		return slo.SLIText{Latency: &slo.LatencyText{Histogram: histogram, Threshold: slo.Number(le)}}
	}
	return slo.SLIText{Events: &slo.EventsText{Good: counted.Selector, Total: all.Selector}}
}

// part returns a part of a query as one.
func (q Query) part(e parser.Expr) Query {
	q.expr = e
	return q
}

// rest returns the counter of good events where the query is all events less
// those: of requests that were not fast, all less the fast ones.
func (q Query) rest(total Query, all Counter) (good Counter, ok bool) {
	a, b, ok := difference(q.expr)
	if !ok {
		return Counter{}, false
	}
	whole, part := q.part(a), q.part(b)
	first, ok1 := whole.Rate()
	good, ok2 := part.Rate()
	same := first.printed == all.printed && slices.Equal(first.By, all.By) && slices.Equal(good.By, all.By) &&
		sameFunction(whole, part) && sameFunction(whole, total)
	return good, ok1 && ok2 && same
}

// sameFunction says whether two queries call the same of rate and increase:
// their quotient is else no ratio of events.
func sameFunction(a, b Query) bool { return unit(a.expr) == unit(b.expr) }

// unit says what an expression over a window gives: a rate where it calls
// rate, and numbers of events where it does not.
func unit(e parser.Expr) string {
	found := string(slo.PerWindow)
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if c, ok := n.(*parser.Call); ok && (c.Func.Name == "rate" || c.Func.Name == "irate") {
			found = string(slo.PerSecond)
		}
		return nil
	})
	return found
}

// Groups returns the labels that all of some queries are grouped by, where
// that shows in them, and whether they agree.
func Groups(queries ...Query) ([]string, bool) {
	var first []string
	for i, q := range queries {
		by := grouping(q.expr)
		if i > 0 && !slices.Equal(first, by) {
			return nil, false
		}
		first = by
	}
	return first, true
}

// grouping returns the labels of the aggregation that an expression is, or
// that the left operand of an operator is.
func grouping(e parser.Expr) []string {
	switch x := unwrap(e).(type) {
	case *parser.AggregateExpr:
		if x.Without {
			return nil
		}
		return slices.Sorted(slices.Values(x.Grouping))
	case *parser.BinaryExpr:
		if by := grouping(x.LHS); len(by) > 0 {
			return by
		}
		return grouping(x.RHS)
	case *parser.Call:
		for _, arg := range x.Args {
			if by := grouping(arg); len(by) > 0 {
				return by
			}
		}
	case *parser.SubqueryExpr:
		return grouping(x.Expr)
	case *parser.UnaryExpr:
		return grouping(x.Expr)
	}
	return nil
}

// counterSuffixes are those that counters have by convention.
var counterSuffixes = []string{"_total", "_count", "_bucket"}

// IsCounter says whether the metric's name is that of a counter.
func (c Counter) IsCounter() bool {
	name, _, _ := strings.Cut(c.Selector, "{")
	return slices.ContainsFunc(counterSuffixes, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}
