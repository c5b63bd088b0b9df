package ical

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/localtime"
)

// when is a time as a calendar writes it: a reading of some clock.
type when struct {
	reading time.Time // as if it were UTC
	loc     *time.Location
	date    bool // a whole day
}

// instant returns when that is.
func (w when) instant() time.Time { return instantOf(w.reading, w.loc) }

// instantOf returns when the clock of loc shows a reading (section 3.3.5): for
// the first time where it does so twice; for a reading that never comes, when
// the clock would show it had it not been set forward.
func instantOf(reading time.Time, loc *time.Location) time.Time {
	at := localtime.FirstInstant(reading, loc)
	if localtime.Reading(at, loc).Equal(reading) {
		return at
	}
	_, before := at.Add(-time.Nanosecond).In(loc).Zone()
	return reading.Add(-time.Duration(before) * time.Second)
}

// in returns the same instant as another clock shows it.
func (w when) in(loc *time.Location) time.Time {
	if w.date || w.loc == loc {
		return w.reading
	}
	return localtime.Reading(w.instant(), loc)
}

// zones knows what the TZIDs of one calendar mean.
type zones struct {
	floating *time.Location            // of times that name no zone
	defined  map[string]*time.Location // by the calendar itself, and those that were looked up
	own      map[string]*ownZone       // what the calendar says of its zones' clocks
}

// times reads the times of a property, one or several by commas.
func (z zones) times(p property) ([]when, error) {
	parts := strings.Split(p.value, ",")
	if len(parts) > maxDates {
		return nil, fmt.Errorf("%s has more than %d times", p.name, maxDates)
	}
	loc := z.floating
	if id := p.params["TZID"]; id != "" {
		var err error
		if loc, err = z.lookup(id); err != nil {
			return nil, err
		}
	}
	var all []when
	for _, part := range parts {
		w, err := parseWhen(strings.TrimSpace(part), loc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		all = append(all, w)
	}
	return all, nil
}

// time reads the time of a property that has one.
func (z zones) time(p property) (when, error) {
	all, err := z.times(p)
	if err != nil {
		return when{}, err
	}
	if len(all) != 1 {
		return when{}, fmt.Errorf("%s has %d times, not one", p.name, len(all))
	}
	return all[0], nil
}

func parseWhen(text string, loc *time.Location) (when, error) {
	text, _, _ = strings.Cut(text, "/") // of a period, its start
	if t, err := time.Parse("20060102T150405Z", text); err == nil {
		return check(when{reading: t, loc: time.UTC})
	}
	if t, err := time.Parse("20060102T150405", text); err == nil {
		return check(when{reading: t, loc: loc})
	}
	if t, err := time.Parse("20060102", text); err == nil {
		return check(when{reading: t, loc: loc, date: true})
	}
	return when{}, fmt.Errorf("%q is no time", short(text))
}

// maxYear is the last year of which times are read.
const maxYear = 2200

func check(w when) (when, error) {
	if y := w.reading.Year(); y < 1970 || y > maxYear {
		return w, fmt.Errorf("the year %d is not from 1970 to %d", y, maxYear)
	}
	return w, nil
}

func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// parseDuration reads a duration (section 3.3.6): whole days are days of the
// calendar.
func parseDuration(text string) (days int, rest time.Duration, err error) {
	wrong := fmt.Errorf("%q is no duration", short(text))
	s, ok := strings.CutPrefix(strings.TrimPrefix(text, "+"), "P")
	if !ok || s == "" {
		return 0, 0, wrong
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
	clock := false
	for s != "" {
		if s[0] == 'T' && !clock {
			clock, s = true, s[1:]
			continue
		}
		end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
		if end <= 0 || end > 6 {
			return 0, 0, wrong
		}
		n, errN := strconv.Atoi(s[:end])
		unit := s[end]
		s = s[end+1:]
		switch {
		case errN != nil:
			return 0, 0, wrong
		case !clock && unit == 'W':
			days += 7 * n
		case !clock && unit == 'D':
			days += n
		case clock && units[unit] > 0:
			rest += time.Duration(n) * units[unit]
		default:
			return 0, 0, wrong
		}
	}
	if time.Duration(days)*24*time.Hour+rest > maxSpan {
		return 0, 0, errors.New("an event takes longer than a year")
	}
	return days, rest, nil
}
