package app

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/oncall/ical"
	"github.com/midwatch-slo/midwatch/web"
)

// What a calendar shows: some of the past, so that a phone still has it, and
// what people plan by.
const (
	calendarPast    = 4 * 7 * 24 * time.Hour
	calendarFuture  = 26 * 7 * 24 * time.Hour
	calendarRefresh = 30 * time.Minute
)

// ScheduleCalendar writes the shifts of a schedule.
func (d duty) ScheduleCalendar(name string, at time.Time) ([]byte, error) {
	if !slices.Contains(d.app.current.Load().duty.Load().Schedules(), name) {
		return nil, fmt.Errorf("schedule %q: %w", name, web.ErrNotFound)
	}
	return d.calendar("on call: "+name, at, []string{name}, "")
}

// UserCalendar writes the shifts of a user in all schedules.
func (d duty) UserCalendar(name string, at time.Time) ([]byte, error) {
	roster := d.app.current.Load().duty.Load()
	for _, u := range roster.Users() {
		if u.Name == name {
			return d.calendar("on call: "+u.FullName, at, roster.Schedules(), name)
		}
	}
	return nil, fmt.Errorf("user %q: %w", name, web.ErrNotFound)
}

// calendar writes shifts, those of one user unless that is "".
func (d duty) calendar(title string, at time.Time, schedules []string, user string) ([]byte, error) {
	s := d.app.current.Load()
	c := ical.Calendar{Name: title, Stamp: at, Refresh: calendarRefresh}
	base := strings.TrimRight(s.config.ExternalURL, "/")
	for _, name := range schedules {
		for _, shift := range wholeShifts(s.duty.Load(), name, at.Add(-calendarPast), at.Add(calendarFuture)) {
			if !shift.Gap() && (user == "" || shift.User == user) {
				c.Events = append(c.Events, event(shift, base))
			}
		}
	}
	var b bytes.Buffer
	err := ical.Write(&b, c)
	return b.Bytes(), err
}

// wholeShifts returns the shifts that are at least in part in a span, whole,
// so that one is the same event however often a phone asks. Only one that has
// no beginning is cut.
func wholeShifts(roster *oncall.Roster, schedule string, from, to time.Time) []oncall.Shift {
	shifts := roster.Shifts(schedule, from, to)
	for _, i := range []int{0, len(shifts) - 1} {
		if i >= 0 && i < len(shifts) {
			shifts[i] = roster.At(schedule, shifts[i].From)
		}
	}
	return shifts
}

// event is a shift as a calendar shows it. Its UID does not change from one
// answer to the next (RFC 5545, section 3.8.4.7).
func event(s oncall.Shift, base string) ical.Event {
	began := int64(0)
	if s.From.IsZero() {
		s.From = s.Until.Add(-calendarPast)
	} else {
		began = s.From.Unix()
	}
	host := "midwatch"
	if u, err := url.Parse(base); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	return ical.Event{
		UID:     fmt.Sprintf("%s-%s-%d@%s", s.Schedule, s.User, began, host),
		Summary: fmt.Sprintf("%s: %s", s.Schedule, s.FullName), Description: s.Reason, URL: base + "/oncall",
		Start: s.From, End: s.Until,
	}
}
