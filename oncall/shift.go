package oncall

import (
	"slices"
	"time"
)

// maxShifts bounds what one call of Shifts returns.
const maxShifts = 10_000

// Shift is a span of time in which one person is on call: from its first
// instant up to, not with, its last.
type Shift struct {
	Schedule string    `json:"schedule"`
	User     string    `json:"user"`
	FullName string    `json:"full_name"`
	From     time.Time `json:"from"`  // UTC; zero before the rotation's start, which has no beginning
	Until    time.Time `json:"until"` // UTC; never zero
	Override bool      `json:"override"`
}

// At returns the shift of a schedule that contains an instant. There always
// is one; the zero Shift is the answer for a schedule that does not exist.
func (r *Roster) At(name string, at time.Time) Shift {
	s, ok := r.schedules[name]
	if !ok {
		return Shift{}
	}
	t, overridden := s.at(at)
	return Shift{
		Schedule: name, User: t.user, FullName: r.users[t.user].fullName,
		From: t.from, Until: t.until, Override: overridden,
	}
}

// Shifts returns the shifts of a schedule in a span of time, in order and
// without gaps; the first and the last are cut to the span. There are at
// most 10,000: the last says how far they reach. It is empty for a schedule
// that does not exist and for an empty span.
func (r *Roster) Shifts(name string, from, to time.Time) []Shift {
	if _, ok := r.schedules[name]; !ok {
		return nil
	}
	var shifts []Shift
	for at := from.UTC(); at.Before(to) && len(shifts) < maxShifts; {
		s := r.At(name, at)
		s.From, s.Until = later(s.From, from.UTC()), earlier(s.Until, to.UTC())
		shifts = append(shifts, s)
		at = s.Until
	}
	return shifts
}

// at returns whose turn an instant is, overrides considered: the one listed
// last wins.
func (s schedule) at(at time.Time) (turn, bool) {
	t, above := s.rotation.at(at), s.overrides
	overridden := false
	for i, v := range slices.Backward(s.overrides) {
		if o := v; !at.Before(o.from) && at.Before(o.until) {
			t, above, overridden = turn(o), s.overrides[i+1:], true
			break
		}
	}
	for _, o := range above {
		if o.until.After(at) {
			t.until = earlier(t.until, later(o.from, at))
		} else {
			t.from = later(t.from, o.until)
		}
	}
	return t, overridden
}
