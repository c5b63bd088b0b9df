package oncall

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lines writes shifts on a schedule's clock.
func lines(r *Roster, name, from, to string, t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, s := range r.Shifts(name, utc(t, from), utc(t, to)) {
		loc, who := r.Location(name), s.User
		if s.Gap() {
			who = "-"
		}
		if s.Override {
			who += "!"
		}
		b.WriteString(s.From.In(loc).Format("Mon 02 15:04") + " " + who)
		for _, more := range []string{s.Layer, s.Reason} {
			if more != "" {
				b.WriteString(" " + more)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestLayersOverridesAndSwapsByHand(t *testing.T) {
	want := `Tue 24 00:00 chen night
Tue 24 09:00 li.wei day
Tue 24 12:00 chen! dentist
Tue 24 18:00 li.wei day
Tue 24 21:00 chen night
Wed 25 09:00 li.wei! day
Wed 25 21:00 chen night
Fri 27 09:00 li.wei day
Fri 27 21:00 chen night
Sat 28 22:00 ana weekend
Sun 29 06:00 chen night
Mon 30 09:00 li.wei day
Mon 30 21:00 li.wei night
`
	r := fullRoster(t)
	got := lines(r, "payments", "2026-11-23T16:00:00Z", "2026-11-30T16:00:00Z", t)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTemporarySchedule(t *testing.T) {
	want := `Wed 23 20:00 chen night
Thu 24 00:00 ana
Fri 25 00:00 chen
Sat 26 00:00 ana
Sun 27 00:00 chen night
`
	if diff := cmp.Diff(want, lines(fullRoster(t), "payments", "2026-12-23T12:00:00Z", "2026-12-27T08:00:00Z", t)); diff != "" {
		t.Error(diff)
	}
}

// With the calendar of China the Saturday before the Spring Festival is a
// working day, and the days of the festival are not.
func TestHolidaysOfChina(t *testing.T) {
	r := fullRoster(t)
	for _, tt := range []struct{ at, want string }{
		{"2026-02-13T11:00:00Z", "2026-02-14T01:30:00Z"}, // Friday evening: Saturday is worked
		{"2026-02-14T02:00:00Z", "2026-02-14T02:00:00Z"},
		{"2026-02-14T11:00:00Z", "2026-02-24T01:30:00Z"}, // after the festival
		{"2026-09-30T11:00:00Z", "2026-10-08T01:30:00Z"}, // after National Day
		{"2026-10-09T11:00:00Z", "2026-10-10T01:30:00Z"}, // the Saturday that makes up for it
		{"2026-11-20T11:00:00Z", "2026-11-23T01:30:00Z"}, // an ordinary Friday
	} {
		if got := r.WorkingTimeOf(utc(t, tt.at), StepRequest{Labels: payment}); !got.Equal(utc(t, tt.want)) {
			t.Errorf("at %s: %s, want %s", tt.at, got, tt.want)
		}
	}
	for at, layer := range map[string]string{
		"2026-02-28T04:00:00Z": "day",   // a Saturday that is worked
		"2026-02-18T04:00:00Z": "night", // a Wednesday off, and li.wei's day
	} {
		s := r.At("payments", utc(t, at))
		if s.Layer != layer {
			t.Errorf("at %s: layer %q, want %q (%+v)", at, s.Layer, layer, s)
		}
	}
}

// TestBuiltInCalendar compares China's 2026 with what its State Council
// published: 33 days off, of which 6 are made up for.
func TestBuiltInCalendar(t *testing.T) {
	c := builtIn()[chinaName]
	if c == nil || len(c.years) != 1 {
		t.Fatal("no calendar of China")
	}
	off, worked := 0, 0
	for _, kind := range c.years[2026] {
		switch kind {
		case holiday:
			off++
		case workday:
			worked++
		}
	}
	if off != 3+9+3+5+3+3+7 || worked != 6 {
		t.Errorf("%d days off and %d worked", off, worked)
	}
	for _, day := range []string{"2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if c.weekday(at) != time.Monday {
			t.Errorf("%s, a %s, is no working day", day, at.Weekday())
		}
	}
}

func TestFilesReplaceYearsOfTheBuiltInCalendar(t *testing.T) {
	r, err := Parse("x.yaml", []byte(`{apiVersion: midwatch.dev/v1, kind: OnCall, default_schedule: s,
users: [{name: a, contacts: [{channel: c, address: a}]}],
schedules: [{name: s, timezone: Asia/Shanghai, holidays: {calendar: cn}, rotation: {handoff: "@daily", start: "2026-01-01", participants: [a]}}]}
---
{apiVersion: midwatch.dev/v1, kind: HolidayCalendar, name: cn, years: {2027: {holidays: [2027-01-01]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.WorkingTimeOf(utc(t, "2026-12-31T12:00:00Z"), StepRequest{}); !got.Equal(utc(t, "2027-01-04T01:00:00Z")) {
		t.Errorf("after New Year 2027: %s", got)
	}
	if got := r.WorkingTimeOf(utc(t, "2026-10-02T02:00:00Z"), StepRequest{}); !got.Equal(utc(t, "2026-10-08T01:00:00Z")) {
		t.Errorf("after National Day 2026: %s", got)
	}
}

func TestHolidayGaps(t *testing.T) {
	r := fullRoster(t)
	for at, want := range map[string]string{
		"2026-11-30T15:59:59Z": "",
		"2026-11-30T16:00:00Z": "warning testdata/full.yaml:29:26: has no holidays of 2027 yet", // 1 December in Shanghai
		"2026-12-31T16:00:00Z": "error testdata/full.yaml:29:26: ends before 2027",
	} {
		var got []string
		for _, f := range r.HolidayGaps(utc(t, at)) {
			got = append(got, string(f.Severity)+" "+f.Error())
		}
		place, message, _ := strings.Cut(want, ": ")
		if text := strings.Join(got, "\n"); len(got) > 1 || (want == "") != (text == "") || !strings.HasPrefix(text, place) || !strings.Contains(text, message) {
			t.Errorf("at %s: %q, want %q", at, text, want)
		}
	}
}

func TestOverridesMadeAtRunTime(t *testing.T) {
	r := fullRoster(t)
	from, until := utc(t, "2026-11-24T05:00:00Z"), utc(t, "2026-11-24T07:00:00Z")
	with := r.With([]Override{
		{ID: 9, Schedule: "payments", User: "boss", From: from, Until: until, Reason: "fire drill"},
		{ID: 3, Schedule: "payments", User: "ana", From: from.Add(-time.Hour), Until: until.Add(-time.Hour)},
		{ID: 10, Schedule: "gone", User: "ana", From: from, Until: until},
		{ID: 11, Schedule: "payments", User: "gone", From: from, Until: until},
		{ID: 12, Schedule: "payments", User: "ana", From: until, Until: from},
	})
	want := `Tue 24 11:00 li.wei day
Tue 24 12:00 ana!
Tue 24 13:00 boss! fire drill
Tue 24 15:00 chen! dentist
Tue 24 18:00 li.wei day
`
	if diff := cmp.Diff(want, lines(with, "payments", "2026-11-24T03:00:00Z", "2026-11-24T11:00:00Z", t)); diff != "" {
		t.Error(diff)
	}
	if u := with.Unknown(); len(u) != 3 || u[0].ID != 10 || u[2].ID != 12 {
		t.Errorf("unknown: %+v", u)
	}
	if r.At("payments", from).User == "boss" || with.With(nil).At("payments", from).User != "chen" {
		t.Error("overrides stay where they were not made")
	}
}

// With an end of daylight saving a shift by the clock lasts longer, and what
// ends at a time that comes twice ends at the second.
func TestShiftLengthByTheClock(t *testing.T) {
	r, err := Parse("x.yaml", []byte(`{apiVersion: midwatch.dev/v1, kind: OnCall, default_schedule: s,
users: [{name: a, contacts: [{channel: c, address: a}]}],
schedules: [{name: s, timezone: Europe/Berlin, rotation: {handoff: "0 22 * * *", shift: 4h30m, start: "2026-10-20T22:00", participants: [a]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"2026-10-23T22:00:00Z": "2026-10-24T00:30:00Z", // 02:30 in summer time
		"2026-10-24T22:00:00Z": "2026-10-25T01:30:00Z", // the second 02:30
		"2026-10-25T22:00:00Z": "2026-10-26T01:30:00Z",
	} {
		s := r.At("s", utc(t, at))
		if s.User != "a" || !s.Until.Equal(utc(t, want)) {
			t.Errorf("at %s: %+v, want until %s", at, s, want)
		}
		if gap := r.At("s", s.Until); !gap.Gap() || !gap.From.Equal(s.Until) || gap.Until.In(r.Location("s")).Hour() != 22 {
			t.Errorf("after %s: %+v", want, gap)
		}
	}
}
