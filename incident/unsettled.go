package incident

import (
	"sync"
	"time"
)

// maxUnsettled bounds what unsettled remembers.
const maxUnsettled = 10_000

// unsettled remembers when it was last written down that alerts join an
// incident: in a storm one does every few milliseconds. What it forgets is
// written once more.
type unsettled struct {
	mu      sync.Mutex
	written map[int64]time.Time // by incident
}

// due returns those of the incidents for which it is to be written at at.
func (u *unsettled) due(incidents []int64, at time.Time) []int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.written == nil || len(u.written) > maxUnsettled {
		u.written = map[int64]time.Time{}
	}
	var due []int64
	for _, id := range incidents {
		if last, ok := u.written[id]; ok && !at.Before(last) && at.Sub(last) < settleEvery {
			continue
		}
		u.written[id] = at
		due = append(due, id)
	}
	return due
}
