package wecom

import (
	"sync"
	"time"
)

// seenTime is how long a callback is remembered, which the provider repeats
// and anybody who saw it could. What is older is refused as stale.
const seenTime = 3 * stale

// seen remembers callbacks.
type seen struct {
	at *recent[time.Time]

	mu     sync.Mutex
	warned time.Time
}

func newSeen() *seen { return &seen{at: newRecent[time.Time](maxSeen)} }

// first tells whether a callback comes for the first time, and notes it.
func (s *seen) first(id string, now time.Time) bool {
	before, known := s.at.swap(id, now)
	return !known || now.Sub(before) > seenTime
}

// forget lets a callback come again.
func (s *seen) forget(id string) { s.at.remove(id) }

// warn tells whether the last warning of a callback was long enough ago.
func (s *seen) warn(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.warned) < time.Minute {
		return false
	}
	s.warned = now
	return true
}
