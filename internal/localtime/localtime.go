// Package localtime turns what local clocks show into instants, and back,
// also where daylight saving sets clocks forward or back. It knows no
// calendar and no cron.
package localtime

import "time"

// reach is more than any clock differs from UTC, so that a day of change is
// looked at whole.
const reach = 27 * time.Hour

// Reading returns what the clock of loc shows at an instant, as a time in
// UTC, so that arithmetic on it knows no daylight saving.
func Reading(at time.Time, loc *time.Location) time.Time {
	_, offset := at.In(loc).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// FirstInstant returns the first instant at which the clock of loc shows a
// reading or a later one: the only one that shows it, the first of two where
// the clock is set back, the end of the gap where it is set forward.
func FirstInstant(reading time.Time, loc *time.Location) time.Time {
	t := reading.Add(-reach)
	for {
		_, offset := t.In(loc).Zone()
		candidate := reading.Add(-time.Duration(offset) * time.Second)
		if candidate.Before(t) {
			candidate = t
		}
		end := zoneEnd(t, loc)
		if end.IsZero() || candidate.Before(end) {
			return candidate.UTC()
		}
		t = end
	}
}

// zoneEnd returns an instant after t up to which the clock of loc runs evenly,
// zero when it does for ever. Package time ends leap years a day early where
// it goes by a zone's rule, and so answers with an instant in the past.
func zoneEnd(t time.Time, loc *time.Location) time.Time {
	_, end := t.In(loc).ZoneBounds()
	if end.IsZero() || end.After(t) {
		return end
	}
	return time.Date(t.UTC().Year()+1, time.January, 1, 0, 0, 0, 0, time.UTC)
}
