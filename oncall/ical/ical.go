// Package ical reads and writes calendars (RFC 5545): shifts as a calendar
// that a phone subscribes to, and the events of somebody's calendar as shifts.
// It reads events and nothing else, and knows nothing of who is on call.
//
// Content lines are read and written here, since the libraries that there are
// neither fold lines nor survive hostile ones. Recurrence rules are parsed by
// rrule-go and followed here, on readings of the local clock.
package ical

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Bounds of a calendar that is read.
const (
	MaxSize    = 4 << 20 // bytes
	MaxEvents  = 5_000
	maxLine    = 64 << 10 // bytes, unfolded
	maxDates   = 2_000    // of one EXDATE or RDATE list
	maxPerYear = 20_000   // occurrences in one year
	maxSpan    = 366 * 24 * time.Hour
)

// Event is one event in time, from Start up to, not with, End.
type Event struct {
	UID         string
	Summary     string
	Description string
	URL         string
	Organizer   string   // an address, without "mailto:"
	Attendees   []string // addresses, without "mailto:"
	Start, End  time.Time
}

// Source is a calendar that was read. It may be used from several goroutines.
type Source struct {
	series []series

	mu    sync.Mutex
	years map[int][]Event
}

// Between returns the events that are, at least in part, from one instant up
// to another, by their start. Spans of up to ten years are served; what is
// beyond is cut.
func (s *Source) Between(from, to time.Time) []Event {
	var found []Event
	to = earlier(to, from.AddDate(10, 0, 0))
	first, last := from.Add(-longest).UTC().Year(), to.Add(-time.Nanosecond).UTC().Year()
	for year := first; year <= last; year++ {
		for _, e := range s.year(year) {
			if e.End.After(from) && e.Start.Before(to) {
				found = append(found, e)
			}
		}
	}
	return found
}

// Span returns an instant before which no event begins, and one after which
// there is none: zero when they go on for ever. Both are rough. ok is false
// for a calendar without events.
func (s *Source) Span() (from, until time.Time, ok bool) {
	endless := false
	for i, one := range s.series {
		first, last := one.span()
		if i == 0 {
			from, until = first, last
		}
		from, until, endless = earlier(from, first), later(until, last), endless || last.IsZero()
	}
	if endless {
		until = time.Time{}
	}
	return from, until, len(s.series) > 0
}

// Select returns a calendar of those events only that keep is true of. It is
// asked once for each event that comes again and again, before any time is
// known.
func (s *Source) Select(keep func(Event) bool) *Source {
	selected := &Source{}
	for _, one := range s.series {
		if !one.cancelled && keep(one.event) {
			selected.series = append(selected.series, one)
		}
	}
	return selected
}

// maxYears is how many years are remembered.
const maxYears = 16

// year returns the events that begin in a year of UTC, sorted.
func (s *Source) year(y int) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if events, ok := s.years[y]; ok {
		return events
	}
	if s.years == nil || len(s.years) >= maxYears {
		s.years = map[int][]Event{}
	}
	from, to := time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(y+1, 1, 1, 0, 0, 0, 0, time.UTC)
	var events []Event
	for _, one := range s.series {
		events = append(events, one.between(from, to)...)
		if len(events) > maxPerYear {
			events = events[:maxPerYear]
			break
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End), cmp.Compare(a.UID, b.UID))
	})
	s.years[y] = events
	return events
}
