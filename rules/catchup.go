package rules

import (
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// raw names the events a second of a window read from raw counters alone.
func raw(side string, d time.Duration) string {
	return "slo:sli_" + side + ":raw" + span(d)
}

// complete is the share of a window's evaluations that must have been
// recorded for it to be read from recorded series.
const complete = 0.9

// catchUp returns the groups that read whole windows of an SLO from raw
// counters until they are recorded: those of an hour and below as often as
// the windows themselves, the longer ones less often.
func (c *compiler) catchUp(e events) []rulefmt.RuleGroup {
	var fast, lazy []rulefmt.Rule
	for _, w := range append(fastWindows(c.o), slowWindows(c.o)...) {
		rules := []rulefmt.Rule{
			c.record(raw(totalSide, w.length), c.rawTotal(e, w.length), e.labels),
			c.record(raw(errorsSide, w.length), e.failedWhile(w.length, raw(totalSide, w.length)), e.labels),
		}
		if w.length <= hour {
			fast = append(fast, rules...)
		} else {
			lazy = append(lazy, rules...)
		}
	}
	return []rulefmt.RuleGroup{
		group("catchup/"+e.slo.ID(), c.o.Interval, fast...),
		group("catchup-slow/"+e.slo.ID(), slow, lazy...),
	}
}

// rawTotal returns the total over d while its recorded history is not
// complete, and if its raw history reaches back that far: a service younger
// than the window would show its first minutes as if they were all of it.
func (c *compiler) rawTotal(e events, d time.Duration) parser.Expr {
	begin := sumBy(e.groups, call("rate", over(ago(e.total, d-edge), edge)))
	recorded := call("count_over_time", over(e.ownSeries(metric(totalSide, edge)), d))
	enough := complete * float64(d/c.o.Interval)
	return unless(both(e.rate(e.total, d), begin), above(maxBy(e.groups, recorded), num(enough)))
}

// failedWhile returns the errors over d as long as the raw total is there.
func (e events) failedWhile(d time.Duration, total string) parser.Expr {
	return both(e.failed(d, total), e.own(total))
}
