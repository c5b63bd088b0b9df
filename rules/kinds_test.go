package rules_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// everyKind returns an SLO of each kind of SLI, over the series of the kind's
// name.
func everyKind(t *testing.T) []slo.SLO {
	t.Helper()
	return []slo.SLO{
		counting(t, "errors", `sli: {events: {errors: 'requests_total{code=~"5.."}', total: requests_total}}`),
		counting(t, "good", `sli: {events: {good: 'requests_total{code!~"5.."}', total: requests_total}}`),
		counting(t, "apart", `sli: {events: {errors: failures_total, total: requests_total}}`),
		counting(t, "grouped", `group_by: [path]`, `sli: {events: {errors: 'requests_total{code=~"5.."}', total: requests_total}}`),
		counting(t, "classic", `sli: {latency: {histogram: latency_seconds, threshold: 1}}`),
		counting(t, "native", `sli: {latency: {native: native_seconds, threshold: 1}}`),
		counting(t, "boolean", `sli: {gauge: {expr: ready}}`),
		counting(t, "threshold", `sli: {gauge: {expr: age_seconds, good: "<= 100"}}`),
		counting(t, "expression", `sli: {gauge: {expr: time() - last_seconds, good: "<= 100"}}`),
		counting(t, "rates", `sli: {promql: {errors: 'sum(rate(failures_total[$window]))', total: 'sum(rate(requests_total[$window]))'}}`),
		counting(t, "counts", `sli: {promql: {good: 'sum(increase(successes_total[$window]))', total: 'sum(increase(requests_total[$window]))', unit: count}}`),
		counting(t, "ratio", `sli: {ratio: {errors: 'job:errors:ratio'}}`),
		counting(t, "divided", `sli: {ratio: {errors: 'sum(rate(failures_total[$window])) / sum(rate(requests_total[$window]))', total: 'sum(rate(requests_total[$window]))'}}`),
		counting(t, "logged", `sli: {logs: {errors: '{app="shop"} |= "error"', total: '{app="shop"}'}}`),
		counting(t, "sliced", `slices: {length: 5m, target: 95}`, `sli: {events: {good: 'requests_total{code!~"5.."}', total: requests_total}}`),
		counting(t, "shared", `slices: {length: 1m}`, `sli: {events: {errors: 'requests_total{code=~"5.."}', total: requests_total}}`),
		counting(t, "composite", `sli: {composite: [{slo: shop/errors, weight: 3}, {slo: shop/boolean}]}`),
	}
}

// Nothing of any kind of SLI is NaN or infinite where series are there without
// traffic, where there are none at all, and where they go away.
func TestIdleEveryKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inPrometheus(t, rules.Options{}, everyKind(t)...))
	w.live(6 * minute)
	for _, s := range w.ask(6*minute, `{__name__=~"slo:sli_.+"}`) {
		if math.IsNaN(s.F) || math.IsInf(s.F, 0) {
			t.Errorf("without series: %s is %v", s.Metric, s.F)
		}
	}
	until := 20 * minute
	nothing := func(float64) float64 { return 0 }
	for _, s := range []string{`requests_total{code="200",path="/"}`, `requests_total{code="200"}`, `failures_total`, `successes_total`, `latency_seconds_bucket{le="1.0"}`, `latency_seconds_bucket{le="+Inf"}`, `latency_seconds_count`, `age_seconds`, `last_seconds`} {
		w.scrape(s, 6*minute, until, scrape, nothing)
	}
	w.scrape("ready", 6*minute, until, scrape, func(float64) float64 { return 1 })
	w.scrape("job:errors:ratio", 6*minute, until, scrape, nothing)
	w.observe("native_seconds", until, nothing, nothing)
	for _, name := range []string{"slo:log_total:rate1m", "slo:log_errors:rate1m"} {
		w.scrape(name+`{service="shop",slo="logged"}`, 6*minute, until, minute, nothing)
	}
	for _, at := range []time.Duration{until, until + 12*minute} {
		w.live(at)
		w.finite(at)
		for _, s := range w.ask(at, `{__name__=~"slo:sli_errors:rate.+"} != 0`) {
			if got := s.Metric.Get("slo"); got != "threshold" && got != "expression" { // ages are bad without news
				t.Errorf("%s: %s is %v", at, s.Metric, s.F)
			}
		}
	}
	for _, s := range everyKind(t) {
		if len(w.ask(until, fmt.Sprintf(`slo:sli_total:rate5m{slo="%s"}`, s.Name))) == 0 {
			t.Errorf("%s has no total", s.Name)
		}
	}
	if len(w.fired) != 0 {
		for _, f := range w.fired {
			if f.slo != "threshold" && f.slo != "expression" {
				t.Errorf("fired: %v", f)
			}
		}
	}
}

// Every kind of SLI shows the tenth of events, or of time, that fails, at each
// interval of scrapes.
func TestEveryKindAtEachScrapeInterval(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute} {
		slos := slices.DeleteFunc(everyKind(t), func(s slo.SLO) bool { return every > scrape && s.Name == "shared" }) // slices of a minute
		w := newWorld(t, inPrometheus(t, rules.Options{ScrapeInterval: every}, slos...))
		until := 50 * minute
		for name, perSecond := range map[string]float64{
			`requests_total{code="200",path="/"}`: 5.4, `requests_total{code="200"}`: 3.6, `requests_total{code="503",path="/"}`: 0.6, `requests_total{code="500"}`: 0.4,
			`failures_total`: 1, `successes_total`: 9, `latency_seconds_bucket{le="1.0"}`: 9, `latency_seconds_bucket{le="+Inf"}`: 10, `latency_seconds_count`: 10,
		} {
			w.scrape(name, 0, until, every, steady(perSecond))
		}
		tenth := func(bad, good float64) func(float64) float64 {
			return func(s float64) float64 {
				if math.Mod(s, 600) < 60 { // a minute of ten
					return bad
				}
				return good
			}
		}
		w.scrape("ready", 0, until, every, tenth(0, 1))
		w.scrape("age_seconds", 0, until, every, tenth(101, 99))
		w.scrape("last_seconds", 0, until, every, func(s float64) float64 { return float64(epoch.Unix()) + s - tenth(101, 99)(s) })
		w.scrape("job:errors:ratio", 0, until, every, func(float64) float64 { return 0.1 })
		w.observe("native_seconds", until, steady(9), steady(1))
		for name, v := range map[string]float64{"slo:log_total:rate1m": 10, "slo:log_errors:rate1m": 1} {
			w.scrape(name+`{service="shop",slo="logged"}`, 0, until, minute, func(float64) float64 { return v })
		}
		w.live(until)
		for _, s := range slos {
			want, tolerance := 0.1, 1e-3
			switch s.Name {
			case "sliced":
				want = 1
			case "boolean", "threshold", "composite":
				tolerance = 0.15
			case "expression": // which goes on while nothing is scraped
				tolerance = 0.5
			}
			for _, v := range w.ask(until, fmt.Sprintf(`slo:sli_error:ratio_rate30m{slo="%s"}`, s.Name)) {
				near(t, fmt.Sprintf("%s scrapes: %s", every, v.Metric), v.F, want, tolerance)
			}
		}
	}
}

// SLOs that are named alike do not read each other.
func TestNamesAlike(t *testing.T) {
	t.Parallel()
	var slos []slo.SLO
	services := map[string]float64{"shop": 0.01, "shop.v2": 0.02, "shop-v2": 0.03, "SHOP": 0.04, "shop_v2": 0.05}
	for service := range services {
		s := counting(t, "a", `sli: {events: {good: 'successes_total{app="`+service+`"}', total: 'requests_total{app="`+service+`"}'}}`)
		s.Service = service
		slos = append(slos, s)
	}
	w := newWorld(t, compile(t, rules.Options{}, slos...).Arranged())
	for service, share := range services {
		w.scrape(`requests_total{app="`+service+`"}`, 0, hour, scrape, steady(100))
		w.scrape(`successes_total{app="`+service+`"}`, 0, hour, scrape, steady(100*(1-share)))
	}
	w.live(40 * minute)
	for service, share := range services {
		for _, window := range []string{"5m", "30m"} {
			near(t, service+" "+window, w.value(40*minute, `slo:sli_error:ratio_rate`+window+`{service="`+service+`",slo="a"}`), share, 1e-6)
		}
	}
}

// A label of an SLO that is edited in mid-window changes nothing of what was
// recorded.
func TestEditedLabelKeepsHistory(t *testing.T) {
	t.Parallel()
	labelled := func(team string) rules.Set {
		return compile(t, rules.Options{}, availability(t, "a", "99.9", func(s *slo.SLO) { s.Team, s.Labels = team, map[string]string{"squad": team} }))
	}
	w := newWorld(t, labelled("before"))
	w.outage("a", 4*hour, 2*hour-minute, 2*hour-40*time.Second)
	w.replay(10*minute, 2*hour)
	w.load(labelled("after"))
	at := 2*hour + 20*minute
	w.live(at)
	near(t, "1h", w.value(at, `slo:sli_error:ratio_rate1h`), 20.0/3600, 0.02)
	near(t, "6h", w.value(at, `slo:sli_error:ratio_rate6h`), 20.0/21600, 0.02)
	if len(w.fired) != 0 {
		t.Errorf("fired: %v", w.fired)
	}
}

// While an SLO is new, its windows are read from raw series, of every kind
// that has them.
func TestCatchUpEveryKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inPrometheus(t, rules.Options{CatchUp: true},
		counting(t, "good", `sli: {events: {good: successes_total, total: requests_total}}`),
		counting(t, "classic", `sli: {latency: {histogram: latency_seconds, threshold: 1}}`),
		counting(t, "native", `sli: {latency: {native: native_seconds, threshold: 1}}`),
		counting(t, "boolean", `sli: {gauge: {expr: ready}}`),
		counting(t, "threshold", `sli: {gauge: {expr: age_seconds, good: "<= 100"}}`),
		counting(t, "counts", `sli: {promql: {errors: 'sum(increase(failures_total[$window]))', total: 'sum(increase(requests_total[$window]))', unit: count}}`),
		counting(t, "ratio", `sli: {ratio: {errors: 'job:errors:ratio'}}`),
		counting(t, "sliced", `slices: {length: 5m}`, `sli: {events: {errors: failures_total, total: requests_total}}`)))
	begin := 3 * hour
	until := begin + 10*minute
	bad := func(from, to float64) func(float64) float64 { // half an hour, until ten minutes before the SLO
		return func(s float64) float64 {
			if s > (begin-40*minute).Seconds() && s <= (begin-10*minute).Seconds() {
				return to
			}
			return from
		}
	}
	failures := burst(2, begin-40*minute, begin-10*minute)
	good := func(s float64) float64 { return 100*s - failures(s) }
	for name, f := range map[string]func(float64) float64{
		"requests_total": steady(100), "failures_total": failures, "successes_total": good,
		`latency_seconds_count`: steady(100), `latency_seconds_bucket{le="1"}`: good,
		"ready": bad(1, 0), "age_seconds": bad(100, 101), "job:errors:ratio": bad(0, 0.5),
	} {
		w.scrape(name, 0, until, scrape, f)
	}
	w.observe("native_seconds", until, good, failures)
	w.until = epoch.Add(begin)
	w.live(begin + 6*minute)
	for name, want := range map[string]float64{"good": 0.01, "classic": 0.01, "native": 0.01, "counts": 0.01, "boolean": 0.5, "threshold": 0.5, "ratio": 0.25, "sliced": 0} {
		near(t, name, w.value(begin+6*minute, `slo:sli_error:ratio_rate1h{slo="`+name+`"}`), want, 0.02)
	}
}

// The expressions of random SLOs of every kind are read by the parser as what
// its own printer writes, but for white space.
func TestExpressionsOfRandomSLOs(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(5, 6))
	words := []string{"a", "über", `q\"uote`, `back\\slash`, "x.*|y", "it's", "{{", "日本", "", `a,b=\"c\"`, "#"}
	selector := func() string {
		out := "m_total{"
		for i := range dice.IntN(4) {
			out += fmt.Sprintf(`l%d%s"%s",`, i, []string{"=", "!="}[dice.IntN(2)], words[dice.IntN(len(words))])
		}
		return out + "}"
	}
	checked := 0
	for range 60 {
		slos := everyKind(t)
		for i := range slos {
			s := &slos[i]
			s.Name = fmt.Sprintf("%s-%d", s.Name, dice.IntN(1000))
			s.Service = []string{"shop", "a.b", "a_b", "Shop"}[dice.IntN(4)]
			if s.SLI.Events != nil {
				e := *s.SLI.Events
				e.Total, e.Errors, e.Good = selector(), selector(), ""
				if dice.IntN(2) == 0 {
					e.Errors, e.Good = "", selector()
				}
				s.SLI.Events = &e
			}
			if s.SLI.Latency != nil {
				l := *s.SLI.Latency
				l.Histogram = selector()
				s.SLI.Latency = &l
			}
		}
		last := &slos[len(slos)-1]
		last.SLI.Composite = []slo.Component{{Service: slos[0].Service, Name: slos[0].Name, Weight: slos[0].Objective}}
		for _, g := range inPrometheus(t, rules.Options{}, slos...).Groups() {
			for _, r := range g.Rules {
				e, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := strings.Fields(r.Expr), strings.Fields(e.Pretty(0)); !slices.Equal(got, want) {
					t.Fatalf("got\n%s\nwant\n%s", r.Expr, e.Pretty(0))
				}
				checked++
			}
		}
	}
	t.Logf("%d expressions", checked)
}

// While a time is excluded, no kind of SLI counts anything.
func TestExclusionEveryKind(t *testing.T) {
	t.Parallel()
	from, to := 20*minute, 30*minute
	slos := everyKind(t)
	for i := range slos {
		slos[i].Exclusions = []slo.Exclusion{{Name: "maintenance", From: epoch.Add(from), To: epoch.Add(to)}}
	}
	w := newWorld(t, inPrometheus(t, rules.Options{}, slos...))
	until := 45 * minute
	for _, s := range []string{`requests_total{code="200",path="/"}`, `requests_total{code="500",path="/"}`, `failures_total`, `successes_total`, `latency_seconds_bucket{le="1.0"}`, `latency_seconds_count`, `age_seconds`, `last_seconds`, `ready`, `job:errors:ratio`} {
		w.scrape(s, 0, until, scrape, steady(0.001))
	}
	w.observe("native_seconds", until, steady(1), steady(1))
	for _, name := range []string{"slo:log_total:rate1m", "slo:log_errors:rate1m"} {
		w.scrape(name+`{service="shop",slo="logged"}`, 0, until, minute, func(float64) float64 { return 1 })
	}
	w.live(until)
	for _, at := range []time.Duration{from + minute, from + 4*minute, to + 4*minute} {
		if v := w.ask(at, `{__name__=~"slo:sli_(errors|total):rate5m"} != 0`); len(v) != 0 {
			t.Errorf("%s: %v", at, v)
		}
	}
	for _, at := range []time.Duration{from + 2*minute, to} {
		if v := w.ask(at, `{__name__=~"slo:sli_(errors|total):rate1m15s"} != 0`); len(v) != 0 {
			t.Errorf("%s: %v", at, v)
		}
	}
	for _, at := range []time.Duration{from - minute, to + 6*minute} {
		for _, s := range slos {
			if v := w.ask(at, fmt.Sprintf(`{__name__=~"slo:sli_total:rate(5m|1m15s)",slo="%s"} > 0`, s.Name)); len(v) < 2 {
				t.Errorf("%s: %s counts %v", at, s.Name, v)
			}
		}
	}
}
