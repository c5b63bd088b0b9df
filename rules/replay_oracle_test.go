package rules_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	prometheusrules "github.com/prometheus/prometheus/rules"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/slo"
)

// walk is a counter that a dice moves: it stands still, runs, is reset, ends
// and comes back.
func walk(dice *rand.Rand, perSecond, life float64) func(float64) float64 {
	rate, value, last, absent := perSecond, 0.0, 0.0, dice.Float64() > life
	return func(s float64) float64 {
		value += rate * (s - last)
		last = s
		switch throw := dice.Float64(); {
		case throw < 0.01:
			rate = perSecond * dice.Float64() * 2
		case throw < 0.015:
			value = 0
		case throw < 0.02:
			absent = dice.Float64() > life
		}
		if absent {
			return math.NaN()
		}
		return value
	}
}

// storm scrapes random counters of SLOs over requests_total and
// failures_total.
func (w *world) storm(seed uint64, apps []string, until time.Duration) {
	dice := rand.New(rand.NewPCG(seed, 7))
	for _, app := range apps {
		for i := range 4 {
			ls := fmt.Sprintf(`{app="%s",i="%d",path="/%d"}`, app, i, i%2)
			phase := time.Duration(dice.Int64N(15000)) * time.Millisecond
			w.scrape("requests_total"+ls, phase, until, scrape, walk(dice, 20, 0.7))
			w.scrape("failures_total"+ls, phase, until, scrape, walk(dice, 1, 0.5))
		}
	}
}

// TestReplayIsWhatPrometheusRecordsAndFires lets Prometheus' own rule groups
// evaluate random series moment by moment, and replays the same span: every
// sample is the same to 1e-12, and every alert fires at the same evaluations.
func TestReplayIsWhatPrometheusRecordsAndFires(t *testing.T) {
	t.Parallel()
	for seed, o := range []rules.Options{{}, {Interval: time.Minute}, {CatchUp: true}} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			replayAgainstLive(t, uint64(seed), 3*hour, compile(t, o, grouped(t)...))
		})
	}
	t.Run("every feature", func(t *testing.T) {
		t.Parallel()
		slos, err := slo.Parse("features.yaml", []byte(features))
		if err != nil {
			t.Fatal(err)
		}
		replayAgainstLive(t, 3, 100*minute, compile(t, rules.Options{}, slos...))
	})
}

// features are SLOs with all that reads series in a way of its own.
const features = `
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: tiers, labels: {team: shop}, annotations: {note: see}}
spec:
  service: shop
  objective: 90
  window: 7d
  exclusions: [{name: move, from: 2026-03-01T00:40:00Z, to: 2026-03-01T00:52:00Z}]
  alerts:
    outage: true
    tiers: [{long: 20m, short: 2m, burn_rate: 1.2, severity: P2}, {long: 1h, short: 10m, burn_rate: 1, severity: P3, for: 3m}]
    budget_spent: [{percent: 1, severity: P3}]
    no_data: {after: 5m, severity: P3}
  sli: {events: {errors: 'failures_total{app="a"}', total: 'requests_total{app="a"}'}}
---
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: month}
spec:
  service: shop
  objective: 95
  window: {calendar: month, timezone: Asia/Shanghai}
  group_by: [path]
  alerts: {preset: scaled}
  slices: {length: 1m, target: 97}
  sli: {events: {errors: 'failures_total{app="b"}', total: 'requests_total{app="b"}'}}
---
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: gauge}
spec:
  service: shop
  objective: 95
  scope: both
  sli: {gauge: {expr: 'failures_total{app="c"}', good: "< 200"}}
---
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: all}
spec:
  service: shop
  objective: 95
  sli: {composite: [{slo: shop/tiers, weight: 2}, {slo: shop/gauge}]}
`

// grouped are SLOs that read their own past, with and without groups.
func grouped(t *testing.T) []slo.SLO {
	return []slo.SLO{
		availability(t, "a", "99.9", nil),
		availability(t, "b", "95", func(s *slo.SLO) { s.Critical, s.GroupBy = true, []string{"path"} }),
		availability(t, "c", "99", func(s *slo.SLO) {
			s.Window, s.GroupBy = window(t, "7d"), []string{"path"}
			s.SLI.Events.Good, s.SLI.Events.Errors = s.SLI.Events.Total[:len(s.SLI.Events.Total)-1]+`,i!="1"}`, ""
		}),
	}
}

func replayAgainstLive(t *testing.T, seed uint64, until time.Duration, set rules.Set) {
	t.Helper()
	w := newWorld(t, set)
	if seed%2 == 1 {
		w.phase = map[string]time.Duration{"midwatch-events/": 13 * time.Second, "midwatch-windows": 41 * time.Second, "midwatch-period-": 7 * time.Second}
	}
	raw := newWorld(t, set)
	for _, into := range []*world{w, raw} {
		into.storm(seed, []string{"a", "b", "c"}, until)
	}
	type moment struct {
		at    time.Duration
		alert string
	}
	wantFiring := map[moment]bool{}
	for at := 30 * time.Second; at <= until; at += time.Second {
		w.live(at)
		for _, g := range w.groups {
			for _, r := range g.AlertingRules() {
				for _, a := range r.ActiveAlerts() {
					if a.State == prometheusrules.StateFiring && r.GetEvaluationTimestamp() != (time.Time{}) && w.evaluated(g, at) {
						wantFiring[moment{at, a.Labels.String()}] = true
					}
				}
			}
		}
	}

	got := map[string]map[int64]float64{}
	result, err := replay.Run(t.Context(), replay.Config{
		Groups: promQL(set), Source: replay.NewLocal(raw.db), Since: epoch.Add(time.Second), From: epoch.Add(time.Second), To: epoch.Add(until),
		Phase: w.phaseOf, Wanted: func(string) bool { return true }, Span: 47 * minute,
		Record: func(s replay.Series) {
			points := got[s.Labels.String()]
			if points == nil {
				points = map[int64]float64{}
				got[s.Labels.String()] = points
			}
			for _, p := range s.Points {
				points[p.T] = p.F
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Failures) > 0 {
		t.Errorf("failures: %v", result.Failures)
	}
	w.sameSamples(got, until)
	gotFiring := map[moment]bool{}
	for _, f := range result.Firings {
		for m := range maps.Keys(wantFiring) {
			if at := epoch.Add(m.at); m.alert == f.Labels.String() && !at.Before(f.From) && (f.To.IsZero() || at.Before(f.To)) {
				gotFiring[m] = true
			}
		}
		every := minute // of the slowest group
		if !f.To.IsZero() && f.To.Sub(f.From) < every && len(wantFiring) == 0 {
			t.Errorf("fires only in the replay: %v", f)
		}
	}
	for m := range wantFiring {
		if !gotFiring[m] {
			t.Errorf("%s fires at %s, but not in the replay", m.alert, m.at)
		}
	}
	begun := 0
	for _, f := range result.Firings {
		if f.Labels.Get(model.AlertNameLabel) != "Watchdog" {
			begun++
		}
		if !wantFiring[moment{f.From.Sub(epoch), f.Labels.String()}] {
			t.Errorf("%s fires from %s, only in the replay", f.Labels, f.From)
		}
		if wantFiring[moment{f.To.Sub(epoch), f.Labels.String()}] {
			t.Errorf("%s does not end at %s", f.Labels, f.To)
		}
	}
	if begun != len(w.fired) || begun == 0 {
		t.Errorf("%d alerts begin to fire, in the replay %d", len(w.fired), begun)
	}
	t.Logf("%d alerts", begun)
}

// evaluated tells whether a group was evaluated at a moment.
func (w *world) evaluated(g *prometheusrules.Group, at time.Duration) bool {
	return (at-w.phaseOf(g.Name()))%g.Interval() == 0
}

// same tells whether two values are the same but for the order in which they
// were summed up, which is by chance over many steps at once.
func same(a, b float64) bool {
	return a == b || !math.IsInf(a, 0) && math.Abs(a-b) <= 1e-12*math.Abs(a)
}

// sameSamples compares what a replay recorded with what is in the storage.
func (w *world) sameSamples(got map[string]map[int64]float64, until time.Duration) {
	w.t.Helper()
	want := map[string]map[int64]float64{}
	q, err := w.db.Querier(epoch.UnixMilli(), epoch.Add(until).UnixMilli())
	if err != nil {
		w.t.Fatal(err)
	}
	defer q.Close()
	set := q.Select(w.t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, "slo:.+"))
	for set.Next() {
		points := map[int64]float64{}
		for it := set.At().Iterator(nil); it.Next() != 0; {
			if at, v := it.At(); !math.IsNaN(v) {
				points[at] = v
			}
		}
		if len(points) > 0 {
			want[set.At().Labels().String()] = points
		}
	}
	wrong := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if maps.EqualFunc(want[name], got[name], same) {
			continue
		}
		wrong++
		if wrong < 5 {
			w.t.Errorf("%s: %d samples, in the replay %d: %s", name, len(want[name]), len(got[name]), firstDifference(want[name], got[name]))
		}
	}
	if wrong > 0 || len(want) != len(got) || len(want) < 50 {
		w.t.Errorf("%d series, in the replay %d, %d differ", len(want), len(got), wrong)
	}
}

func firstDifference(want, got map[int64]float64) string {
	at := slices.Sorted(maps.Keys(want))
	at = slices.Sorted(slices.Values(append(at, slices.Collect(maps.Keys(got))...)))
	for _, t := range at {
		a, in := want[t]
		b, also := got[t]
		if in != also || !same(a, b) {
			return strings.TrimSpace(fmt.Sprintf("at %s %v (%v), in the replay %v (%v)", time.UnixMilli(t).Sub(epoch), a, in, b, also))
		}
	}
	return "none"
}
