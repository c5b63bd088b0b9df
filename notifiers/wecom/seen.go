package wecom

import (
	"slices"
	"sync"
	"time"
)

// Bounds of what is remembered of callbacks. What is older than that is
// refused as stale.
const (
	maxSeen  = 10_000
	seenTime = 3 * stale
)

// seen remembers callbacks, which the provider repeats and anybody who saw one
// could.
type seen struct {
	mu     sync.Mutex
	at     map[string]time.Time
	order  []string // oldest first
	warned time.Time
}

func newSeen() *seen { return &seen{at: map[string]time.Time{}} }

// first tells whether a callback comes for the first time, and notes it.
func (s *seen) first(id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 && (len(s.order) >= maxSeen || now.Sub(s.at[s.order[0]]) > seenTime) {
		delete(s.at, s.order[0])
		s.order = slices.Delete(s.order, 0, 1)
	}
	if _, known := s.at[id]; known {
		return false
	}
	s.at[id] = now
	s.order = append(s.order, id)
	return true
}

// forget lets a callback come again.
func (s *seen) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at, id)
	s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == id })
}

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
