package ical

import (
	"time"

	"github.com/midwatch-slo/midwatch/internal/localtime"
)

// series is an event with all its occurrences.
type series struct {
	event     Event
	cancelled bool
	start     when
	days      int           // that an occurrence takes on the calendar
	rest      time.Duration // and how long after
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
		if excluded[reading] {
			continue
		}
		e := s.event
		e.Start = localtime.FirstInstant(reading, s.start.loc)
		e.End = s.end(reading, e.Start)
		if !e.Start.Before(from) && e.Start.Before(to) && e.End.After(e.Start) {
			found = append(found, e)
		}
	}
	return found
}

// end returns when an occurrence ends. Days are days of the calendar, as its
// pages show them; what is less than a day is exact.
func (s series) end(reading, start time.Time) time.Time {
	if s.days == 0 {
		return start.Add(s.rest)
	}
	return localtime.FirstInstant(reading.AddDate(0, 0, s.days).Add(s.rest), s.start.loc)
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

// excluded returns the readings at which the series does not come. A date
// excludes all of its day.
func (s series) excluded() map[time.Time]bool {
	out := map[time.Time]bool{}
	for _, w := range s.except {
		r := w.in(s.start.loc)
		out[r] = true
		if w.date && !s.start.date {
			h, m, sec := s.start.reading.Clock()
			out[r.Add(time.Duration(h)*time.Hour+time.Duration(m)*time.Minute+time.Duration(sec)*time.Second)] = true
		}
	}
	return out
}
