package ical

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/teambition/rrule-go"
)

// ownZone is a clock as a calendar itself explains it (section 3.6.5), for a
// TZID that says nothing to anybody else.
type ownZone struct{ observances []component }

// Bounds of what a calendar says of clocks, and the year up to which its
// rules are followed.
const (
	maxOwnZones    = 20
	maxObservances = 40   // of one zone
	maxChanges     = 1000 // of one zone
	lastChange     = 2100
)

// observance begins another part of what the calendar says of a zone.
func (z zones) observance(id string) {
	own := z.own[id]
	if own == nil && len(z.own) < maxOwnZones {
		own = &ownZone{}
		z.own[id] = own
	}
	if own != nil && len(own.observances) <= maxObservances {
		own.observances = append(own.observances, component{first: map[string]property{}, lists: map[string][]property{}})
	}
}

// observe adds a property to the part that began last.
func (z zones) observe(id string, p property) {
	if own := z.own[id]; own != nil && len(own.observances) > 0 {
		own.observances[len(own.observances)-1].add(p)
	}
}

// change is when a clock is set, and how far from UTC it is then, in seconds.
type change struct {
	at     int64 // since 1970
	offset int
}

// location makes a zone of the calendar's account. What was before the first
// change is as that says.
func (o *ownZone) location() (*time.Location, error) {
	if len(o.observances) == 0 || len(o.observances) > maxObservances {
		return nil, fmt.Errorf("%d changes of the clock", len(o.observances))
	}
	var all []change
	before, first := 0, int64(0)
	for _, c := range o.observances {
		changes, from, err := changesOf(c)
		if err != nil {
			return nil, err
		}
		if len(all)+len(changes) > maxChanges {
			return nil, fmt.Errorf("more than %d changes of the clock", maxChanges)
		}
		if all = append(all, changes...); len(changes) > 0 && (len(all) == len(changes) || changes[0].at < first) {
			before, first = from, changes[0].at
		}
	}
	if len(all) == 0 {
		return nil, errors.New("its clock is never set")
	}
	slices.SortStableFunc(all, func(a, b change) int { return int(max(-1, min(1, a.at-b.at))) })
	loc, err := time.LoadLocationFromTZData("calendar", tzif(before, all))
	if err != nil {
		return nil, fmt.Errorf("its clock: %w", err)
	}
	return loc, nil
}

// changesOf returns when an observance begins, each time, and the offset from
// UTC before it, in seconds.
func changesOf(c component) (all []change, before int, err error) {
	before, err = offset(c.first["TZOFFSETFROM"].value)
	if err != nil {
		return nil, 0, err
	}
	to, err := offset(c.first["TZOFFSETTO"].value)
	if err != nil {
		return nil, 0, err
	}
	// Onsets are readings of the clock as it was before; Outlook has some in 1601.
	start, err := time.Parse("20060102T150405", c.first["DTSTART"].value)
	if err != nil {
		return nil, 0, fmt.Errorf("%q is no time", short(c.first["DTSTART"].value))
	}
	onsets := []time.Time{start}
	if p, ok := c.first["RRULE"]; ok {
		early := time.Date(1969, start.Month(), start.Day(), start.Hour(), start.Minute(), start.Second(), 0, time.UTC)
		rule, err := parseRule(p.value, when{reading: later(start, early), loc: time.FixedZone("", before)})
		if err != nil {
			return nil, 0, err
		}
		if rule.o.Freq != rrule.YEARLY {
			return nil, 0, errors.New("its clock is not set by the year")
		}
		onsets = append(onsets, rule.between(later(start, early), time.Date(lastChange+1, 1, 1, 0, 0, 0, 0, time.UTC))...)
	}
	for _, p := range c.lists["RDATE"] {
		times, err := zones{floating: time.UTC}.times(p)
		if err != nil {
			return nil, 0, err
		}
		for _, w := range times {
			onsets = append(onsets, w.reading)
		}
	}
	for _, onset := range onsets {
		all = append(all, change{onset.Unix() - int64(before), to})
	}
	return all, before, nil
}

// offset reads an offset from UTC such as +0800 (section 3.3.14), in seconds.
func offset(text string) (int, error) {
	for _, layout := range []string{"-0700", "-070000"} {
		if t, err := time.Parse(layout, text); err == nil {
			_, seconds := t.Zone()
			return seconds, nil
		}
	}
	return 0, fmt.Errorf("%q is no offset from UTC", short(text))
}

// tzif writes changes of a clock as the file of a zone (RFC 8536, version 2).
func tzif(before int, changes []change) []byte {
	offsets := []int{before}
	index := make([]byte, len(changes))
	for i, c := range changes {
		at := slices.Index(offsets, c.offset)
		if at < 0 {
			at = len(offsets)
			offsets = append(offsets, c.offset)
		}
		index[i] = byte(at)
	}
	var b bytes.Buffer
	header := func(times, kinds, letters int) {
		b.WriteString("TZif2")
		b.Write(make([]byte, 15))
		for _, n := range []int{0, 0, 0, times, kinds, letters} {
			_ = binary.Write(&b, binary.BigEndian, uint32(n)) //nolint:gosec // Counts are small; a buffer takes all.
		}
	}
	const letters = "LCL\x00"
	kind := func(seconds int) {
		_ = binary.Write(&b, binary.BigEndian, int32(seconds)) //nolint:gosec // At most a day.
		b.Write([]byte{0, 0})
	}
	header(0, 1, len(letters)) // of version 1, which nobody reads
	kind(before)
	b.WriteString(letters)
	header(len(changes), len(offsets), len(letters))
	for _, c := range changes {
		_ = binary.Write(&b, binary.BigEndian, c.at)
	}
	b.Write(index)
	for _, seconds := range offsets {
		kind(seconds)
	}
	b.WriteString(letters)
	b.WriteString("\n\n")
	return b.Bytes()
}
