package app

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/slo"
)

const calendarRoster = `apiVersion: midwatch.dev/v1
kind: OnCall
users:
  - {name: li.na, full_name: "李娜, 支付; A\\B", contacts: [{channel: wecom, address: LiNa}]}
  - {name: ana, full_name: Ana Torres, contacts: [{channel: wecom, address: Ana}]}
schedules:
  - name: payments
    timezone: Asia/Shanghai
    rotation: {handoff: "0 10 * * mon", start: "2026-01-05T10:00", participants: [li.na, ana]}
    overrides: [{user: ana, from: "2026-11-24T09:00", until: "2026-11-25T09:00", reason: "a wedding; a long one, in a long line, which is so long that it must be folded: 婚礼婚礼婚礼婚礼"}]
default_schedule: payments
maintenance:
  - {name: database, matchers: ['team="core"'], start: "2026-11-21T00:00", end: "2026-11-22T00:00"}
`

func testDuty(t *testing.T, def ...slo.SLO) duty {
	t.Helper()
	r, err := oncall.Parse("oncall.yaml", []byte(calendarRoster))
	if err != nil {
		t.Fatal(err)
	}
	s := &state{roster: r, config: Config{ExternalURL: "https://midwatch.example.com/"}, byID: map[string]slo.SLO{}}
	for _, d := range def {
		s.byID[d.ID()] = d
	}
	s.fed.Store(r)
	s.duty.Store(r)
	a := &App{}
	a.current.Store(s)
	return duty{a}
}

// readStrictly reads an iCalendar file as RFC 5545 has it, and fails for what
// is merely customary. It returns the properties of each event.
func readStrictly(t *testing.T, file string) (events []map[string]string) {
	t.Helper()
	if !utf8.ValidString(file) || !strings.HasSuffix(file, "END:VCALENDAR\r\n") || strings.Contains(strings.ReplaceAll(file, "\r\n", ""), "\n") {
		t.Fatalf("lines do not all end in CRLF, or it is not UTF-8:\n%s", file)
	}
	for line := range strings.SplitSeq(file, "\r\n") { // 3.1
		if len(line) > 75 || !utf8.ValidString(line) {
			t.Errorf("%d octets, or a character is cut: %q", len(line), line)
		}
	}
	contentLine := regexp.MustCompile(`^([A-Z][A-Z0-9-]*)((?:;[A-Z-]+=(?:"[^"\x00-\x1f]*"|[^";:,\x00-\x1f]*))*):([^\x00-\x08\x0a-\x1f\x7f]*)$`)
	text := regexp.MustCompile(`^(?:[^\\;,]|\\[\\;,nN])*$`) // 3.3.11
	utc := regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z$`)       // 3.3.5
	once := map[string]int{}
	var stack []string
	for line := range strings.SplitSeq(strings.TrimSuffix(strings.ReplaceAll(file, "\r\n ", ""), "\r\n"), "\r\n") {
		m := contentLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("no content line: %q", line)
		}
		name, value := m[1], m[3]
		switch {
		case name == "BEGIN":
			if stack = append(stack, value); value == "VEVENT" {
				events = append(events, map[string]string{})
			}
		case name == "END":
			if value != stack[len(stack)-1] {
				t.Fatalf("END:%s ends %v", value, stack)
			}
			stack = stack[:len(stack)-1]
		case len(stack) == 1:
			once[name]++
		default:
			e := events[len(events)-1]
			if _, twice := e[name]; twice {
				t.Errorf("%s comes twice in an event", name)
			}
			e[name] = value
			if slices.Contains([]string{"DTSTAMP", "DTSTART", "DTEND"}, name) && !utc.MatchString(value) {
				t.Errorf("%s is %q", name, value)
			}
			if slices.Contains([]string{"UID", "SUMMARY", "DESCRIPTION"}, name) && !text.MatchString(value) {
				t.Errorf("%s is not escaped: %q", name, value)
			}
		}
	}
	if once["VERSION"] != 1 || once["PRODID"] != 1 || once["METHOD"] > 1 || once["CALSCALE"] > 1 { // 3.6
		t.Errorf("of the calendar: %v", once)
	}
	seen := map[string]bool{}
	for _, e := range events { // 3.6.1
		if e["UID"] == "" || e["DTSTAMP"] == "" || e["DTSTART"] == "" || e["DTEND"] <= e["DTSTART"] || seen[e["UID"]] {
			t.Errorf("event %v", e)
		}
		seen[e["UID"]] = true
	}
	return events
}

func TestAShiftIsTheSameEventHoweverOftenAPhoneAsks(t *testing.T) {
	d := testDuty(t)
	at := time.Date(2026, 11, 21, 12, 34, 56, 0, time.UTC)
	read := func(at time.Time) map[string]string {
		file, err := d.ScheduleCalendar("payments", at)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, e := range readStrictly(t, string(file)) {
			all[e["UID"]] = fmt.Sprintf("%s/%s %s %s", e["DTSTART"], e["DTEND"], e["SUMMARY"], e["DESCRIPTION"])
			if e["DTSTAMP"] != at.Format("20060102T150405Z") {
				t.Errorf("DTSTAMP %s", e["DTSTAMP"])
			}
		}
		return all
	}
	first := read(at)
	// 24 October to 22 May: 31 turns, one of them in three parts.
	if len(first) != 33 {
		t.Errorf("%d events: %v", len(first), first)
	}
	if diff := cmp.Diff(first, read(at.Add(13*time.Hour))); diff != "" {
		t.Errorf("13 hours later: %s", diff)
	}
	for uid, want := range map[string]string{
		fmt.Sprintf("payments-ana-%d@midwatch.example.com", time.Date(2026, 10, 19, 2, 0, 0, 0, time.UTC).Unix()):   "20261019T020000Z/20261026T020000Z payments: Ana Torres ",
		fmt.Sprintf("payments-li.na-%d@midwatch.example.com", time.Date(2026, 10, 26, 2, 0, 0, 0, time.UTC).Unix()): `20261026T020000Z/20261102T020000Z payments: 李娜\, 支付\; A\\B `,
		fmt.Sprintf("payments-ana-%d@midwatch.example.com", time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC).Unix()):   `20261124T010000Z/20261125T010000Z payments: Ana Torres a wedding\; a long one\, in a long line\, which is so long that it must be folded: 婚礼婚礼婚礼婚礼`,
		fmt.Sprintf("payments-ana-%d@midwatch.example.com", time.Date(2027, 5, 17, 2, 0, 0, 0, time.UTC).Unix()):    "20270517T020000Z/20270524T020000Z payments: Ana Torres ",
	} {
		if first[uid] != want {
			t.Errorf("%s is %q; want %q", uid, first[uid], want)
		}
	}
}

func TestAPersonsCalendarHasTheirShiftsAlone(t *testing.T) {
	file, err := testDuty(t).UserCalendar("ana", time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	events := readStrictly(t, string(file))
	for _, e := range events {
		if e["SUMMARY"] != "payments: Ana Torres" {
			t.Errorf("%v", e)
		}
	}
	if len(events) != 17 { // 16 turns and the override
		t.Errorf("%d events", len(events))
	}
}

func TestMaintenanceMatchesTheLabelsOfTheAuthorAsRoutesDo(t *testing.T) {
	d := testDuty(t, slo.SLO{Name: "availability", Service: "checkout", Labels: map[string]string{"team": "core"}})
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		labels model.LabelSet
		want   string
	}{
		{model.LabelSet{"service": "checkout", "slo": "availability"}, "maintenance database"},
		{model.LabelSet{"service": "checkout", "slo": "latency"}, ""},
		{model.LabelSet{"team": "core"}, "maintenance database"},
	} {
		if why, _, ok := d.Muted(at, c.labels); why != c.want || ok != (c.want != "") {
			t.Errorf("%v: %q", c.labels, why)
		}
	}
}
