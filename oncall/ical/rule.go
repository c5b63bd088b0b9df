package ical

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// rule is a recurrence rule (RFC 5545, section 3.3.10) of days. It walks from
// period to period and no further than it is asked: the library that reads
// the rule walks to the year 9999 for an occurrence that never comes.
type rule struct {
	o     rrule.ROption
	start time.Time // a reading; the first occurrence
	until time.Time // a reading; zero for none, and that of the last one that a COUNT leaves
}

// maxCounted is how many days the rules of a calendar may take to count what
// they count, together.
const maxCounted = 3_000_000

// count finds out when a rule that counts comes last, so that nobody need
// count again. It fails when that takes more days than are left.
func (r *rule) count(patience *int) bool {
	if r.o.Count == 0 {
		return true
	}
	n, last := 0, r.start
	for p := r.first(r.start); n < r.o.Count && p.Year() <= maxYear; p = r.next(p) {
		for _, t := range r.period(p) {
			if !t.Before(r.start) && n < r.o.Count {
				n, last = n+1, t
			}
		}
		if *patience -= r.length(); *patience < 0 {
			return false
		}
	}
	r.o.Count, r.until = 0, last
	return true
}

// length returns about how many days a period has.
func (r *rule) length() int {
	switch r.o.Freq {
	case rrule.YEARLY:
		return 366
	case rrule.MONTHLY:
		return 31
	case rrule.WEEKLY:
		return 7
	default:
		return 1
	}
}

// maxInterval is how many periods a rule may leave out.
const maxInterval = 1000

// parseRule reads a recurrence rule: daily to yearly, by months, days of
// months and weekdays.
func parseRule(text string, start when) (*rule, error) {
	o, err := rrule.StrToROptionInLocation(text, time.UTC)
	if err != nil {
		return nil, fmt.Errorf("RRULE %q: %w", short(text), err)
	}
	switch {
	case o.Freq > rrule.DAILY:
		return nil, fmt.Errorf("RRULE %q: want DAILY, WEEKLY, MONTHLY or YEARLY", short(text))
	case len(o.Byhour)+len(o.Byminute)+len(o.Bysecond)+len(o.Byyearday)+len(o.Byweekno)+len(o.Byeaster) > 0:
		return nil, fmt.Errorf("RRULE %q: of the BY parts BYMONTH, BYMONTHDAY, BYDAY and BYSETPOS are served", short(text))
	case o.Interval < 0 || o.Interval > maxInterval || o.Count < 0:
		return nil, fmt.Errorf("RRULE %q: want an INTERVAL from 1 to %d and no negative COUNT", short(text), maxInterval)
	}
	if _, err := rrule.NewRRule(*o); err != nil {
		return nil, fmt.Errorf("RRULE %q: %w", short(text), err)
	}
	r := &rule{o: *o, start: start.reading, until: o.Until}
	r.o.Interval = max(1, o.Interval)
	if strings.HasSuffix(untilOf(text), "Z") && !o.Until.IsZero() {
		r.until = when{reading: o.Until, loc: time.UTC}.in(start.loc)
	}
	if len(untilOf(text)) == len("20261121") && !start.date {
		r.until = r.until.Add(24*time.Hour - time.Second) // all of that day
	}
	return r, nil
}

func untilOf(rule string) string {
	for part := range strings.SplitSeq(strings.ToUpper(rule), ";") {
		if v, ok := strings.CutPrefix(part, "UNTIL="); ok {
			return v
		}
	}
	return ""
}

// between returns the readings from one up to another at which it comes, at
// most maxPerYear.
func (r *rule) between(from, to time.Time) []time.Time {
	var found []time.Time
	n := 0
	for p := r.first(from); p.Before(to); p = r.next(p) {
		for _, t := range r.period(p) {
			if t.Before(r.start) {
				continue
			}
			n++
			if (r.o.Count > 0 && n > r.o.Count) || (!r.until.IsZero() && t.After(r.until)) || !t.Before(to) || len(found) == maxPerYear {
				return found
			}
			if !t.Before(from) {
				found = append(found, t)
			}
		}
	}
	return found
}

// first returns the day on which the period begins to look from: that of the
// start, or a later one when nothing need be counted.
func (r *rule) first(from time.Time) time.Time {
	day := midnight(r.start)
	p := day
	switch r.o.Freq {
	case rrule.YEARLY:
		p = time.Date(day.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	case rrule.MONTHLY:
		p = day.AddDate(0, 0, 1-day.Day())
	case rrule.WEEKLY:
		p = day.AddDate(0, 0, -((int(day.Weekday()) + 6 - r.o.Wkst.Day() + 7) % 7))
	default: // daily
	}
	if r.o.Count > 0 || !from.After(p) {
		return p
	}
	return r.skip(p, from)
}

// skip returns a period's beginning that is not after from, by whole steps.
func (r *rule) skip(p, from time.Time) time.Time {
	days, step := int(from.Sub(p)/(24*time.Hour)), r.o.Interval
	switch r.o.Freq {
	case rrule.YEARLY:
		return p.AddDate(max(0, days/366/step-1)*step, 0, 0)
	case rrule.MONTHLY:
		return p.AddDate(0, max(0, days/31/step-1)*step, 0)
	case rrule.WEEKLY:
		return p.AddDate(0, 0, 7*max(0, days/7/step-1)*step)
	default:
		return p.AddDate(0, 0, max(0, days/step-1)*step)
	}
}

// next returns the beginning of the next period.
func (r *rule) next(p time.Time) time.Time {
	switch r.o.Freq {
	case rrule.YEARLY:
		return p.AddDate(r.o.Interval, 0, 0)
	case rrule.MONTHLY:
		return p.AddDate(0, r.o.Interval, 0)
	case rrule.WEEKLY:
		return p.AddDate(0, 0, 7*r.o.Interval)
	default:
		return p.AddDate(0, 0, r.o.Interval)
	}
}

// period returns the readings of one period.
func (r *rule) period(p time.Time) []time.Time {
	end := p.AddDate(0, 0, 1)
	switch r.o.Freq {
	case rrule.YEARLY:
		end = p.AddDate(1, 0, 0)
	case rrule.MONTHLY:
		end = p.AddDate(0, 1, 0)
	case rrule.WEEKLY:
		end = p.AddDate(0, 0, 7)
	default: // a day
	}
	var days []time.Time
	clock := r.start.Sub(midnight(r.start))
	for d := p; d.Before(end); d = d.AddDate(0, 0, 1) {
		if r.on(d) {
			days = append(days, d.Add(clock))
		}
	}
	if len(r.o.Bysetpos) == 0 {
		return days
	}
	var chosen []time.Time
	for i, d := range days {
		if slices.Contains(r.o.Bysetpos, i+1) || slices.Contains(r.o.Bysetpos, i-len(days)) {
			chosen = append(chosen, d)
		}
	}
	return chosen
}

// on tells whether a day is one of the rule's.
func (r *rule) on(d time.Time) bool {
	if len(r.o.Bymonth) > 0 && !slices.Contains(r.o.Bymonth, int(d.Month())) {
		return false
	}
	if len(r.o.Bymonthday) > 0 {
		length := d.AddDate(0, 1, -d.Day()).Day()
		if !slices.Contains(r.o.Bymonthday, d.Day()) && !slices.Contains(r.o.Bymonthday, d.Day()-length-1) {
			return false
		}
	}
	if len(r.o.Byweekday) > 0 {
		return slices.ContainsFunc(r.o.Byweekday, func(w rrule.Weekday) bool { return r.isWeekday(d, w) })
	}
	if len(r.o.Bymonthday) > 0 {
		return true
	}
	switch r.o.Freq {
	case rrule.YEARLY:
		return d.Day() == r.start.Day() && (len(r.o.Bymonth) > 0 || d.Month() == r.start.Month())
	case rrule.MONTHLY:
		return d.Day() == r.start.Day()
	case rrule.WEEKLY:
		return d.Weekday() == r.start.Weekday()
	default:
		return true
	}
}

// isWeekday tells whether a day is a weekday, or the nth of them in its month
// or year.
func (r *rule) isWeekday(d time.Time, w rrule.Weekday) bool {
	if int(d.Weekday()+6)%7 != w.Day() {
		return false
	}
	before, after := d.Day()-1, d.AddDate(0, 1, -d.Day()).Day()-d.Day()
	switch {
	case w.N() == 0 || r.o.Freq == rrule.WEEKLY || r.o.Freq == rrule.DAILY:
		return true
	case r.o.Freq == rrule.YEARLY && len(r.o.Bymonth) == 0:
		before = d.YearDay() - 1
		after = time.Date(d.Year(), 12, 31, 0, 0, 0, 0, time.UTC).YearDay() - d.YearDay()
	}
	return w.N() == before/7+1 || w.N() == -(after/7+1)
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}
