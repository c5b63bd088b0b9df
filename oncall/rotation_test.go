package oncall

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// dstZones change their clocks by 60 minutes, by 30, and never.
var dstZones = []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Shanghai", "America/Santiago"}

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func utc(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

func rotate(t testing.TB, spec string, loc *time.Location, start time.Time, people ...string) rotation {
	t.Helper()
	h, err := parseHandoff(spec)
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return rotation{handoff: h, loc: loc, start: start, early: true, participants: people, counted: &atomic.Pointer[count]{}}
}

func TestRotationByHand(t *testing.T) {
	tests := []struct {
		name, zone, spec, start, at string
		user, from, until           string
	}{
		{
			"a reading that daylight saving removes is the end of the gap", "America/New_York", "30 2 * * *",
			"2026-03-01T12:00:00Z", "2026-03-08T07:00:00Z", "b", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z",
		},
		{
			"a moment before the gap's end it is still the other's turn", "America/New_York", "30 2 * * *",
			"2026-03-01T12:00:00Z", "2026-03-08T06:59:59Z", "a", "2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z",
		},
		{
			"a reading that comes twice is the first", "Europe/Berlin", "30 2 * * *",
			"2026-10-24T10:00:00Z", "2026-10-25T01:45:00Z", "b", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z",
		},
		{
			"half an hour of gap on Lord Howe", "Australia/Lord_Howe", "15 2 * * *",
			"2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z", "b", "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z",
		},
		{
			"before the start it is the first participant", "Asia/Shanghai", "0 9 * * mon",
			"2026-11-02T01:00:00Z", "2020-01-01T00:00:00Z", "a", "0001-01-01T00:00:00Z", "2026-11-02T01:00:00Z",
		},
		{
			"the start is no hand-off", "Asia/Shanghai", "0 9 * * mon",
			"2026-11-02T01:00:00Z", "2026-11-02T01:00:00Z", "a", "2026-11-02T01:00:00Z", "2026-11-09T01:00:00Z",
		},
		{
			"an hourly hand-off comes once at the end of a gap", "America/New_York", "0 * * * *",
			"2026-03-08T05:00:00Z", "2026-03-08T07:00:00Z", "a", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z",
		},
		{
			"the 31st is in some months only", "Asia/Shanghai", "0 0 31 * *",
			"2026-01-01T00:00:00Z", "2026-04-15T00:00:00Z", "a", "2026-03-30T16:00:00Z", "2026-05-30T16:00:00Z",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rotate(t, tt.spec, location(t, tt.zone), utc(t, tt.start), "a", "b")
			got := r.at(utc(t, tt.at))
			want := turn{user: tt.user, from: utc(t, tt.from), until: utc(t, tt.until)}
			if got.of = want.of; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// clockwork is a rotation as a person with a watch would keep it: minute by
// minute, each reading counts when the clock first shows it or jumps over it.
type clockwork struct {
	spec  cron.Schedule
	loc   *time.Location
	shown time.Time // the latest reading so far
	next  time.Time // the first hand-off after it
	turns int
}

func newClockwork(t testing.TB, spec string, loc *time.Location, start time.Time) *clockwork {
	t.Helper()
	parsed, err := cron.ParseStandard(spec)
	if err != nil {
		t.Fatal(err)
	}
	c := &clockwork{spec: parsed, loc: loc}
	for at := start.Add(-3 * time.Hour); !at.After(start); at = at.Add(time.Minute) {
		c.shown = later(c.shown, wallOf(at, loc))
	}
	c.next = c.spec.Next(c.shown)
	return c
}

// wallOf reads the clock by its hands, a different way than read's.
func wallOf(at time.Time, loc *time.Location) time.Time {
	at = at.In(loc)
	y, m, d := at.Date()
	hour, minute, second := at.Clock()
	return time.Date(y, m, d, hour, minute, second, 0, time.UTC)
}

// tick moves on to the next minute and tells whether the watch changed.
func (c *clockwork) tick(at time.Time) bool {
	reading := wallOf(at, c.loc)
	if !reading.After(c.shown) {
		return false
	}
	c.shown = reading
	if c.next.After(reading) {
		return false
	}
	c.next = c.spec.Next(reading)
	c.turns++
	return true
}

// agree compares a rotation with a clockwork over a span.
func agree(t *testing.T, spec string, loc *time.Location, start time.Time, span time.Duration) {
	t.Helper()
	r := rotate(t, spec, loc, start, "a", "b", "c")
	c := newClockwork(t, spec, loc, start)
	turns := []time.Time{start}
	current := r.at(start)
	for at := start.Add(time.Minute); at.Before(start.Add(span)); at = at.Add(time.Minute) {
		changed := c.tick(at)
		if changed {
			turns = append(turns, at)
		}
		if at.Before(current.until) == changed {
			t.Fatalf("%s in %s from %s: at %s the clock says change=%v, the turn is %v", spec, loc, start, at, changed, current)
		}
		if changed {
			current = r.at(at)
		}
		if !changed && at.Minute()%29 != 0 {
			continue
		}
		want := r.participants[c.turns%3]
		if got := r.at(at); got.user != want || !got.from.Equal(turns[len(turns)-1]) || !got.until.After(at) {
			t.Fatalf("%s in %s from %s: at %s got %v, want %s from %s", spec, loc, start, at, got, want, turns[len(turns)-1])
		}
	}
}

func TestRotationAgreesWithAClockwork(t *testing.T) {
	starts := []string{
		"2026-03-07T20:00:00Z", "2026-11-01T00:00:00Z", "2026-03-28T20:00:00Z", "2026-10-24T12:00:00Z",
		"2026-10-03T00:00:00Z", "2026-04-04T02:00:00Z", "2026-09-05T12:00:00Z", "2026-12-30T22:00:00Z", "2028-02-28T10:00:00Z", "2040-12-30T20:00:00Z",
	}
	specs := []string{"* * * * *", "*/30 * * * *", "0 * * * *", "30 2 * * *", "0 2 * * *", "0 3 * * *", "0 0 * * *", "59 23 * * *", "15 1,2 * * sun", "0 0 1 * *", "@daily"}
	for _, zone := range dstZones {
		loc := location(t, zone)
		for _, start := range starts {
			for _, spec := range specs {
				agree(t, spec, loc, utc(t, start), 50*time.Hour)
			}
		}
	}
}

func TestRandomRotationsAgreeWithAClockwork(t *testing.T) {
	rng := rand.New(rand.NewPCG(20261121, 3))
	for range 2000 {
		loc := location(t, dstZones[rng.IntN(len(dstZones))])
		at := time.Date(2020+rng.IntN(30), time.January, 1, 0, rng.IntN(366*24*60), 0, 0, time.UTC)
		if end := zoneEnd(at, loc); !end.IsZero() && rng.IntN(4) > 0 {
			at = end.Truncate(time.Minute).Add(-time.Duration(rng.IntN(20*60)) * time.Minute)
		}
		if spec := randomSpec(rng); fires(spec) {
			agree(t, spec, loc, at, 22*time.Hour)
		}
	}
}

func fires(spec string) bool {
	_, err := parseHandoff(spec)
	return err == nil
}

func randomSpec(rng *rand.Rand) string {
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	return strings.Join([]string{
		pick("0", "30", "15,45", "*/20", "*", fmt.Sprint(rng.IntN(60))),
		pick("0", "1", "2", "3", "*", "*/6", "0-3", "23", fmt.Sprint(rng.IntN(24))),
		pick("*", "*", "*", "1", "31", "*/10", "8-14", fmt.Sprint(1+rng.IntN(31))),
		pick("*", "*", "*", "3,11", "4-10", fmt.Sprint(1+rng.IntN(12))),
		pick("*", "*", "*", "sun", "1-5", "?", fmt.Sprint(rng.IntN(7))),
	}, " ")
}

// TestRotationYearsAfterItsStart counts by stepping through every hand-off of
// twenty years with robfig/cron.
func TestRotationYearsAfterItsStart(t *testing.T) {
	for _, zone := range dstZones {
		loc := location(t, zone)
		for _, spec := range []string{"30 2 * * *", "0 */8 * * *", "0 9 * * mon", "0 0 31 * *", "0 0 29 2 *"} {
			r := rotate(t, spec, loc, utc(t, "2022-05-17T13:20:00Z"), "a", "b", "c", "d", "e")
			parsed, err := cron.ParseStandard(spec)
			if err != nil {
				t.Fatal(err)
			}
			n, previous := 0, r.start
			for w := parsed.Next(wallOf(r.start, loc)); w.Year() < 2042; w = parsed.Next(w) {
				at := firstInstant(w, loc)
				if at.Equal(previous) {
					continue
				}
				previous = at
				if n++; n%97 == 0 && r.handoffs(at) != n {
					t.Fatalf("%s in %s: %d hand-offs at %s, want %d", spec, zone, r.handoffs(at), at, n)
				}
			}
			if got := r.handoffs(previous); got != n {
				t.Errorf("%s in %s: %d hand-offs in all, want %d", spec, zone, got, n)
			}
		}
	}
}

func TestMinutelyHandoffsOfACenturyAreCountedAtOnce(t *testing.T) {
	r := rotate(t, "* * * * *", location(t, "America/New_York"), utc(t, "1990-01-01T00:00:00Z"), "a", "b", "c")
	at := utc(t, "2090-01-01T00:00:00Z")
	began := time.Now()
	for range 20 {
		r.at(at)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("20 answers took %s", took)
	}
}

func TestHandoffRefusals(t *testing.T) {
	for spec, want := range map[string]string{
		"":                              "missing",
		"CRON_TZ=Asia/Tokyo":            "a time zone is not allowed here",
		"TZ=Asia/Tokyo 0 9 * * *":       "a time zone is not allowed here",
		" CRON_TZ=Asia/Tokyo 0 9 * * 1": "a time zone is not allowed here",
		"@every 8h":                     "@every has no time of day",
		"@fortnightly":                  "not a cron specification",
		"0 9 * *":                       "not a cron specification",
		"0 9 * * 7":                     "not a cron specification",
		"0 0 30 2 *":                    "it never comes",
		", 9 * * *":                     "it never comes",
	} {
		if _, err := parseHandoff(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", spec, err, want)
		}
	}
}
