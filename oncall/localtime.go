package oncall

import "time"

// A reading is what a local clock shows, kept as a time in UTC, so that
// arithmetic on it knows no daylight saving.

// read returns what the clock of loc shows at an instant.
func read(at time.Time, loc *time.Location) time.Time {
	_, offset := at.In(loc).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// reach is more than any clock differs from UTC, so that a day of change is
// looked at whole.
const reach = 27 * time.Hour

// firstInstant returns the first instant at which the clock of loc shows a
// reading or a later one: the only one that shows it, the first of two where
// the clock is set back, the end of the gap where it is set forward.
func firstInstant(reading time.Time, loc *time.Location) time.Time {
	t := reading.Add(-reach)
	for {
		_, offset := t.In(loc).Zone()
		candidate := later(t, reading.Add(-time.Duration(offset)*time.Second))
		end := zoneEnd(t, loc)
		if end.IsZero() || candidate.Before(end) {
			return candidate.UTC()
		}
		t = end
	}
}

// lastInstant returns the last instant at which the clock of loc shows a
// reading: the only one that shows it, the last of two where the clock is set
// back, the end of the gap where it is set forward.
func lastInstant(reading time.Time, loc *time.Location) time.Time {
	var last time.Time
	for t, limit := reading.Add(-reach), reading.Add(reach); ; {
		_, offset := t.In(loc).Zone()
		end := zoneEnd(t, loc)
		if c := reading.Add(-time.Duration(offset) * time.Second); !c.Before(t) && (end.IsZero() || c.Before(end)) {
			last = c
		}
		if end.IsZero() || end.After(limit) {
			break
		}
		t = end
	}
	if last.IsZero() {
		return firstInstant(reading, loc)
	}
	return last.UTC()
}

// forever is after every instant that a file can name.
var forever = time.Date(3000, time.January, 1, 0, 0, 0, 0, time.UTC)

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

// furthest returns the latest reading that the clock of loc has shown up to
// an instant. It is less than what was shown before where the clock was set
// back; every reading up to it has had its first instant.
func furthest(at time.Time, loc *time.Location) time.Time {
	most := read(at, loc)
	start, _ := at.In(loc).ZoneBounds()
	for !start.IsZero() && at.Sub(start) < 2*reach {
		before := start.Add(-time.Nanosecond)
		most = later(most, read(before, loc))
		start, _ = before.In(loc).ZoneBounds()
	}
	return most
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// midnight returns the beginning of a reading's day.
func midnight(reading time.Time) time.Time {
	y, m, d := reading.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// minuteOf returns the minute of a reading's day, 0 to 1439.
func minuteOf(reading time.Time) int { return reading.Hour()*60 + reading.Minute() }
