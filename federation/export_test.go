package federation

import "time"

// Hurry probes so many times as often.
func (f *Federation) Hurry(by time.Duration) {
	for _, c := range f.clusters {
		p := defaultPace()
		c.health.pace = pace{every: p.every / by, again: p.again / by, labels: p.labels / by}
		c.holes.refresh = holesRefresh / by
	}
}

// Counted tells whether it is known of all servers which labels their series
// have.
func (f *Federation) Counted() bool {
	for _, c := range f.clusters {
		for _, r := range c.replicas {
			if _, known := r.census.last(); !known {
				return false
			}
		}
	}
	return true
}
