package explain_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	prometheusrules "github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// onset is when errors begin.
var onset = time.Date(2026, 3, 1, 12, 0, 7, 0, time.UTC)

// simulation is Prometheus' own storage, engine and rules, without a clock.
type simulation struct {
	t      *testing.T
	db     *tsdb.DB
	groups []*prometheusrules.Group
	fired  map[string]time.Duration // after the onset, by tier
	calm   map[string]time.Duration // when it fired last
}

func simulate(t *testing.T, s slo.SLO, o rules.Options) *simulation {
	t.Helper()
	options := tsdb.DefaultOptions()
	options.MinBlockDuration = (30 * 24 * time.Hour).Milliseconds()
	options.MaxBlockDuration = options.MinBlockDuration
	options.WALSegmentSize = -1
	db, err := tsdb.Open(t.TempDir(), nil, nil, options, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.DisableCompactions()
	t.Cleanup(func() { _ = db.Close() })
	sim := &simulation{t: t, db: db, fired: map[string]time.Duration{}, calm: map[string]time.Duration{}}
	sim.load(s, o)
	return sim
}

func (sim *simulation) load(s slo.SLO, o rules.Options) {
	sim.t.Helper()
	set, err := rules.Compile([]slo.SLO{s}, o)
	if err != nil {
		sim.t.Fatal(err)
	}
	dir := sim.t.TempDir()
	if err := set.WriteDir(dir); err != nil {
		sim.t.Fatal(err)
	}
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 10_000_000, Timeout: time.Minute, Parser: p})
	m := prometheusrules.NewManager(&prometheusrules.ManagerOptions{
		QueryFunc: prometheusrules.EngineQueryFunc(engine, sim.db), Appendable: sim.db, Queryable: sim.db,
		Context: sim.t.Context(), Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Parser: p,
		NotifyFunc: func(context.Context, string, ...*prometheusrules.Alert) {},
	})
	for _, f := range set.Files {
		groups, errs := m.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, filepath.Join(dir, f.Name))
		if len(errs) > 0 {
			sim.t.Fatal(errs)
		}
		for _, want := range f.Groups {
			for _, g := range groups {
				if g.Name() == want.Name {
					sim.groups = append(sim.groups, g)
				}
			}
		}
	}
}

// run scrapes counters of so many requests a second of which a share fails
// from the onset until its end, and evaluates all rules. It begins some time
// before the onset.
func (sim *simulation) run(o rules.Options, perSecond, ratio float64, before, lasts, until time.Duration) {
	sim.t.Helper()
	begin := onset.Add(-before)
	app := sim.db.Appender(sim.t.Context())
	var refs [2]storage.SeriesRef
	for at := begin; !at.After(onset.Add(until)); at = at.Add(o.ScrapeInterval) {
		failing := max(0, min(at.Sub(onset), lasts)).Seconds()
		for i, v := range []float64{perSecond * at.Sub(begin).Seconds(), perSecond * ratio * failing} {
			name := []string{"requests_total", "failures_total"}[i]
			ref, err := app.Append(refs[i], labels.FromStrings(model.MetricNameLabel, name, "app", "shop"), at.UnixMilli(), v)
			if err != nil {
				sim.t.Fatal(err)
			}
			refs[i] = ref
		}
	}
	if err := app.Commit(); err != nil {
		sim.t.Fatal(err)
	}
	for at := begin.Truncate(5 * time.Second); !at.After(onset.Add(until)); at = at.Add(5 * time.Second) {
		for _, g := range sim.groups {
			if at.Sub(begin.Truncate(time.Hour))%g.Interval() == 0 {
				g.Eval(sim.t.Context(), at)
				sim.inspect(g, at)
			}
		}
	}
}

func (sim *simulation) inspect(g *prometheusrules.Group, at time.Time) {
	sim.t.Helper()
	for _, r := range g.Rules() {
		if r.LastError() != nil {
			sim.t.Fatalf("%s: %v", r.Name(), r.LastError())
		}
	}
	for _, r := range g.AlertingRules() {
		for _, a := range r.ActiveAlerts() {
			tier := a.Labels.Get("tier")
			if tier == "" || a.State != prometheusrules.StateFiring {
				continue
			}
			if _, known := sim.fired[tier]; !known {
				sim.fired[tier] = at.Sub(onset)
			}
			sim.calm[tier] = at.Sub(onset)
		}
	}
}
