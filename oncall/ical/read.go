package ical

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// component is an event with its properties.
type component struct {
	line  int
	first map[string]property
	lists map[string][]property // of those that may come several times
}

// Read reads a calendar: its events with RRULE, RDATE, EXDATE and
// RECURRENCE-ID, whole days, and times with and without TZID. zone is that of
// times that name none. An error names the line.
func Read(r io.Reader, zone *time.Location) (*Source, error) {
	all, err := properties(r)
	if err != nil {
		return nil, err
	}
	events, z, err := components(all, zone)
	if err != nil {
		return nil, fmt.Errorf("read calendar: %w", err)
	}
	return assemble(events, z)
}

// components splits content lines into events, and finds out which zones the
// calendar defines.
func components(all []property, zone *time.Location) ([]component, zones, error) {
	z := zones{floating: zone, defined: map[string]*time.Location{}, own: map[string]*ownZone{}}
	var events []component
	var stack []string
	if len(all) == 0 || all[0].name != "BEGIN" || !strings.EqualFold(all[0].value, "VCALENDAR") {
		return nil, z, errors.New("it does not begin with BEGIN:VCALENDAR")
	}
	tzid := ""
	for _, p := range all {
		inside := strings.Join(stack, "/")
		switch {
		case p.name == "BEGIN":
			stack = append(stack, strings.ToUpper(p.value))
			if len(stack) > 4 {
				return nil, z, fmt.Errorf("line %d: nested too deep", p.line)
			}
			if inside == "VCALENDAR/VTIMEZONE" {
				z.observance(tzid)
			}
			if len(stack) == 2 && stack[1] == "VEVENT" {
				if len(events) == MaxEvents {
					return nil, z, fmt.Errorf("more than %d events", MaxEvents)
				}
				events = append(events, component{line: p.line, first: map[string]property{}, lists: map[string][]property{}})
			}
		case p.name == "END":
			if len(stack) == 0 || stack[len(stack)-1] != strings.ToUpper(p.value) {
				return nil, z, fmt.Errorf("line %d: END:%s ends nothing", p.line, short(p.value))
			}
			stack = stack[:len(stack)-1]
		case inside == "VCALENDAR/VEVENT":
			events[len(events)-1].add(p)
		case inside == "VCALENDAR/VTIMEZONE" && p.name == "TZID":
			tzid = p.text()
		case inside == "VCALENDAR/VTIMEZONE/STANDARD", inside == "VCALENDAR/VTIMEZONE/DAYLIGHT":
			z.observe(tzid, p)
		case inside == "VCALENDAR/VTIMEZONE" && p.name == "X-LIC-LOCATION":
			z.define(tzid, p.value)
		}
	}
	if len(stack) > 0 {
		return nil, z, fmt.Errorf("it ends within %s", stack[len(stack)-1])
	}
	return events, z, nil
}

func (c *component) add(p property) {
	switch p.name {
	case "EXDATE", "RDATE", "ATTENDEE":
		c.lists[p.name] = append(c.lists[p.name], p)
	default:
		if _, ok := c.first[p.name]; !ok {
			c.first[p.name] = p
		}
	}
}

// assemble makes series of events: those with a RECURRENCE-ID take the place
// of one occurrence of the series with their UID.
func assemble(events []component, z zones) (*Source, error) {
	s := &Source{}
	byUID := map[string]int{}
	var changes []component
	patience := maxCounted
	for _, c := range events {
		if _, ok := c.first["RECURRENCE-ID"]; ok {
			changes = append(changes, c)
			continue
		}
		one, err := z.series(c)
		if err != nil {
			return nil, fmt.Errorf("read calendar: the event in line %d: %w", c.line, err)
		}
		if one.rule != nil && !one.rule.count(&patience) {
			return nil, fmt.Errorf("read calendar: the event in line %d: its COUNT reaches too far", c.line)
		}
		if uid := one.event.UID; uid != "" {
			byUID[uid] = len(s.series)
		}
		s.series = append(s.series, one)
	}
	for _, c := range changes {
		if err := s.change(c, z, byUID); err != nil {
			return nil, fmt.Errorf("read calendar: the event in line %d: %w", c.line, err)
		}
	}
	return s, nil
}

// change applies one changed occurrence.
func (s *Source) change(c component, z zones, byUID map[string]int) error {
	if strings.EqualFold(c.first["RECURRENCE-ID"].params["RANGE"], "THISANDFUTURE") {
		return errors.New("RANGE=THISANDFUTURE is not served: split the series where it changes")
	}
	of, err := z.time(c.first["RECURRENCE-ID"])
	if err != nil {
		return err
	}
	if i, ok := byUID[c.first["UID"].text()]; ok {
		s.series[i].except = append(s.series[i].except, of)
	}
	one, err := z.series(c)
	if err != nil {
		return err
	}
	one.rule, one.more = nil, nil
	s.series = append(s.series, one)
	return nil
}

// series reads one event.
func (z zones) series(c component) (series, error) {
	start, ok := c.first["DTSTART"]
	if !ok {
		return series{}, errors.New("no DTSTART")
	}
	one := series{event: c.event(), cancelled: strings.EqualFold(c.first["STATUS"].value, "CANCELLED")}
	var err error
	if one.start, err = z.time(start); err != nil {
		return one, err
	}
	if err := one.length(c, z); err != nil {
		return one, err
	}
	for _, p := range c.lists["EXDATE"] {
		times, err := z.times(p)
		if err != nil {
			return one, err
		}
		one.except = append(one.except, times...)
	}
	for _, p := range c.lists["RDATE"] {
		times, err := z.times(p)
		if err != nil {
			return one, err
		}
		one.more = append(one.more, times...)
	}
	if p, ok := c.first["RRULE"]; ok {
		if one.rule, err = parseRule(p.value, one.start); err != nil {
			return one, err
		}
	}
	return one, nil
}

func (c component) event() Event {
	e := Event{
		UID: c.first["UID"].text(), Summary: c.first["SUMMARY"].text(), Description: c.first["DESCRIPTION"].text(),
		URL: c.first["URL"].value, Organizer: address(c.first["ORGANIZER"]),
	}
	for _, p := range c.lists["ATTENDEE"] {
		e.Attendees = append(e.Attendees, address(p))
	}
	return e
}

func address(p property) string {
	v := p.value
	if len(v) > 7 && strings.EqualFold(v[:7], "mailto:") {
		return v[7:]
	}
	return v
}

// length finds out how long the event takes.
func (s *series) length(c component, z zones) error {
	if p, ok := c.first["DTEND"]; ok {
		end, err := z.time(p)
		if err != nil {
			return err
		}
		span := end.reading.Sub(s.start.reading)
		if s.exact = end.loc != s.start.loc; s.exact {
			span = end.instant().Sub(s.start.instant())
		}
		if span < 0 || span > maxSpan {
			return errors.New("it ends before it starts, or takes longer than a year")
		}
		if s.rest = span; !s.exact {
			s.days, s.rest = int(span/(24*time.Hour)), span%(24*time.Hour)
		}
		return nil
	}
	if p, ok := c.first["DURATION"]; ok {
		s.exact = true
		var err error
		s.days, s.rest, err = parseDuration(p.value)
		return err
	}
	if s.start.date {
		s.days = 1
	}
	return nil
}
