package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

// all returns a recorded series of every SLO: of the cluster, or of the fleet
// where the rules are the fleet's. Series of others under the same name may be
// among them: they find no parameters. To select them out as well would
// take a tenth of the time of all rules.
func (c *compiler) all(name string) *parser.VectorSelector {
	return series(name, c.scope.matchers()...)
}

// ofService leaves out series that are no SLO's. All of ours have both of the
// labels service and slo; of the former there are fewer values, and what
// Prometheus does to exclude those that have none grows with their number.
func ofService() *labels.Matcher { return ne("service", "") }

// identified returns a recorded series of whatever has the label of an SLO.
func (c *compiler) identified(name string) *parser.VectorSelector {
	return series(name, append(c.scope.matchers(), ofService())...)
}

// window returns the two rules of a window.
func (c *compiler) window(w window) []rulefmt.Rule {
	return []rulefmt.Rule{
		c.record(metric(errorsSide, w.length), c.windowed(errorsSide, w), nil),
		c.record(metric(totalSide, w.length), c.windowed(totalSide, w), nil),
	}
}

// windowed returns the events a second of a side over a window, for the SLOs
// that need it. What catch-up rules read from raw counters, if they are
// there, comes first.
func (c *compiler) windowed(side string, w window) parser.Expr {
	var e parser.Expr
	if len(w.parts) == 0 {
		e = c.edged(side, w)
	} else {
		e = c.tiled(side, w)
	}
	if c.o.CatchUp {
		e = either(c.all(raw(side, w.length)), e)
	}
	if w.needs.count() == c.slos {
		return e
	}
	return onIdentity(parser.LAND, e, c.needing(w.needs))
}

// needing returns something for each SLO that needs a window.
func (c *compiler) needing(n needs) parser.Expr {
	var any []parser.Expr
	if len(n.tiers) > 0 {
		names := slices.Sorted(maps.Keys(n.tiers))
		for i, name := range names {
			names[i] = regexp.QuoteMeta(name)
		}
		tier := eq("tier", names[0])
		if len(names) > 1 {
			tier = labels.MustNewMatcher(labels.MatchRegexp, "tier", strings.Join(names, "|"))
		}
		any = append(any, maxBy(identity(), series(parameterSeries, eq("parameter", parameterThreshold), ofService(), tier)))
	}
	for _, d := range slices.Sorted(maps.Keys(n.periods)) {
		any = append(any, c.lasting(d))
	}
	if len(n.units) > 0 {
		any = append(any, parameter(parameterCalendar))
	}
	return chain(parser.LOR, any...)
}

// edged returns a window whose newest five minutes are rates of raw counters
// and whose older part is summed from recorded bursts. Without history there
// are no errors, at the traffic there is.
func (c *compiler) edged(side string, w window) parser.Expr {
	length := w.length
	if length%c.o.Interval != 0 {
		c.errs = append(c.errs, fmt.Errorf("compile window %s: it is not a whole number of evaluations, one each %s", span(length), c.o.Interval))
	}
	newest := c.all(metric(side, edge))
	evaluations := float64((length - edge) / c.o.Interval)
	// A burst recorded at t is the rate of the time around t - burst/2. The
	// millisecond keeps Prometheus 2, whose ranges are closed on both sides,
	// from reading one sample more.
	older := over(ago(c.all(metric(side, c.burst)), edge-c.burst/2), length-edge-time.Millisecond)
	var sum parser.Expr
	if side == errorsSide {
		sum = either(call("sum_over_time", older), mul(num(0), newest))
	} else {
		sum = mul(num(evaluations), either(call("avg_over_time", older), newest))
	}
	return div(add(mul(num(float64(edge/c.o.Interval)), newest), sum), num(float64(length/c.o.Interval)))
}

// tiled returns a window laid out of recorded ones at successive offsets.
// Where one is missing there are no errors, at today's traffic.
func (c *compiler) tiled(side string, w window) parser.Expr {
	unit := w.parts[len(w.parts)-1].length // the weight of each part is a multiple
	for _, p := range w.parts {
		unit = greatestCommonDivisor(unit, p.length)
	}
	newest := c.all(metric(side, w.parts[0].length))
	none := parser.Expr(newest)
	if side == errorsSide {
		none = mul(num(0), newest)
	}
	weighted := func(e parser.Expr, p part) parser.Expr {
		if p.length == unit {
			return e
		}
		return mul(num(float64(p.length/unit)), e)
	}
	sum := []parser.Expr{weighted(newest, w.parts[0])}
	for _, p := range w.parts[1:] {
		past := over(ago(c.all(metric(side, p.length)), p.offset), stands(c.every(p.length)))
		sum = append(sum, weighted(either(call("last_over_time", past), none), p))
	}
	return div(chain(parser.ADD, sum...), num(float64(w.length/unit)))
}

func greatestCommonDivisor(a, b time.Duration) time.Duration {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// stands returns how long a recorded tile stands for those after it that were
// not recorded, as while Prometheus restarts.
func stands(every time.Duration) time.Duration {
	if every < slow {
		return 10 * time.Minute
	}
	return 30 * time.Minute
}
