package ical

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// calendar wraps events as calendars do.
func calendar(lines ...string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VCALENDAR\r\n"
}

func event(lines ...string) string {
	return "BEGIN:VEVENT\r\nUID:u\r\nSUMMARY:Li Na\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VEVENT"
}

// spans lists events as "start/end summary" in UTC.
func spans(events []Event) (all []string) {
	for _, e := range events {
		const layout = "01-02T15:04"
		all = append(all, fmt.Sprintf("%s/%s %s", e.Start.UTC().Format(layout), e.End.UTC().Format(layout), e.Summary))
	}
	return all
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		body     string
		from, to string
		want     []string
	}{
		"once, in UTC": {
			event("DTSTART:20261121T020000Z", "DTEND:20261121T100000Z"), "2026-11-20", "2026-11-23",
			[]string{"11-21T02:00/11-21T10:00 Li Na"},
		},
		"a time without a zone is of the calendar's reader": {
			event("DTSTART:20261121T100000", "DURATION:PT8H30M"), "2026-11-20", "2026-11-23",
			[]string{"11-21T02:00/11-21T10:30 Li Na"},
		},
		"a whole day": {
			event("DTSTART;VALUE=DATE:20261121"), "2026-11-20", "2026-11-23",
			[]string{"11-20T16:00/11-21T16:00 Li Na"},
		},
		"whole days, the end is not one of them": {
			event("DTSTART;VALUE=DATE:20261121", "DTEND;VALUE=DATE:20261123"), "2026-11-20", "2026-11-25",
			[]string{"11-20T16:00/11-22T16:00 Li Na"},
		},
		"every week until, in a zone with daylight saving": {
			event("DTSTART;TZID=America/New_York:20261025T090000", "DTEND;TZID=America/New_York:20261025T170000", "RRULE:FREQ=WEEKLY;UNTIL=20261108T235959Z"),
			"2026-10-01", "2026-12-01",
			[]string{"10-25T13:00/10-25T21:00 Li Na", "11-01T14:00/11-01T22:00 Li Na", "11-08T14:00/11-08T22:00 Li Na"},
		},
		"a day over the end of daylight saving has 25 hours": {
			event("DTSTART;TZID=America/New_York:20261031T090000", "DTEND;TZID=America/New_York:20261101T090000"), "2026-10-01", "2026-12-01",
			[]string{"10-31T13:00/11-01T14:00 Li Na"},
		},
		"exceptions, several on a line": {
			event("DTSTART:20261101T000000Z", "DURATION:P1D", "RRULE:FREQ=DAILY;COUNT=5", "EXDATE:20261102T000000Z,20261104T000000Z"), "2026-10-01", "2026-12-01",
			[]string{"11-01T00:00/11-02T00:00 Li Na", "11-03T00:00/11-04T00:00 Li Na", "11-05T00:00/11-06T00:00 Li Na"},
		},
		"an exception in another zone is the same instant": {
			event("DTSTART;TZID=Asia/Shanghai:20261101T080000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2", "EXDATE:20261102T000000Z"), "2026-10-01", "2026-12-01",
			[]string{"11-01T00:00/11-01T01:00 Li Na"},
		},
		"more dates": {
			event("DTSTART:20261101T000000Z", "DURATION:PT1H", "RDATE:20261103T120000Z"), "2026-10-01", "2026-12-01",
			[]string{"11-01T00:00/11-01T01:00 Li Na", "11-03T12:00/11-03T13:00 Li Na"},
		},
		"one occurrence moved to somebody else, one cancelled": {
			event("DTSTART:20261101T000000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3") + "\r\n" +
				"BEGIN:VEVENT\r\nUID:u\r\nRECURRENCE-ID:20261102T000000Z\r\nSUMMARY:Zhang Wei\r\nDTSTART:20261102T060000Z\r\nDTEND:20261102T070000Z\r\nEND:VEVENT\r\n" +
				"BEGIN:VEVENT\r\nUID:u\r\nRECURRENCE-ID:20261103T000000Z\r\nSTATUS:CANCELLED\r\nDTSTART:20261103T000000Z\r\nDTEND:20261103T010000Z\r\nEND:VEVENT",
			"2026-10-01", "2026-12-01",
			[]string{"11-01T00:00/11-01T01:00 Li Na", "11-02T06:00/11-02T07:00 Zhang Wei"},
		},
		"the zone as Windows names it, and as the calendar explains it": {
			event(`DTSTART;TZID="China Standard Time":20261121T080000`, "DURATION:PT1H") + "\r\n" +
				"BEGIN:VTIMEZONE\r\nTZID:Ours\r\nX-LIC-LOCATION:Asia/Tokyo\r\nEND:VTIMEZONE\r\n" +
				event("DTSTART;TZID=Ours:20261121T080000", "DURATION:PT1H"),
			"2026-11-01", "2026-12-01",
			[]string{"11-20T23:00/11-21T00:00 Li Na", "11-21T00:00/11-21T01:00 Li Na"},
		},
		"an event over the new year is found by its end": {
			event("DTSTART:20261230T000000Z", "DTEND:20270105T000000Z"), "2027-01-03", "2027-01-04",
			[]string{"12-30T00:00/01-05T00:00 Li Na"},
		},
		"folded lines": {
			"BEGIN:VEVENT\r\nUID:u\r\nSUMMARY:Zhang\r\n  We\r\n\ti\r\nDTSTART:20261121T000000Z\r\nDURATION:PT1H\r\nEND:VEVENT", "2026-11-01", "2026-12-01",
			[]string{"11-21T00:00/11-21T01:00 Zhang Wei"},
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

func day(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReadRefuses(t *testing.T) {
	for want, text := range map[string]string{
		"does not begin with BEGIN:VCALENDAR":        "hello: world",
		"ends within VEVENT":                         "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n",
		"no DTSTART":                                 calendar(event("DTEND:20261121T000000Z")),
		`the time zone "Mars/Olympus" is unknown`:    calendar(event("DTSTART;TZID=Mars/Olympus:20261121T000000")),
		`"yesterday" is no time`:                     calendar(event("DTSTART:yesterday")),
		"want DAILY, WEEKLY, MONTHLY or YEARLY":      calendar(event("DTSTART:20261121T000000Z", "RRULE:FREQ=SECONDLY")),
		"of the BY parts BYMONTH":                    calendar(event("DTSTART:20261121T000000Z", "RRULE:FREQ=DAILY;BYWEEKNO=53")),
		"it ends before it starts":                   calendar(event("DTSTART:20261121T000000Z", "DTEND:20261120T000000Z")),
		"not in UTF-8":                               "BEGIN:VCALENDAR\xff",
		"a parameter's quote does not end":           calendar(event(`DTSTART;TZID="Asia:20261121T000000`)),
		"the year 1 is not from 1970 to 2200":        calendar(event("DTSTART:00010101T000000Z")),
		"RANGE=THISANDFUTURE is not served":          calendar(event("RECURRENCE-ID;RANGE=THISANDFUTURE:20261121T000000Z", "DTSTART:20261121T000000Z")),
		"line 3: BROKEN has no value":                "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBROKEN;A=\"b\"c\r\nEND:VCALENDAR",
		"line 2: no name and value with a colon bet": "BEGIN:VCALENDAR\r\nnothing\r\nEND:VCALENDAR",
	} {
		_, err := Read(strings.NewReader(text), time.UTC)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestWriteEscapesAndFolds(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	long := strings.Repeat("值班", 40) + "; a, b\\c\nBEGIN:VEVENT\x00"
	c := Calendar{
		Name: "payments: on call", Stamp: at, Refresh: 15 * time.Minute,
		Events: []Event{{UID: "payments-1@midwatch", Summary: long, URL: "https://midwatch.example.com/oncall", Start: at, End: at.Add(time.Hour)}},
	}
	var b bytes.Buffer
	if err := Write(&b, c); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(b.String(), "\r\n") {
		if len(line) > 75 || !utf8.ValidString(line) || strings.ContainsAny(line, "\n\r\x00") {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
	s, err := Read(bytes.NewReader(b.Bytes()), time.UTC)
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	got := s.Between(at.Add(-time.Hour), at.Add(2*time.Hour))
	want := []Event{{UID: "payments-1@midwatch", Summary: strings.TrimSuffix(long, "\x00"), URL: "https://midwatch.example.com/oncall", Start: at, End: at.Add(time.Hour)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(calendar(event("DTSTART;TZID=Asia/Shanghai:20261101T080000", "DURATION:PT1H", "RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=9", "EXDATE:20261102T000000Z")))
	f.Add(calendar(event("DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY", "RDATE;VALUE=PERIOD:20261101T000000Z/PT1H")))
	f.Add(calendar(event("RECURRENCE-ID:20261102T000000Z", "DTSTART:20261102T060000Z", "DTEND:20261102T070000Z")))
	f.Add("BEGIN:VCALENDAR\r\nX;A=")
	for _, name := range []string{"google", "outlook", "apple", "pagerduty", "opsgenie"} {
		content, err := os.ReadFile("testdata/" + name + ".ics")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Read(strings.NewReader(text), time.UTC)
		if err != nil {
			return
		}
		for _, e := range s.Between(from, from.AddDate(1, 0, 0)) {
			if !e.End.After(e.Start) || e.End.Sub(e.Start) > longest {
				t.Errorf("from %s to %s", e.Start, e.End)
			}
			if first, last, ok := s.Span(); !ok || e.Start.Before(first) || !last.IsZero() && e.End.After(last) {
				t.Errorf("from %s to %s is not within %s to %s", e.Start, e.End, first, last)
			}
		}
	})
}
