package federation

import "time"

// Hurry probes so many times as often.
func (f *Federation) Hurry(by time.Duration) {
	for _, c := range f.clusters {
		p := defaultPace()
		c.health.pace = pace{every: p.every / by, again: p.again / by}
		c.holes.refresh = holesRefresh / by
	}
}
