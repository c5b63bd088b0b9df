package rules

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
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
	for span < (leastScrapes-1)*o.ScrapeInterval {
		span += cycle
	}
	if b := span + o.ScrapeInterval; b <= longest {
		return b
	}
	return max(leastScrapes*o.ScrapeInterval, 2*o.Interval)
}

// leastScrapes is how many scrapes a range of raw counters must hold for its
// rate to survive one that fails.
const leastScrapes = 4

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
	if d <= 0 {
		return model.Duration(d).String()
	}
	var b []byte
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{day, "d"}, {hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.length; n > 0 {
			b = append(strconv.AppendInt(b, int64(n), 10), unit.name...)
			d %= unit.length
		}
	}
	return string(b)
}

// slo adds the groups of one SLO to its service's file. Those of a composite
// come after all that it is made of.
func (c *compiler) slo(s slo.SLO) error {
	if s.SLI.Composite != nil {
		return nil
	}
	return c.add(c.file(serviceFile(s.Service)), s, nil)
}

// add adds the groups of an SLO to a file. parts are what a composite is made
// of.
func (c *compiler) add(f *File, s slo.SLO, parts []slo.SLO) error {
	e, err := c.newEvents(s, parts)
	if err != nil {
		return fmt.Errorf("compile %s: %w", s.ID(), err)
	}
	if err := c.checkScrapes(s); err != nil {
		return fmt.Errorf("compile %s: %w", s.ID(), err)
	}
	rules, short := c.eventRules(e), c.shortRules(e)
	if _, ok := outageOf(s); ok && s.Scope != slo.ScopeFleet {
		if len(short) == 0 { // what it reads is among the event series
			rules = append(rules, c.outage(s)...)
		} else {
			short = append(short, c.outage(s)...)
		}
	}
	f.Groups = append(f.Groups, group("events/"+s.ID(), c.o.Interval, rules...))
	if len(short) > 0 {
		f.Groups = append(f.Groups, group("short/"+s.ID(), min(shortest, c.o.Interval), short...))
	}
	c.parameterGroup(f, s)
	if s.Alerts.NoData != nil {
		f.Groups = append(f.Groups, group("no-data/"+s.ID(), time.Minute, c.noData(e)))
	}
	if c.o.CatchUp {
		f.Groups = append(f.Groups, c.catchUp(e)...)
	}
	return nil
}

// shortest is how often at least short windows are evaluated.
const shortest = 15 * time.Second

// checkScrapes refuses what is too short for how often counters are scraped.
func (c *compiler) checkScrapes(s slo.SLO) error {
	least := leastScrapes * c.o.ScrapeInterval
	for _, t := range s.Alerts.Tiers {
		if d := min(t.Short, t.Long); d < least {
			return fmt.Errorf("tier %s: its window of %s is shorter than %d scrapes of %s", t.Name, span(d), leastScrapes, span(c.o.ScrapeInterval))
		}
	}
	if s.Slices != nil && s.Slices.Length < least {
		return fmt.Errorf("slices of %s are shorter than %d scrapes of %s", span(s.Slices.Length), leastScrapes, span(c.o.ScrapeInterval))
	}
	return nil
}

// indicator is what an SLO counts, as expressions over raw series. Results
// have the labels that the SLO groups by.
type indicator interface {
	// total returns the events a second over d, where there are series.
	total(d time.Duration) parser.Expr
	// failed returns those of them that failed, wherever there is the recorded
	// total of the same time.
	failed(d time.Duration, total parser.Expr) parser.Expr
	// share returns the share of failed events over d, where there were any;
	// what has no series of errors may be missing.
	share(d time.Duration) parser.Expr
	// seen returns something for each group that has series now.
	seen() parser.Expr
}

// historical is an indicator whose raw series reach back over windows.
type historical interface {
	// past returns total and failed as they are over long windows.
	past(d time.Duration) parser.Expr
	pastFailed(d time.Duration, total parser.Expr) parser.Expr
}

// identified are the recorded series of one SLO.
type identified struct {
	service, name string
	groups        []string
	beside        bool // those of the fleet may be in the same place
}

// own returns the recorded series of this SLO alone, by group. Its labels are
// those of an indicator's results.
func (i identified) own(name string) parser.Expr { return maxBy(i.groups, i.ownSeries(name)) }

func (i identified) ownSeries(name string) *parser.VectorSelector {
	ms := []*labels.Matcher{eq("service", i.service), eq("slo", i.name)}
	if i.beside {
		ms = append(ms, eq("scope", ""))
	}
	return series(name, ms...)
}

// events are what an SLO counts and what its rules are named.
type events struct {
	identified
	indicator
	slo         slo.SLO
	labels      map[string]string // that its rules set
	longHistory string            // recorded total over the whole window of the budget
}

func ownOf(s slo.SLO) identified {
	return identified{
		service: s.Service, name: s.Name, groups: slices.Clone(s.GroupBy),
		beside: s.Scope == slo.ScopeFleet || s.Scope == slo.ScopeBoth,
	}
}

// newEvents reads the SLI of an SLO. parts are what a composite is made of.
func (c *compiler) newEvents(s slo.SLO, parts []slo.SLO) (events, error) {
	e := events{
		identified:  ownOf(s),
		slo:         s,
		labels:      map[string]string{"slo": s.Name, "service": s.Service},
		longHistory: metric(totalSide, s.Window.Duration()),
	}
	if unit, _ := s.Window.Calendar(); unit != "" {
		e.longHistory = "slo:sli_" + totalSide + ":rate" + string(unit)
	}
	i, err := c.indicator(s, e.identified, parts)
	if err != nil {
		return e, err
	}
	e.indicator = i
	if s.Slices != nil {
		e.indicator = sliced{of: i, own: e.identified, length: s.Slices.Length, target: s.Slices.Target, burst: c.burst}
	}
	return e, nil
}

// indicator returns what the one part of an SLI that is set counts.
func (c *compiler) indicator(s slo.SLO, own identified, parts []slo.SLO) (indicator, error) {
	switch sli := s.SLI; {
	case sli.Events != nil:
		return c.counters(*sli.Events, own)
	case sli.Latency != nil:
		return c.latency(*sli.Latency, own)
	case sli.Gauge != nil:
		return c.gauge(*sli.Gauge, own)
	case sli.PromQL != nil:
		return newWindowed(*sli.PromQL, own)
	case sli.Ratio != nil:
		return c.shares(*sli.Ratio, own)
	case sli.Logs != nil:
		return newLogged(*sli.Logs, own), nil
	case sli.Composite != nil:
		return c.composite(s, own, parts)
	default:
		return nil, fmt.Errorf("it has no SLI")
	}
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

// lull returns zero where there was a total a moment ago: scrapes failed, or
// the series just vanished.
func (e events) lull() parser.Expr { return mul(num(0), e.own(metric(totalSide, edge))) }

// eventRules returns the four event series of an SLO.
func (c *compiler) eventRules(e events) []rulefmt.Rule {
	newest := c.sides(e, edge, either(e.total(edge), e.idle()), edge, 0)
	older := c.sides(e, c.burst, either(e.total(c.burst), e.lull()), 0, c.burst/2)
	if _, ok := e.indicator.(sliced); ok {
		return []rulefmt.Rule{newest[0], older[0], older[1], newest[1]} // the newest reads the older
	}
	return append(newest, older...)
}

// shortRules returns the event series of the short windows that an SLO needs.
func (c *compiler) shortRules(e events) []rulefmt.Rule {
	var rules []rulefmt.Rule
	for _, d := range c.shortWindows(e.slo) {
		rules = append(rules, c.sides(e, d, either(e.total(d), e.lull()), d, 0)...)
	}
	return rules
}

// sides returns the rules of the total and the errors over d, both of which
// are zero where a moment of the span that ended lag ago is excluded.
func (c *compiler) sides(e events, d time.Duration, total parser.Expr, span, lag time.Duration) []rulefmt.Rule {
	failed := e.failed(d, e.own(metric(totalSide, d)))
	if excluded := c.excluded(e.slo, span, lag); excluded != nil {
		total = mul(total, sub(num(1), excluded))
		failed = mul(failed, sub(num(1), excluded))
	}
	return []rulefmt.Rule{
		c.record(metric(totalSide, d), total, e.labels),
		c.record(metric(errorsSide, d), failed, e.labels),
	}
}
