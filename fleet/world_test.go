package fleet_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/fleet"
)

// world is clusters whose series a test sets.
type world struct {
	mu    sync.Mutex
	names []string
	value func(cluster, metric, slo string, at time.Time) float64 // NaN: no sample
	slos  []string
	gone  map[string]string // clusters that do not answer, and why
	part  map[string]string // clusters of whose data some may be missing, and why
	asked []string          // queries

	taken   []alert.Alert // in the order in which they came
	refuse  int           // how often alerts are not taken in
	leading bool
}

var _ fleet.Clusters = (*world)(nil)

// newWorld returns clusters in which each SLO has 100 events a second.
func newWorld(slos []string, clusters ...string) *world {
	return &world{names: clusters, slos: slos, gone: map[string]string{}, part: map[string]string{}, leading: true, value: failing(nil)}
}

// failing gives each cluster 100 events a second, of which a share fails.
func failing(shares map[string]float64) func(cluster, metric, slo string, at time.Time) float64 {
	return func(cluster, metric, _ string, _ time.Time) float64 {
		switch metric {
		case "slo:sli_total:rate5m":
			return 100
		case "slo:sli_errors:rate5m":
			return 100 * shares[cluster]
		}
		return math.NaN()
	}
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) match(query string, at time.Time) (promql.Vector, error) {
	ms, err := parser.NewParser(parser.Options{}).ParseMetricSelector(query)
	if err != nil {
		return nil, err
	}
	var out promql.Vector
	for _, c := range w.names {
		if w.gone[c] != "" {
			continue
		}
		for _, metric := range []string{"slo:sli_total:rate5m", "slo:sli_errors:rate5m"} {
			for _, s := range w.slos {
				set := labels.FromStrings("__name__", metric, "slo", s, "service", "svc", "cluster", c)
				matching := !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(set.Get(m.Name)) })
				if v := w.value(c, metric, s, at); matching && !math.IsNaN(v) {
					out = append(out, promql.Sample{T: at.UnixMilli(), F: v, Metric: set})
				}
			}
		}
	}
	return out, nil
}

// Instant implements fleet.Clusters.
func (w *world) Instant(_ context.Context, query string, at time.Time) (promql.Vector, fleet.Lack, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, query)
	v, err := w.match(query, at)
	return v, w.lack(), err
}

// Range implements fleet.Clusters.
func (w *world) Range(_ context.Context, query string, start, end time.Time, step time.Duration) (promql.Matrix, fleet.Lack, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	bySet := map[string]*promql.Series{}
	for at := start; !at.After(end); at = at.Add(step) {
		v, err := w.match(query, at)
		if err != nil {
			return nil, fleet.Lack{}, err
		}
		for _, s := range v {
			key := s.Metric.String()
			if bySet[key] == nil {
				bySet[key] = &promql.Series{Metric: s.Metric}
			}
			bySet[key].Floats = append(bySet[key].Floats, promql.FPoint{T: s.T, F: s.F})
		}
	}
	var out promql.Matrix
	for _, key := range slices.Sorted(maps.Keys(bySet)) {
		out = append(out, *bySet[key])
	}
	return out, w.lack(), nil
}

func (w *world) lack() fleet.Lack {
	return fleet.Lack{Missing: maps.Clone(w.gone), Doubtful: maps.Clone(w.part)}
}

func (w *world) members() (out []fleet.Member) {
	for _, c := range w.names {
		out = append(out, fleet.Member{Name: c, Labels: map[string]string{"cluster": c}})
	}
	return out
}

func (w *world) deliver(_ context.Context, alerts []alert.Alert) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse > 0 {
		w.refuse--
		return errors.New("the disk is full")
	}
	w.taken = append(w.taken, alerts...)
	return nil
}

// last returns what was said last of the alerts of a name, nothing when none
// was delivered.
func (w *world) last(name string) (out alert.Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.taken {
		if a.Label("alertname") == name {
			out = a
		}
	}
	return out
}

// config returns what a fleet over the world needs.
func (w *world) config(dir string) fleet.Config {
	return fleet.Config{
		Dir: dir, Clusters: w, Members: w.members, Deliver: w.deliver,
		Leads:        func(context.Context) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.leading },
		Retention:    2 * 24 * time.Hour,
		MissingAfter: time.Second,
		ExternalURL:  "http://midwatch.example.com",
		Logger:       slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	}
}

// start runs a fleet, and returns it and its end.
func start(t *testing.T, c fleet.Config, groups []rulefmt.RuleGroup, slos ...string) (*fleet.Fleet, func()) {
	t.Helper()
	f, err := fleet.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Update(groups, slos); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return f, end
}

// burning are rules of a fleet as those that the compiler makes: an alert that
// fires, after a time, while more than a tenth of events fail.
func burning(after time.Duration) []rulefmt.RuleGroup {
	fleetWide := map[string]string{"scope": "fleet"}
	sum := func(metric string) rulefmt.Rule {
		return rulefmt.Rule{Record: metric, Expr: `sum by (slo, service) (` + metric + `{scope=""} and on (slo, service) slo:parameter:value)`, Labels: fleetWide}
	}
	return []rulefmt.RuleGroup{
		{Name: "parameters", Interval: model.Duration(time.Second), Rules: []rulefmt.Rule{
			{Record: "slo:parameter:value", Expr: "vector(1)", Labels: map[string]string{"scope": "fleet", "slo": "a", "service": "svc"}},
			{Record: "slo:parameter:value", Expr: "vector(1)", Labels: map[string]string{"scope": "fleet", "slo": "b", "service": "svc"}},
		}},
		{Name: "windows", Interval: model.Duration(time.Second), Rules: []rulefmt.Rule{
			sum("slo:sli_errors:rate5m"), sum("slo:sli_total:rate5m"),
			{Record: "slo:burn:ratio", Expr: `slo:sli_errors:rate5m{scope="fleet"} / slo:sli_total:rate5m{scope="fleet"} > 0.1`, Labels: fleetWide},
			{
				Alert: "Burn", Expr: `slo:burn:ratio{scope="fleet"}`, For: model.Duration(after),
				Labels:      map[string]string{"severity": "P1", "scope": "fleet"},
				Annotations: map[string]string{"description": "{{ $value }} fail."},
			},
		}},
	}
}

// until waits for a condition.
func until(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	if !eventually(within, ok) {
		t.Fatalf("not within %s: %s", within, what)
	}
}

// eventually waits for a condition, and tells whether it came.
func eventually(within time.Duration, ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(within)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// samples returns the points that are recorded of a metric of an SLO of the
// fleet, the marks of staleness left out.
func samples(t *testing.T, q storage.Queryable, metric, slo string, from, to time.Time) (out []promql.FPoint) {
	t.Helper()
	querier, err := q.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer querier.Close()
	set := querier.Select(t.Context(), true, nil,
		labels.MustNewMatcher(labels.MatchEqual, "__name__", metric), labels.MustNewMatcher(labels.MatchEqual, "slo", slo))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() != 0 {
			if at, v := it.At(); !value.IsStaleNaN(v) {
				out = append(out, promql.FPoint{T: at, F: v})
			}
		}
	}
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	return out
}
