package replay_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	prometheusrules "github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/rules/replay"
)

var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// awkward are rules that read their own past, each other's, and what is
// recorded after them at the same instant.
const awkward = `
groups:
- name: one
  interval: 30s
  rules:
  - {record: counted, expr: "counted + 1 or vector(0)"}
  - {record: ahead, expr: "count_over_time(behind[5m])"}
  - {record: ahead_of_all, expr: "sum(last_over_time({__name__=~'behind|counted'}[1m]))"}
  - {record: mine, expr: "sum by (i) (rate(raw[2m])) or 0 * max by (i) (mine{set='x'})", labels: {set: x}}
  - {record: ping, expr: "(pong or vector(1)) * -1 + 0.001 * sum(raw)"}
  - {record: fixed, expr: "vector(3)", labels: {name: first}}
  - {record: fixed, expr: "fixed{name='first'} or label_join(vector(1), 'of', 'second', 'of', 'of')", labels: {name: second}}
  - {record: refixed, expr: "fixed{name='second'} or fixed{name='none'}"}
  - {record: unfixed, expr: "fixed{name='first'} or fixed{name='later'}"}
  - {record: fixed_before, expr: "fixed{name='first'} offset 1m"}
  - {record: fixed, expr: "vector(7)", labels: {name: later}}
- name: two
  interval: 1m
  rules:
  - {record: behind, expr: "sum by (i) (raw)"}
  - {record: pong, expr: "ping + on () sum(avg_over_time(behind[3m]))"}
  - {record: gone, expr: "raw > 500"}
  - {record: after_gone, expr: "sum(gone) or vector(-1)"}
  - {record: of_others, expr: "fixed{name='first'}"}
  - {record: late, expr: "behind offset 2m or last_over_time(counted[2m] offset 1m)"}
- name: alerts
  interval: 30s
  rules:
  - {alert: High, expr: "raw > 300", for: 1m, labels: {kind: a}}
  - {alert: Held, expr: "mine > 2", keep_firing_for: 90s}
  - {alert: Both, expr: "mine{set='x'} > 1.5", for: 90s, keep_firing_for: 2m}
`

// TestRulesThatReadThePast compares rules of every awkward kind with
// Prometheus' rule manager, sample by sample and alert by alert.
func TestRulesThatReadThePast(t *testing.T) {
	t.Parallel()
	const until = 2 * time.Hour
	groups, errs := rulefmt.Parse([]byte(awkward), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for seed := range uint64(3) {
		raw, live := database(t), database(t)
		scrape(t, seed, until, raw, live)
		want, wantFirings := manager(t, live, until)
		got, result := replayed(t, groups.Groups, raw, until)
		if len(want) < 12 {
			t.Fatalf("only %d series", len(want))
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if !maps.Equal(want[name], got[name]) {
				t.Errorf("seed %d: %s: %d samples, in the replay %d", seed, name, len(want[name]), len(got[name]))
				for _, at := range slices.Sorted(maps.Keys(want[name])) {
					if g, ok := got[name][at]; !ok || g != want[name][at] {
						t.Errorf("  at %s: %v, in the replay %v (%v)", time.UnixMilli(at).Sub(epoch), want[name][at], g, ok)
						break
					}
				}
			}
		}
		if len(got) != len(want) {
			t.Errorf("seed %d: %d series, in the replay %d", seed, len(want), len(got))
		}
		var gotFirings []string
		for _, f := range result.Firings {
			gotFirings = append(gotFirings, firing(f.Labels, f.From, f.To))
		}
		slices.Sort(gotFirings)
		slices.Sort(wantFirings)
		if len(wantFirings) < 5 || !slices.Equal(gotFirings, wantFirings) {
			t.Errorf("seed %d: fired\n%q\nin the replay\n%q", seed, wantFirings, gotFirings)
		}
	}
}

// TestRulesThatFail has a rule that matches many series to many at some
// moments: what others and it record at the other moments is not lost.
func TestRulesThatFail(t *testing.T) {
	t.Parallel()
	m := &replay.Memory{}
	one, two := m.Series(labels.FromStrings(model.MetricNameLabel, "m", "a", "1")), m.Series(labels.FromStrings(model.MetricNameLabel, "m", "a", "2"))
	for i := range 240 {
		at := epoch.Add(time.Duration(i) * 15 * time.Second).UnixMilli()
		if err := one.Add(at, 1, nil); err != nil {
			t.Fatal(err)
		}
		if i >= 80 && i < 120 { // from 20 to 30 minutes, and five more that it is seen
			if err := two.Add(at, 1, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	groups, errs := rulefmt.Parse([]byte(`
groups: [{name: g, interval: 1m, rules: [{record: bad, expr: "m + on () m"}, {record: good, expr: "count(m)"}, {record: after, expr: "bad + 1"}]}]
`), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	counts := map[string]int{}
	result, err := replay.Run(t.Context(), replay.Config{
		Groups: groups.Groups, Source: replay.NewLocal(m), From: epoch, To: epoch.Add(59 * time.Minute), Wanted: func(string) bool { return true },
		Record: func(s replay.Series) { counts[s.Labels.Get(model.MetricNameLabel)] += len(s.Points) },
	})
	if err != nil {
		t.Fatal(err)
	}
	// 20:00 to 34:45 are 15 evaluations. What is recorded lasts five minutes
	// for who reads it, without a mark of its end.
	if want := map[string]int{"bad": 45, "good": 60, "after": 49}; !maps.Equal(counts, want) {
		t.Errorf("recorded %v, want %v", counts, want)
	}
	if len(result.Failures) != 1 || result.Failures[0].Times != 15 || !result.Failures[0].First.Equal(epoch.Add(20*time.Minute)) || result.Failures[0].Rule != "bad" {
		t.Errorf("failures: %+v", result.Failures)
	}
}

func firing(l labels.Labels, from, to time.Time) string {
	if to.IsZero() {
		return fmt.Sprintf("%s %s", l, from.Sub(epoch))
	}
	return fmt.Sprintf("%s %s-%s", l, from.Sub(epoch), to.Sub(epoch))
}

// replayed returns every sample that a replay records, in small spans.
func replayed(t *testing.T, groups []rulefmt.RuleGroup, raw *tsdb.DB, until time.Duration) (map[string]map[int64]float64, replay.Result) {
	t.Helper()
	got := map[string]map[int64]float64{}
	result, err := replay.Run(t.Context(), replay.Config{
		Groups: groups, Source: replay.NewLocal(raw), From: epoch, Since: epoch, To: epoch.Add(until), Span: 33 * time.Minute,
		Wanted: func(string) bool { return true },
		Record: func(s replay.Series) {
			name := s.Labels.String()
			if got[name] == nil {
				got[name] = map[int64]float64{}
			}
			for _, p := range s.Points {
				got[name][p.T] = p.F
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, result
}

// scrape appends the same random series to databases: they move, end and come
// back.
func scrape(t *testing.T, seed uint64, until time.Duration, dbs ...*tsdb.DB) {
	t.Helper()
	for _, db := range dbs {
		dice := rand.New(rand.NewPCG(seed, 1))
		app := db.Appender(t.Context())
		for i := range 3 {
			ls := labels.FromStrings(model.MetricNameLabel, "raw", "i", fmt.Sprint(i))
			v, absent := 100.0, false
			for d := time.Duration(i) * 5 * time.Second; d <= until; d += 15 * time.Second {
				v = max(0, v+dice.Float64()*60-30)
				if dice.Float64() < 0.02 {
					absent = !absent
				}
				if absent {
					continue
				}
				if _, err := app.Append(0, ls, epoch.Add(d).UnixMilli(), v); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func database(t *testing.T) *tsdb.DB {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.MinBlockDuration = (120 * 24 * time.Hour).Milliseconds()
	o.MaxBlockDuration, o.WALSegmentSize = o.MinBlockDuration, -1
	db, err := tsdb.Open(t.TempDir(), nil, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// manager lets Prometheus' rule groups evaluate the awkward rules at every
// instant, and returns what they record and when their alerts fire.
func manager(t *testing.T, db *tsdb.DB, until time.Duration) (map[string]map[int64]float64, []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(awkward), 0o644); err != nil {
		t.Fatal(err)
	}
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute, Parser: p})
	m := prometheusrules.NewManager(&prometheusrules.ManagerOptions{
		QueryFunc: prometheusrules.EngineQueryFunc(engine, db), Appendable: db, Queryable: db,
		Context: t.Context(), Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Parser: p,
		NotifyFunc: func(context.Context, string, ...*prometheusrules.Alert) {},
	})
	loaded, errs := m.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, file)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var groups []*prometheusrules.Group
	for _, name := range []string{"one", "two", "alerts"} {
		for _, g := range loaded {
			if g.Name() == name {
				groups = append(groups, g)
			}
		}
	}
	begun, fired := map[string]time.Time{}, []string{}
	for d := time.Duration(0); d <= until; d += 30 * time.Second {
		at := epoch.Add(d)
		for _, g := range groups {
			if d%g.Interval() == 0 {
				g.Eval(t.Context(), at)
			}
			for _, r := range g.AlertingRules() {
				if r.LastError() != nil {
					t.Fatal(r.LastError())
				}
				r.ForEachActiveAlert(func(a *prometheusrules.Alert) {
					if a.State == prometheusrules.StateFiring {
						begun[a.Labels.String()] = a.FiredAt
					}
					if from, ok := begun[a.Labels.String()]; ok && a.State == prometheusrules.StateInactive && a.ResolvedAt.Equal(at) {
						fired = append(fired, firing(a.Labels, from, at))
						delete(begun, a.Labels.String())
					}
				})
			}
		}
	}
	for name, from := range begun {
		fired = append(fired, fmt.Sprintf("%s %s", name, from.Sub(epoch)))
	}
	return recorded(t, db, until), fired
}

func recorded(t *testing.T, db *tsdb.DB, until time.Duration) map[string]map[int64]float64 {
	t.Helper()
	q, err := db.Querier(epoch.UnixMilli(), epoch.Add(until).UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	out := map[string]map[int64]float64{}
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchNotRegexp, model.MetricNameLabel, "raw|ALERTS.*"))
	for set.Next() {
		points := map[int64]float64{}
		for it := set.At().Iterator(nil); it.Next() != 0; {
			if at, v := it.At(); !math.IsNaN(v) {
				points[at] = v
			}
		}
		if len(points) > 0 {
			out[set.At().Labels().String()] = points
		}
	}
	return out
}
