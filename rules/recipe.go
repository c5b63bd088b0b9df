package rules

import (
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/slo"
)

// shortWindows returns the windows below five minutes that the tiers of an
// SLO need, shortest first. They are rates of raw counters.
func (c *compiler) shortWindows(s slo.SLO) []time.Duration {
	var out []time.Duration
	for _, t := range s.Alerts.Tiers {
		for _, d := range []time.Duration{t.Long, t.Short} {
			if d < edge {
				out = append(out, d)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
