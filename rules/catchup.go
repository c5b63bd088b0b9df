package rules

import (
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// raw names the events a second of a window read from raw counters alone.
func raw(side string, d time.Duration) string {
	return "slo:sli_" + side + ":raw" + span(d)
}

// complete is the share of a window's evaluations that must have been
// recorded for it to be read from recorded series.
const complete = 0.9

// longestRaw is the longest window that is read from raw counters.
const longestRaw = 3 * day

// catchUp returns the groups that read whole windows of an SLO from raw
// counters until they are recorded: those of an hour and below as often as
// the windows themselves, the longer ones less often. What has no raw history
// in Prometheus has none: log lines, slices and composites.
func (c *compiler) catchUp(e events) []rulefmt.RuleGroup {
	h, ok := e.indicator.(historical)
	if !ok {
		return nil
	}
	var fast, lazy []rulefmt.Rule
	for _, w := range c.windows([]slo.SLO{e.slo}) {
		if w.length > longestRaw {
			continue
		}
		total := e.own(raw(totalSide, w.length))
		rules := []rulefmt.Rule{
			c.record(raw(totalSide, w.length), c.rawTotal(e, h, w.length), e.labels),
			c.record(raw(errorsSide, w.length), both(h.pastFailed(w.length, total), total), e.labels),
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
// complete, if nothing of it is excluded, and if its raw history reaches back
// that far: a service younger than the window would show its first minutes as
// if they were all of it.
func (c *compiler) rawTotal(e events, h historical, d time.Duration) parser.Expr {
	begin := shifted(h.past(edge), d-edge)
	recorded := call("count_over_time", over(e.ownSeries(metric(totalSide, edge)), d))
	enough := complete * float64(d/c.o.Interval)
	missing := unless(both(h.past(d), begin), above(maxBy(e.groups, recorded), num(enough)))
	if excluded := c.excluded(e.slo, d, 0); excluded != nil { // raw counters know of no exclusions
		return onNothing(parser.LAND, missing, equals(vector(excluded), num(0)))
	}
	return missing
}

// shifted returns an expression as it was some time ago.
func shifted(e parser.Expr, by time.Duration) parser.Expr {
	switch x := e.(type) {
	case *parser.VectorSelector:
		return ago(x, x.OriginalOffset+by)
	case *parser.MatrixSelector:
		out := *x
		out.VectorSelector = shifted(x.VectorSelector, by)
		return &out
	case *parser.SubqueryExpr:
		out := *x
		out.OriginalOffset += by
		return &out
	case *parser.AggregateExpr:
		out := *x
		out.Expr = shifted(x.Expr, by)
		return &out
	case *parser.BinaryExpr:
		out := *x
		out.LHS, out.RHS = shifted(x.LHS, by), shifted(x.RHS, by)
		return &out
	case *parser.Call:
		out := *x
		out.Args = make(parser.Expressions, len(x.Args))
		for i, arg := range x.Args {
			out.Args[i] = shifted(arg, by)
		}
		return &out
	case *parser.ParenExpr:
		out := *x
		out.Expr = shifted(x.Expr, by)
		return &out
	case *parser.UnaryExpr:
		out := *x
		out.Expr = shifted(x.Expr, by)
		return &out
	default:
		return e
	}
}
