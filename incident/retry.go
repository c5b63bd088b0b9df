package incident

import (
	"time"

	"github.com/midwatch-slo/midwatch/page"
)

// RetryPolicy says how often a page is tried that does not go through.
type RetryPolicy struct {
	First    time.Duration // between the first try and the second; 0 is 1 s. It doubles from try to try
	Longest  time.Duration // between two tries; 0 is 1 min
	Attempts int           // after which the page is dead; 0 is 100
	Age      time.Duration // since it was caused, after which it is dead; 0 is 1 h
}

func (r *RetryPolicy) defaults() {
	setDefault(&r.First, time.Second)
	setDefault(&r.Longest, time.Minute)
	setDefault(&r.Attempts, 100)
	setDefault(&r.Age, time.Hour)
}

// next returns when to try a page again that err kept from going through at
// at, and whether to: jitter, from 0 to 1, moves the time within the second
// half of the pause. A provider's own word on when to come back counts for
// more than the pause.
func (r RetryPolicy) next(p page.Page, err error, at time.Time, jitter float64) (due time.Time, again bool) {
	after, again := page.Retry(err)
	if !again || p.Attempt >= r.Attempts {
		return time.Time{}, false
	}
	pause := r.pause(p.Attempt)
	pause = pause/2 + time.Duration(jitter*float64(pause/2))
	due = at.Add(max(after, pause))
	return due, due.Sub(p.At) <= r.Age
}

// pause returns the longest pause after a number of tries.
func (r RetryPolicy) pause(attempts int) time.Duration {
	pause := r.First
	for range attempts - 1 {
		if pause *= 2; pause >= r.Longest {
			return r.Longest
		}
	}
	return min(pause, r.Longest)
}
