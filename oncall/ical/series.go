package ical

import "time"

// series is an event with all its occurrences.
type series struct {
	event     Event
	cancelled bool
	start     when
	days      int           // that an occurrence takes on the calendar
	rest      time.Duration // and how long after
	exact     bool          // rest is elapsed time, not what the clock shows
	rule      *rule         // over readings; nil: it comes once
	more      []when        // RDATE
	except    []when        // EXDATE, and what changed occurrences replace
}

// between returns the occurrences that begin from one instant up to another.
func (s series) between(from, to time.Time) []Event {
	if s.cancelled {
		return nil
	}
	excluded := s.excluded()
	var found []Event
	for _, reading := range s.readings(from, to) {
		e := s.event
		e.Start = instantOf(reading, s.start.loc)
		if excluded.readings[reading] || excluded.instants[e.Start.UTC()] {
			continue
		}
		e.End = s.end(reading, e.Start)
		if !e.Start.Before(from) && e.Start.Before(to) && e.End.After(e.Start) {
			found = append(found, e)
		}
	}
	return found
}

// end returns when an occurrence ends: at what the clock shows where the event
// says when it ends, after so much time where it says how long it takes.
func (s series) end(reading, start time.Time) time.Time {
	switch {
	case s.exact && s.days == 0:
		return start.Add(s.rest)
	case s.exact:
		return instantOf(reading.AddDate(0, 0, s.days), s.start.loc).Add(s.rest)
	}
	return instantOf(reading.AddDate(0, 0, s.days).Add(s.rest), s.start.loc)
}

// longest is more than an occurrence takes.
const longest = maxSpan + 48*time.Hour

// span returns an instant before which no occurrence begins, and one after
// which none is, zero where there is no such.
func (s series) span() (from, until time.Time) {
	const margin = 36 * time.Hour
	first, last, endless := s.start.reading, s.start.reading, false
	if s.rule != nil {
		last, endless = s.rule.until, s.rule.until.IsZero()
	}
	for _, w := range s.more {
		first, last = earlier(first, w.reading), later(last, w.reading)
	}
	if endless {
		return first.Add(-margin), time.Time{}
	}
	return first.Add(-margin), last.Add(longest + margin)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// readings returns the beginnings of occurrences from a day before an instant
// to a day after another: a reading differs from UTC by no more.
func (s series) readings(from, to time.Time) []time.Time {
	const margin = 36 * time.Hour
	from, to = from.UTC().Add(-margin), to.UTC().Add(margin)
	var all []time.Time
	if s.rule != nil {
		all = s.rule.between(from, to)
	} else if within(s.start.reading, from, to) {
		all = append(all, s.start.reading)
	}
	for _, w := range s.more {
		if r := w.in(s.start.loc); within(r, from, to) {
			all = append(all, r)
		}
	}
	return all
}

func within(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }

// exceptions are when a series does not come.
type exceptions struct{ readings, instants map[time.Time]bool }

// excluded returns when the series does not come. A date excludes all of its
// day.
func (s series) excluded() exceptions {
	var x exceptions
	if len(s.except) > 0 {
		x = exceptions{map[time.Time]bool{}, map[time.Time]bool{}}
	}
	clock := s.start.reading.Sub(midnight(s.start.reading))
	for _, w := range s.except {
		switch {
		case w.date:
			x.readings[w.reading.Add(clock)] = true
		case s.start.date: // a time of a day that is whole
			x.readings[midnight(w.in(s.start.loc))] = true
		case w.loc == s.start.loc:
			x.readings[w.reading] = true
		default: // of another clock
			x.instants[w.instant().UTC()] = true
		}
	}
	return x
}
