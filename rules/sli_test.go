package rules_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// counting is an SLO of the service shop with further lines of its spec, such
// as its SLI.
func counting(t *testing.T, name string, spec ...string) slo.SLO {
	t.Helper()
	text := fmt.Sprintf("apiVersion: midwatch.dev/v1\nkind: ServiceLevelObjective\nmetadata: {name: %s}\nspec:\n  service: shop\n  objective: 99\n", name)
	for _, line := range spec {
		text += "  " + line + "\n"
	}
	slos, err := slo.Parse(name+".yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return slos[0]
}

// inPrometheus compiles SLOs and leaves out what another server evaluates.
func inPrometheus(t *testing.T, o rules.Options, slos ...slo.SLO) rules.Set {
	t.Helper()
	set := compile(t, o, slos...)
	set.Files = slices.DeleteFunc(slices.Clone(set.Files), func(f rules.File) bool { return strings.Contains(f.Name, "/") })
	return set
}

// observe appends samples of a native histogram that has seen so many a second
// of 0.1 s, and so many of 2 s.
func (w *world) observe(series string, until time.Duration, fast, slow func(seconds float64) float64) {
	w.t.Helper()
	ls, err := parser.NewParser(parser.Options{}).ParseMetric(series)
	if err != nil {
		w.t.Fatal(err)
	}
	app := w.db.Appender(w.t.Context())
	for d := time.Duration(0); d <= until; d += scrape {
		f, s := fast(d.Seconds()), slow(d.Seconds())
		// Schema 0 has a bucket for each power of two: (0.0625, 0.125] and (1, 2].
		h := &histogram.FloatHistogram{
			Count: f + s, Sum: 0.1*f + 2*s, Schema: 0,
			PositiveSpans:   []histogram.Span{{Offset: -3, Length: 1}, {Offset: 3, Length: 1}},
			PositiveBuckets: []float64{f, s},
		}
		if _, err := app.AppendHistogram(0, ls, epoch.Add(d).UnixMilli(), nil, h); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// A series of errors may be born with a value above zero.
func TestCounterBornAboveZero(t *testing.T) {
	t.Parallel()
	for _, apart := range []bool{false, true} {
		within := counting(t, "a", `sli: {events: {errors: 'requests_total{code=~"5.."}', total: requests_total}}`)
		failures := `requests_total{code="500",`
		if apart {
			within = counting(t, "a", `sli: {events: {errors: failures_total, total: 'requests_total{code="200"}'}}`)
			failures = `failures_total{code="200",`
		}
		at := 2 * hour
		births := map[string]struct {
			target time.Duration // from when on it is scraped
			value  float64       // of the series when it appears
			want   float64       // events
		}{
			"a target that was there":                {target: 0, value: 7, want: 7},
			"a target that appears with it":          {target: at, value: 5000, want: 0},
			"a target that appears a little earlier": {target: at - 2*minute, value: 7, want: 7},
		}
		for name, birth := range births {
			w := newWorld(t, inPrometheus(t, rules.Options{}, within))
			w.scrape(`requests_total{code="200",instance="other"}`, 0, 4*hour, scrape, steady(10))
			w.scrape(`requests_total{code="200",instance="i"}`, 0, 4*hour, scrape, never(birth.target, after(1e6, steady(10))))
			w.scrape(failures+`instance="i"}`, 0, 4*hour, scrape, never(at, func(float64) float64 { return birth.value }))
			w.until = epoch.Add(at - 10*minute)
			w.live(at + 2*minute)
			if birth.target != at-2*minute { // of which the newest minutes do not know yet that it was there
				near(t, name+": 5m", 300*w.value(at+2*minute, "slo:sli_errors:rate5m"), birth.want, 1e-9)
			}
			w.live(at + 20*minute)
			near(t, name+": 1h", 3600*w.value(at+20*minute, "slo:sli_errors:rate1h"), birth.want, 1e-9)
			if got := w.value(at+20*minute, "max_over_time(slo:sli_errors:rate5m[30m])"); got > 1 {
				t.Errorf("%s: %v errors a second", name, got)
			}
		}
	}
}

// A series that takes the place of another one, such as after a label of its
// target was added, goes on; it is not born.
func TestRelabelledCounterIsNotBorn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inPrometheus(t, rules.Options{}, counting(t, "a", `sli: {events: {errors: 'requests_total{code=~"5.."}', total: requests_total}}`)))
	change := 20 * minute
	for _, code := range []string{"200", "500"} {
		w.scrape(`requests_total{code="`+code+`",instance="i"}`, 0, change-scrape, scrape, after(1e6, steady(10)))
		w.scrape(`requests_total{code="`+code+`",instance="i",team="x"}`, change, hour, scrape, after(1e6, steady(10)))
	}
	w.live(40 * minute)
	if got := w.value(40*minute, "max_over_time(slo:sli_errors:rate5m[30m])"); got > 10.5 {
		t.Errorf("%v errors a second", got)
	}
}

// The bucket of a threshold is found as 1 and as 1.0.
func TestLatencyOfClassicHistogram(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inPrometheus(t, rules.Options{}, counting(t, "a", `sli: {latency: {histogram: 'latency_seconds{app="a"}', threshold: 1}}`)))
	for _, le := range []string{"1", "1.0"} {
		i := `{app="a",i="` + le + `"`
		w.scrape("latency_seconds_count"+i+"}", 0, hour, scrape, steady(10))
		for bound, perSecond := range map[string]float64{"0.5": 5, le: 9, "10": 10, "+Inf": 10} {
			w.scrape("latency_seconds_bucket"+i+`,le="`+bound+`"}`, 0, hour, scrape, steady(perSecond))
		}
	}
	w.live(30 * minute)
	near(t, "5m", w.value(30*minute, "slo:sli_error:ratio_rate5m"), 0.1, 1e-9)
	near(t, "total", w.value(30*minute, "slo:sli_total:rate5m"), 20, 1e-9)
}

func TestLatencyOfNativeHistogram(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inPrometheus(t, rules.Options{}, counting(t, "a", `group_by: [path]`, `sli: {latency: {native: latency_seconds, threshold: 1}}`)))
	w.observe(`latency_seconds{path="/",i="1"}`, hour, steady(9), steady(1))
	w.observe(`latency_seconds{path="/",i="2"}`, hour, steady(10), steady(0))
	w.observe(`latency_seconds{path="/idle"}`, hour, steady(0), steady(0))
	w.live(30 * minute)
	near(t, "5m", w.value(30*minute, `slo:sli_error:ratio_rate5m{path="/"}`), 0.05, 1e-9)
	near(t, "total", w.value(30*minute, `slo:sli_total:rate5m{path="/"}`), 20, 1e-9)
	near(t, "idle", w.value(30*minute, `slo:sli_error:ratio_rate5m{path="/idle"}`), 0, 0)
	w.finite(30 * minute)
}

// A gauge counts time: that of six minutes in an hour is a tenth of it,
// however many requests there were.
func TestGaugeOverTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inPrometheus(t, rules.Options{},
		counting(t, "boolean", `sli: {gauge: {expr: ready}}`),
		counting(t, "threshold", `sli: {gauge: {expr: age_seconds, good: "<= 100"}}`),
		counting(t, "expression", `sli: {gauge: {expr: 'sum without (i) (age_seconds) / 2', good: "<= 100"}}`),
		counting(t, "undefined", `sli: {gauge: {expr: zero / zero}}`),
		counting(t, "grouped", `group_by: [zone]`, `sli: {gauge: {expr: ready}}`)))
	w.scrape("zero", 0, 3*hour, scrape, steady(0))
	between := func(bad, good float64) func(float64) float64 {
		return func(s float64) float64 {
			if s > (80*minute).Seconds() && s <= (86*minute).Seconds() {
				return bad
			}
			return good
		}
	}
	w.scrape(`ready{i="1",zone="a"}`, 0, 3*hour, scrape, between(0, 1))
	w.scrape(`ready{i="2"}`, 0, 3*hour, scrape, between(0, 1))
	for _, i := range []string{"1", "2"} {
		w.scrape(`age_seconds{i="`+i+`"}`, 0, 3*hour, scrape, between(101, 100))
	}
	at := 2 * hour
	w.replay(10*minute, at-10*minute)
	w.live(at)
	for _, name := range []string{"boolean", "threshold", "expression"} {
		near(t, name, w.value(at, `slo:sli_error:ratio_rate1h{slo="`+name+`"}`), 0.1, 0.02)
		near(t, name+" total", w.value(at, `slo:sli_total:rate5m{slo="`+name+`"}`), 1, 0)
	}
	near(t, "what is not a number is not good", w.value(at, `slo:sli_error:ratio_rate5m{slo="undefined"}`), 1, 0)
	near(t, "zone a", w.value(at, `slo:sli_error:ratio_rate1h{slo="grouped",zone="a"}`), 0.1, 0.02)
	near(t, "no zone", w.value(at, `slo:sli_error:ratio_rate1h{slo="grouped",zone=""}`), 0.1, 0.02)
}

func TestExpressionsOverWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inPrometheus(t, rules.Options{},
		counting(t, "rates", `sli: {promql: {errors: 'rate(failures_total[$window])', total: 'rate(requests_total[$window])'}}`),
		counting(t, "counts", `sli: {promql: {errors: 'increase(failures_total[$window])', total: 'increase(requests_total[$window])', unit: count}}`),
		counting(t, "good", `sli: {promql: {good: 'rate(requests_total[$window]) - rate(failures_total[$window])', total: 'rate(requests_total[$window])'}}`),
		counting(t, "grouped", `group_by: [path]`, `sli: {promql: {errors: 'sum by (path) (rate(failures_total[$window]))', total: 'sum by (path) (rate(requests_total[$window]))'}}`),
		counting(t, "ratio", `sli: {ratio: {errors: 'sum(rate(failures_total[$window])) / sum(rate(requests_total[$window]))'}}`),
		counting(t, "weighted", `sli: {ratio: {good: '1 - sum(rate(failures_total[$window])) / sum(rate(requests_total[$window]))', total: 'sum(rate(requests_total[$window]))'}}`),
		counting(t, "recorded", `sli: {ratio: {errors: 'job:errors:ratio'}}`)))
	for path, perSecond := range map[string]float64{`path="/a",`: 60, "": 40} {
		w.scrape(`requests_total{`+path+`i="1"}`, 0, hour, scrape, steady(perSecond))
		w.scrape(`failures_total{`+path+`i="1"}`, 0, hour, scrape, steady(perSecond/20))
	}
	w.scrape("job:errors:ratio", 0, hour, scrape, func(s float64) float64 {
		if math.Mod(s, 120) == 0 {
			return math.NaN() // no traffic
		}
		return 0.05
	})
	at := 40 * minute
	w.live(at)
	for _, name := range []string{"rates", "counts", "good", "ratio", "weighted", "recorded"} {
		near(t, name+" 5m", w.value(at, `slo:sli_error:ratio_rate5m{slo="`+name+`"}`), 0.05, 1e-6)
		near(t, name+" 30m", w.value(at, `slo:sli_error:ratio_rate30m{slo="`+name+`"}`), 0.05, 1e-6)
	}
	for name, total := range map[string]float64{"rates": 100, "counts": 100, "good": 100, "weighted": 100, "ratio": 1, "recorded": 1} {
		near(t, name+" total", w.value(at, `slo:sli_total:rate5m{slo="`+name+`"}`), total, 1e-6)
		near(t, name+" total", w.value(at, `slo:sli_total:rate1m15s{slo="`+name+`"}`), total, 1e-6)
	}
	near(t, "path", w.value(at, `slo:sli_total:rate5m{slo="grouped",path="/a"}`), 60, 1e-6)
	near(t, "no path", w.value(at, `slo:sli_errors:rate5m{slo="grouped",path=""}`), 2, 1e-6)
}

// A composite of 3 to 1 parts, one of which fails by a tenth: by 7.5%, or by
// 2.5% if it is the other. A part without traffic is good.
func TestComposite(t *testing.T) {
	t.Parallel()
	part := func(name string) slo.SLO {
		return counting(t, name, `sli: {events: {errors: 'failures_total{app="`+name+`"}', total: 'requests_total{app="`+name+`"}'}}`)
	}
	w := newWorld(t, inPrometheus(t, rules.Options{}, part("zzz"), part("b"), part("idle"),
		counting(t, "a", `sli: {composite: [{slo: shop/zzz, weight: 3}, {slo: shop/b, weight: 1}]}`),
		counting(t, "c", `sli: {composite: [{slo: shop/b}, {slo: shop/idle}]}`)))
	w.scrape(`requests_total{app="zzz"}`, 0, 2*hour, scrape, steady(100))
	w.scrape(`failures_total{app="zzz"}`, 0, 2*hour, scrape, steady(10))
	w.scrape(`requests_total{app="b"}`, 0, 2*hour, scrape, steady(1))
	w.scrape(`requests_total{app="idle"}`, 0, 2*hour, scrape, steady(0))
	w.live(40 * minute)
	near(t, "a 5m", w.value(40*minute, `slo:sli_error:ratio_rate5m{slo="a"}`), 0.075, 1e-9)
	near(t, "a 30m", w.value(40*minute, `slo:sli_error:ratio_rate30m{slo="a"}`), 0.075, 1e-6)
	near(t, "c 5m", w.value(40*minute, `slo:sli_error:ratio_rate5m{slo="c"}`), 0, 0)
	near(t, "c total", w.value(40*minute, `slo:sli_total:rate5m{slo="c"}`), 1, 0)
}

// Slices of five minutes: 4% failed in the first, 6% in the second, 5% in the
// third, and nothing in the others of an hour.
func TestTimeSlices(t *testing.T) {
	t.Parallel()
	sli := `sli: {events: {errors: failures_total, total: requests_total}}`
	w := newWorld(t, inPrometheus(t, rules.Options{}, counting(t, "state", `slices: {length: 5m, target: 95}`, sli), counting(t, "share", `slices: {length: 5m}`, sli),
		counting(t, "good", `slices: {length: 5m, target: 95}`, `sli: {events: {good: successes_total, total: requests_total}}`)))
	begin := hour
	failures := func(s float64) float64 {
		var sum float64
		for i, perSecond := range []float64{4, 6, 5} {
			sum += burst(perSecond, begin+time.Duration(i)*5*minute, begin+time.Duration(i+1)*5*minute)(s)
		}
		return sum
	}
	w.scrape("requests_total", 0, 3*hour, scrape, steady(100))
	w.scrape("failures_total", 0, 3*hour, scrape, failures)
	w.scrape("successes_total", 0, 3*hour, scrape, func(s float64) float64 { return 100*s - failures(s) })
	at := begin + 50*minute
	w.replay(10*minute, at-5*minute)
	w.live(at)
	near(t, "one of twelve", 12*w.value(at, `slo:sli_error:ratio_rate1h{slo="state"}`), 1, 1e-6)
	near(t, "one of twelve", 12*w.value(at, `slo:sli_error:ratio_rate1h{slo="good"}`), 1, 1e-6)
	near(t, "shares", 12*w.value(at, `slo:sli_error:ratio_rate1h{slo="share"}`), 0.15, 1e-6)
	near(t, "total", w.value(at, `slo:sli_total:rate5m{slo="state"}`), 1, 0)
	during := begin + 12*minute // the second slice has counted for two minutes
	near(t, "5m", w.value(during, `slo:sli_errors:rate5m{slo="state"}`), 0.4, 0.2)
}

func TestLogEvents(t *testing.T) {
	t.Parallel()
	set := compile(t, rules.Options{}, counting(t, "a", `sli: {logs: {errors: '{app="shop"} |= "error"', total: '{app="shop"}'}}`),
		counting(t, "g", `group_by: [path]`, `sli: {logs: {good: '{app="shop"} | json | status < 500 # fine', total: '{app="shop"} | json'}}`))
	loki := set.Files[slices.IndexFunc(set.Files, func(f rules.File) bool { return f.Name == "loki/midwatch-logs.yaml" })]
	var got []string
	for _, g := range loki.Groups {
		for _, r := range g.Rules {
			got = append(got, fmt.Sprintf("%s %s %s", r.Labels["slo"], r.Record, r.Expr))
		}
	}
	want := []string{
		`a slo:log_total:rate1m sum(rate({app="shop"} [1m] offset 10s))`,
		`a slo:log_errors:rate1m sum(rate({app="shop"} |= "error" [1m] offset 10s))`,
		`g slo:log_total:rate1m sum by (path) (rate({app="shop"} | json [1m] offset 10s))`,
		"g slo:log_good:rate1m sum by (path) (rate({app=\"shop\"} | json | status < 500 # fine\n [1m] offset 10s))",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	// Loki writes a sample a minute, none of errors in most of them.
	set.Files = slices.DeleteFunc(set.Files, func(f rules.File) bool { return f.Name == loki.Name })
	w := newWorld(t, set)
	w.scrape(`slo:log_total:rate1m{service="shop",slo="a"}`, 20*time.Second, 2*hour, minute, func(float64) float64 { return 10 })
	w.scrape(`slo:log_errors:rate1m{service="shop",slo="a"}`, 20*time.Second, 2*hour, minute, func(s float64) float64 {
		if math.Mod(s, 300) > 60 {
			return math.NaN()
		}
		return 1
	})
	w.live(45 * minute)
	near(t, "5m", w.value(45*minute, `slo:sli_error:ratio_rate5m{slo="a"}`), 0.02, 1e-9)
	near(t, "30m", w.value(45*minute, `slo:sli_error:ratio_rate30m{slo="a"}`), 0.02, 0.05)
}
