package federation_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
)

// atOnce are queries that a change of labels makes a difference to.
var atOnce = []string{
	`load`, `load{site="edge"}`, `load{site=""}`, `sum(load)`, `sum by (pod) (load)`, `sum by (site) (load)`, `count(load > 2)`,
	`sum by (site) (load) > 5`, `load and on (site, pod) limit`, `load * on (site, pod) group_left limit`, `load unless limit`,
	`quantile by (site) (0.5, load)`, `topk by (site) (1, load)`, `absent(load{cluster="a", site="edge"})`, `max_over_time((sum by (site) (load) > 5)[5m:1m])`,
	`label_replace(load, "site", "x", "pod", "p")`, `histogram_quantile(0.9, sum by (site, le) (load))`,
}

// The series of a cluster get a label that tells another cluster: between two
// probes that is noticed in the answers, and after the next they are asked for
// what they can answer still.
func TestALabelThatComesBetweenProbes(t *testing.T) {
	own := []testSeries{
		always(labels.FromStrings("__name__", "load", "pod", "p"), 3), always(labels.FromStrings("__name__", "load", "pod", "q"), 4),
		always(labels.FromStrings("__name__", "limit", "pod", "p"), 10),
	}
	late := []testSeries{always(labels.FromStrings("__name__", "load", "pod", "p", "site", "edge"), 2), always(labels.FromStrings("__name__", "limit", "pod", "q", "site", "edge"), 2)}
	db := teststorage.New(t)
	load(t, db, own)
	clusters := []federation.Cluster{
		{Name: "a", URLs: []string{serve(t, standIn{}.handler(db))}},
		{Name: "edge", URLs: []string{standIn{}.start(t, own).URL}, Labels: map[string]string{"site": "edge"}},
	}
	w := &world{name: "late", federation: watched(t, federation.Config{Clusters: clusters})}
	quick := hurried(t, federation.Config{Clusters: clusters})
	counted(t, w.federation)
	counted(t, quick)
	ask := func(series []testSeries) map[federation.Run]int {
		w.series = series
		w.setReference(t)
		runs := map[federation.Run]int{}
		for _, query := range atOnce {
			w.compare(t, query, window{start: at(20 * time.Minute), end: at(20 * time.Minute)})
			runs[w.run]++
			w.compare(t, query, window{start: at(10 * time.Minute), end: at(30 * time.Minute), step: time.Minute})
		}
		return runs
	}
	before := append(relabel(clusters[0], own), relabel(clusters[1], own)...)
	if runs := ask(before); runs[federation.Planned] != len(atOnce) {
		t.Errorf("before: got %v, want all planned", runs)
	}
	load(t, db, late)
	after := slices.Concat(before, relabel(clusters[0], late))
	if runs := ask(after); runs[federation.Unclean] < 5 {
		t.Errorf("between two probes: got %v, want that it is noticed", runs)
	}
	w.federation, w.run = quick, ""
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !time.Now().After(deadline) && w.run != federation.Planned; <-tick.C {
		query := fmt.Sprintf(`max(load{site="edge", pod!="%d"})`, time.Now().UnixNano()) // one that did not fail yet
		w.compare(t, query, window{start: at(20 * time.Minute), end: at(20 * time.Minute)})
	}
	if runs := ask(after); runs[federation.Planned] != len(atOnce) {
		t.Errorf("after a probe: got %v, want all planned", runs)
	}
}

// A cluster whose series have its own external label is asked for what shows
// that alone; answers are those of one Prometheus, and the status tells.
func TestSeriesWithTheExternalLabelThemselves(t *testing.T) {
	own := []testSeries{
		always(labels.FromStrings("__name__", "load", "pod", "p", "cluster", "x"), 1),
		always(labels.FromStrings("__name__", "load", "pod", "q"), 7),
	}
	w := assemble(t, "unclean", scrapes*scrape, member{Cluster: federation.Cluster{Name: "a", ReplicaLabels: []string{"replica"}}, series: own},
		member{Cluster: federation.Cluster{Name: "b"}, series: own[1:]})
	for _, query := range []string{`load > 2`, `sum(load)`, `load`, `load and load`, `max(load > 0)`} {
		w.compare(t, query, window{start: at(20 * time.Minute), end: at(20 * time.Minute)})
	}
	s := w.federation.Status()
	if got := strings.Join(s[0].Replicas[0].Differences, "; "); !strings.Contains(got, "series have a label cluster of their own") || strings.Contains(got, "label replica") {
		t.Errorf("got %s", got)
	}
	if got := strings.Join(s[1].Replicas[0].Differences, "; "); strings.Contains(got, "of their own") {
		t.Errorf("got %s", got)
	}
}

// A server that does not tell which labels its series have, or not of all of
// them, is as one that was not asked; and one that tells no more is not relied
// on for what it told.
func TestServersThatDoNotTellTheirLabels(t *testing.T) {
	own := []testSeries{always(labels.FromStrings("__name__", "load", "pod", "p"), 3)}
	for name, values := range map[string]http.HandlerFunc{
		"nothing": http.NotFound,
		"in part": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"status":"success","data":[],"warnings":["not implemented"]}`))
		},
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no list":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"success"}`)) },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"status":"success","data":[`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := teststorage.New(t)
			load(t, db, own)
			h := standIn{}.handler(db)
			asked := make(chan struct{}, 1)
			mute := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/label/") {
					select {
					case asked <- struct{}{}:
					default:
					}
					values(w, r)
					return
				}
				h.ServeHTTP(w, r)
			}))
			fed := hurried(t, federation.Config{Clusters: []federation.Cluster{
				{Name: "a", URLs: []string{mute}}, {Name: "edge", URLs: []string{mute + "/"}, Labels: map[string]string{"site": "edge"}},
			}})
			until(t, fed, "the first probe", isUp)
			for range 5 {
				<-asked
			}
			q, err := fed.NewInstantQuery(t.Context(), nil, nil, `sum(load)`, at(20*time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			v, err := q.Exec(context.Background()).Vector()
			if err != nil || len(v) != 1 || v[0].F != 6 || federation.RunOf(q) != federation.Nothing {
				t.Errorf("got %v, %v, %s", promql.Vector(v), err, federation.RunOf(q))
			}
			if s := fed.Status()[0]; !s.Up {
				t.Errorf("got %+v, want that it answers", s)
			}
		})
	}
}
