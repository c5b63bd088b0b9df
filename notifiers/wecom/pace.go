package wecom

import (
	"strings"
	"sync"
	"time"
)

// The provider drops, without a word, what one member gets beyond these.
const (
	perMinute = 30
	perHour   = 1000
)

// pace keeps the times of the messages to each member.
type pace struct {
	now func() time.Time

	mu   sync.Mutex
	sent map[string][]time.Time // by member, oldest first, of the last hour
}

func newPace(now func() time.Time) *pace {
	return &pace{now: now, sent: map[string][]time.Time{}}
}

// take books a message to a member, or returns how long to wait for one.
func (p *pace) take(member string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	member = strings.ToLower(member)
	now := p.now()
	p.prune(now)
	times := p.sent[member]
	wait := max(free(times, perMinute, time.Minute, now), free(times, perHour, time.Hour, now))
	if wait == 0 {
		p.sent[member] = append(times, now)
	}
	return wait
}

// free returns how long it takes until fewer than limit of times are within
// the window.
func free(times []time.Time, limit int, window time.Duration, now time.Time) time.Duration {
	if len(times) < limit {
		return 0
	}
	return max(times[len(times)-limit].Add(window).Sub(now), 0)
}

func (p *pace) prune(now time.Time) {
	for member, times := range p.sent {
		old := 0
		for old < len(times) && now.Sub(times[old]) >= time.Hour {
			old++
		}
		if old == len(times) {
			delete(p.sent, member)
		} else {
			p.sent[member] = times[old:]
		}
	}
}
