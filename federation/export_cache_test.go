package federation

import "time"

// Doubt asks servers anew whether their past is as it was after so long.
func (f *Federation) Doubt(after time.Duration) {
	for _, c := range f.clusters {
		for _, r := range c.replicas {
			c.cache.histories[r].belief.ttl = after
		}
	}
}
