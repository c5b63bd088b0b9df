package ical

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/teambition/rrule-go"
)

// clockOf returns what a clock shows at an instant, to the minute.
func clockOf(at time.Time, loc *time.Location) string { return at.In(loc).Format("2006-01-02 15:04") }

// meant looks at the clock minute by minute for when it shows a reading: the
// first time, or as long after a gap as the reading is in it.
func meant(reading time.Time, loc *time.Location) time.Time {
	want := clockOf(reading, time.UTC)
	from := reading.Add(-15 * time.Hour)
	for at := from; at.Before(reading.Add(15 * time.Hour)); at = at.Add(time.Minute) {
		if clockOf(at, loc) == want {
			return at
		}
	}
	for at := from; ; at = at.Add(time.Minute) {
		if next := at.Add(time.Minute); clockOf(at, loc) < want && clockOf(next, loc) > want {
			shown, _ := time.Parse("2006-01-02 15:04", clockOf(at, loc))
			return at.Add(reading.Sub(shown))
		}
	}
}

// The library is the oracle for when a series comes, in real zones over
// changes of clocks; where a time comes twice or never, a look at the clock is.
func TestSeriesComeWhenTheLibrarySaysInRealZones(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	names := []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut", "Africa/Casablanca", "Asia/Shanghai"}
	for range 200 {
		name := names[r.IntN(len(names))]
		loc := zone(t, name)
		start := time.Date(2026, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), 15*r.IntN(4), 0, 0, time.UTC)
		if r.IntN(2) == 0 {
			start = time.Date(2026, 3, 29, r.IntN(4), 15*r.IntN(4), 0, 0, time.UTC).AddDate(0, 0, -7*r.IntN(30)) // Sundays
		}
		rule, length := randomRule(r), time.Duration(1+r.IntN(100))*30*time.Minute
		text := fmt.Sprintf("DTSTART;TZID=%s:%s", name, start.Format("20060102T150405"))
		s, err := Read(strings.NewReader(calendar(event(text, "DTEND;TZID="+name+":"+start.Add(length).Format("20060102T150405"), "RRULE:"+rule))), time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2026, time.Month(r.IntN(14)), 1, 0, 0, 0, 0, time.UTC)
		to := from.AddDate(0, 9, 0)
		var want, got []string
		for _, reading := range library(t, rule, start, from.AddDate(0, 0, -5), to.AddDate(0, 0, 5)) {
			at, end := meant(reading, loc), meant(reading.Add(length), loc)
			if end.After(from) && at.Before(to) && end.After(at) {
				want = append(want, fmt.Sprint(at.UTC(), " ", end.UTC()))
			}
		}
		for _, e := range s.Between(from, to) {
			got = append(got, fmt.Sprint(e.Start.UTC(), " ", e.End.UTC()))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: %s, %s, from %s to %s: %s", seed, text, rule, from, to, diff)
		}
	}
}

// In the library's own zones, at a time of day that every day has once.
func TestSeriesAgreeWithTheLibrarysZones(t *testing.T) {
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe"} {
		loc := zone(t, name)
		option, err := rrule.StrToROption("FREQ=WEEKLY;BYDAY=SU,WE;COUNT=120")
		if err != nil {
			t.Fatal(err)
		}
		option.Dtstart = time.Date(2026, 1, 4, 9, 30, 0, 0, loc)
		library, err := rrule.NewRRule(*option)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Read(strings.NewReader(calendar(event("DTSTART;TZID="+name+":20260104T093000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=SU,WE;COUNT=120"))), time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		want, got := library.All(), s.Between(day(t, "2026-01-01"), day(t, "2028-01-01"))
		if len(got) != 120 || len(want) != 120 {
			t.Fatalf("%s: %d times, the library %d", name, len(got), len(want))
		}
		for i, e := range got {
			if !e.Start.Equal(want[i]) {
				t.Errorf("%s: %s, the library %s", name, e.Start, want[i])
			}
		}
	}
}

func TestChangesOfClocksAndOfSeries(t *testing.T) {
	newYork := func(name, reading string) string { return name + ";TZID=America/New_York:" + reading }
	for name, c := range map[string]struct {
		body     string
		from, to string
		want     []string
	}{
		"a night over the end of daylight saving ends by the clock, a length is exact": {
			event(newYork("DTSTART", "20261031T220000"), newYork("DTEND", "20261101T060000")) + "\r\n" +
				event(newYork("DTSTART", "20261031T220000"), "DURATION:PT8H"), "2026-10-30", "2026-11-03",
			[]string{"11-01T02:00/11-01T10:00 Li Na", "11-01T02:00/11-01T11:00 Li Na"},
		},
		"and over its beginning": {
			event(newYork("DTSTART", "20260308T010000"), newYork("DTEND", "20260308T050000")), "2026-03-07", "2026-03-10",
			[]string{"03-08T06:00/03-08T09:00 Li Na"},
		},
		"a time that never comes is as long after the gap": { // section 3.3.5
			event(newYork("DTSTART", "20260307T023000"), "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3"), "2026-03-06", "2026-03-11",
			[]string{"03-07T07:30/03-07T08:30 Li Na", "03-08T07:30/03-08T08:30 Li Na", "03-09T06:30/03-09T07:30 Li Na"},
		},
		"a time that comes twice is the first": {
			event(newYork("DTSTART", "20261101T013000"), "DURATION:PT15M"), "2026-10-30", "2026-11-03",
			[]string{"11-01T05:30/11-01T05:45 Li Na"},
		},
		"an end in UTC is exact where the clock shows it twice": {
			event(newYork("DTSTART", "20261101T003000"), "DTEND:20261101T063000Z"), "2026-10-30", "2026-11-03",
			[]string{"11-01T04:30/11-01T06:30 Li Na"},
		},
		"the exception of a day, and of a time that never comes": {
			event(newYork("DTSTART", "20260306T023000"), "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=4", "EXDATE;VALUE=DATE:20260307", newYork("EXDATE", "20260308T023000")), "2026-03-01", "2026-03-20",
			[]string{"03-06T07:30/03-06T08:30 Li Na", "03-09T06:30/03-09T07:30 Li Na"},
		},
		"the exception of a whole day by a time of it": {
			event("DTSTART;VALUE=DATE:20261101", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20261102T000000"), "2026-10-20", "2026-11-20",
			[]string{"10-31T16:00/11-01T16:00 Li Na", "11-02T16:00/11-03T16:00 Li Na"},
		},
		"an occurrence is moved to another day and another zone, then away": {
			event(newYork("DTSTART", "20261030T090000"), "DURATION:PT8H", "RRULE:FREQ=DAILY;COUNT=3") + "\r\n" +
				"BEGIN:VEVENT\r\nUID:u\r\nRECURRENCE-ID:20261031T130000Z\r\nSUMMARY:Ana\r\nDTSTART;TZID=Europe/Berlin:20261105T090000\r\nDTEND;TZID=Europe/Berlin:20261105T170000\r\nEND:VEVENT\r\n" +
				"BEGIN:VEVENT\r\nUID:u\r\n" + newYork("RECURRENCE-ID", "20261101T090000") + "\r\nSUMMARY:Ana\r\nDTSTART:20270101T000000Z\r\nDTEND:20270101T010000Z\r\nEND:VEVENT",
			"2026-10-20", "2026-11-20",
			[]string{"10-30T13:00/10-30T21:00 Li Na", "11-05T08:00/11-05T16:00 Ana"},
		},
		"a change may stand before its series": {
			"BEGIN:VEVENT\r\nUID:u\r\nRECURRENCE-ID;VALUE=DATE:20261102\r\nSUMMARY:Ana\r\nDTSTART;VALUE=DATE:20261110\r\nEND:VEVENT\r\n" +
				event("DTSTART;VALUE=DATE:20261101", "RRULE:FREQ=DAILY;COUNT=2"), "2026-10-20", "2026-11-20",
			[]string{"10-31T16:00/11-01T16:00 Li Na", "11-09T16:00/11-10T16:00 Ana"},
		},
		"an event of a year is found at its end": {
			event("DTSTART:20251231T000000Z", "DURATION:P366D"), "2026-12-31", "2027-01-02",
			[]string{"12-31T00:00/01-01T00:00 Li Na"},
		},
		"a clock that the calendar explains by dates": {
			"BEGIN:VTIMEZONE\r\nTZID:Ours\r\nBEGIN:STANDARD\r\nDTSTART:20250101T000000\r\nTZOFFSETFROM:+0530\r\nTZOFFSETTO:+0530\r\nEND:STANDARD\r\n" +
				"BEGIN:DAYLIGHT\r\nDTSTART:20261101T000000\r\nRDATE:20271101T000000\r\nTZOFFSETFROM:+0530\r\nTZOFFSETTO:+063015\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n" +
				event("DTSTART;TZID=Ours:20261031T060000", "DTEND;TZID=Ours:20261031T120000", "RRULE:FREQ=DAILY;COUNT=2"), "2026-10-20", "2026-11-20",
			[]string{"10-31T00:30/10-31T06:30 Li Na", "10-31T23:29/11-01T05:29 Li Na"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Read(strings.NewReader(calendar(c.body)), zone(t, "Asia/Shanghai"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, spans(s.Between(day(t, c.from), day(t, c.to)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whole days are from midnight to midnight, or from when the day begins where
// its midnight is skipped.
func TestWholeDaysOverChangesOfClocks(t *testing.T) {
	for name, c := range map[string]struct {
		date string
		want string
		long time.Duration
	}{
		"Europe/Berlin":       {"20261025", "2026-10-24T22:00:00Z", 25 * time.Hour},
		"America/New_York":    {"20260308", "2026-03-08T05:00:00Z", 23 * time.Hour},
		"Australia/Lord_Howe": {"20260405", "2026-04-04T13:00:00Z", 24*time.Hour + 30*time.Minute},
		"Asia/Beirut":         {"20260329", "2026-03-28T22:00:00Z", 23 * time.Hour}, // from 01:00
		"America/Havana":      {"20261101", "2026-11-01T04:00:00Z", 25 * time.Hour}, // 00:00 comes twice
	} {
		s, err := Read(strings.NewReader(calendar(event("DTSTART;VALUE=DATE:"+c.date))), zone(t, name))
		if err != nil {
			t.Fatal(err)
		}
		got := s.Between(day(t, "2026-01-01"), day(t, "2027-01-01"))
		if len(got) != 1 || got[0].Start.Format(time.RFC3339) != c.want || got[0].End.Sub(got[0].Start) != c.long {
			t.Errorf("%s: %v; want from %s for %s", name, got, c.want, c.long)
		}
	}
}

// A clock that a calendar explains by rules is that of the place.
func TestAClockThatACalendarExplains(t *testing.T) {
	content, err := os.ReadFile("testdata/outlook.ics")
	if err != nil {
		t.Fatal(err)
	}
	all, err := properties(strings.NewReader(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	_, z, err := components(all, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	for id, name := range map[string]string{
		"W. Europe Standard Time":                           "Europe/Berlin",
		"Customized Time Zone":                              "America/New_York",
		"(UTC+08:00) Beijing, Chongqing, Hong Kong, Urumqi": "Asia/Shanghai",
	} {
		got, err := z.own[id].location()
		if err != nil {
			t.Fatal(err)
		}
		want := zone(t, name)
		for at := day(t, "2020-01-01"); at.Year() < 2045; at = at.Add(time.Hour) {
			_, w := at.In(want).Zone()
			if _, g := at.In(got).Zone(); g != w {
				t.Fatalf("%s at %s: %d s from UTC; want %d", id, at, g, w)
			}
		}
	}
}

// The samples are written as these programs export: see what their PRODID is.
func TestCalendarsOfOtherPrograms(t *testing.T) {
	for name, want := range map[string][]string{
		"google": {
			"10-05T07:00/10-12T07:00 On call: Ana Torres", "10-19T07:00/10-26T08:00 On call: Ana Torres",
			"11-03T08:00/11-09T08:00 On call: 李伟", "11-17T23:00/11-19T23:00 Chen (swap)", "11-30T08:00/12-07T08:00 On call: Ana Torres",
		},
		"outlook": {
			"10-20T16:00/10-21T06:00 Ana Torres", "10-27T17:00/10-28T07:00 Ana Torres", "10-31T13:00/11-02T14:00 Chen",
			"11-03T17:00/11-04T07:00 Ana Torres", "11-05T01:00/11-05T13:00 李伟", "11-06T23:00/11-07T23:00 Bo",
		},
		"apple": {
			"10-31T00:00/10-31T12:00 Ana Torres", "11-01T00:00/11-01T13:00 Ana Torres", "11-04T01:00/11-04T13:00 Chen", "11-07T23:00/11-08T23:00 Bo",
		},
		"pagerduty": {"11-02T08:00/11-09T08:00 On Call - Ana Torres - Payments", "11-09T08:00/11-16T08:00 On Call - Payments - out of hours"},
		"opsgenie":  {"11-02T08:00/11-09T08:00 ana@example.com is on-call for Payments_schedule", "11-09T08:00/11-16T08:00 Chen"},
	} {
		content, err := os.ReadFile("testdata/" + name + ".ics")
		if err != nil {
			t.Fatal(err)
		}
		s, err := Read(strings.NewReader(string(content)), zone(t, "Europe/Berlin"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		events := s.Between(day(t, "2026-10-01"), day(t, "2027-01-01"))
		if diff := cmp.Diff(want, spans(events)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAttendeesAreAddresses(t *testing.T) {
	content, err := os.ReadFile("testdata/pagerduty.ics")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(strings.NewReader(string(content)), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range s.Between(day(t, "2026-11-01"), day(t, "2026-12-01")) {
		got = append(got, e.Attendees...)
	}
	if diff := cmp.Diff([]string{"ana@example.com", "chen@example.com"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBounds(t *testing.T) {
	one := event("DTSTART:20261121T000000Z", "DURATION:PT1H") + "\r\n"
	if s, err := Read(strings.NewReader(calendar(strings.Repeat(one, MaxEvents))), time.UTC); err != nil || len(s.Between(day(t, "2026-11-21"), day(t, "2026-11-22"))) != MaxEvents {
		t.Errorf("%d events: %v", MaxEvents, err)
	}
	if _, err := Read(strings.NewReader(calendar(strings.Repeat(one, MaxEvents+1))), time.UTC); err == nil || !strings.Contains(err.Error(), "more than 5000 events") {
		t.Errorf("%d events: %v", MaxEvents+1, err)
	}
	filled := func(size int) string {
		text := calendar("X-FILL:a", one)
		line := "X-FILL:" + strings.Repeat("b", 1000) + "\r\n"
		for size-len(text) > 2*len(line) {
			n := min(2000, (size-len(text))/len(line)-1)
			text = strings.Replace(text, "X-FILL:a", strings.Repeat(line, n)+"X-FILL:a", 1)
		}
		return strings.Replace(text, "X-FILL:a", "X-FILL:a"+strings.Repeat("c", size-len(text)), 1)
	}
	if _, err := Read(strings.NewReader(filled(MaxSize)), time.UTC); err != nil {
		t.Errorf("4 MiB: %v", err)
	}
	if _, err := Read(strings.NewReader(filled(MaxSize+1)), time.UTC); err == nil || !strings.Contains(err.Error(), "more than 4194304 bytes") {
		t.Errorf("4 MiB and a byte: %v", err)
	}
	// Rules that count for ever end the reading, not the reader.
	hostile := event("DTSTART:19700101T000000Z", "DURATION:PT1H", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=9") + "\r\n"
	begun := time.Now()
	if _, err := Read(strings.NewReader(calendar(strings.Repeat(hostile, MaxEvents))), time.UTC); err == nil || !strings.Contains(err.Error(), "its COUNT reaches too far") {
		t.Errorf("rules that count for ever: %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestSpanAndSelect(t *testing.T) {
	s, err := Read(strings.NewReader(calendar(
		event("DTSTART:20261101T000000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3", "RDATE:20261205T000000Z"),
		strings.Replace(event("DTSTART:20200101T000000Z", "DURATION:PT1H", "RRULE:FREQ=YEARLY"), "Li Na", "Ana", 1),
	)), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if from, until, ok := s.Span(); !ok || from.After(day(t, "2020-01-01")) || !until.IsZero() {
		t.Errorf("from %s until %s, %v", from, until, ok)
	}
	some := s.Select(func(e Event) bool { return e.Summary == "Li Na" })
	from, until, ok := some.Span()
	if !ok || from.After(day(t, "2026-11-01")) || from.Before(day(t, "2026-10-29")) || until.Before(day(t, "2026-12-05")) || until.After(day(t, "2027-12-31")) {
		t.Errorf("from %s until %s, %v", from, until, ok)
	}
	if n := len(some.Between(day(t, "2020-01-01"), day(t, "2027-01-01"))); n != 4 {
		t.Errorf("%d events", n)
	}
	if _, _, ok := s.Select(func(Event) bool { return false }).Span(); ok {
		t.Error("a calendar without events has a span")
	}
}
