package rules_test

import (
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// Events of an exclusion count for neither side, however many fail; alerts
// are held during it and five minutes after, and go on where what was excluded
// does.
func TestExclusionCountsForNeitherSide(t *testing.T) {
	t.Parallel()
	const begin, end = 2 * hour, 2*hour + 30*minute
	night := func(s *slo.SLO) {
		s.Exclusions = []slo.Exclusion{
			{Name: "upgrade", From: epoch.Add(begin), To: epoch.Add(end)},
			{Name: "mondays", Cron: "0 2 * * 1", Zone: time.UTC, Duration: hour},
		}
	}
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", night), availability(t, "b", "99.9", night), availability(t, "c", "99.9", nil)))
	for app, failures := range map[string]func(float64) float64{
		"a": sum(burst(100, begin+minute, end-minute), burst(1, end+5*minute, end+10*minute)),
		"b": burst(100, begin+10*minute, 4*hour),
		"c": burst(100, begin+minute, end-minute),
	} {
		w.scrape(`requests_total{app="`+app+`"}`, 0, 4*hour, scrape, steady(100))
		w.scrape(`failures_total{app="`+app+`"}`, 0, 4*hour, scrape, after(1000, failures))
	}
	w.replay(0, begin-10*minute)
	w.live(end - 2*minute)
	for _, f := range w.fired {
		if f.slo != "c" {
			t.Errorf("fired while it is excluded: %+v", f)
		}
	}
	for series, want := range map[string]float64{
		`slo:excluded:bool{slo="a"}`: 1, `slo:sli_total:rate5m{slo="a"}`: 0, `slo:sli_errors:rate5m{slo="b"}`: 0, `slo:sli_total:rate5m{slo="c"}`: 100,
	} {
		near(t, series, w.value(end-2*minute, series), want, 0.001)
	}
	w.live(end + 30*minute)
	// Of the last hour, half an hour counts: 300 requests of 180,000 failed.
	near(t, "a", w.value(end+30*minute, `slo:sli_error:ratio_rate1h{slo="a"}`), 300.0/180_000, 0.04)
	near(t, "requests", w.value(end+30*minute, `slo:sli_total:rate1h{slo="a"}`), 50, 0.04)
	// The outage of an hour of b has been counted for 30 minutes.
	near(t, "b", w.value(end+30*minute, `slo:sli_error:ratio_rate1h{slo="b"}`), 1, 0.001)
	if at, ok := w.first("SLOErrorBudgetBurn", "b", "1h5m"); !ok || at < end+5*minute || at > end+6*minute {
		t.Errorf("what goes on after the exclusion fires %s after it (%v)", at-end, ok)
	}
	if at, ok := w.first("SLOErrorBudgetBurn", "a", ""); ok {
		t.Errorf("what was excluded fires %s after it", at-end)
	}
	if v := w.ask(end+30*minute, `slo:excluded:bool == 1`); len(v) != 0 {
		t.Errorf("still excluded: %v", v)
	}
	near(t, "share", w.value(end+30*minute, `slo:period_excluded:ratio{slo="a"}`), 30.0/(30*24*60), 0.05)
	if v := w.ask(end+30*minute, `{__name__=~"slo:.*excluded.*",slo="c"}`); len(v) != 0 {
		t.Errorf("c has no exclusions: %v", v)
	}
	w.finite(end + 30*minute)
}

// Of an SLO that is new, a window that has an excluded moment is not read from
// raw counters, which count it.
func TestExclusionWhileCatchingUp(t *testing.T) {
	t.Parallel()
	const begin = 2 * hour
	excluded := availability(t, "a", "99.9", func(s *slo.SLO) {
		s.Exclusions = []slo.Exclusion{{Name: "upgrade", From: epoch.Add(begin - 30*minute), To: epoch.Add(begin - 10*minute)}}
	})
	w := newWorld(t, compile(t, rules.Options{CatchUp: true}, excluded, availability(t, "b", "99.9", nil)))
	for _, app := range []string{"a", "b"} {
		w.outage(app, 4*hour, begin-29*minute, begin-11*minute)
	}
	w.until = epoch.Add(begin)
	w.live(begin + 9*minute)
	near(t, "excluded", w.value(begin+9*minute, `slo:sli_error:ratio_rate1h{slo="a"}`), 0, 0)
	near(t, "not excluded", w.value(begin+9*minute, `slo:sli_error:ratio_rate1h{slo="b"}`), 18.0/60, 0.02)
	w.live(begin + 30*minute + 2*minute) // when half an hour has nothing of it any more
	if v := w.ask(begin+32*minute, `slo:sli_total:raw1h{slo="a"}`); len(v) != 0 {
		t.Errorf("read raw: %v", v)
	}
}

// sum is a counter of the events of two.
func sum(a, b func(float64) float64) func(float64) float64 {
	return func(s float64) float64 { return a(s) + b(s) }
}
