package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// edge is the length of the newest part of a window, which is always read
// from raw counters.
const edge = 5 * time.Minute

// burst is the range of the raw rates that older parts of windows are made
// of: at least four scrapes. Between its first and last sample lies a whole
// number of evaluations and of scrapes, so that every increase of a counter
// is in equally many of the rates: otherwise a short burst of errors would
// weigh more or less by the luck of its moment. Where that takes more than
// four minutes, it is four scrapes or two evaluations, whichever is longer.
func burst(o Options) time.Duration {
	const longest = 4 * time.Minute
	cycle := leastCommonMultiple(o.ScrapeInterval, o.Interval)
	span := cycle
	for span < 3*o.ScrapeInterval {
		span += cycle
	}
	if b := span + o.ScrapeInterval; b <= longest {
		return b
	}
	return max(4*o.ScrapeInterval, 2*o.Interval)
}

func leastCommonMultiple(a, b time.Duration) time.Duration {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// metric returns the name of a recorded event series, such as
// slo:sli_errors:rate5m.
func metric(side string, d time.Duration) string {
	return "slo:sli_" + side + ":rate" + span(d)
}

// The two sides of a ratio.
const (
	errorsSide = "errors"
	totalSide  = "total"
)

// span writes a duration as Prometheus does, but never in weeks or years.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return model.Duration(d).String()
}

// slo adds the groups of one SLO to its service's file.
func (c *compiler) slo(s slo.SLO) error {
	e, err := newEvents(s)
	if err != nil {
		return fmt.Errorf("compile %s: %w", s.ID(), err)
	}
	f := c.file(prefix + "slo-" + s.Service + ".yaml")
	f.Groups = append(f.Groups,
		group("events/"+s.ID(), c.o.Interval, c.eventRules(e)...),
		group("parameters/"+s.ID(), slow, c.parameters(s)))
	if c.o.CatchUp {
		f.Groups = append(f.Groups, c.catchUp(e)...)
	}
	return nil
}

// events are the counters of an SLO as expressions.
type events struct {
	slo         slo.SLO
	total       *parser.VectorSelector
	bad, good   *parser.VectorSelector // one is nil
	labels      map[string]string      // that its rules set
	groups      []string
	longHistory string // recorded total over the whole window of the budget
}

func newEvents(s slo.SLO) (events, error) {
	e := events{
		slo: s, groups: slices.Clone(s.GroupBy), longHistory: metric(totalSide, s.Window.Duration()),
		labels: map[string]string{"slo": s.Name, "service": s.Service},
	}
	var err error
	if e.total, err = selector(s.SLI.Events.Total); err != nil {
		return e, fmt.Errorf("total: %w", err)
	}
	if s.SLI.Events.Good != "" {
		if e.good, err = selector(s.SLI.Events.Good); err != nil {
			return e, fmt.Errorf("good: %w", err)
		}
		return e, nil
	}
	if e.bad, err = selector(s.SLI.Events.Errors); err != nil {
		return e, fmt.Errorf("errors: %w", err)
	}
	return e, nil
}

func selector(text string) (*parser.VectorSelector, error) {
	expr, err := newParser().ParseExpr(text)
	if err != nil {
		return nil, err
	}
	vs, ok := expr.(*parser.VectorSelector)
	if !ok {
		return nil, fmt.Errorf("%q is not a selector", text)
	}
	return vs, nil
}

// rate returns the events a second of a counter over d, by group.
func (e events) rate(counter *parser.VectorSelector, d time.Duration) parser.Expr {
	return sumBy(e.groups, call("rate", over(counter, d)))
}

// own returns the recorded series of this SLO alone, by group. Its labels are
// those of rate.
func (e events) own(name string) parser.Expr { return maxBy(e.groups, e.ownSeries(name)) }

func (e events) ownSeries(name string) *parser.VectorSelector {
	return series(name, eq("service", e.slo.Service), eq("slo", e.slo.Name))
}

// failed returns the errors a second over d, where total is the recorded
// total over d. Where there is no series of errors yet there are none; where
// good events are counted, errors are what is missing to the total.
func (e events) failed(d time.Duration, total string) parser.Expr {
	none := mul(num(0), e.own(total))
	if e.good == nil {
		return either(e.rate(e.bad, d), none)
	}
	return call("clamp_min", sub(e.own(total), either(e.rate(e.good, d), none)), num(0))
}

// idle returns zero for what has been seen but has no series of its total
// now: it has no traffic, which is not the same as no history. A group is
// remembered as long as the budget's window has traffic of it.
func (e events) idle() parser.Expr {
	if len(e.groups) == 0 {
		return mul(num(0), e.own(metric(totalSide, edge)))
	}
	return mul(num(0), maxBy(e.groups, above(e.ownSeries(e.longHistory), num(0))))
}

// eventRules returns the four event series of an SLO.
func (c *compiler) eventRules(e events) []rulefmt.Rule {
	total5, totalB := metric(totalSide, edge), metric(totalSide, c.burst)
	lull := mul(num(0), e.own(total5)) // scrapes failed, or the series just vanished
	return []rulefmt.Rule{
		c.record(total5, either(e.rate(e.total, edge), e.idle()), e.labels),
		c.record(metric(errorsSide, edge), e.failed(edge, total5), e.labels),
		c.record(totalB, either(e.rate(e.total, c.burst), lull), e.labels),
		c.record(metric(errorsSide, c.burst), e.failed(c.burst, totalB), e.labels),
	}
}
