package rules

import (
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// window is a time over which errors and total are recorded.
type window struct {
	length time.Duration
	tile   time.Duration // the shorter window that it is laid out of; 0 for one with an edge
	every  time.Duration // how often tile is recorded
}

const (
	hour = time.Hour
	day  = 24 * hour
)

// fastWindows are those of the tiers that page, slowWindows the others. Each
// is made of those before it.
func fastWindows(o Options) []window {
	return []window{{length: 30 * time.Minute}, {length: hour}, {length: 6 * hour, tile: hour, every: o.Interval}}
}

func slowWindows(o Options) []window {
	return []window{
		{length: 2 * hour, tile: hour, every: o.Interval},
		{length: day, tile: 6 * hour, every: o.Interval},
		{length: 3 * day, tile: day, every: slow},
	}
}

// period returns the window of an error budget: three-day tiles where they
// fit, else days.
func period(days int) window {
	w := window{length: time.Duration(days) * day, tile: day, every: slow}
	if days%3 == 0 {
		w.tile = 3 * day
	}
	return w
}

// all returns a recorded event series of every SLO.
func all(name string) *parser.VectorSelector { return series(name, ne("slo", "")) }

// window returns the two rules of a window.
func (c *compiler) window(w window) []rulefmt.Rule {
	return []rulefmt.Rule{
		c.record(metric(errorsSide, w.length), c.windowed(errorsSide, w), nil),
		c.record(metric(totalSide, w.length), c.windowed(totalSide, w), nil),
	}
}

// windowed returns the events a second of a side over a window. What
// catch-up rules read from raw counters, if they are there, comes first.
func (c *compiler) windowed(side string, w window) parser.Expr {
	e := c.edged
	if w.tile != 0 {
		e = c.tiled
	}
	return either(all(raw(side, w.length)), e(side, w))
}

// edged returns a window whose newest five minutes are rates of raw counters
// and whose older part is summed from recorded bursts. Without history there
// are no errors, at the traffic there is.
func (c *compiler) edged(side string, w window) parser.Expr {
	length := w.length
	newest := all(metric(side, edge))
	evaluations := float64((length - edge) / c.o.Interval)
	// A burst recorded at t is the rate of the time around t - burst/2. The
	// millisecond keeps Prometheus 2, whose ranges are closed on both sides,
	// from reading one sample more.
	older := over(ago(all(metric(side, c.burst)), edge-c.burst/2), length-edge-time.Millisecond)
	var sum parser.Expr
	if side == errorsSide {
		sum = either(call("sum_over_time", older), mul(num(0), newest))
	} else {
		sum = mul(num(evaluations), either(call("avg_over_time", older), newest))
	}
	return div(add(mul(num(float64(edge/c.o.Interval)), newest), sum), num(float64(length/c.o.Interval)))
}

// tiled returns a window laid out of the same recorded window at successive
// offsets. Where one is missing there are no errors, at today's traffic.
func (c *compiler) tiled(side string, w window) parser.Expr {
	tile := all(metric(side, w.tile))
	none := parser.Expr(tile)
	if side == errorsSide {
		none = mul(num(0), tile)
	}
	n := int(w.length / w.tile)
	parts := []parser.Expr{tile}
	for k := 1; k < n; k++ {
		past := over(ago(tile, time.Duration(k)*w.tile), stands(w.every))
		parts = append(parts, either(call("last_over_time", past), none))
	}
	return div(chain(parser.ADD, parts...), num(float64(n)))
}

// stands returns how long a recorded tile stands for those after it that
// were not recorded: 30 evaluations, and not less than an instant looks back.
func stands(every time.Duration) time.Duration { return max(30*every, 5*time.Minute) }
