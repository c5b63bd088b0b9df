package rules_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

const (
	scrape = 15 * time.Second
	hour   = time.Hour
	minute = time.Minute
)

// outage scrapes an app with 100 requests a second, all of which fail from
// one time until another: three instances, each at moments of its own.
func (w *world) outage(app string, until, from, to time.Duration) {
	w.t.Helper()
	w.outageEvery(scrape, app, until, from, to)
}

// outageEvery is an outage that is scraped so often.
func (w *world) outageEvery(every time.Duration, app string, until, from, to time.Duration) {
	w.t.Helper()
	for i, phase := range []time.Duration{0, 5 * time.Second, 10 * time.Second} {
		ls := fmt.Sprintf(`{app="%s",i="%d"}`, app, i)
		w.scrape("requests_total"+ls, phase, until, every, steady(100.0/3))
		w.scrape("failures_total"+ls, phase, until, every, after(1000, burst(100.0/3, from, to)))
	}
}

// atIntervals runs a test at each interval of scrapes that people use.
func atIntervals(t *testing.T, run func(t *testing.T, every time.Duration)) {
	t.Helper()
	t.Parallel()
	for _, every := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute} {
		t.Run(every.String(), func(t *testing.T) { run(t, every) })
	}
}

// after is a counter that has counted so many events before.
func after(events float64, f func(float64) float64) func(float64) float64 {
	return func(s float64) float64 { return events + f(s) }
}

// finite fails if any recorded value is not a number.
func (w *world) finite(at time.Duration) {
	w.t.Helper()
	v := w.ask(at, `{__name__=~"slo:.+"}`)
	if len(v) == 0 {
		w.t.Fatal("nothing is recorded")
	}
	for _, s := range v {
		if math.IsNaN(s.F) || math.IsInf(s.F, 0) {
			w.t.Errorf("%s is %v at %s", s.Metric, s.F, at)
		}
	}
}

func TestNoErrorSeriesYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", nil)))
	w.scrape(`requests_total{app="a"}`, 0, hour, scrape, steady(100))
	w.live(20 * minute)
	for _, name := range []string{"slo:sli_errors:rate5m", "slo:sli_errors:rate1h", "slo:sli_error:ratio_rate5m", "slo:sli_error:ratio_rate30d"} {
		if got := w.value(20*minute, name); got != 0 {
			t.Errorf("%s: want 0, got %v", name, got)
		}
	}
	w.finite(20 * minute)
	// The series is born at zero and counts 1 failure a second for 10 minutes.
	w.scrape(`failures_total{app="a"}`, 20*minute, hour, scrape, burst(1, 20*minute, 30*minute))
	w.live(40 * minute)
	near(t, "30m", w.value(40*minute, "slo:sli_error:ratio_rate30m"), 0.01*10/30, 0.02)
}

func TestIdle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", nil), availability(t, "g", "99.9", func(s *slo.SLO) {
		s.SLI.Events.Good, s.SLI.Events.Errors = `requests_total{app="g"}`, ""
	})))
	for _, app := range []string{"a", "g"} {
		w.scrape(`requests_total{app="`+app+`"}`, 0, hour, scrape, steady(0))
	}
	w.live(20 * minute)
	w.finite(20 * minute)
	if v := w.ask(20*minute, `{__name__=~"slo:sli_error:ratio_rate.+"} == 0`); len(v) != 2*8 {
		t.Errorf("want 8 ratios of 0 for each of two SLOs, got %v", v)
	}
	if v := w.ask(20*minute, `slo:period_error_budget_remaining:ratio == 1`); len(v) != 2 {
		t.Errorf("the whole budget is left: %v", v)
	}
	if len(w.fired) != 0 {
		t.Errorf("fired: %v", w.fired)
	}
}

// A new SLO has no history: what it does not know has no errors, at the
// traffic that there is.
func TestNewSLO(t *testing.T) { atIntervals(t, newSLO) }

func newSLO(t *testing.T, every time.Duration) {
	options := rules.Options{ScrapeInterval: every}
	before, after := availability(t, "a", "99.9", nil), availability(t, "b", "99.9", nil)
	w := newWorld(t, compile(t, options, before))
	blip := 6*hour + 2*minute
	for _, app := range []string{"a", "b"} {
		w.outageEvery(every, app, 7*hour, blip, blip+20*time.Second)
	}
	w.replay(10*minute, 6*hour)
	w.load(compile(t, options, before, after))
	at := 6*hour + 10*minute
	w.live(at)
	if len(w.fired) != 0 {
		t.Errorf("a blip of 20 seconds pages: %v", w.fired)
	}
	for _, name := range []string{"a", "b"} {
		near(t, name+" 1h", w.value(at, `slo:sli_error:ratio_rate1h{slo="`+name+`"}`), 20.0/3600, 0.02)
		near(t, name+" 6h", w.value(at, `slo:sli_error:ratio_rate6h{slo="`+name+`"}`), 20.0/21600, 0.02)
	}
}

// Rules are not evaluated for 20 minutes: what was not recorded had no
// errors, and a blip after it does not page.
func TestGapInEvaluation(t *testing.T) { atIntervals(t, gapInEvaluation) }

func gapInEvaluation(t *testing.T, every time.Duration) {
	options := rules.Options{ScrapeInterval: every}
	w := newWorld(t, compile(t, options, availability(t, "a", "99.9", nil)))
	w.outageEvery(every, "a", 4*hour, 2*hour+20*minute, 2*hour+20*minute+20*time.Second)
	w.replay(10*minute, 2*hour)
	w.down = func(at time.Time) bool {
		d := at.Sub(epoch)
		return d > 2*hour && d <= 2*hour+19*minute
	}
	at := 2*hour + 30*minute
	w.live(at)
	if len(w.fired) != 0 {
		t.Errorf("fired: %v", w.fired)
	}
	near(t, "1h", w.value(at, "slo:sli_error:ratio_rate1h"), 20.0/3600, 0.02)
	near(t, "6h", w.value(at, "slo:sli_error:ratio_rate6h"), 20.0/21600, 0.02)
}

func TestCounterReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", nil)))
	again := func(perSecond float64) func(float64) float64 {
		return func(s float64) float64 { return perSecond * math.Mod(s, 1500) } // restarts every 25 minutes
	}
	w.scrape(`requests_total{app="a"}`, 0, 3*hour, scrape, again(100))
	w.scrape(`failures_total{app="a"}`, 0, 3*hour, scrape, again(0.05))
	w.replay(0, 2*hour-10*minute)
	w.live(2 * hour)
	for _, window := range []string{"5m", "30m", "1h", "2h"} {
		near(t, window, w.value(2*hour, "slo:sli_error:ratio_rate"+window), 0.0005, 0.001)
	}
	if len(w.fired) != 0 {
		t.Errorf("fired: %v", w.fired)
	}
}

// What others write under our names, and parameters that are there twice,
// change nothing for the SLOs beside them.
func TestForeignSeries(t *testing.T) { atIntervals(t, foreignSeries) }

func foreignSeries(t *testing.T, every time.Duration) {
	options := rules.Options{ScrapeInterval: every}
	w := newWorld(t, compile(t, options, availability(t, "a", "99.9", nil), availability(t, "b", "99.9", nil)))
	for _, app := range []string{"a", "b"} {
		w.outageEvery(every, app, 3*hour, 2*hour, 3*hour)
	}
	for _, foreign := range []string{
		`slo:sli_error:ratio_rate5m{sloth_id="x", sloth_slo="a", sloth_service="shop"}`,
		`slo:sli_error:ratio_rate1h{sloth_id="x", sloth_slo="a", sloth_service="shop"}`,
		`slo:objective:ratio{sloth_id="x"}`,
		`slo:error_budget:ratio{service="shop", slo="a", owner="x"}`,
		`slo:sli_total:rate5m{job="x"}`,
		`slo:sli_errors:rate5m{job="x"}`,
		`slo:sli_total:rate5m{service="shop", slo="a", job="x"}`,
		`slo:sli_errors:rate1h{service="shop", slo="b", job="x"}`,
		`slo:parameter:value{parameter="error_budget", job="x"}`,
		`slo:parameter:value{parameter="error_budget", service="shop", slo="a", file="old"}`,
		`slo:parameter:value{parameter="threshold", severity="P2", tier="1h5m", service="shop", slo="a", file="old"}`,
		`slo:parameter:value{parameter="period_days", service="shop", slo="a", file="old"}`,
	} {
		w.scrape(foreign, 0, 3*hour, every, func(float64) float64 { return 0.0005 })
	}
	w.replay(10*minute, 2*hour)
	w.live(2*hour + 10*minute)
	for _, name := range []string{"a", "b"} {
		// 1.44% of an hour are 51.84 s; the next evaluation is at 60 s, and the
		// one after the next scrape, where those are rarer, at 90 s.
		latest := 2*hour + minute
		if every > scrape {
			latest += 30 * time.Second
		}
		if at, ok := w.first("SLOErrorBudgetBurn", name, "1h5m"); !ok || at > latest {
			t.Errorf("%s fires at %s (%v)", name, at, ok)
		}
		near(t, name, w.value(2*hour+10*minute, `slo:sli_error:ratio_rate1h{service="shop", slo="`+name+`", job=""}`), 1.0/6, 0.025)
		near(t, name, w.value(2*hour+10*minute, `slo:current_burn_rate:ratio{service="shop", slo="`+name+`", job=""}`), 1000, 0.001)
	}
}

func TestMissingParameters(t *testing.T) { atIntervals(t, missingParameters) }

func missingParameters(t *testing.T, every time.Duration) {
	options := rules.Options{ScrapeInterval: every}
	set := compile(t, options, availability(t, "a", "99.9", nil), availability(t, "b", "99.9", nil))
	groups := set.Files[0].Groups
	if groups[1].Name != "midwatch-parameters/shop/a" {
		t.Fatalf("the second group is %s", groups[1].Name)
	}
	set.Files[0].Groups = slices.Delete(slices.Clone(groups), 1, 2)
	w := newWorld(t, set)
	for _, app := range []string{"a", "b"} {
		w.outageEvery(every, app, hour, 20*minute, hour)
	}
	w.live(30 * minute)
	if at, ok := w.first("SLOParametersMissing", "a", ""); !ok || at > 10*minute {
		t.Errorf("the missing parameters alert at %s (%v)", at, ok)
	}
	if _, ok := w.first("SLOParametersMissing", "b", ""); ok {
		t.Error("b has its parameters")
	}
	if _, ok := w.first("SLOErrorBudgetBurn", "b", "1h5m"); !ok {
		t.Error("the burn of b does not alert")
	}
}

func TestFailingRulesAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", nil)))
	// One failure is no page; failures for ten minutes are.
	for group, failures := range map[string]func(float64) float64{
		"midwatch-windows": burst(1.0/30, 20*minute, 30*minute),
		"midwatch-health":  burst(1.0/30, 20*minute, 20*minute+30*time.Second),
		"other":            burst(1.0/30, 20*minute, 30*minute),
	} {
		w.scrape(`prometheus_rule_evaluation_failures_total{rule_group="/etc/rules/x.yaml;`+group+`"}`, 0, hour, scrape, failures)
	}
	w.live(hour)
	if len(w.fired) != 1 || w.fired[0].name != "SLORuleEvaluationFailing" || w.fired[0].at.Sub(epoch) > 27*minute {
		t.Errorf("fired: %v", w.fired)
	}
}

func TestSeverities(t *testing.T) {
	t.Parallel()
	core := func(s *slo.SLO) { s.Critical = true }
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", core), availability(t, "b", "99.9", nil)))
	for _, app := range []string{"a", "b"} {
		w.outage(app, 9*hour, 8*hour, 9*hour)
	}
	w.replay(10*minute, 8*hour)
	w.live(9 * hour)
	got := map[string]string{}
	for _, f := range w.fired {
		got[f.slo+" "+f.tier] += f.severity
	}
	for _, name := range []string{"a", "b"} {
		want := map[string]string{"1h5m": "P2", "6h30m": "P2", "1d2h": "P3", "3d6h": "P3"}
		if name == "a" {
			want["1h5m"] = "P1"
		}
		for tier, severity := range want {
			if got[name+" "+tier] != severity {
				t.Errorf("%s %s: want one alert of %s, got %q", name, tier, severity, got[name+" "+tier])
			}
		}
	}
}

// Series that lack the label that an SLO groups by have a budget of their
// own, without the label.
func TestGroupBy(t *testing.T) {
	t.Parallel()
	for _, good := range []bool{false, true} {
		w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", func(s *slo.SLO) {
			s.GroupBy = []string{"path"}
			if good {
				s.SLI.Events.Good, s.SLI.Events.Errors = `successes_total{app="a"}`, ""
			}
		})))
		// By path: 100 requests a second, a share of which fails from 1 h on.
		for path, share := range map[string]float64{`,path="/pay"`: 0.1, `,path="/list"`: 0.001, "": 0.05} {
			for _, pod := range []string{"1", "2"} {
				ls := `{app="a",pod="` + pod + `"` + path + "}"
				w.scrape("requests_total"+ls, 0, 2*hour, scrape, steady(50))
				failures := burst(50*share, hour, 2*hour)
				w.scrape("failures_total"+ls, 0, 2*hour, scrape, failures)
				w.scrape("successes_total"+ls, 0, 2*hour, scrape, func(s float64) float64 { return 50*s - failures(s) })
			}
		}
		at := hour + 30*minute
		w.replay(0, hour)
		w.live(at)
		near(t, "/pay", w.value(at, `slo:sli_error:ratio_rate1h{path="/pay"}`), 0.05, 0.02)
		near(t, "/list", w.value(at, `slo:sli_error:ratio_rate1h{path="/list"}`), 0.0005, 0.02)
		near(t, "none", w.value(at, `slo:sli_error:ratio_rate1h{path=""}`), 0.025, 0.02)
		pages := map[string]bool{}
		for _, f := range w.fired {
			if f.tier == "1h5m" {
				pages[f.path] = true
			}
		}
		if len(pages) != 2 || !pages["/pay"] || !pages[""] {
			t.Errorf("good %v: want pages for /pay and for no path, got %v", good, pages)
		}
	}
}

// A service whose series are gone has no traffic, and keeps the history that
// it has: half an hour at 10% errors are 10% of the hour's requests.
func TestSeriesVanish(t *testing.T) {
	t.Parallel()
	for _, groups := range [][]string{nil, {"path"}} {
		w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", func(s *slo.SLO) { s.GroupBy = groups })))
		w.scrape(`requests_total{app="a",path="/"}`, 0, 2*hour, scrape, steady(100))
		w.scrape(`failures_total{app="a",path="/"}`, 0, 2*hour, scrape, burst(10, 90*minute, 2*hour))
		w.replay(0, 2*hour-5*minute)
		at := 2*hour + 30*minute
		w.live(at)
		if got := w.value(at, "slo:sli_total:rate5m"); got != 0 {
			t.Errorf("%v: traffic is %v", groups, got)
		}
		near(t, "total", w.value(at, "slo:sli_total:rate1h"), 50, 0.02)
		near(t, "ratio", w.value(at, "slo:sli_error:ratio_rate1h"), 0.1, 0.02)
		w.finite(at)
		// Two hours back are 80 minutes of traffic, 30 of them at 10%.
		at = 2*hour + 40*minute
		w.live(at)
		near(t, "2h", w.value(at, "slo:sli_error:ratio_rate2h"), 0.1*30/80, 0.02)
	}
}

// While an SLO is new, catch-up rules read its windows from raw counters, if
// these reach back that far.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, compile(t, rules.Options{CatchUp: true}, availability(t, "a", "99.9", nil), availability(t, "young", "99.9", nil)))
	// 2% of requests failed for half an hour, until ten minutes before the SLO.
	begin := 3 * hour
	w.scrape(`requests_total{app="a"}`, 0, 6*hour, scrape, steady(100))
	w.scrape(`failures_total{app="a"}`, 0, 6*hour, scrape, burst(2, begin-40*minute, begin-10*minute))
	// A service of two minutes whose requests fail for 20 seconds.
	for series, f := range map[string]func(float64) float64{"requests_total": steady(100), "failures_total": burst(100, begin+2*minute, begin+2*minute+20*time.Second)} {
		w.scrape(series+`{app="young"}`, begin, 6*hour, scrape, never(begin, f))
	}
	w.until = epoch.Add(begin)
	w.live(begin + 6*minute)
	near(t, "1h", w.value(begin+6*minute, `slo:sli_error:ratio_rate1h{slo="a"}`), 0.01, 0.02)
	near(t, "2h", w.value(begin+6*minute, `slo:sli_error:ratio_rate2h{slo="a"}`), 0.005, 0.02)
	near(t, "young", w.value(begin+6*minute, `slo:sli_error:ratio_rate1h{slo="young"}`), 20.0/3600, 0.2)
	if _, paged := w.first("SLOErrorBudgetBurn", "young", "1h5m"); paged {
		t.Errorf("fired: %v", w.fired)
	}
	// After an hour the window is recorded, and nothing of it is read raw.
	w.live(begin + hour)
	if v := w.ask(begin+hour, "slo:sli_total:raw1h"); len(v) != 0 {
		t.Errorf("still read raw: %v", v)
	}
	near(t, "2h", w.value(begin+hour, `slo:sli_error:ratio_rate2h{slo="a"}`), 0.005, 0.02)
}
