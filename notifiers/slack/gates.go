package slack

import (
	"sync"
	"time"
)

// gates keeps until when Slack takes no more calls of a method to a
// conversation, by its own word.
type gates struct {
	now func() time.Time

	mu     sync.Mutex
	closed map[string]time.Time
}

func newGates(now func() time.Time) *gates { return &gates{now: now, closed: map[string]time.Time{}} }

// wait returns how long it takes until a call is welcome.
func (g *gates) wait(method, whom string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(g.closed[method+" "+whom].Sub(g.now()), 0)
}

func (g *gates) shut(method, whom string, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for key, until := range g.closed {
		if !now.Before(until) {
			delete(g.closed, key)
		}
	}
	g.closed[method+" "+whom] = now.Add(d)
}
