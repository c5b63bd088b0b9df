package oncall

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// hours are the working hours of a schedule, in its time zone.
type hours struct {
	days        [7]bool // by time.Weekday
	from, until int     // minutes of the day; until may be 1440
}

// next returns at itself when it is within working hours, else when they
// begin next.
func (h hours) next(at time.Time, loc *time.Location) time.Time {
	// The day before is looked at too: a clock set back may show it again.
	day := midnight(read(at, loc)).AddDate(0, 0, -1)
	for range 31 {
		if h.days[day.Weekday()] {
			from := firstInstant(day.Add(time.Duration(h.from)*time.Minute), loc)
			until := firstInstant(day.Add(time.Duration(h.until)*time.Minute), loc)
			if until.After(at) && until.After(from) {
				return later(at, from)
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return at
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
