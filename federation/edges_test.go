package federation_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
)

// A lookback of which clusters would be told 0, which is none to them, or a
// part is not sent to them.
func TestLookbackOfPartsOfMilliseconds(t *testing.T) {
	w := assemble(t, "brief", 10*time.Minute,
		member{Cluster: federation.Cluster{Name: "north"}, series: steady("up", 1, 1)},
		member{Cluster: federation.Cluster{Name: "south"}, series: steady("up", 1, 1)},
	)
	for _, w.lookback = range []time.Duration{time.Microsecond, 500 * time.Microsecond, 1500 * time.Microsecond, time.Second + 1, time.Second} {
		for _, query := range []string{"sum(up)", "max_over_time(up[1m])"} {
			for _, step := range []time.Duration{time.Millisecond, time.Second} {
				w.compare(t, query, window{start: at(4 * time.Minute), end: at(4*time.Minute + 3*step), step: step})
			}
			w.compare(t, query, window{start: at(4*time.Minute + 7*time.Second), end: at(4*time.Minute + 7*time.Second)})
		}
	}
}

// What is held here may have a label that tells clusters apart, such as the
// fleet's numbers of an SLO that is grouped by cluster.
func TestHeldSeriesWithALabelOfClusters(t *testing.T) {
	var held []testSeries
	for _, name := range []string{"north", "south", "gone"} {
		held = append(held, testSeries{
			labels:  labels.FromStrings(model.MetricNameLabel, "errors", "cluster", name, "scope", "fleet"),
			samples: steady("errors", 1, float64(len(name)))[0].samples,
		})
	}
	own := storageOf(t, held)
	w := assemble(t, "held", 10*time.Minute,
		member{Cluster: federation.Cluster{Name: "north"}, series: slices.Concat(steady("up", 1, 1), steady("errors", 2, 1))},
		member{Cluster: federation.Cluster{Name: "south"}, series: slices.Concat(steady("up", 1, 1), steady("errors", 2, 2))},
	)
	var clusters []federation.Cluster
	for _, m := range w.members {
		clusters = append(clusters, m.Cluster)
	}
	w.federation = watched(t, federation.Config{Clusters: clusters, Local: []federation.Local{{Name: "fleet", Queryable: own}}})
	w.series = append(w.series, held...)
	w.setReference(t)
	for _, c := range []struct {
		query string
		want  federation.Run
	}{
		{`errors{cluster="north"}`, federation.Nothing},
		{`absent(errors{cluster="gone"})`, federation.Planned},
		{`sum by (cluster) (errors)`, federation.Nothing},
		{`count(errors{scope="fleet"} > 3)`, federation.Nothing},
		{`errors{scope=""} and on (cluster) errors{scope="fleet"}`, federation.Nothing},
		{`errors{cluster="south",scope=""}`, federation.Planned},
		{`sum by (cluster) (up) > 0`, federation.Planned},
	} {
		w.compare(t, c.query, window{start: at(4 * time.Minute), end: at(5 * time.Minute), step: 17 * time.Second})
		if w.compare(t, c.query, window{start: at(4 * time.Minute), end: at(4 * time.Minute)}); w.run != c.want {
			t.Errorf("%s is answered by %s, want %s", c.query, w.run, c.want)
		}
	}
}

// A server that is in trouble when it is asked for its external labels, or for
// its features, is not taken to have none.
func TestServerInTroubleTellsNothingOfItself(t *testing.T) {
	db := teststorage.New(t)
	load(t, db, steady("up", 2, 1))
	inner := standIn{own: map[string]string{"prometheus": "k8s"}}.handler(db)
	for _, path := range []string{"/api/v1/status/config", "/api/v1/status/flags"} {
		var trouble atomic.Bool
		trouble.Store(true)
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if trouble.Load() && r.URL.Path == path {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			inner.ServeHTTP(w, r)
		}))
		f := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "north", URLs: []string{url}}}})
		ctx := federation.Unplanned(t.Context())
		if v, _, err := f.Instant(ctx, "up", at(4*time.Minute)); !errors.Is(err, federation.ErrUnavailable) || !strings.Contains(err.Error(), "503") {
			t.Errorf("%s answers 503: %v, %v; want that it is the cause", path, v, err)
		}
		trouble.Store(false)
		if v, _, err := f.Instant(ctx, "up", at(4*time.Minute)); err != nil || len(v) != 2 || v[0].Metric.Has("prometheus") {
			t.Errorf("%s answers again: %v, %v", path, v, err)
		}
	}
}

// What a Prometheus with features answers may differ, and one that does not
// tell may have them.
func TestHiddenFlagsMayHaveFeatures(t *testing.T) {
	db := teststorage.New(t)
	load(t, db, steady("up", 2, 1))
	for status, pushed := range map[int]bool{http.StatusOK: true, http.StatusNotFound: false, http.StatusForbidden: false} {
		var asked traffic
		inner := standIn{traffic: &asked}.handler(db)
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v1/status/flags" && status != http.StatusOK {
				w.WriteHeader(status)
				return
			}
			inner.ServeHTTP(w, r)
		}))
		f := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "north", URLs: []string{url}}}})
		for range 2 { // after the first it is known what the server is
			asked.take()
			if v, _, err := f.Instant(t.Context(), "sum(up)", at(4*time.Minute)); err != nil || len(v) != 1 || v[0].F != 2 {
				t.Fatalf("flags answered %d: %v, %v", status, v, err)
			}
		}
		if _, queries := asked.take(); slices.Contains(queries, "sum by (cluster) (up)") != pushed {
			t.Errorf("flags answered %d: asked for %q, want it pushed: %v", status, queries, pushed)
		}
	}
}

// A Prometheus warns when it cannot read from where its older samples are. Its
// raw samples lack them in silence.
func TestWarningsOfAServerItself(t *testing.T) {
	db := teststorage.New(t)
	load(t, db, steady("up", 2, 1))
	inner := standIn{}.handler(db)
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := record(inner, r)
		body := rec.Body.String()
		if strings.HasPrefix(r.URL.Path, "/api/v1/query") {
			const own = `"warnings":["remote_read: https://user:secret@old: away"`
			if body = strings.Replace(body, `"warnings":[`, own+",", 1); !strings.Contains(body, own) {
				body = strings.Replace(body, "{", "{"+own+"],", 1)
			}
		}
		maps.Copy(w.Header(), rec.Header())
		_, _ = w.Write([]byte(body))
	}))
	f := newFederation(t, federation.Config{Clusters: []federation.Cluster{
		{Name: "north", URLs: []string{url}}, {Name: "south", URLs: []string{serve(t, healthy(t))}},
	}})
	const want = `data of cluster "north" may be missing from this answer: its own answer has warnings`
	for _, c := range []struct {
		query string
		run   federation.Run
	}{{"count(up)", federation.Planned}, {"sum(up)", federation.Planned}, {"sum(quantile_over_time(NaN, up[5m]))", federation.Annotated}} {
		q, err := f.NewInstantQuery(t.Context(), nil, nil, c.query, at(4*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		res := q.Exec(t.Context())
		if run := federation.RunOf(q); res.Err != nil || run != c.run || res.Warnings[want] == nil {
			t.Errorf("%s by %s: %v, %v", c.query, run, res.Warnings, res.Err)
		}
	}
}

// Reading a query of a few hundred kilobytes can take Prometheus' parser
// minutes.
func TestQueriesOfTooManyWords(t *testing.T) {
	f := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "north", URLs: []string{serve(t, healthy(t))}}}})
	base := serve(t, f.Handler())
	for _, query := range []string{
		strings.Repeat("(", 100_000) + "up" + strings.Repeat(")", 100_000), strings.Repeat("-", 300_000) + "up", "up" + strings.Repeat("+up", 200_000),
	} {
		for _, path := range []string{"query", "format_query"} {
			a := ask(t, http.MethodPost, base, "/api/v1/"+path, url.Values{"query": {query}})
			if a.status != http.StatusBadRequest || !strings.Contains(a.body, "more than 20000 words") || len(a.body) > 1000 {
				t.Errorf("%s of %q…: %d %.200s", path, query[:5], a.status, a.body)
			}
		}
	}
	long := `count(up{instance=~"0|` + strings.Repeat("x|", 100_000) + `1"})`
	if v, _, err := f.Instant(t.Context(), long, at(4*time.Minute)); err != nil || len(v) != 1 || v[0].F != 2 {
		t.Errorf("a long matcher: %v, %v", v, err)
	}
}

// Each cluster may have a time of its own.
func TestTimeoutOfACluster(t *testing.T) {
	inner, gone := healthy(t), make(chan struct{})
	url := serve(t, onRead(inner, func(http.ResponseWriter, *http.Request) { <-gone }))
	t.Cleanup(func() { close(gone) })
	f := newFederation(t, federation.Config{Clusters: []federation.Cluster{
		{Name: "north", URLs: []string{url}, Timeout: model.Duration(50 * time.Millisecond)},
		{Name: "south", URLs: []string{serve(t, inner)}},
	}})
	for _, ctx := range []context.Context{t.Context(), federation.Unplanned(t.Context())} {
		v, notes, err := f.Instant(ctx, "sum(up)", at(4*time.Minute))
		if want := "missing from this answer: cluster \"north\" (no answer within 50ms)"; err != nil || len(v) != 1 || v[0].F != 10 || notes[want] == nil {
			t.Errorf("%v, %v, %v", v, notes, err)
		}
	}
}

// A server that sends a series twice does not have it counted twice.
func TestAnswerWithASeriesTwice(t *testing.T) {
	inner := healthy(t)
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := record(inner, r)
		body := rec.Body.String()
		if i := strings.Index(body, `{"metric":`); i > 0 && strings.HasPrefix(r.URL.Path, "/api/v1/query") {
			one := body[i : i+strings.Index(body[i:], "]}")+2]
			body = body[:i] + one + "," + body[i:]
		}
		maps.Copy(w.Header(), rec.Header())
		_, _ = w.Write([]byte(body))
	}))
	f := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "north", URLs: []string{url}}, {Name: "south", URLs: []string{serve(t, inner)}}}})
	for query, want := range map[string]float64{"sum(up)": 20, "count(up)": 20, "sum(sum by (instance) (up))": 20, "count by (cluster) (up)": 10} {
		for _, end := range []time.Duration{4 * time.Minute, 5 * time.Minute} {
			m, _, err := f.Range(t.Context(), query, at(4*time.Minute), at(end), time.Minute)
			if err != nil || len(m) == 0 || m[0].Floats[0].F != want {
				t.Errorf("%s: %v, %v; want %g", query, m, err, want)
			}
		}
	}
}
