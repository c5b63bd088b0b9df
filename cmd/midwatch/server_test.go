package main

import (
	"errors"
	"testing"
	"time"
)

// Times as people type them, at noon in Shanghai and, in New York, on the
// evening before the clock is set forward.
func TestTimesAsTheyAreTyped(t *testing.T) {
	shanghai, newYork := zone(t, "Asia/Shanghai"), zone(t, "America/New_York")
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, shanghai)
	evening := time.Date(2026, 3, 7, 20, 0, 0, 0, newYork)
	for _, tt := range []struct {
		text string
		now  time.Time
		want string // in UTC
	}{
		{"18:30", noon, "2026-11-21T10:30:00Z"},
		{"09:00", noon, "2026-11-22T01:00:00Z"},
		{"12:00", noon, "2026-11-22T04:00:00Z"},
		{"2026-12-24", noon, "2026-12-23T16:00:00Z"},
		{"2026-12-24 09:00", noon, "2026-12-24T01:00:00Z"},
		{"2026-12-24T09:00", noon, "2026-12-24T01:00:00Z"},
		{"2026-12-24T09:00:00+01:00", noon, "2026-12-24T08:00:00Z"},
		{"09:00", evening, "2026-03-08T13:00:00Z"},
	} {
		got, err := instant("--until", tt.text, tt.now, tt.now.Location())
		if err != nil || got.UTC().Format(time.RFC3339) != tt.want {
			t.Errorf("%q at %s: %s, %v; want %s", tt.text, tt.now, got.UTC(), err, tt.want)
		}
	}
	for _, text := range []string{"", "tomorrow", "25:00", "2026-13-01", "2026-12-24 9"} {
		if got, err := instant("--until", text, noon, shanghai); !errors.As(err, new(usageError)) {
			t.Errorf("%q: %s, %v; want an error of usage", text, got, err)
		}
	}
}

func TestSpansEndAfterTheyBegin(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ lasts, until string }{{"", ""}, {"1h", "18:00"}, {"0s", ""}, {"-1h", ""}, {"soon", ""}, {"", "2026-11-21 11:59"}} {
		if got, err := span(tt.lasts, tt.until, noon, time.UTC); !errors.As(err, new(usageError)) {
			t.Errorf("for %q until %q: %s, %v; want an error of usage", tt.lasts, tt.until, got, err)
		}
	}
	if got, err := span("1d12h", "", noon, time.UTC); err != nil || !got.Equal(noon.Add(36*time.Hour)) {
		t.Errorf("for 1d12h: %s, %v", got, err)
	}
}

func TestShortTimesInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		3190 * time.Millisecond: "3.2 s", 41 * time.Second: "41 s", 9990 * time.Millisecond: "10.0 s",
		119 * time.Second: "119 s", 15 * time.Minute: "15m", 26 * time.Hour: "1d 2h",
	} {
		if got := seconds(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}
