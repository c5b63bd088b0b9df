package main

import (
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/oncall"
)

const shortGap = `{apiVersion: midwatch.dev/v1, kind: OnCall, default_schedule: s,
users: [{name: a, full_name: Ana, contacts: [{channel: email, address: a@example.com}]}],
schedules: [{name: s, timezone: America/New_York, layers: [{name: l,
  rotation: {handoff: "0 12 * * *", start: "2026-03-01", participants: [a]},
  restrictions: [{from: "09:10", until: "09:00"}]}]}]}`

// A gap of ten minutes is seen in half-hour slots, in red, also in the week
// in which the clock is set forward.
func TestCalendarShowsShortGapsInRed(t *testing.T) {
	roster, err := oncall.Parse("s.yaml", []byte(shortGap))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	newMonth(roster, "s", time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC), 1, true).draw(&b)
	lines := strings.Split(b.String(), "\n")
	if len(lines) < 9 || !strings.HasPrefix(lines[8], ">Sun 08 Mar ") {
		t.Fatalf("Sunday is not in its place:\n%s", &b)
	}
	for _, line := range lines[2:9] {
		if !strings.Contains(line, "\x1b[1;37;41m×\x1b[0m\x1b[36m│Ana─") {
			t.Errorf("no gap in %q", line)
		}
	}
	if !strings.Contains(b.String(), "\x1b[31mnobody from Sun 2026-03-08 09:00 EDT to Sun 2026-03-08 09:10 EDT\x1b[0m") {
		t.Errorf("the gap is not told in words:\n%s", &b)
	}
}

func TestTextWidthOfNames(t *testing.T) {
	for text, want := range map[string]int{"Li Na": 5, "李伟": 4, "한국": 4, "José": 4, "Jose\u0301": 4, "カタカナ": 8} {
		if got := textWidth(text); got != want {
			t.Errorf("%s: %d columns, want %d", text, got, want)
		}
	}
	if got := fitWidth("李伟", 3); got != "李" {
		t.Errorf("cut to three columns: %q", got)
	}
}
