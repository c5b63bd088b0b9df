package federation_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
)

// partWorld is two clusters whose traffic is counted, and what is held here.
type partWorld struct {
	*federation.Federation
	traffic   traffic
	registry  *prometheus.Registry
	reference world
}

func newPartWorld(t *testing.T) *partWorld {
	t.Helper()
	w := &partWorld{registry: prometheus.NewRegistry()}
	var clusters []federation.Cluster
	for i, name := range []string{"north", "south"} {
		series := slices.Concat(dataset(int64(i)), steady("up", 3, float64(i+1)))
		if name == "south" {
			series = append(series, steady("huge", 1, math.MaxFloat64)...)
			early, late := steady("early", 1, 1)[0], steady("late", 1, 1)[0]
			half := len(early.samples) / 2
			early.samples, late.samples = early.samples[:half], late.samples[half+half/4:]
			series = append(series, early, late)
		}
		series = append(series, testSeries{labels: labels.FromStrings(model.MetricNameLabel, "own", "cluster", "other"), samples: steady("own", 1, 1)[0].samples})
		c := federation.Cluster{Name: name, URLs: []string{standIn{traffic: &w.traffic}.start(t, series).URL}}
		clusters = append(clusters, c)
		w.reference.series = append(w.reference.series, relabel(c, series)...)
	}
	held := steady("up", 2, 7)
	held = append(held, steady("fleet", 2, 8)...)
	own := teststorage.New(t)
	load(t, own, held)
	w.reference.series = append(w.reference.series, held...)
	w.reference.setReference(t)
	w.Federation = newFederation(t, federation.Config{
		Clusters: clusters, Local: []federation.Local{{Name: "fleet", Queryable: own}}, Registerer: w.registry,
	})
	return w
}

// exec asks for a query over an hour, or at its end when there is no step.
func (w *partWorld) exec(ctx context.Context, t *testing.T, e promql.QueryEngine, text string, step time.Duration) (*promql.Result, promql.Query) {
	t.Helper()
	var q promql.Query
	var err error
	if step == 0 {
		q, err = e.NewInstantQuery(ctx, w.reference.reference, nil, text, at(time.Hour))
	} else {
		q, err = e.NewRangeQuery(ctx, w.reference.reference, nil, text, at(30*time.Minute), at(90*time.Minute), step)
	}
	if err != nil {
		t.Fatal(err)
	}
	return q.Exec(ctx), q
}

func TestHowQueriesAreAnswered(t *testing.T) {
	w := newPartWorld(t)
	for _, c := range []struct {
		query string
		want  []federation.Run // one after the other
	}{
		{`sum by (app) (rate(http_requests_total[5m]))`, []federation.Run{federation.Planned, federation.Planned}},
		{`sum(up) / count(fleet)`, []federation.Run{federation.Planned}},
		{`up`, []federation.Run{federation.Planned}},
		{`up{cluster=""}`, []federation.Run{federation.Planned}},
		{`1 + 1`, []federation.Run{federation.Nothing}},
		{`sum(latency_seconds)`, []federation.Run{federation.Histograms, federation.Remembered}},
		{`own`, []federation.Run{federation.Unclean, federation.Remembered}},
		{`sum(huge)`, []federation.Run{federation.Overflow, federation.Remembered}},
		{`max(huge)`, []federation.Run{federation.Planned}},
		{`node_load1 / on (instance) group_left kernel`, []federation.Run{federation.Planned}},
		{`up / on (instance) up`, []federation.Run{federation.Failed, federation.Remembered}},
		{`rate(up[5m])`, []federation.Run{federation.Planned}}, // which all three note
		{`quantile by (instance, cluster) (0.3, up) / ignoring (cluster) group_left quantile by (instance) (0.9, (up))`, []federation.Run{federation.Planned}},
		{`quantile(0.5, up) + stddev(up) + quantile(scalar(count(fleet)) / 4, up)`, []federation.Run{federation.Planned}}, // of the same answers
		{`absent(quantile(0.5, none)) + quantile(1.5, up)`, []federation.Run{federation.Planned}},
		{`quantile(0.5, huge @ 3000 * up)`, []federation.Run{federation.Planned}},
	} {
		for i, want := range c.want {
			for _, step := range []time.Duration{0, time.Minute} {
				got, q := w.exec(t.Context(), t, w, c.query, step)
				if run := federation.RunOf(q); run != want && (i > 0 || step == 0) {
					t.Errorf("%s, run %d: it is %s, want %s", c.query, i+1, run, want)
				}
				ref, _ := w.exec(t.Context(), t, w.reference.engine, c.query, step)
				if d := diff(c.query, got, ref); d != "" {
					t.Errorf("%s by %s\n%s", c.query, step, d)
				}
			}
		}
	}
	_, q := w.exec(federation.Unplanned(t.Context()), t, w, `sum(up)`, 0)
	if run := federation.RunOf(q); run != federation.Forced || q.String() != `sum(up)` {
		t.Errorf("%s is %s, want it forced", q, run)
	}
	if n, err := testutil.GatherAndCount(w.registry, "midwatch_federation_runs_total"); err != nil || n < 7 {
		t.Errorf("%d kinds of runs are counted, %v", n, err)
	}
}

func TestWhatManyStepsCost(t *testing.T) {
	w := newPartWorld(t)
	for _, query := range []string{ // of 18,000 steps
		`max_over_time(sum(up)[1h:200ms])`, `max_over_time(quantile by (instance) (0.4, up)[1h:200ms])`,
	} {
		w.traffic.take()
		got, q := w.exec(t.Context(), t, w, query, 0)
		if run := federation.RunOf(q); run != federation.Planned {
			t.Errorf("%s: it is %s", query, run)
		}
		ref, _ := w.exec(t.Context(), t, w.reference.engine, query, 0)
		if d := diff(query, got, ref); d != "" {
			t.Error(d)
		}
		if read, queries := w.traffic.take(); read != 0 || len(queries) != 4 {
			t.Errorf("%d reads, queries %q; want two queries to each cluster", read, queries)
		}
	}
}

// Two metrics that become one series are an error, even where they are never
// there at the same step, and where the steps are too many for one request.
func TestManyStepsOfTwoMetrics(t *testing.T) {
	w := newPartWorld(t)
	const query = `max_over_time(sum by (instance) (max_over_time({__name__=~"early|late"}[1m]))[2h:200ms])`
	q, err := w.NewInstantQuery(t.Context(), nil, nil, query, at(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	got := q.Exec(t.Context())
	ref, err := w.reference.engine.NewInstantQuery(t.Context(), w.reference.reference, nil, query, at(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := ref.Exec(t.Context())
	if d := diff(query, got, want); d != "" || want.Err == nil {
		t.Errorf("%s: %s (%v)", federation.RunOf(q), d, want.Err)
	}
}

func TestEqualPartsAreAskedOnce(t *testing.T) {
	w := newPartWorld(t)
	_, _ = w.exec(t.Context(), t, w, `sum(rate(http_requests_total[5m])) / (sum(rate(http_requests_total[5m])) + sum(up))`, 0)
	read, queries := w.traffic.take()
	slices.Sort(queries)
	if got := strings.Join(slices.Compact(queries), "\n"); read != 0 || len(queries) != 2*strings.Count(got+"\n", "\n") {
		t.Errorf("%d reads, queries\n%s", read, strings.Join(queries, "\n"))
	}
}

func TestPlacesOfNotes(t *testing.T) {
	w := newPartWorld(t)
	const query = "  sum by (instance) (\n  rate(node_load1[5m])) + on (instance) max by (instance) (increase(node_load1[3m]))"
	got, q := w.exec(t.Context(), t, w, query, time.Minute)
	if run := federation.RunOf(q); run != federation.Planned {
		t.Errorf("it is %s", run)
	}
	ref, _ := w.exec(t.Context(), t, w.reference.engine, query, time.Minute)
	_, infos := got.Warnings.AsStrings(query, 0, 0)
	if _, want := ref.Warnings.AsStrings(query, 0, 0); !slices.Equal(infos, want) || len(want) != 1 {
		t.Errorf("got %q, want %q", infos, want)
	}
}
