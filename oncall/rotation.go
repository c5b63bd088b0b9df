package oncall

import (
	"sync/atomic"
	"time"
)

// rotation passes the watch around its participants.
type rotation struct {
	handoff      handoff
	loc          *time.Location
	start        time.Time     // an instant; the first participant's shift begins
	shift        time.Duration // of the local clock, how long a turn lasts at most; 0: until the next hand-off
	early        bool          // before the start it is the first participant's turn already
	participants []string      // "" is nobody

	counted *atomic.Pointer[count] // hand-offs counted before; nil: none are kept
}

// count is how many hand-offs there are after a rotation's start up to and
// with an instant.
type count struct {
	at time.Time
	n  int
}

// turn is one participant's time, from its first instant up to, not with,
// the next one's. A zero from has no beginning; user is "" for nobody's.
type turn struct {
	user        string
	from, until time.Time
	of          time.Time // when the whole turn began, where this is what its length leaves of it
}

// at returns whose turn an instant is.
func (r rotation) at(at time.Time) turn {
	if at.Before(r.start) {
		t := turn{until: r.start}
		if r.early {
			t.user = r.participants[0]
		}
		return t
	}
	shown := furthest(at, r.loc)
	t, began := turn{from: r.start}, read(r.start, r.loc)
	if last, ok := r.handoff.last(shown); ok {
		if first := firstInstant(last, r.loc); first.After(r.start) {
			t.from, began = first, last
		}
	}
	// That there is a next hand-off is what parseHandoff made sure of.
	next, _ := r.handoff.next(shown)
	t.until, t.of = firstInstant(next, r.loc), t.from
	t.user = r.participants[r.handoffs(at)%len(r.participants)]
	if r.shift > 0 {
		t.cut(lastInstant(began.Add(r.shift), r.loc), at)
	}
	return t
}

// cut ends a turn at an instant, after which it is nobody's.
func (t *turn) cut(end, at time.Time) {
	if end.After(at) {
		t.until = earlier(t.until, end)
		return
	}
	t.user, t.from = "", later(t.from, end)
}

// countApart is how far behind hand-offs are counted once, so that asking for
// days around an instant never counts years.
const countApart = 64 * 24 * time.Hour

// handoffs returns how many instants after the start, up to and with at, were
// hand-offs. Several readings of one gap share one instant and are one.
func (r rotation) handoffs(at time.Time) int {
	known := count{at: r.start}
	if r.counted == nil {
		return r.countFrom(known, at)
	}
	if p := r.counted.Load(); p != nil && !p.at.After(at) {
		known = *p
	}
	if at.Sub(known.at) > 2*countApart {
		behind := at.Add(-countApart)
		known = count{behind, r.countFrom(known, behind)}
		r.counted.Store(&known)
	}
	return r.countFrom(known, at)
}

// countFrom counts on from an instant up to which they are counted.
func (r rotation) countFrom(known count, at time.Time) int {
	n := known.n + r.handoff.count(furthest(known.at, r.loc), furthest(at, r.loc))
	reached := furthest(known.at, r.loc) // the latest reading so far
	for t := known.at; ; {
		end := zoneEnd(t, r.loc)
		if end.IsZero() || end.After(at) {
			return n
		}
		reached = later(reached, read(end.Add(-time.Nanosecond), r.loc))
		if inGap := r.handoff.count(reached, read(end, r.loc)); inGap > 1 {
			n -= inGap - 1
		}
		reached = later(reached, read(end, r.loc))
		t = end
	}
}
