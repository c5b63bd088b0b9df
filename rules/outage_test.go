package rules_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// written is an SLO over requests_total and failures_total with a label app,
// with more in its spec.
func written(t *testing.T, name, objective, metadata, spec string) slo.SLO {
	t.Helper()
	slos, err := slo.Parse(name+".yaml", []byte(fmt.Sprintf(`
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: %[1]s%[3]s}
spec:
  service: shop
  objective: %[2]s
  sli: {events: {errors: 'failures_total{app="%[1]s"}', total: 'requests_total{app="%[1]s"}'}}
%[4]s`, name, objective, metadata, spec)))
	if err != nil {
		t.Fatal(err)
	}
	return slos[0]
}

// instances scrapes an app that answers 100 requests a second from some
// instances, each scraped at a moment of its own, of which as many fail as a
// counter of one failure a second says.
func (w *world) instances(dice *rand.Rand, app string, n int, until time.Duration, traffic, failed func(float64) float64) {
	w.t.Helper()
	for i := range n {
		phase := time.Duration(dice.Int64N(int64(scrape/time.Millisecond))) * time.Millisecond
		ls := fmt.Sprintf(`{app="%s",instance="%d"}`, app, i)
		each := 100 / float64(n)
		w.scrape("requests_total"+ls, phase, until, scrape, func(s float64) float64 { return each * traffic(s) })
		w.scrape("failures_total"+ls, phase, until, scrape, func(s float64) float64 { return each * failed(s) })
	}
}

// shuffled gives every group a phase of its own, as Prometheus spreads them.
func (w *world) shuffled(dice *rand.Rand) {
	for _, g := range w.set.Groups() {
		w.phase[g.Name] = time.Duration(dice.Int64N(int64(g.Interval)/int64(time.Second))) * time.Second
	}
}

const outageTier = "5m1m"

// A total outage pages within 75 s, whatever the moments of its onset, of the
// scrapes of any number of instances and of the evaluation of any group.
func TestOutageTierFiresWithin75Seconds(t *testing.T) {
	t.Parallel()
	const begin, apps = 20 * minute, 12
	for seed := range uint64(8) {
		options := rules.Options{}
		if seed >= 6 { // a burst is as long as the tier's short window
			options.Interval = 15 * time.Second
		}
		dice := rand.New(rand.NewPCG(seed, 75))
		var slos []slo.SLO
		for i := range apps {
			slos = append(slos, written(t, fmt.Sprintf("a%d", i), "99.9", "", "  alerts: {outage: true}\n"))
		}
		w := newWorld(t, compile(t, options, slos...))
		w.shuffled(dice)
		onset := map[string]time.Duration{}
		for _, s := range slos {
			at := begin + minute + time.Duration(dice.Int64N(60_000))*time.Millisecond
			onset[s.Name] = at
			w.instances(dice, s.Name, 1+dice.IntN(6), begin+5*minute, steady(1), burst(1, at, hour))
		}
		w.replay(0, begin)
		w.live(begin + 4*minute)
		slowest := time.Duration(0)
		for name, at := range onset {
			fired, ok := w.first("SLOErrorBudgetBurn", name, outageTier)
			if !ok || fired-at > 75*time.Second || fired < at {
				t.Errorf("seed %d: %s fires %s after the onset at %s (%v)", seed, name, fired-at, at, ok)
			}
			slowest = max(slowest, fired-at)
		}
		t.Logf("seed %d: the slowest of %d after %s", seed, len(onset), slowest)
	}
}

// Nothing but a total outage fires the tier of one.
func TestOutageTierFiresForNothingElse(t *testing.T) {
	t.Parallel()
	const begin = 20 * minute
	sawtooth := func(perSecond float64) func(float64) float64 {
		return func(s float64) float64 { return perSecond * math.Mod(s, 97) } // restarts again and again
	}
	for seed := range uint64(4) {
		dice := rand.New(rand.NewPCG(seed, 76))
		at := begin + minute + time.Duration(dice.Int64N(60_000))*time.Millisecond
		idle := at + 30*time.Second
		cases := map[string][2]func(float64) float64{
			"most90":  {steady(1), burst(0.9, at, hour)},
			"most95":  {steady(1), burst(0.95, at, hour)},
			"blip":    {steady(1), burst(1, at, at+30*time.Second)},
			"idle":    {steady(0), steady(0)},
			"stops":   {burst(1, 0, idle), burst(1, idle-20*time.Second, idle)}, // the last requests fail, and no more come
			"reset":   {sawtooth(1), sawtooth(0.5)},
			"restart": {restart(at, 1), restart(at, 0.01)},
		}
		var slos []slo.SLO
		for name := range cases {
			slos = append(slos, written(t, name, "99.9", "", "  alerts: {outage: true}\n"))
		}
		w := newWorld(t, compile(t, rules.Options{}, slos...))
		w.shuffled(dice)
		for name, c := range cases {
			w.instances(dice, name, 1+dice.IntN(6), begin+10*minute, c[0], c[1])
		}
		w.replay(0, begin)
		w.live(begin + 9*minute)
		for _, f := range w.fired {
			if f.tier == outageTier {
				t.Errorf("seed %d: %s fires at %s", seed, f.slo, f.at.Sub(epoch))
			}
		}
		if _, ok := w.first("SLOErrorBudgetBurn", "most95", "1h5m"); !ok {
			t.Errorf("seed %d: 95%% errors do not page by another tier", seed)
		}
	}
}

// restart is a counter that begins anew after two minutes without scrapes.
func restart(at time.Duration, perSecond float64) func(float64) float64 {
	return func(s float64) float64 {
		switch {
		case s < at.Seconds():
			return perSecond * s
		case s < at.Seconds()+120:
			return math.NaN()
		default:
			return perSecond * (s - at.Seconds() - 120)
		}
	}
}

// With scrapes that are too far apart for its windows a tier is refused.
func TestTierTooShortForScrapes(t *testing.T) {
	s := written(t, "a", "99.9", "", "  alerts: {outage: true}\n")
	_, err := rules.Compile([]slo.SLO{s}, rules.Options{ScrapeInterval: 30 * time.Second})
	if err == nil || !strings.Contains(err.Error(), outageTier) {
		t.Errorf("want an error that names the tier, got %v", err)
	}
}

// A short window as long as the bursts that older windows are summed from is
// recorded once: twice, each error would count twice.
func TestShortWindowAsLongAsBursts(t *testing.T) {
	t.Parallel()
	s := written(t, "a", "99.9", "", "  alerts: {tiers: [{long: 30m, short: 2m, burn_rate: 14.4, severity: P2}]}\n")
	w := newWorld(t, compile(t, rules.Options{ScrapeInterval: 30 * time.Second}, s))
	recorded := 0
	for _, g := range w.set.Groups() {
		for _, r := range g.Rules {
			if r.Record == "slo:sli_errors:rate2m" {
				recorded++
			}
		}
	}
	if recorded != 1 {
		t.Errorf("recorded by %d rules", recorded)
	}
	w.outageEvery(30*time.Second, "a", 2*hour, hour, hour+20*time.Second)
	w.replay(0, hour)
	w.live(hour + 10*minute)
	near(t, "30m", w.value(hour+10*minute, "slo:sli_error:ratio_rate30m"), 20.0/1800, 0.02)
	for _, f := range w.fired {
		if at := f.at.Sub(epoch); f.tier != "30m2m" || at > hour+3*minute {
			t.Errorf("%s fires at %s", f.tier, at)
		}
	}
}

// An SLO with a tier of its own over the windows of a total outage does not
// change when those with the outage tier page.
func TestOutageTierBesideOneOfTheSameWindows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, compile(t, rules.Options{},
		written(t, "a", "99", "", "  alerts: {outage: true}\n"),
		written(t, "b", "99", "", "  alerts: {tiers: [{long: 5m, short: 1m, burn_rate: 20, severity: P2}]}\n")))
	for _, app := range []string{"a", "b"} {
		w.scrape(`requests_total{app="`+app+`"}`, 0, hour, scrape, steady(100))
		w.scrape(`failures_total{app="`+app+`"}`, 0, hour, scrape, burst(30, 20*minute, 24*minute))
	}
	w.live(28 * minute)
	if at, ok := w.first("SLOErrorBudgetBurn", "a", outageTier); ok {
		t.Errorf("30%% errors fire the outage tier at %s", at)
	}
	if _, ok := w.first("SLOErrorBudgetBurn", "b", "5m-1m"); !ok {
		t.Error("30% errors do not fire a tier of 20%")
	}
}
