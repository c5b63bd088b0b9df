package rules

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/slo"
)

// calculator is Prometheus' engine without any series.
type calculator struct {
	t      *testing.T
	engine *promql.Engine
}

func newCalculator(t *testing.T) calculator {
	return calculator{t: t, engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{}),
	})}
}

func printed(t *testing.T, e parser.Expr) string {
	t.Helper()
	text, err := print(e)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// each calls f with the scalar's value at moments every step.
func (c calculator) each(text string, from, to time.Time, step time.Duration, f func(time.Time, float64)) {
	c.t.Helper()
	nothing := storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil })
	q, err := c.engine.NewRangeQuery(c.t.Context(), nothing, nil, text, from, to, step)
	if err != nil {
		c.t.Fatal(err)
	}
	defer q.Close()
	m, err := q.Exec(c.t.Context()).Matrix()
	if err != nil {
		c.t.Fatal(err)
	}
	if len(m) != 1 || len(m[0].Floats) != int(to.Sub(from)/step)+1 {
		c.t.Fatalf("%d series at %d moments", len(m), int(to.Sub(from)/step)+1)
	}
	for _, p := range m[0].Floats {
		f(time.UnixMilli(p.T), p.F)
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// zones are those of whole hours, halves and quarters, with and without
// daylight saving time, of which one has it in winter and moves by the Moon.
func zones() []string {
	return []string{
		"UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns",
		"Africa/Cairo", "Pacific/Apia", "Africa/Casablanca", "America/Havana", "America/Santiago", "Pacific/Chatham", "Antarctica/Troll",
	}
}

// wall returns a moment's local time as if it were UTC, in seconds.
func wall(at time.Time, zone *time.Location) float64 {
	_, offset := at.In(zone).Zone()
	return float64(at.UnixMilli())/1000 + float64(offset)
}

// Local time is that of Go's time package at thousands of moments of
// sixteen years and in the seconds around every change, also when it is that
// of another moment.
func TestLocalTimeAgainstGo(t *testing.T) {
	t.Parallel()
	for _, name := range zones() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, z, dice := newCalculator(t), zone(t, name), rand.New(rand.NewPCG(1, 2))
			k := newClock(z)
			for _, shift := range []time.Duration{0, -time.Hour} {
				text := printed(t, k.local(shift))
				agrees := func(from, to time.Time, step time.Duration) {
					t.Helper()
					c.each(text, from, to, step, func(at time.Time, got float64) {
						if want := wall(at.Add(shift), z); got != want {
							t.Fatalf("%s after %s: want %s, got %s", shift, at.UTC(), time.Unix(int64(want), 0).UTC(), time.Unix(int64(got), 0).UTC())
						}
					})
				}
				step := 26*time.Hour + time.Duration(dice.Int64N(3600_000))*time.Millisecond
				agrees(time.Date(clockFrom, time.January, 2, 0, 0, 0, 0, time.UTC), time.Date(clockUntil-1, time.December, 30, 0, 0, 0, 0, time.UTC), step)
				for _, change := range k.changes {
					at := time.Unix(change.at, 0).Add(-shift)
					agrees(at.Add(-2*time.Second), at.Add(2*time.Second), time.Second)
				}
			}
		})
	}
}

// The first moment of a local day is the one that Go's time package knows. The
// engine's time stands for the local one.
func TestMidnightAgainstGo(t *testing.T) {
	t.Parallel()
	for _, name := range zones() {
		c, z := newCalculator(t), zone(t, name)
		from, to := time.Date(clockFrom, time.January, 2, 0, 0, 0, 0, time.UTC), time.Date(clockUntil-1, time.December, 30, 0, 0, 0, 0, time.UTC)
		c.each(printed(t, newClock(z).instant(call("time"))), from, to, day, func(local time.Time, got float64) {
			want := midnight(local.UTC().Year(), local.UTC().Month(), local.UTC().Day(), z)
			if int64(got) != want.Unix() {
				t.Errorf("%s: %s: want %s, got %s", name, local.UTC(), want, time.Unix(int64(got), 0).In(z))
			}
		})
	}
}

// midnight returns the first moment of a local day, which is the end of the
// time that is skipped on a day without a midnight.
func midnight(year int, month time.Month, date int, zone *time.Location) time.Time {
	at := time.Date(year, month, date, 0, 0, 0, 0, zone)
	if at.Hour() == 0 {
		return at
	}
	_, skipped := at.Add(-12 * time.Hour).ZoneBounds()
	return skipped
}

// The unit that a moment is in, and its number of days, are those of the
// window's own bounds.
func TestCalendarAgainstBounds(t *testing.T) {
	t.Parallel()
	for _, name := range zones() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, z := newCalculator(t), zone(t, name)
			for _, unit := range []slo.Calendar{slo.Week, slo.Month, slo.Quarter, slo.Year} {
				window, err := slo.CalendarWindow(unit, z)
				if err != nil {
					t.Fatal(err)
				}
				// The engine's time stands for the local one.
				k, local := newCalendar(unit, z), vector(call("time"))
				text := printed(t, add(mul(num(1e6), k.id(local)), add(mul(num(1e3), k.day(local)), k.days(local))))
				from := time.Date(clockFrom, time.January, 2, 1, 30, 0, 0, time.UTC)
				seen := map[float64]time.Time{} // the begin of each unit by its number
				c.each(text, from, from.Add(15*366*day), 23*time.Hour, func(local time.Time, got float64) {
					id, dayOf, days := float64(int(got)/1e6), int(got)/1000%1000, int(got)%1000
					id = float64(int(id))
					begin, end := window.Bounds(time.Date(local.UTC().Year(), local.UTC().Month(), local.UTC().Day(), 12, 0, 0, 0, z))
					if began, ok := seen[id]; ok && !began.Equal(begin) {
						t.Fatalf("%s: unit %v begins at %s and %s", unit, id, began, begin)
					}
					seen[id] = begin
					ofDay := int(local.UTC().Truncate(day).Sub(utcDate(begin)) / day)
					if all := int(utcDate(end).Sub(utcDate(begin)) / day); dayOf != ofDay || days != all {
						t.Fatalf("%s at %s: day %d of %d, want %d of %d", unit, local.UTC(), dayOf, days, ofDay, all)
					}
				})
				if len(seen) < 15 {
					t.Errorf("%d units", len(seen))
				}
			}
		})
	}
}

// utcDate returns a moment's local date as if it were UTC's. A unit that
// begins where a midnight is skipped begins on that date all the same.
func utcDate(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
}
