package oncall

import "time"

const (
	maxShifts = 10_000 // what one call of Shifts returns
	maxPieces = 500    // that are joined to one shift
)

// Shift is a span of time in which one person is on call, or nobody: from its
// first instant up to, not with, its last.
type Shift struct {
	Schedule string    `json:"schedule"`
	User     string    `json:"user"` // "" when nobody is on call
	FullName string    `json:"full_name"`
	From     time.Time `json:"from"`  // UTC; zero where it has no beginning
	Until    time.Time `json:"until"` // UTC; never zero: the year 3000 where it has no end
	Override bool      `json:"override"`
	Layer    string    `json:"layer,omitempty"`  // "" when the schedule has one layer, or an override is in its place
	Reason   string    `json:"reason,omitempty"` // of an override, when whoever made it gave one
}

// Gap tells whether nobody is on call.
func (s Shift) Gap() bool { return s.User == "" }

// Endless tells whether a shift has no end.
func (s Shift) Endless() bool { return !s.Until.Before(forever) }

// At returns the shift of a schedule that contains an instant, a gap when
// nobody is on call. The zero Shift is the answer for a schedule that does
// not exist.
func (r *Roster) At(name string, at time.Time) Shift {
	s, ok := r.schedules[name]
	if !ok {
		return Shift{}
	}
	p := s.at(at)
	for range maxPieces {
		if p.from.IsZero() {
			break
		}
		before := s.at(p.from.Add(-time.Nanosecond))
		if !p.continues(before) {
			break
		}
		p.from = before.from
	}
	s.join(&p)
	return r.shift(name, p)
}

// join adds to a piece those after it that are of the same shift.
func (s *schedule) join(p *piece) {
	for range maxPieces {
		if !p.until.Before(forever) {
			return
		}
		next := s.at(p.until)
		if !next.continues(*p) {
			return
		}
		p.until = next.until
	}
}

func (r *Roster) shift(name string, p piece) Shift {
	s := Shift{
		Schedule: name, User: p.user, FullName: r.users[p.user].fullName,
		From: p.from, Until: earlier(p.until, forever), Override: p.override != 0, Reason: p.reason,
	}
	if p.layer != nil && p.override <= 0 {
		s.Layer = p.layer.name
	}
	return s
}

// Shifts returns the shifts of a schedule in a span of time, gaps among them,
// in order and without holes; the first and the last are cut to the span.
// There are at most 10,000: the last says how far they reach. It is empty for
// a schedule that does not exist and for an empty span.
func (r *Roster) Shifts(name string, from, to time.Time) []Shift {
	schedule, ok := r.schedules[name]
	if !ok {
		return nil
	}
	var shifts []Shift
	for at := from.UTC(); at.Before(to) && len(shifts) < maxShifts; {
		p := schedule.at(at)
		schedule.join(&p)
		s := r.shift(name, p)
		s.From, s.Until = later(s.From, from.UTC()), earlier(s.Until, to.UTC())
		if n := len(shifts); n > 0 {
			s.From = shifts[n-1].Until
		}
		shifts = append(shifts, s)
		at = s.Until
	}
	return shifts
}

// next returns who is on call after an instant at which nobody is, as far as
// some shifts ahead.
func (s *schedule) next(at time.Time) string {
	for range 50 {
		p := s.at(at)
		if p.user != "" {
			return p.user
		}
		if !p.until.Before(forever) {
			break
		}
		at = p.until
	}
	return ""
}
