package rules_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	prometheusrules "github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/slo"
)

// epoch is where the time of every test begins.
var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// world is a Prometheus without a clock: its storage, its engine and its own
// rule groups, evaluated at the times that a test says.
type world struct {
	t      *testing.T
	db     *tsdb.DB
	engine *promql.Engine
	set    rules.Set
	groups []*prometheusrules.Group
	phase  map[string]time.Duration // of groups, by the beginning of their names
	fired  []firing
	until  time.Time // live evaluations so far
	down   func(time.Time) bool
}

// firing is an alert that began to fire.
type firing struct {
	at                              time.Time
	name, slo, severity, tier, path string
	percent                         string
	labels, annotations             labels.Labels
}

func newWorld(t *testing.T, set rules.Set) *world {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.MinBlockDuration = (800 * 24 * time.Hour).Milliseconds()
	o.MaxBlockDuration = o.MinBlockDuration
	o.WALSegmentSize = -1
	o.IsolationDisabled = true // nobody writes while a query reads, and it takes most of the time of reading
	db, err := tsdb.Open(t.TempDir(), nil, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.DisableCompactions()
	t.Cleanup(func() { _ = db.Close() })
	w := &world{t: t, db: db, set: set, phase: map[string]time.Duration{}, engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{}),
	})}
	w.load(set)
	return w
}

// load replaces the rules, as a reload does.
func (w *world) load(set rules.Set) {
	w.t.Helper()
	dir := w.t.TempDir()
	if err := set.WriteDir(dir); err != nil {
		w.t.Fatal(err)
	}
	p := parser.NewParser(parser.Options{})
	m := prometheusrules.NewManager(&prometheusrules.ManagerOptions{
		QueryFunc: prometheusrules.EngineQueryFunc(w.engine, w.db), Appendable: w.db, Queryable: w.db,
		Context: w.t.Context(), Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Parser: p,
		NotifyFunc: func(context.Context, string, ...*prometheusrules.Alert) {},
	})
	w.set, w.groups = set, nil
	for _, f := range set.Arranged().Files {
		groups, errs := m.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, filepath.Join(dir, f.Name))
		if len(errs) > 0 {
			w.t.Fatal(errs)
		}
		for _, want := range f.Groups {
			for _, g := range groups {
				if g.Name() == want.Name {
					w.groups = append(w.groups, g)
				}
			}
		}
	}
	if len(w.groups) != len(set.Groups()) {
		w.t.Fatalf("loaded %d of %d groups", len(w.groups), len(set.Groups()))
	}
}

// scrape appends samples of a series from one time to another, where value
// gives the counter after that many seconds since the epoch. NaN is no
// sample.
func (w *world) scrape(series string, from, to, every time.Duration, value func(seconds float64) float64) {
	w.t.Helper()
	ls, err := parser.NewParser(parser.Options{}).ParseMetric(series)
	if err != nil {
		w.t.Fatal(err)
	}
	app := w.db.Appender(w.t.Context())
	var ref storage.SeriesRef
	for d := from; d <= to; d += every {
		v := value(d.Seconds())
		if math.IsNaN(v) {
			continue
		}
		if ref, err = app.Append(ref, ls, epoch.Add(d).UnixMilli(), v); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// phaseOf returns the phase of the longest prefix of a group's name.
func (w *world) phaseOf(name string) time.Duration {
	var phase time.Duration
	longest := 0
	for prefix, d := range w.phase {
		if strings.HasPrefix(name, prefix) && len(prefix) > longest {
			phase, longest = d, len(prefix)
		}
	}
	return phase
}

// replay records the series of the set over a time with package replay, which
// is fast: the last six hours of all, and of what these read as far back as
// they do.
func (w *world) replay(from, to time.Duration) {
	w.t.Helper()
	app := w.db.Appender(w.t.Context())
	result, err := replay.Run(w.t.Context(), replay.Config{
		Groups: promQL(w.set), Source: replay.NewLocal(w.db), Phase: w.phaseOf,
		Since: epoch.Add(from), From: epoch.Add(max(from, to-6*hour)), To: epoch.Add(to), Workers: 1,
		Alerts: func(rulefmt.Rule) bool { return false }, Wanted: func(string) bool { return true },
		Record: func(s replay.Series) {
			var ref storage.SeriesRef
			for _, p := range s.Points {
				var err error
				if ref, err = app.Append(ref, s.Labels, p.T, p.F); err != nil {
					w.t.Fatalf("%s: %v", s.Labels, err)
				}
			}
		},
	})
	if err != nil || len(result.Failures) > 0 {
		w.t.Fatal(result.Failures, err)
	}
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
	w.until = epoch.Add(to)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// replayRule records one rule over a time.
func (w *world) replayRule(r rulefmt.Rule, from, to time.Time, every time.Duration) {
	w.t.Helper()
	q, err := w.engine.NewRangeQuery(w.t.Context(), w.db, nil, r.Expr, from, to, every)
	if err != nil {
		w.t.Fatal(err)
	}
	defer q.Close()
	m, err := q.Exec(w.t.Context()).Matrix()
	if err != nil {
		w.t.Fatalf("%s: %v", r.Record, err)
	}
	app := w.db.Appender(w.t.Context())
	for _, s := range m {
		b := labels.NewBuilder(s.Metric).Set(model.MetricNameLabel, r.Record)
		for k, v := range r.Labels {
			b.Set(k, v)
		}
		var ref storage.SeriesRef
		for _, p := range s.Floats {
			if ref, err = app.Append(ref, b.Labels(), p.T, p.F); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// live evaluates every group at its times after those before, up to and with
// to. A rule that fails fails the test.
func (w *world) live(to time.Duration) {
	w.t.Helper()
	if w.until.IsZero() {
		w.until = epoch
	}
	for t := w.until.Add(time.Second); !t.After(epoch.Add(to)); t = t.Add(time.Second) {
		if w.down != nil && w.down(t) {
			continue
		}
		for _, g := range w.groups {
			if t.Sub(epoch.Add(w.phaseOf(g.Name())))%g.Interval() == 0 {
				g.Eval(w.t.Context(), t)
				w.inspect(g, t)
			}
		}
	}
	w.until = epoch.Add(to)
}

// inspect notes what fires and fails on what failed.
func (w *world) inspect(g *prometheusrules.Group, t time.Time) {
	w.t.Helper()
	for _, r := range g.Rules() {
		if r.LastError() != nil {
			w.t.Fatalf("%s: %s: %v", t.Sub(epoch), r.Name(), r.LastError())
		}
	}
	for _, r := range g.AlertingRules() {
		if r.Name() == "Watchdog" {
			if r.State() != prometheusrules.StateFiring {
				w.t.Fatalf("%s: the watchdog does not fire", t.Sub(epoch))
			}
			continue
		}
		for _, a := range r.ActiveAlerts() {
			f := firing{at: t, name: a.Labels.Get("alertname"), slo: a.Labels.Get("slo"), severity: a.Labels.Get("severity"), tier: a.Labels.Get("tier"), path: a.Labels.Get("path"), percent: a.Labels.Get("percent"), labels: a.Labels, annotations: a.Annotations}
			if a.State == prometheusrules.StateFiring && a.FiredAt.Equal(t) {
				w.fired = append(w.fired, f)
			}
		}
	}
}

// first returns when an alert first fired, as time since the epoch.
func (w *world) first(name, slo, tier string) (time.Duration, bool) {
	for _, f := range w.fired {
		if f.name == name && f.slo == slo && f.tier == tier {
			return f.at.Sub(epoch), true
		}
	}
	return 0, false
}

// ask evaluates an expression.
func (w *world) ask(at time.Duration, expr string) promql.Vector {
	w.t.Helper()
	q, err := w.engine.NewInstantQuery(w.t.Context(), w.db, nil, expr, epoch.Add(at))
	if err != nil {
		w.t.Fatal(err)
	}
	defer q.Close()
	v, err := q.Exec(w.t.Context()).Vector()
	if err != nil {
		w.t.Fatalf("%s: %v", expr, err)
	}
	return slices.Clone(v)
}

// value returns the one value of an expression.
func (w *world) value(at time.Duration, expr string) float64 {
	w.t.Helper()
	v := w.ask(at, expr)
	if len(v) != 1 {
		w.t.Fatalf("%s at %s: want one value, got %v", expr, at, v)
	}
	return v[0].F
}

// near fails unless got is within a share of want, and a billionth.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if !(math.Abs(got-want) <= math.Abs(want)*share+1e-9) {
		t.Errorf("%s: want %g within %g%%, got %g", what, want, share*100, got)
	}
}

// availability is an SLO over requests_total and failures_total with a label
// app.
func availability(t *testing.T, name, objective string, change func(*slo.SLO)) slo.SLO {
	t.Helper()
	text := fmt.Sprintf(`
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: %[1]s}
spec:
  service: shop
  objective: %[2]s
  sli: {events: {errors: 'failures_total{app="%[1]s"}', total: 'requests_total{app="%[1]s"}'}}
`, name, objective)
	slos, err := slo.Parse(name+".yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&slos[0])
	}
	return slos[0]
}

func compile(t *testing.T, o rules.Options, slos ...slo.SLO) rules.Set {
	t.Helper()
	set, err := rules.Compile(slos, o)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// steady is a counter of so many events a second.
func steady(perSecond float64) func(float64) float64 {
	return func(s float64) float64 { return perSecond * s }
}

// burst is a counter of so many events a second from one time until another.
func burst(perSecond float64, from, to time.Duration) func(float64) float64 {
	return func(s float64) float64 {
		return perSecond * max(0, min(s, to.Seconds())-from.Seconds())
	}
}

// never is a counter whose series does not exist yet before from.
func never(from time.Duration, f func(float64) float64) func(float64) float64 {
	return func(s float64) float64 {
		if s < from.Seconds() {
			return math.NaN()
		}
		return f(s)
	}
}
