package oncall

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/oncall/ical"
)

const feedUsers = `apiVersion: midwatch.dev/v1
kind: OnCall
users:
  - {name: li.wei, full_name: 李伟, contacts: [{channel: wecom, address: LiWei}, {channel: email, address: Li.Wei@example.com}]}
  - {name: ana, full_name: Ana Torres, contacts: [{channel: email, address: ana@example.com}]}
  - {name: chen, full_name: Chen, contacts: [{channel: email, address: chen@example.com}]}
  - {name: chen2, full_name: Chen Jing, contacts: [{channel: email, address: chen2@example.com}]}
  - {name: jing, full_name: Chen Jing, contacts: [{channel: email, address: Team@example.com}]}
  - {name: bo, full_name: Bo, contacts: [{channel: email, address: team@example.com}]}
`

const feedSchedule = feedUsers + `schedules:
  - name: payments
    timezone: Asia/Shanghai
    layers:
      - {name: below, rotation: {handoff: "@daily", start: "2026-01-01", participants: [chen]}}
      - {name: team, calendar: {%s}}
default_schedule: payments
`

func TestAnEventNamesAPerson(t *testing.T) {
	r, err := Parse("a.yaml", []byte(fmt.Sprintf(feedSchedule, "url: https://example.com/team.ics")))
	if err != nil {
		t.Fatal(err)
	}
	at := func(addresses ...string) ical.Event { return ical.Event{Attendees: addresses} }
	titled := func(title string, addresses ...string) ical.Event {
		return ical.Event{Summary: title, Organizer: "ana@example.com", Attendees: addresses}
	}
	for _, tt := range []struct {
		event ical.Event
		by    matching
		want  string
	}{
		{titled("ana"), matchAny, "ana"},
		{titled("  ANA   torres "), matchAny, "ana"},
		{titled("李伟"), matchAny, "li.wei"},
		{titled("值班：李伟"), matchAny, "li.wei"},
		{titled("李伟值班"), matchAny, "li.wei"},
		{titled("李伟明"), matchAny, ""}, // somebody else
		{titled("On Call - Ana Torres - payments"), matchAny, "ana"},
		{titled("[L1] li.wei"), matchAny, "li.wei"},
		{titled("oncall: li.wei@example.com."), matchAny, "li.wei"},
		{titled("oncall: li.wei@example.org"), matchAny, ""},
		{titled("oncall: li.weiss, lili.wei"), matchAny, ""},
		{titled("Susana is on call"), matchAny, ""},
		{titled("ana-maria is on call"), matchAny, ""},
		{titled("Ana Torres for Chen"), matchAny, "ana"}, // named first
		{titled("Chen Jing"), matchAny, ""},              // two are called so, and Chen is another
		{titled("Chen is on call"), matchAny, "chen"},
		{titled("Bo"), matchAny, "bo"},
		{titled("team lunch", "bo@example.com"), matchAny, ""},
		{at("team@example.com"), matchAny, ""}, // of two people
		{at("room-1@example.com", "LI.WEI@example.com", "chen@example.com"), matchAny, "li.wei"},
		{titled("shift", "ana@example.com", "chen@example.com"), matchAny, "chen"}, // not who made it
		{titled("shift", "ana@example.com"), matchAny, "ana"},
		{titled("shift", "chen@example.com"), matchSummary, ""},
		{titled("Ana Torres", "chen@example.com"), matchAttendee, "chen"},
		{titled("Ana Torres", "chen@example.com"), matchAny, "ana"},
		{ical.Event{}, matchAny, ""},
	} {
		if got := r.names.of(tt.event, tt.by); got != tt.want {
			t.Errorf("%q with %v, by %s: %q; want %q", tt.event.Summary, tt.event.Attendees, tt.by, got, tt.want)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"On Call - Ana Torres", "值班：李伟", "li.wei@example.com", "ana\xff.ana", "-ana-", "\u0301ana"} {
		f.Add(seed)
	}
	n := newNames(map[string]user{"ana": {fullName: "Ana Torres"}, "li.wei": {fullName: "李伟", contacts: []contact{{"email", "li.wei@example.com"}}}})
	f.Fuzz(func(t *testing.T, title string) {
		plain := plainName(strings.ToValidUTF8(title, ""))
		switch user := n.within(title); {
		case user == "" || user == "ana" && strings.Contains(plain, "ana"):
		case user == "li.wei" && (strings.Contains(plain, "li.wei") || strings.Contains(plain, "李伟")):
		default:
			t.Errorf("%q names %q", title, user)
		}
	})
}

// vevent writes an event in UTC of November 2026: day and hour.
func vevent(title, from, until string) string {
	return "BEGIN:VEVENT\r\nUID:" + title + from + "\r\nSUMMARY:" + title + "\r\nDTSTART:202611" + from + "0000Z\r\nDTEND:202611" + until + "0000Z\r\nEND:VEVENT\r\n"
}

func vcalendar(t *testing.T, events ...string) *ical.Source {
	t.Helper()
	s, err := ical.Read(strings.NewReader("BEGIN:VCALENDAR\r\n"+strings.Join(events, "")+"END:VCALENDAR\r\n"), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestACalendarIsALayer(t *testing.T) {
	r, err := Parse("a.yaml", []byte(fmt.Sprintf(feedSchedule, "url: webcal://example.com/private-key.ics, refresh: 1h, timezone: Europe/Berlin, match: summary")))
	if err != nil {
		t.Fatal(err)
	}
	berlin, _ := time.LoadLocation("Europe/Berlin")
	want := []Feed{{ID: "payments team", Schedule: "payments", Layer: "team", URL: secret.New("https://example.com/private-key.ics"), Refresh: time.Hour, Zone: berlin}}
	if got := r.Feeds(); len(got) != 1 || got[0].ID != want[0].ID || got[0].URL != want[0].URL || got[0].Refresh != time.Hour || got[0].Zone.String() != "Europe/Berlin" {
		t.Errorf("feeds %v; want %v", got, want)
	}
	calendar := vcalendar(t,
		vevent("ana", "10T00", "20T00"),
		vevent("li.wei", "12T00", "13T00"),     // over ana's, who comes back
		vevent("lunch", "14T00", "15T00"),      // names nobody: ana stays
		vevent("Ana Torres", "19T00", "22T00"), // another shift of the same person
		vevent("chen", "22T00", "22T12"),
		vevent("li.wei", "22T00", "23T00"), // of two that begin at once, that which ends first
		vevent("ana", "24T00", "24T00"),    // has no length
	)
	with := r.WithFeeds(map[string]*ical.Source{"payments team": calendar}).
		With([]Override{{ID: 1, Schedule: "payments", User: "chen2", From: utc(t, "2026-11-11T00:00:00Z"), Until: utc(t, "2026-11-11T06:00:00Z")}})
	var got []string
	for _, s := range with.Shifts("payments", utc(t, "2026-11-09T16:00:00Z"), utc(t, "2026-11-23T12:00:00Z")) {
		got = append(got, fmt.Sprintf("%s-%s %s %s", s.From.Format("02T15"), s.Until.Format("02T15"), s.User, s.Layer))
	}
	if diff := cmp.Diff([]string{
		"09T16-10T00 chen below",
		"10T00-11T00 ana team", "11T00-11T06 chen2 ", "11T06-12T00 ana team",
		"12T00-13T00 li.wei team", "13T00-19T00 ana team", "19T00-22T00 ana team",
		"22T00-22T12 chen team", "22T12-23T00 li.wei team",
		"23T00-23T12 chen below",
	}, got); diff != "" {
		t.Error(diff)
	}
	if s := with.At("payments", utc(t, "2026-11-14T12:00:00Z")); s.User != "ana" || s.From != utc(t, "2026-11-13T00:00:00Z") || s.Until != utc(t, "2026-11-19T00:00:00Z") {
		t.Errorf("at lunch %+v", s)
	}
	// The file's roster, and one with the overrides alone, know of no calendar.
	if s := r.At("payments", utc(t, "2026-11-14T12:00:00Z")); s.User != "chen" {
		t.Errorf("without the calendar %+v", s)
	}
	if got := with.Users()[0].Schedules; !cmp.Equal(got, []string{"payments"}) {
		t.Errorf("li.wei is in %v", got)
	}
}

func TestACalendarThatGoesOnForEver(t *testing.T) {
	r, err := Parse("a.yaml", []byte(fmt.Sprintf(feedSchedule, "url: https://example.com/a.ics")))
	if err != nil {
		t.Fatal(err)
	}
	event := "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:ana\r\nDTSTART:20241230T000000Z\r\nDURATION:P3D\r\nRRULE:FREQ=WEEKLY;INTERVAL=2\r\nEND:VEVENT\r\n"
	with := r.WithFeeds(map[string]*ical.Source{"payments team": vcalendar(t, event)})
	// A shift over the turn of a year is one.
	for _, at := range []string{"2024-12-30T00:00:00Z", "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z"} {
		if s := with.At("payments", utc(t, at)); s.User != "ana" || s.From != utc(t, "2024-12-30T00:00:00Z") || s.Until != utc(t, "2025-01-02T00:00:00Z") {
			t.Errorf("at %s %+v", at, s)
		}
	}
	for at, want := range map[string]string{
		"1990-01-01T00:00:00Z": "", // before all
		"2026-12-13T23:59:59Z": "chen", "2026-12-14T00:00:00Z": "ana", "2026-12-17T00:00:00Z": "chen",
		"2150-06-01T00:00:00Z": "ana", // 3,272 fortnights after the first
		"2400-01-01T00:00:00Z": "chen",
	} {
		if s := with.At("payments", utc(t, at)); s.User != want {
			t.Errorf("at %s %s; want %s", at, s.User, want)
		}
	}
}

func TestALayerWithoutItsCalendarIsAGap(t *testing.T) {
	text := feedUsers + `schedules:
  - name: payments
    timezone: Asia/Shanghai
    layers: [{name: team, calendar: {url: "https://example.com/private-key.ics"}}]
policies:
  - {name: p, steps: [{targets: [{schedule: payments}]}], last_resort: [{user: ana}]}
default_policy: p
`
	r, err := Parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	at := utc(t, "2026-11-10T00:00:00Z")
	if s := r.At("payments", at); !s.Gap() || !s.Endless() {
		t.Errorf("%+v", s)
	}
	step := func(r *Roster) string { return told(r.Step(at, StepRequest{Level: alert.P2}).Notices) }
	if got := step(r); !strings.Contains(got, "ana") {
		t.Errorf("the last resort is not told, but %q", got)
	}
	lint := func(r *Roster) string {
		var all []string
		for _, f := range r.Lint(at, 7*24*time.Hour) {
			all = append(all, string(f.Severity)+" "+f.Message)
			if strings.Contains(f.Source, "private-key") {
				t.Errorf("the URL is shown: %q", f.Source)
			}
		}
		return strings.Join(all, "\n")
	}
	for _, want := range []string{`warning the calendar of layer "team" in "payments" is not known`, `nobody is on call in "payments" from Tue 2026-11-10 08:00`} {
		if got := lint(r); !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	var strangers []string
	for i := range 7 {
		strangers = append(strangers, vevent(fmt.Sprint("Bob ", i), fmt.Sprintf("1%dT00", i), fmt.Sprintf("1%dT01", i)))
	}
	with := r.WithFeeds(map[string]*ical.Source{"payments team": vcalendar(t, append(strangers, vevent("chen", "09T00", "20T00"))...)})
	if got := step(with); !strings.Contains(got, "chen") {
		t.Errorf("told is %q", got)
	}
	want := []string{`warning the event "Bob 0" of Tue 2026-11-10 08:00, in the calendar of layer "team", names nobody known`}
	for i := 1; i < 5; i++ {
		want = append(want, strings.NewReplacer("Bob 0", fmt.Sprint("Bob ", i), "Tue 2026-11-10", at.AddDate(0, 0, i).Format("Mon 2006-01-02")).Replace(want[0]))
	}
	want[4] += ", and so do 2 more"
	if diff := cmp.Diff(strings.Join(want, "\n"), lint(with)); diff != "" {
		t.Error(diff)
	}
}

func TestACalendarInAFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("oncall.yaml", fmt.Sprintf(feedSchedule, "file: team.ics"))
	write("team.ics", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:ana\r\nDTSTART;VALUE=DATE:20261121\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
	load := func() (*Roster, error) { return Load([]string{filepath.Join(dir, "oncall.yaml")}) }
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	// A whole day is one of the schedule's clock.
	if s := r.At("payments", utc(t, "2026-11-21T12:00:00Z")); s.User != "ana" || s.From != utc(t, "2026-11-20T16:00:00Z") || len(r.Feeds()) != 0 {
		t.Errorf("%+v", s)
	}
	for options, want := range map[string]string{
		"file: none.ics":                           "read none.ics: no such file or directory (a path is relative to the file that names it)",
		"file: oncall.yaml":                        "oncall.yaml: read calendar: ",
		"file: team.ics, refresh: 5m":              "a file is read with the on-call files",
		"file: team.ics, url: https://example.com": "want one of file, url and url_file",
		"match: summary":                           "want one of file, url and url_file",
		`url: "https://a b/private-key"`:           "it is no http, https or webcal URL",
		"url: private-key":                         "it is no http, https or webcal URL",
		"url_file: none":                           "read none: no such file",
		"url: https://x/private-key, refresh: 1s":  `"1s" is no duration from 1m to 1d`,
		"file: team.ics, match: title":             `"title" is none of summary, attendee, any`,
		"file: team.ics, timezone: Mars":           `unknown time zone "Mars"`,
		"url: https://x/private-key, colour: red":  "unknown key",
	} {
		write("oncall.yaml", fmt.Sprintf(feedSchedule, options))
		_, err := load()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprintf("%+v", err), "private-key") {
			t.Errorf("%s: want %q, got %+v", options, want, err)
		}
	}
	write("oncall.yaml", strings.Replace(fmt.Sprintf(feedSchedule, "file: team.ics"), `      - {name: below, rotation: {handoff: "@daily", start: "2026-01-01", participants: [chen]}}`+"\n", "", 1))
	if _, err := load(); err == nil || !strings.Contains(err.Error(), `the schedule "payments" has calendars alone, which may be empty`) {
		t.Errorf("a schedule that may have nobody is all there is: %v", err)
	}
}

func TestDocumentedCalendarIsALayer(t *testing.T) {
	text, err := os.ReadFile("../docs/oncall.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Shifts from a calendar")
	block := func(kind string) string {
		_, rest, _ := strings.Cut(section, "```"+kind+"\n")
		block, _, ok := strings.Cut(rest, "```")
		if !ok {
			t.Fatalf("docs/oncall.md has no %s", kind)
		}
		return block
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"oncall.yaml": block("yaml"), "team.ics": block("ics"), "swaps.url": "https://calendar.example.com/private-key/basic.ics\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Load([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"2026-11-02T08:00:00Z": "ana", "2026-11-02T11:00:00Z": "li.wei", "2026-11-03T08:00:00Z": "ana",
		"2026-11-09T08:00:00Z": "chen", "2026-11-16T08:00:00Z": "ana",
		"2027-03-29T06:59:59Z": "ana", "2027-03-29T07:00:00Z": "chen", // a week of 167 hours
	} {
		if got := r.At("shop", utc(t, at)).User; got != want {
			t.Errorf("at %s %q; want %q", at, got, want)
		}
	}
	if feeds := r.Feeds(); len(feeds) != 1 || feeds[0].Refresh != 5*time.Minute || feeds[0].URL.Reveal() != "https://calendar.example.com/private-key/basic.ics" {
		t.Errorf("feeds %v", feeds)
	}
}

// BenchmarkStepByCalendar asks for a step while a calendar of 500 events says
// who is on call.
func BenchmarkStepByCalendar(b *testing.B) {
	r, err := Parse("a.yaml", []byte(fmt.Sprintf(feedSchedule, "url: https://example.com/a.ics")))
	if err != nil {
		b.Fatal(err)
	}
	at := utc(b, "2026-01-01T00:00:00Z")
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, "BEGIN:VEVENT\r\nUID:%d\r\nSUMMARY:On Call - Ana Torres\r\nDTSTART:%s\r\nDURATION:PT30H\r\nEND:VEVENT\r\n", i, at.Add(time.Duration(i)*24*time.Hour).Format("20060102T150405Z"))
	}
	s, err := ical.Read(strings.NewReader("BEGIN:VCALENDAR\r\n"+text.String()+"END:VCALENDAR\r\n"), time.UTC)
	if err != nil {
		b.Fatal(err)
	}
	with := r.WithFeeds(map[string]*ical.Source{"payments team": s})
	q := StepRequest{Level: alert.P1, Incident: 7}
	for b.Loop() {
		if at = at.Add(7 * time.Minute); at.Year() > 2026 {
			at = at.AddDate(-1, 0, 0)
		}
		with.Step(at, q)
		with.At("payments", at)
	}
}
