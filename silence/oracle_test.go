package silence

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// minutes is a recurrence looked at minute by minute: which of them it
// silences. It reads cron itself and knows of daylight saving only that a
// clock shows what it shows.
type minutes struct {
	from   time.Time
	silent []bool
}

// newMinutes walks from well before from, so that spans that began earlier
// are known, and so are readings that come twice.
func newMinutes(t *testing.T, r Recurrence, from time.Time, length int) minutes {
	t.Helper()
	loc, err := time.LoadLocation(r.Timezone)
	if err != nil {
		t.Fatal(err)
	}
	m := minutes{from: from, silent: make([]bool, length)}
	begin := from.Add(-r.Duration - 48*time.Hour)
	shown := map[string]bool{}
	left := 0 // minutes that a span goes on
	last := clockOf(begin.Add(-time.Minute).In(loc))
	for at := begin; at.Before(from.Add(time.Duration(length) * time.Minute)); at = at.Add(time.Minute) {
		now := clockOf(at.In(loc))
		// All readings since the minute before: one, or those that were left out.
		for reading := last.Add(time.Minute); !reading.After(now); reading = reading.Add(time.Minute) {
			if key := reading.Format(time.DateTime); !shown[key] {
				shown[key] = true
				if cronMatches(r.Cron, reading) {
					left = int(r.Duration / time.Minute)
				}
			}
		}
		last = now
		if i := int(at.Sub(from) / time.Minute); !at.Before(from) {
			m.silent[i] = left > 0
		}
		left--
	}
	return m
}

func clockOf(l time.Time) time.Time {
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
}

// cronMatches reads the five fields of lists, ranges, steps and numbers. As
// in every cron, a day must match either field where both are restricted.
func cronMatches(spec string, at time.Time) bool {
	f := strings.Fields(spec)
	if !fieldMatches(f[0], at.Minute(), 0, 59) || !fieldMatches(f[1], at.Hour(), 0, 23) || !fieldMatches(f[3], int(at.Month()), 1, 12) {
		return false
	}
	day, weekday := fieldMatches(f[2], at.Day(), 1, 31), fieldMatches(f[4], int(at.Weekday()), 0, 6)
	if f[2] == "*" || f[4] == "*" {
		return day && weekday
	}
	return day || weekday
}

func fieldMatches(field string, value, low, high int) bool {
	for part := range strings.SplitSeq(field, ",") {
		span, step, _ := strings.Cut(part, "/")
		first, last, ranged := strings.Cut(span, "-")
		lo, hi := low, high
		if span != "*" {
			lo, _ = strconv.Atoi(first)
			if hi = lo; ranged {
				hi, _ = strconv.Atoi(last)
			}
		}
		by := 1
		if step != "" {
			by, _ = strconv.Atoi(step)
		}
		if value >= lo && value <= hi && (value-lo)%by == 0 {
			return true
		}
	}
	return false
}

// check compares a silence with the oracle at every minute: whether it
// silences, until when, and when it does next.
func (m minutes) check(t *testing.T, r Recurrence) {
	t.Helper()
	if err := r.Compile(); err != nil {
		t.Fatal(err)
	}
	s := Silence{StartsAt: m.from.AddDate(-1, 0, 0), EndsAt: m.from.AddDate(1, 0, 0), Recurrence: &r}
	end := len(m.silent) // first minute that is not silent, from the one looked at on
	for i, silent := range slices.Backward(m.silent) {
		at := m.from.Add(time.Duration(i) * time.Minute)
		until, ok := s.Covers(at)
		if ok != silent {
			t.Fatalf("%q for %s in %s: silent at %s: %t, want %t", r.Cron, r.Duration, r.Timezone, at, ok, silent)
		}
		if !ok {
			end = i
			continue
		}
		want := m.from.Add(time.Duration(end) * time.Minute)
		if end < len(m.silent) && !until.Equal(want) {
			t.Fatalf("%q for %s in %s: silent from %s until %s, want %s", r.Cron, r.Duration, r.Timezone, at, until, want)
		}
	}
}

// Two days in each zone whose clock changes between them, and one whose does
// not.
func changes() map[string]time.Time {
	return map[string]time.Time{
		"UTC":                 time.Date(2026, 2, 27, 12, 0, 0, 0, time.UTC),
		"Asia/Shanghai":       time.Date(2026, 12, 31, 3, 0, 0, 0, time.UTC),
		"America/New_York":    time.Date(2026, 3, 7, 18, 0, 0, 0, time.UTC),
		"Europe/Berlin":       time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC),
		"Australia/Lord_Howe": time.Date(2026, 4, 4, 2, 0, 0, 0, time.UTC),  // by 30 minutes
		"America/Santiago":    time.Date(2026, 9, 5, 12, 0, 0, 0, time.UTC), // at midnight
		"Africa/Cairo":        time.Date(2026, 10, 29, 6, 0, 0, 0, time.UTC),
		"Pacific/Apia":        time.Date(2011, 12, 29, 18, 0, 0, 0, time.UTC), // by a whole day
	}
}

func TestRecurrencesMinuteByMinute(t *testing.T) {
	for zone, from := range changes() {
		for _, r := range []Recurrence{
			{Cron: "30 2 * * *", Duration: time.Hour},
			{Cron: "30 1 * * *", Duration: 90 * time.Minute},
			{Cron: "0 22 * * *", Duration: 10 * time.Hour},       // over midnight, over the change
			{Cron: "0 0 * * 6,0", Duration: 24 * time.Hour},      // two days that touch
			{Cron: "*/20 1-6 * * *", Duration: 25 * time.Minute}, // each overlaps the next
			{Cron: "*/7 0-3 * * *", Duration: 3 * time.Minute},
			{Cron: "15 0 1 * 0", Duration: time.Minute},
			{Cron: "0 12 * * *", Duration: 40 * time.Hour},
		} {
			r.Timezone = zone
			newMinutes(t, r, from, 40*60).check(t, r)
		}
	}
}

func TestRandomRecurrences(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 14))
	var zones []string
	for zone := range changes() {
		zones = append(zones, zone)
	}
	for range 150 {
		r := Recurrence{
			Cron:     fmt.Sprintf("%d %d-%d/%d * * %d-6", random.IntN(60), random.IntN(4), 4+random.IntN(20), 1+random.IntN(5), random.IntN(7)),
			Duration: time.Duration(1+random.IntN(2000)) * time.Minute,
			Timezone: zones[random.IntN(len(zones))],
		}
		newMinutes(t, r, changes()[r.Timezone], 20*60).check(t, r)
	}
}
