package oncall

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// window is a span of local time on certain days: the working hours of a
// schedule, or a restriction of a layer. A day is the one on which it begins.
type window struct {
	days        [7]bool // by time.Weekday
	from, until int     // minutes of the day; until is after from, and above 1440 on the next day
	calendar    *calendar
}

// lookDays is how many days are looked at for the next or last window: years
// of holidays have none.
const lookDays = 400

// on tells whether a day, a reading at its midnight, has a window.
func (w window) on(day time.Time) bool { return w.days[w.calendar.weekday(day)] }

// span returns the instants between which the window of a day is. It is
// empty when a change of clocks leaves nothing of it.
func (w window) span(day time.Time, loc *time.Location) (from, until time.Time) {
	return firstInstant(day.Add(time.Duration(w.from)*time.Minute), loc),
		lastInstant(day.Add(time.Duration(w.until)*time.Minute), loc)
}

// at tells whether an instant is in a window, and between which instants that
// answer holds at least.
func (w window) at(at time.Time, loc *time.Location) (in bool, from, until time.Time) {
	today := midnight(read(at, loc))
	from, until = at.AddDate(0, 0, -lookDays), at.AddDate(0, 0, lookDays)
	// Two days more than the window is long, for changes of clocks.
	for day := today.AddDate(0, 0, 1); !day.Before(today.AddDate(0, 0, -3)); day = day.AddDate(0, 0, -1) {
		if !w.on(day) {
			continue
		}
		f, u := w.span(day, loc)
		if !at.Before(f) && at.Before(u) {
			return true, f, u
		}
	}
	for d, day := 0, today.AddDate(0, 0, 1); d < lookDays; d, day = d+1, day.AddDate(0, 0, -1) {
		if w.on(day) {
			if f, u := w.span(day, loc); u.After(f) && !u.After(at) {
				from = u
				break
			}
		}
	}
	if next, ok := w.next(at, loc); ok {
		until = next
	}
	return false, from, until
}

// next returns when the first window begins that ends after an instant.
func (w window) next(at time.Time, loc *time.Location) (from time.Time, ok bool) {
	day := midnight(read(at, loc)).AddDate(0, 0, -3)
	for range lookDays {
		if w.on(day) {
			from, until := w.span(day, loc)
			if until.After(at) && until.After(from) {
				return from, true
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

// hours are working hours on the clock of a time zone.
type hours struct {
	window
	loc *time.Location
}

// in tells whether an instant is within working hours.
func (h hours) in(at time.Time) bool {
	from, ok := h.window.next(at, h.loc)
	return ok && !at.Before(from)
}

// next returns at itself when it is within working hours, else when they
// begin next.
func (h hours) next(at time.Time) time.Time {
	if from, ok := h.window.next(at, h.loc); ok {
		return later(at, from)
	}
	return at
}

// windows are the restrictions of a layer: it applies in any of them, and
// always when there are none.
type windows []window

// at tells whether an instant is in a window, and between which instants that
// answer holds at least.
func (ws windows) at(at time.Time, loc *time.Location) (in bool, from, until time.Time) {
	until = forever
	if len(ws) == 0 {
		return true, time.Time{}, forever
	}
	for _, w := range ws {
		open, f, u := w.at(at, loc)
		switch {
		case open && !in:
			in, from, until = true, f, u
		case open:
			from, until = earlier(from, f), later(until, u)
		case !in:
			from, until = later(from, f), earlier(until, u)
		}
	}
	return in, from, until
}

var weekdayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseDays reads weekdays such as "mon-fri" or "mon,wed,sat-sun".
func parseDays(text string) (days [7]bool, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from, err := parseDay(first)
		if err != nil {
			return days, err
		}
		to := from
		if isRange {
			if to, err = parseDay(last); err != nil {
				return days, err
			}
		}
		for d := from; ; d = (d + 1) % 7 {
			days[d] = true
			if d == to {
				break
			}
		}
	}
	return days, nil
}

func parseDay(text string) (int, error) {
	for i, name := range weekdayNames {
		if strings.EqualFold(strings.TrimSpace(text), name) {
			return i, nil
		}
	}
	return 0, problem{fmt.Sprintf("%q is no weekday", text), `such as "mon-fri" or "mon,wed,sat-sun"`}
}

// parseClock reads a time of day from 00:00 to 24:00 and returns its minute.
func parseClock(text string) (int, error) {
	wrong := problem{fmt.Sprintf("%q is no time of day", text), `two digits each, from "00:00" to "24:00"`}
	hour, minute, ok := strings.Cut(text, ":")
	if !ok || len(hour) != 2 || len(minute) != 2 {
		return 0, wrong
	}
	h, errHour := strconv.ParseUint(hour, 10, 8)
	m, errMinute := strconv.ParseUint(minute, 10, 8)
	if errHour != nil || errMinute != nil || m > 59 || h*60+m > 24*60 {
		return 0, wrong
	}
	return int(h*60 + m), nil
}
