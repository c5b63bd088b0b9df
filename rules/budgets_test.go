package rules_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// alertsOf returns the times at which an SLO's alerts of a name first fired,
// by one of their labels.
func (w *world) alertsOf(name, slo string, label func(firing) string) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, f := range w.fired {
		if _, seen := out[label(f)]; f.name == name && f.slo == slo && !seen {
			out[label(f)] = f.at.Sub(epoch)
		}
	}
	return out
}

// A budget that is half and three quarters spent alerts, at the severities
// that the SLO says; what nobody asked for does not.
func TestBudgetSpent(t *testing.T) {
	t.Parallel()
	const begin = 6 * hour
	a := written(t, "a", "99", "", "  window: 6h\n  alerts: {preset: none, budget_spent: [{percent: 50, severity: P3}, {percent: 75, severity: P2}, {percent: 100, severity: P2}]}\n")
	b := written(t, "b", "99", "", "  window: 2h\n  alerts: {preset: none, budget_spent: [{percent: 50, severity: Info}]}\n")
	c := written(t, "c", "99", "", "  window: 6h\n  alerts: {preset: none}\n")
	w := newWorld(t, compile(t, rules.Options{}, a, b, c))
	for _, app := range []string{"a", "b", "c"} {
		w.scrape(`requests_total{app="`+app+`"}`, 0, 8*hour, scrape, steady(100))
		// A hundredth of six hours' requests are 3m36s of all: 2m30s are 69%.
		// After ten minutes, half a minute more makes 83%.
		first, second := burst(100, begin, begin+150*time.Second), burst(100, begin+10*minute, begin+10*minute+30*time.Second)
		w.scrape(`failures_total{app="`+app+`"}`, 0, 8*hour, scrape, after(1000, func(s float64) float64 { return first(s) + second(s) }))
	}
	w.replay(0, begin)
	w.live(begin + 30*minute)
	near(t, "left of a", w.value(begin+30*minute, `slo:period_error_budget_remaining:ratio{slo="a"}`), 36.0/216, 0.08)
	near(t, "left of b", w.value(begin+30*minute, `slo:period_error_budget_remaining:ratio{slo="b"}`), -108.0/72, 0.02)
	got := w.alertsOf("SLOErrorBudgetSpent", "a", func(f firing) string { return f.percent + " " + f.severity })
	if len(got) != 2 || got["50 P3"] > begin+6*minute || got["75 P2"] < begin+10*minute || got["75 P2"] > begin+16*minute {
		t.Errorf("a: %v", got)
	}
	if got := w.alertsOf("SLOErrorBudgetSpent", "b", func(f firing) string { return f.percent + " " + f.severity }); len(got) != 1 || got["50 Info"] == 0 {
		t.Errorf("b: %v", got)
	}
	if got := w.alertsOf("SLOErrorBudgetSpent", "c", func(f firing) string { return f.percent }); len(got) != 0 {
		t.Errorf("c: %v", got)
	}
}

// More failures than there were events, or fewer than none, are no error
// ratio: they alert, and what is right beside them does not.
func TestImpossibleData(t *testing.T) {
	t.Parallel()
	var slos []slo.SLO
	for _, name := range []string{"more", "idle", "right"} {
		slos = append(slos, availability(t, name, "99", nil))
	}
	w := newWorld(t, compile(t, rules.Options{}, slos...))
	for app, rates := range map[string][2]float64{"more": {1, 1.2}, "idle": {0, 1}, "right": {1, 1}} {
		w.scrape(`requests_total{app="`+app+`"}`, 0, hour, scrape, steady(rates[0]))
		w.scrape(`failures_total{app="`+app+`"}`, 0, hour, scrape, steady(rates[1]))
	}
	w.live(20 * minute)
	for _, f := range w.fired {
		if f.name == "SLOImpossibleData" && f.at.Sub(epoch) > 10*minute {
			t.Errorf("%s alerts at %s", f.slo, f.at.Sub(epoch))
		}
	}
	got := map[string]bool{}
	for _, f := range w.fired {
		if f.name == "SLOImpossibleData" {
			got[f.slo] = true
		}
	}
	if len(got) != 2 || got["right"] {
		t.Errorf("impossible are %v", got)
	}
	w.finite(20 * minute)
}

// More good events than events are impossible too, and not an SLO that nothing
// can spend.
func TestMoreGoodThanAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, compile(t, rules.Options{},
		counting(t, "counters", `sli: {events: {good: answers_total, total: requests_total}}`),
		counting(t, "expression", `sli: {promql: {good: 'sum(rate(answers_total[$window]))', total: 'sum(rate(requests_total[$window]))'}}`)))
	w.scrape(`requests_total`, 0, hour, scrape, steady(10))
	w.scrape(`answers_total`, 0, hour, scrape, steady(11))
	w.live(20 * minute)
	for _, name := range []string{"counters", "expression"} {
		if _, ok := w.first("SLOImpossibleData", name, ""); !ok {
			t.Errorf("%s: no alert", name)
		}
	}
}

// Good events and all events that are counted in different places are scraped
// at different moments. By how much one is ahead of the other evens out.
func TestGoodAndTotalScrapedApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, compile(t, rules.Options{}, counting(t, "a", `sli: {events: {good: answers_total, total: requests_total}}`)))
	bursty := func(s float64) float64 { return 10*s + 30*math.Sin(s/10) } // 7 to 13 a second
	w.scrape(`requests_total`, 0, 2*hour, scrape, bursty)
	w.scrape(`answers_total`, 7*time.Second, 2*hour, scrape, func(s float64) float64 { return 0.999 * bursty(s) })
	w.live(90 * minute)
	near(t, "1h", w.value(90*minute, "avg_over_time(slo:sli_error:ratio_rate1h[25m])"), 0.001, 0.5)
	if len(w.fired) != 0 {
		t.Errorf("fired: %v", w.fired)
	}
}

// Each tier of an SLO fires at its own burn rate and severity, and only after
// it has held for as long as it says; windows are there for the SLOs that
// need them and no others.
func TestOwnTiers(t *testing.T) {
	t.Parallel()
	const begin = 4 * hour
	own := written(t, "own", "99.9", "", `  critical: true
  window: 7d
  alerts:
    tiers:
      - {long: 84m, short: 7m, burn_rate: 10, severity: P2, critical: P1}
      - {long: 3h, short: 15m, burn_rate: 4, severity: P3, for: 10m}
      - {long: 3d, short: 6h, burn_rate: 0.5, severity: Info}
`)
	usual := availability(t, "usual", "99.9", nil)
	w := newWorld(t, compile(t, rules.Options{}, own, usual))
	for _, app := range []string{"own", "usual"} {
		w.outage(app, 6*hour, begin, begin+40*minute)
	}
	w.replay(0, begin)
	w.live(begin + 40*minute)
	at := begin + 40*minute
	near(t, "84m", w.value(at, "slo:sli_error:ratio_rate1h24m"), 40.0/84, 0.01)
	near(t, "3h", w.value(at, "slo:sli_error:ratio_rate3h"), 40.0/180, 0.01)
	for window, who := range map[string][]string{"1h24m": {"own"}, "30m": {"usual"}, "7m": {"own"}, "1d": {"own", "usual"}, "7d": {"own"}, "30d": {"usual"}} {
		var got []string
		for _, v := range w.ask(at, "slo:sli_total:rate"+window) {
			got = append(got, v.Metric.Get("slo"))
		}
		slices.Sort(got)
		if !slices.Equal(got, who) {
			t.Errorf("%s is recorded for %v, want %v", window, got, who)
		}
	}
	got := w.alertsOf("SLOErrorBudgetBurn", "own", func(f firing) string { return f.tier + " " + f.severity })
	// 1% of 84 minutes are 50 s, 0.4% of 3 hours 43 s; the latter holds for 10
	// minutes before it fires; 0.05% of 3 days are 130 s.
	if fast := got["1h24m7m P1"] - begin; fast < 50*time.Second || fast > 100*time.Second {
		t.Errorf("the fast tier fires after %s", fast)
	}
	if held := got["3h15m P3"] - begin; held < 10*minute || held > 12*minute {
		t.Errorf("the tier that must hold fires after %s", held)
	}
	if slow := got["3d6h Info"] - begin; slow < 0 || slow > 8*minute {
		t.Errorf("the slow tier fires after %s", slow)
	}
	if len(got) != 3 {
		t.Errorf("fired: %v", got)
	}
	if _, ok := w.first("SLOErrorBudgetBurn", "usual", "1h5m"); !ok {
		t.Error("the SLO beside it does not fire")
	}
}
