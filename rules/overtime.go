package rules

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// windowVariable stands for the range in expressions that people write.
const windowVariable = "$window"

// expression reads an expression that people write, with its range in the
// place of $window.
func expression(text string, d time.Duration) (parser.Expr, error) {
	e, err := newParser().ParseExpr(strings.ReplaceAll(text, windowVariable, duration(d)))
	if err != nil {
		return nil, err
	}
	if e.Type() == parser.ValueTypeScalar {
		return call("vector", e), nil
	}
	if e.Type() != parser.ValueTypeVector {
		return nil, fmt.Errorf("%q is not an instant vector", text)
	}
	return e, nil
}

// valid returns an expression that was read before, with another range.
func valid(text string, d time.Duration) parser.Expr {
	e, err := expression(text, d)
	if err != nil {
		return call("vector", num(math.NaN())) // not reached: its range is all that differs
	}
	return e
}

func negativeInfinity() float64 { return math.Inf(-1) }

// finite leaves out what is not a number or infinite, such as a ratio without
// traffic.
func finite(e parser.Expr) parser.Expr {
	return binary(parser.LSS, above(e, num(math.Inf(-1))), num(math.Inf(1)))
}

// subquery returns an expression's values over d, every step.
func subquery(e parser.Expr, d, step time.Duration) *parser.SubqueryExpr {
	switch e.(type) {
	case *parser.AggregateExpr, *parser.Call, *parser.ParenExpr:
	default:
		e = &parser.ParenExpr{Expr: e}
	}
	return &parser.SubqueryExpr{Expr: e, Range: d, Step: step}
}

// timed are time: as long as there are series, every second counts the same,
// with the share of it that failed.
type timed struct {
	own  identified
	data parser.Expr                       // what has series while there is something to measure
	bad  func(d time.Duration) parser.Expr // share that failed, by group
	rate func(d time.Duration) parser.Expr // what a second counts; nil: 1
}

func (t timed) total(d time.Duration) parser.Expr {
	if t.rate != nil {
		return t.rate(d)
	}
	return t.seen()
}

func (t timed) failed(d time.Duration, total parser.Expr) parser.Expr {
	return either(mul(t.bad(d), above(total, num(0))), mul(num(0), total))
}

func (t timed) share(d time.Duration) parser.Expr { return t.bad(d) }

func (t timed) seen() parser.Expr { return aggregate(parser.GROUP, t.own.groups, t.data) }

func (t timed) past(d time.Duration) parser.Expr { return t.total(d) }
func (t timed) pastFailed(d time.Duration, total parser.Expr) parser.Expr {
	return t.failed(d, total)
}

// gauge measures how much of the time a gauge was good, which one that is not
// a number never is. All series of a group weigh the same.
func (c *compiler) gauge(g slo.Gauge, own identified) (timed, error) {
	expr, err := expression(g.Expr, edge)
	if err != nil {
		return timed{}, fmt.Errorf("gauge: %w", err)
	}
	op, threshold := g.Op, g.Threshold
	if op == "" {
		op, threshold = "==", "1"
	}
	good, err := comparison(expr, op, threshold)
	if err != nil {
		return timed{}, fmt.Errorf("gauge: %w", err)
	}
	return timed{own: own, data: expr, bad: func(d time.Duration) parser.Expr {
		return sub(num(1), avgBy(own.groups, call("avg_over_time", subquery(good, d, c.o.ScrapeInterval))))
	}}, nil
}

func avgBy(by []string, e parser.Expr) parser.Expr { return aggregate(parser.AVG, by, e) }

// comparison returns 1 where an expression compares with a number, else 0.
func comparison(e parser.Expr, op, threshold string) (parser.Expr, error) {
	value, err := strconv.ParseFloat(threshold, 64)
	if err != nil {
		return nil, fmt.Errorf("threshold: %w", err)
	}
	for _, item := range []parser.ItemType{parser.LSS, parser.LTE, parser.GTR, parser.GTE, parser.EQLC, parser.NEQ} {
		if item.String() == op {
			b := binary(item, e, num(value)).(*parser.BinaryExpr)
			b.ReturnBool = true
			return b, nil
		}
	}
	return nil, fmt.Errorf("%q is not a comparison", op)
}

// shares are a ratio that is already there.
func (c *compiler) shares(r slo.Ratio, own identified) (timed, error) {
	text := r.Errors + r.Good
	for _, part := range []string{text, r.Total} {
		if _, err := expression(part, edge); err != nil && part != "" {
			return timed{}, fmt.Errorf("ratio: %w", err)
		}
	}
	t := timed{own: own, data: finite(valid(text, edge)), bad: func(d time.Duration) parser.Expr {
		ratio := avgBy(own.groups, c.overTime(text, d))
		if r.Good != "" {
			return sub(num(1), ratio)
		}
		return ratio
	}}
	if r.Total != "" {
		t.rate = func(d time.Duration) parser.Expr { return sumBy(own.groups, c.overTime(r.Total, d)) }
	}
	return t, nil
}

// overTime returns an expression over d: with d in the place of $window, or
// its average over that time. What is not finite is left out.
func (c *compiler) overTime(text string, d time.Duration) parser.Expr {
	if strings.Contains(text, windowVariable) {
		return finite(valid(text, d))
	}
	return call("avg_over_time", subquery(finite(valid(text, d)), d, c.o.ScrapeInterval))
}

// windowed are expressions over $window.
type windowed struct {
	own            identified
	all, bad, good string // one of bad and good is empty
	unit           slo.Unit
}

func newWindowed(p slo.PromQL, own identified) (windowed, error) {
	for _, part := range []string{p.Total, p.Errors + p.Good} {
		if _, err := expression(part, edge); err != nil {
			return windowed{}, fmt.Errorf("promql: %w", err)
		}
	}
	return windowed{own: own, all: p.Total, bad: p.Errors, good: p.Good, unit: p.Unit}, nil
}

// rate returns what an expression gives, as events a second.
func (w windowed) rate(text string, d time.Duration) parser.Expr {
	e := sumBy(w.own.groups, finite(valid(text, d)))
	if w.unit == slo.PerWindow {
		return div(e, num(d.Seconds()))
	}
	return e
}

func (w windowed) total(d time.Duration) parser.Expr { return w.rate(w.all, d) }

func (w windowed) failed(d time.Duration, total parser.Expr) parser.Expr {
	none := mul(num(0), total)
	if w.good == "" {
		return either(w.rate(w.bad, d), none)
	}
	return sub(total, either(w.rate(w.good, d), none)) // less than none: see counters
}

func (w windowed) share(d time.Duration) parser.Expr {
	busy := above(w.total(d), num(0))
	if w.good == "" {
		return div(w.rate(w.bad, d), busy)
	}
	return missing(div(w.rate(w.good, d), busy), busy)
}

func (w windowed) seen() parser.Expr {
	return aggregate(parser.GROUP, w.own.groups, finite(valid(w.all, edge)))
}

func (w windowed) past(d time.Duration) parser.Expr { return w.total(d) }
func (w windowed) pastFailed(d time.Duration, total parser.Expr) parser.Expr {
	return w.failed(d, total)
}
