package oncall

import "time"

// rotation passes the watch around its participants.
type rotation struct {
	handoff      handoff
	loc          *time.Location
	start        time.Time // an instant; the first participant's shift begins
	participants []string
}

// turn is one participant's time, from its first instant up to, not with,
// the next one's. A zero from has no beginning.
type turn struct {
	user        string
	from, until time.Time
}

// at returns whose turn an instant is. Before the start it is the first
// participant's.
func (r rotation) at(at time.Time) turn {
	if at.Before(r.start) {
		return turn{user: r.participants[0], until: r.start}
	}
	shown := furthest(at, r.loc)
	t := turn{from: r.start}
	if last, ok := r.handoff.last(shown); ok {
		t.from = later(r.start, firstInstant(last, r.loc))
	}
	// That there is a next hand-off is what parseHandoff made sure of.
	next, _ := r.handoff.next(shown)
	t.until = firstInstant(next, r.loc)
	t.user = r.participants[r.handoffs(at)%len(r.participants)]
	return t
}

// handoffs returns how many instants after the start, up to and with at, were
// hand-offs. Several readings of one gap share one instant and are one.
func (r rotation) handoffs(at time.Time) int {
	n := r.handoff.count(furthest(r.start, r.loc), furthest(at, r.loc))
	reached := furthest(r.start, r.loc) // the latest reading so far
	for t := r.start; ; {
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
