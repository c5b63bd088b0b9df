package provider

import (
	"slices"
	"sync"
	"time"
)

// Limit is how many messages a provider takes in how long.
type Limit struct {
	Messages int
	Per      time.Duration
}

// Pace keeps the times of the messages to each member or robot, so that
// nothing is sent that the provider would drop without a word. Its counts are
// of this process.
type Pace struct {
	now    func() time.Time
	limits []Limit
	window time.Duration // the longest

	mu      sync.Mutex
	sent    map[string][]time.Time // by whom it is to, oldest first, within the window
	blocked map[string]time.Time   // until when the provider takes nothing
}

// NewPace returns a pace within all limits.
func NewPace(now func() time.Time, limits ...Limit) *Pace {
	p := &Pace{now: now, limits: limits, sent: map[string][]time.Time{}, blocked: map[string]time.Time{}}
	for _, l := range limits {
		p.window = max(p.window, l.Per)
	}
	return p
}

// Take books a message, or returns how long to wait for one. Give gives back
// what was booked: only what the provider took counts.
func (p *Pace) Take(whom string) (give func(), wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.prune(now)
	times := p.sent[whom]
	wait = max(p.blocked[whom].Sub(now), 0)
	for _, l := range p.limits {
		wait = max(wait, free(times, l, now))
	}
	if wait > 0 {
		return func() {}, wait
	}
	p.sent[whom] = append(times, now)
	return sync.OnceFunc(func() { p.give(whom, now) }), 0
}

func (p *Pace) give(whom string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.sent[whom], at); i >= 0 {
		p.sent[whom] = slices.Delete(p.sent[whom], i, i+1)
	}
}

// Block notes that the provider takes nothing for a while.
func (p *Pace) Block(whom string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked[whom] = p.now().Add(d)
}

// free returns how long it takes until fewer than the limit are within its
// time.
func free(times []time.Time, l Limit, now time.Time) time.Duration {
	if len(times) < l.Messages {
		return 0
	}
	return max(times[len(times)-l.Messages].Add(l.Per).Sub(now), 0)
}

func (p *Pace) prune(now time.Time) {
	for whom, times := range p.sent {
		old := 0
		for old < len(times) && now.Sub(times[old]) >= p.window {
			old++
		}
		if old == len(times) {
			delete(p.sent, whom)
		} else {
			p.sent[whom] = times[old:]
		}
	}
	for whom, until := range p.blocked {
		if !now.Before(until) {
			delete(p.blocked, whom)
		}
	}
}
