package slo

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// Window is the time that an error budget is for: rolling, or a calendar's.
// The zero Window is none.
type Window struct {
	length   time.Duration // rolling, in whole minutes; 0 for a calendar's
	calendar Calendar
	zone     *time.Location // of the calendar
}

// Calendar is the unit of a window that begins anew.
type Calendar string

// The calendar windows. A week begins on Monday (ISO 8601).
const (
	Week    Calendar = "week"
	Month   Calendar = "month"
	Quarter Calendar = "quarter"
	Year    Calendar = "year"
)

// The shortest and the longest rolling window.
const (
	minWindow = time.Hour
	maxWindow = 400 * day
)

const day = 24 * time.Hour

// ParseWindow reads a rolling window in Prometheus' notation, such as 30d, 4w
// or 36h: whole minutes, 1h to 400d.
func ParseWindow(text string) (Window, error) {
	d, err := model.ParseDuration(text)
	if err != nil {
		return Window{}, fmt.Errorf("%q is not a duration", text)
	}
	switch length := time.Duration(d); {
	case length%time.Minute != 0:
		return Window{}, fmt.Errorf("%s is not a whole number of minutes", text)
	case length < minWindow || length > maxWindow:
		return Window{}, fmt.Errorf("%s is not between %s and %s", text, FormatDuration(minWindow), FormatDuration(maxWindow))
	default:
		return Window{length: length}, nil
	}
}

// CalendarWindow returns the window of a calendar's unit in a time zone.
func CalendarWindow(unit Calendar, zone *time.Location) (Window, error) {
	switch unit {
	case Week, Month, Quarter, Year:
		return Window{calendar: unit, zone: zone}, nil
	default:
		return Window{}, fmt.Errorf("calendar %q is none of week, month, quarter and year", string(unit))
	}
}

// String returns a rolling window in days where they are whole, such as
// "28d", also where it was written in weeks; else as "36h". That of a calendar
// is its unit, such as "month".
func (w Window) String() string {
	if w.calendar != "" {
		return string(w.calendar)
	}
	return FormatDuration(w.length)
}

// Calendar returns the unit of a calendar window and its zone, "" and nil for
// a rolling one.
func (w Window) Calendar() (Calendar, *time.Location) { return w.calendar, w.zone }

// Duration returns the length of a rolling window. That of a calendar's is
// its usual length: 7, 30, 91 or 365 days.
func (w Window) Duration() time.Duration {
	switch w.calendar {
	case Week:
		return 7 * day
	case Month:
		return 30 * day
	case Quarter:
		return 91 * day
	case Year:
		return 365 * day
	default:
		return w.length
	}
}

// Bounds returns when the calendar's unit that holds an instant begins and
// ends. For a rolling window they are the instant less its length, and the
// instant.
func (w Window) Bounds(at time.Time) (from, to time.Time) {
	if w.calendar == "" {
		return at.Add(-w.length), at
	}
	local := at.In(w.zone)
	year, month, date := local.Date()
	begin := func(month time.Month, date int) time.Time { return time.Date(year, month, date, 0, 0, 0, 0, w.zone) }
	switch w.calendar {
	case Week:
		monday := date - (int(local.Weekday())+6)%7
		return begin(month, monday), begin(month, monday+7)
	case Month:
		return begin(month, 1), begin(month+1, 1)
	case Quarter:
		first := (month-1)/3*3 + 1
		return begin(first, 1), begin(first+3, 1)
	default:
		return begin(time.January, 1), begin(time.January+12, 1)
	}
}

// FormatDuration writes a duration as Prometheus does, but never in weeks or
// years: 28d, not 4w; 36h, not 1d12h.
func FormatDuration(d time.Duration) string {
	switch {
	case d >= day && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return model.Duration(d).String()
	}
}
