package oncall

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// calendar says which days of which years are not what their weekday says.
// The nil calendar knows none.
type calendar struct {
	name  string
	years map[int]map[int]dayKind // by year, and by month*100+day
}

// dayKind is what a calendar makes of a day.
type dayKind uint8

const (
	holiday dayKind = iota + 1 // a day off
	workday                    // a working day, to make up for a holiday
)

// weekday returns as which day of the week a day counts, a reading at its
// midnight: a holiday from Monday to Friday as a Sunday, a working day at the
// weekend as a Monday, every other day as itself.
func (c *calendar) weekday(day time.Time) time.Weekday {
	own := day.Weekday()
	if c == nil {
		return own
	}
	weekend := own == time.Saturday || own == time.Sunday
	switch c.years[day.Year()][monthDay(day)] {
	case holiday:
		if !weekend {
			return time.Sunday
		}
	case workday:
		if weekend {
			return time.Monday
		}
	}
	return own
}

func monthDay(day time.Time) int { return int(day.Month())*100 + day.Day() }

// with returns a calendar in which the years of another replace these.
func (c *calendar) with(other *calendar) *calendar {
	if c == nil {
		return other
	}
	merged := &calendar{name: c.name, years: maps.Clone(c.years)}
	maps.Copy(merged.years, other.years)
	return merged
}

// warnMonth is from when on the holidays of the next year should be known:
// China publishes them in November.
const warnMonth = time.December

// HolidayGaps returns a finding for every holiday calendar in use that does
// not know the year of an instant and, from the 1st of December on, the next
// one. Days of a year that is not known are what their weekday says.
func (r *Roster) HolidayGaps(at time.Time) []Finding {
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(r.holidays)) {
		use := r.holidays[name]
		now := read(at, use.loc)
		if !r.knowsYear(name, now.Year()) {
			found = append(found, use.place.finding(Error, fmt.Sprintf("the holiday calendar %q ends before %d: holidays count as working days", name, now.Year()), calendarHint(now.Year())))
		}
		if next := now.Year() + 1; now.Month() >= warnMonth && !r.knowsYear(name, next) {
			found = append(found, use.place.finding(Warning, fmt.Sprintf("the holiday calendar %q has no holidays of %d yet", name, next), calendarHint(next)))
		}
	}
	return found
}

func (r *Roster) knowsYear(calendar string, year int) bool {
	c := r.calendars[calendar]
	return c != nil && c.years[year] != nil
}

func calendarHint(year int) string {
	return fmt.Sprintf("add years: {%d: …} in a file of kind HolidayCalendar", year)
}
