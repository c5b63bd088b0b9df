package incident

import (
	"sync"
	"time"
)

const (
	calm         = 10     // joins of an incident that are each written down
	maxUnsettled = 10_000 // incidents that are remembered
)

// unsettled remembers how often, and when last, it was written down that
// alerts join an incident: in a storm one does every few milliseconds, and
// its first page then waits for settleEvery longer instead. What it forgets is
// written once more.
type unsettled struct {
	mu      sync.Mutex
	written map[int64]joining
}

type joining struct {
	times int
	last  time.Time
}

// due returns those of the incidents for which it is to be written at at: the
// calm ones, and the others.
func (u *unsettled) due(incidents []int64, at time.Time) (quiet, stormy []int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.written == nil || len(u.written) > maxUnsettled {
		u.written = map[int64]joining{}
	}
	for _, id := range incidents {
		j := u.written[id]
		switch {
		case j.times < calm:
			quiet = append(quiet, id)
		case !at.Before(j.last) && at.Sub(j.last) < settleEvery:
			continue
		default:
			stormy = append(stormy, id)
		}
		u.written[id] = joining{j.times + 1, at}
	}
	return quiet, stormy
}
