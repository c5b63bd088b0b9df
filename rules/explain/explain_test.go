package explain_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
)

func parse(t *testing.T, spec string) slo.SLO {
	t.Helper()
	slos, err := slo.Parse("shop.yaml", []byte("apiVersion: midwatch.dev/v1\nkind: ServiceLevelObjective\nmetadata: {name: availability}\nspec:\n  service: shop\n"+spec))
	if err != nil {
		t.Fatal(err)
	}
	return slos[0]
}

const shop = `  objective: 99.9
  sli: {events: {errors: 'failures_total{app="shop"}', total: 'requests_total{app="shop"}'}}
`

// What is said about when a tier fires is what Prometheus' engine does: no
// sooner and no later, and within two evaluations of either.
func TestPredictedTimesAreThoseOfTheEngine(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	for _, c := range []struct {
		ratio  float64
		scrape time.Duration
		before time.Duration // simulated before the onset: a tier of a day sees how its SLO was young
		until  time.Duration // and after it
		tier   string
		more   string  // in the SLO's file
		rate   float64 // events a second
	}{
		{1, 15 * time.Second, 20 * minute, 5 * minute, "1h5m", "", 10},
		{1, time.Minute, 20 * minute, 6 * minute, "1h5m", "", 10},
		{1, 15 * time.Second, 20 * minute, 3 * minute, "5m1m", "  alerts: {outage: true}\n", 10},
		{0.99, 15 * time.Second, 20 * minute, 3 * minute, "5m1m", "  alerts: {outage: true}\n", 10},
		{0.5, 15 * time.Second, 20 * minute, 10 * minute, "1h5m", "  alerts: {tiers: [{long: 1h, short: 5m, burn_rate: 14.4, severity: P2, for: 5m}]}\n", 10},
		{1, 15 * time.Second, 2 * hour, 5 * minute, "1h5m", "", 0.02}, // 72 events an hour
		{0.5, 30 * time.Second, 20 * minute, 6 * minute, "1h5m", "", 10},
		{0.1, 15 * time.Second, 20 * minute, 15 * minute, "1h5m", "", 10},
		{0.02, 15 * time.Second, 20 * minute, hour, "1h5m", "", 10},
		{0.01, 15 * time.Second, 20 * minute, 4 * hour, "6h30m", "", 10},
		{0.005, time.Minute, 10 * hour, 15 * hour, "1d2h", "", 10},
	} {
		t.Run(fmt.Sprintf("%g of %g at %s%s", c.ratio, c.rate, c.scrape, strings.TrimSpace(c.more)), func(t *testing.T) {
			t.Parallel()
			s, o := parse(t, shop+c.more), rules.Options{Interval: max(30*time.Second, c.scrape), ScrapeInterval: c.scrape}
			first, ok := explain.At(s, c.ratio, explain.Pace{Scrape: c.scrape, Interval: o.Interval, Traffic: c.rate}).First()
			if !ok || first.Tier != c.tier {
				t.Fatalf("predicted %+v, want tier %s", first, c.tier)
			}
			sim := simulate(t, s, o)
			sim.run(o, c.rate, c.ratio, c.before, c.until, c.until)
			fired, ok := sim.fired[c.tier]
			if !ok {
				t.Fatalf("tier %s did not fire; fired: %v", c.tier, sim.fired)
			}
			if fired < time.Duration(first.Soonest) || fired > time.Duration(first.Latest) {
				t.Errorf("fired after %s, predicted %s to %s", fired, first.Soonest, first.Latest)
			}
			for tier, at := range sim.fired {
				if at < fired*97/100 { // the history of an SLO as young as this one begins a little low
					t.Errorf("%s fired first, after %s", tier, at)
				}
			}
		})
	}
}

// A tier that fired is quiet again when it is said to be.
func TestPredictedResolutionIsTheEngines(t *testing.T) {
	t.Parallel()
	s, o := parse(t, shop), rules.Options{Interval: 30 * time.Second, ScrapeInterval: 15 * time.Second}
	first, _ := explain.At(s, 0.5, explain.Pace{}).First()
	const lasts = 10 * time.Minute
	sim := simulate(t, s, o)
	sim.run(o, 10, 0.5, 20*time.Minute, lasts, lasts+10*time.Minute)
	after := sim.calm["1h5m"] + o.Interval - lasts
	if after > time.Duration(first.Resolves) || after < time.Duration(first.Resolves)-2*o.Interval {
		t.Errorf("resolved %s after the end, predicted %s", after, first.Resolves)
	}
}

// At an error ratio that is a threshold, the tier stays quiet.
func TestAThresholdIsNotPassed(t *testing.T) {
	s := parse(t, shop)
	for _, c := range []struct {
		ratio float64
		tiers []string
	}{
		{1, []string{"1h5m", "6h30m", "1d2h", "3d6h"}},
		{0.0144, []string{"6h30m", "1d2h", "3d6h"}},
		{0.006, []string{"1d2h", "3d6h"}},
		{0.001, nil},
	} {
		var got []string
		for _, f := range explain.At(s, c.ratio, explain.Pace{}).Fires {
			got = append(got, f.Tier)
		}
		if diff := cmp.Diff(c.tiers, got); diff != "" {
			t.Errorf("%g: %s", c.ratio, diff)
		}
	}
}

// Worked out by hand: 99.9% of 30 days leaves 43m12s; half failing spends it
// twice as slowly.
func TestWhenABudgetIsGone(t *testing.T) {
	s := parse(t, shop)
	for ratio, want := range map[float64]time.Duration{1: 43*time.Minute + 12*time.Second, 0.5: 86*time.Minute + 24*time.Second, 0.001: 30 * 24 * time.Hour} {
		got := explain.At(s, ratio, explain.Pace{}).BudgetGone
		if got == nil || (time.Duration(*got)-want).Abs() > time.Millisecond {
			t.Errorf("%g: gone after %v, want %s", ratio, got, want)
		}
	}
	if got := explain.At(s, 0.0005, explain.Pace{}).BudgetGone; got != nil {
		t.Errorf("half of what may fail spends the budget after %s", got)
	}
}

// The conditions of low traffic by hand. At 99.9% and 99.9% confidence (z =
// 3.0902), the least number of events of which all failing suffices is 3:
// 3 > 2.5 + 0.003 + 3.0902·√0.003 = 2.67, 2 is not.
func TestLowTraffic(t *testing.T) {
	s := parse(t, shop)
	tier := s.Alerts.Tiers[0]
	if z := explain.Quantile(99.9); math.Abs(z-3.0902) > 1e-4 {
		t.Errorf("z = %g", z)
	}
	if n := explain.FewestEvents(s, tier); n != 3 {
		t.Errorf("fewest events %g", n)
	}
	// Where the threshold and the conditions ask for the same: at λ failures
	// allowed, 13.4·λ = 2.5 + 3.0902·√λ, so √λ = 0.56237, λ = 0.31626.
	if n := explain.ChanceDecides(s, tier); math.Abs(n-316.26) > 0.05 {
		t.Errorf("chance decides below %g events", n)
	}
	if n := explain.ChanceDecides(s, s.Alerts.Tiers[3]); !math.IsInf(n, 1) {
		t.Errorf("at a burn rate of 1 chance decides below %g events", n)
	}
	// 36 events an hour: λ = 0.036, needed 2.5 + 0.036 + 3.0902·0.1897 = 3.122,
	// at 0.01 a second after 312 s.
	quiet, _ := explain.At(s, 1, explain.Pace{Traffic: 0.01}).First()
	if got := time.Duration(quiet.Latest) - 45*time.Second; (got - 312200*time.Millisecond).Abs() > 200*time.Millisecond {
		t.Errorf("36 events an hour, all failing: fires after %s", got)
	}
	if first, ok := explain.At(s, 0.05, explain.Pace{Traffic: 0.01}).First(); ok && first.Tier == "1h5m" {
		t.Error("1.8 failures an hour fire")
	}
}

func TestNumbersAreWritten(t *testing.T) {
	var got []string
	for _, d := range []time.Duration{51840 * time.Millisecond, 518 * time.Second, 3 * time.Hour, 62 * time.Hour, 90 * time.Minute, 24*time.Hour - 15*time.Second, 59*time.Minute + 59700*time.Millisecond} {
		got = append(got, explain.Span(d).String())
	}
	if diff := cmp.Diff([]string{"51.8s", "8m38s", "3h", "2d14h", "1h30m", "1d", "1h"}, got); diff != "" {
		t.Error(diff)
	}
	e, err := explain.Of(parse(t, shop), nil, explain.Options{Now: onset})
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{e.Tiers[0].Threshold, e.Tiers[0].BurnRate, e.Tiers[0].BudgetSpent, e.Budget.Share, explain.Count(1234567)}; cmp.Diff([]string{"0.0144", "14.4", "2", "0.001", "1,234,567"}, got) != "" {
		t.Error(got)
	}
}
