package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/midwatch-slo/midwatch/slo"
)

// begins returns the times at which robfig/cron fires.
func begins(t *testing.T, text string, zone *time.Location, from, to time.Time) []time.Time {
	t.Helper()
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		t.Fatal(err)
	}
	var out []time.Time
	for at := schedule.Next(from.In(zone)); !at.IsZero() && at.Before(to); at = schedule.Next(at) {
		out = append(out, at)
	}
	return out
}

// meets says whether any of the times in (at - span, at] is in an exclusion
// that begins at one of the times.
func meets(begins []time.Time, at time.Time, duration, span time.Duration) bool {
	i, found := slices.BinarySearchFunc(begins, at, time.Time.Compare)
	if !found {
		i-- // the last one before
	}
	return i >= 0 && begins[i].Add(duration+span).After(at)
}

// randomCron returns a cron expression of the forms that people write.
func randomCron(dice *rand.Rand) string {
	field := func(low, high int) string {
		a, b := low+dice.IntN(high-low+1), low+dice.IntN(high-low+1)
		switch dice.IntN(6) {
		case 0:
			return "*"
		case 1:
			return fmt.Sprintf("%d-%d", min(a, b), max(a, b))
		case 2:
			return fmt.Sprintf("%d,%d", a, b)
		case 3:
			return fmt.Sprintf("*/%d", 2+dice.IntN(6))
		default:
			return fmt.Sprint(a)
		}
	}
	month := "*"
	if dice.IntN(4) == 0 {
		month = field(1, 12)
	}
	return strings.Join([]string{field(0, 59), field(0, 5), field(1, 28), month, field(0, 6)}, " ")
}

// Exclusions that recur are in force at the minutes at which an exclusion is
// that robfig/cron begins: around every change of the clock and at moments of
// the whole year.
func TestRecurringExclusionsAgainstCron(t *testing.T) {
	t.Parallel()
	crons := []string{"0 2 * * 0", "30 2 * * *", "30 1 * * *", "0 0 1 * *", "0 3 13 * 5", "*/15 1-3 * * 1-5", "@daily", "59 23 31 12 *", "* * * * *", "0 */6 * * *", "5,35 0 */2 * */3"}
	dice := rand.New(rand.NewPCG(7, 7))
	for range 20 {
		crons = append(crons, randomCron(dice))
	}
	durations := []time.Duration{time.Minute, 10 * time.Minute, 90 * time.Minute, 3*hour + time.Minute, 26 * hour, 7 * day}
	names := []string{"UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca", "Africa/Cairo"}
	for i, text := range crons {
		name, duration := names[i%len(names)], durations[i%len(durations)]
		t.Run(fmt.Sprintf("%s for %s in %s", text, duration, name), func(t *testing.T) {
			t.Parallel()
			againstCron(t, slo.Exclusion{Name: "x", Cron: text, Zone: zone(t, name), Duration: duration}, dice.Uint64())
		})
	}
}

func againstCron(t *testing.T, x slo.Exclusion, seed uint64) {
	var c compiler
	calc := newCalculator(t)
	span := time.Duration(0)
	if seed%2 == 0 {
		span = edge
	}
	text := printed(t, c.excluded(slo.SLO{Exclusions: []slo.Exclusion{x}}, span, 0))
	year := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	begun := begins(t, x.Cron, x.Zone, year.Add(-8*day), year.Add(366*day))
	excluded := 0
	agrees := func(from, to time.Time, step time.Duration) {
		t.Helper()
		calc.each(text, from, to, step, func(at time.Time, got float64) {
			want := meets(begun, at, x.Duration, span)
			if want {
				excluded++
			}
			if (got != 0) != want || got != 0 && got != 1 {
				t.Fatalf("%s: want %v, got %v\n%s", at.In(x.Zone), want, got, text)
			}
		})
	}
	for at := year; at.Before(year.Add(364 * day)); at = at.Add(4*day + 7*hour + 13*time.Minute) {
		agrees(at, at, time.Minute)
	}
	for _, change := range newClock(x.Zone).changes {
		if at := time.Unix(change.at, 0); at.Year() == 2026 {
			agrees(at.Add(-2*hour), at.Add(3*hour), time.Minute)
		}
	}
	for i := 0; i < len(begun); i += 1 + len(begun)/4 {
		if begun[i].After(year) {
			agrees(begun[i].Add(-2*time.Minute), begun[i].Add(2*time.Minute), time.Minute)
			end := begun[i].Add(x.Duration + span)
			agrees(end.Add(-2*time.Minute), end.Add(2*time.Minute), time.Minute)
		}
	}
	t.Logf("excluded at %d of the minutes", excluded)
}

// Of several exclusions any counts, at every moment of the span that ended
// some time ago.
func TestSeveralExclusionsMomentByMoment(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, time.November, 21, 0, 0, 0, 0, time.UTC)
	spans := [][2]time.Duration{{70 * time.Minute, 75 * time.Minute}, {74*time.Minute + 20*time.Second, 90*time.Minute + 10*time.Second}, {3 * hour, 3*hour + 1*time.Second}}
	var s slo.SLO
	for i, span := range spans {
		s.Exclusions = append(s.Exclusions, slo.Exclusion{Name: fmt.Sprint(i), From: begin.Add(span[0]), To: begin.Add(span[1])})
	}
	s.Exclusions = append(s.Exclusions, slo.Exclusion{Name: "nightly", Cron: "30 2 * * *", Zone: time.UTC, Duration: 10 * time.Minute})
	spans = append(spans, [2]time.Duration{150 * time.Minute, 160 * time.Minute})
	second := func(at time.Duration) bool {
		return slices.ContainsFunc(spans, func(s [2]time.Duration) bool { return s[0] <= at && at < s[1] })
	}
	var c compiler
	for _, o := range []struct{ span, lag time.Duration }{{0, 0}, {edge, 0}, {0, 37 * time.Second}, {time.Minute, 90 * time.Second}} {
		excluded := 0
		newCalculator(t).each(printed(t, c.excluded(s, o.span, o.lag)), begin, begin.Add(4*hour), 5*time.Second, func(at time.Time, got float64) {
			last := at.Sub(begin) - o.lag
			want := second(last)
			for x := last; x > last-o.span; x -= time.Second / 2 {
				want = want || second(x)
			}
			if (got == 1) != want || got != 0 && got != 1 {
				t.Fatalf("%+v: %s after the beginning: want %v, got %v", o, at.Sub(begin), want, got)
			}
			if want {
				excluded++
			}
		})
		if excluded < 300 {
			t.Errorf("%+v: excluded at %d moments", o, excluded)
		}
	}
}
