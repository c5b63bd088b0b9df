package federation_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/teststorage"
	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// absence is a time in which a replica did not scrape.
type absence struct{ from, to time.Duration }

// absent returns series without what was scraped in absences.
func absent(series []testSeries, away ...absence) []testSeries {
	out := make([]testSeries, len(series))
	for i, s := range series {
		out[i].labels = s.labels
		for _, one := range s.samples {
			if !slices.ContainsFunc(away, func(a absence) bool { return one.t >= at(a.from).UnixMilli() && one.t < at(a.to).UnixMilli() }) {
				out[i].samples = append(out[i].samples, one)
			}
		}
	}
	return out
}

// Of two replicas that scrape at the same times, with holes in each, the
// answers are those of one that has no holes: by one replica where that is
// whole, by both otherwise.
func TestReplicasWithHolesAnswerAsOne(t *testing.T) {
	series := append(dataset(7), steady("up", 1, 1)...)
	w := assemble(t, "holes", scrapes*scrape, member{
		Cluster: federation.Cluster{Name: "pair", ReplicaLabels: []string{"replica"}},
		series:  series,
		holds: [][]testSeries{
			absent(series, absence{20 * time.Minute, 31 * time.Minute}, absence{70 * time.Minute, 74 * time.Minute}),
			absent(series, absence{40 * time.Minute, 52 * time.Minute}, absence{100 * time.Minute, 103 * time.Minute}),
		},
	})
	runs := map[federation.Run]int{}
	for _, q := range queries {
		for _, when := range []window{
			{start: at(19 * time.Minute), end: at(19 * time.Minute), step: 0}, // both are whole
			{start: at(28 * time.Minute), end: at(28 * time.Minute), step: 0},
			{start: at(47 * time.Minute), end: at(47 * time.Minute), step: 0},
			{start: at(80 * time.Minute), end: at(98 * time.Minute), step: 61 * time.Second},
			{start: at(10 * time.Minute), end: at(110 * time.Minute), step: 67 * time.Second}, // neither
		} {
			w.compare(t, q, when)
			runs[w.run]++
		}
	}
	if runs[federation.Planned] < len(queries) || runs[federation.Holes] < len(queries)/2 {
		t.Errorf("got %v, want most run by one replica, and some by both", runs)
	}
}

// A replica that dies costs the first query little, and later ones nothing.
func TestDeadReplicaCostsLittle(t *testing.T) {
	series := append(steady("up", 3, 1), steady("work", 5, 2)...)
	var dead atomic.Bool
	db := teststorage.New(t)
	load(t, db, series)
	mortal := standIn{}.handler(db)
	urls := []string{serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dead.Load() {
			hang(w, r)
			return
		}
		mortal.ServeHTTP(w, r)
	})), standIn{}.start(t, series).URL}
	fed := watched(t, federation.Config{Clusters: []federation.Cluster{{Name: "pair", URLs: urls}}})
	ask := func() (time.Duration, federation.Run) {
		t.Helper()
		q, err := fed.NewInstantQuery(t.Context(), nil, nil, "sum(work)", at(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		begin := time.Now()
		res := q.Exec(t.Context())
		v, err := res.Vector()
		if err != nil || len(res.Warnings) > 0 {
			t.Fatalf("got %v, %v", res.Warnings, err)
		}
		wantValue(t, v, 10)
		return time.Since(begin), federation.RunOf(q)
	}
	for known := 0; known < 30; {
		if _, run := ask(); run == federation.Planned {
			known++
		}
	}
	dead.Store(true)
	for i := range 20 {
		took, _ := ask()
		if limit := 3 * time.Second; took > limit {
			t.Errorf("query %d after the death took %s, want less than %s of the cluster's ten seconds", i, took, limit)
		}
	}
}

// counting is a target whose counter rises by 100 a second.
func counting(t *testing.T) string {
	begin := time.Now()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE work_total counter\nwork_total %f\n", 1e6+100*time.Since(begin).Seconds())
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// realPair is two real Prometheus that scrape the same target.
type realPair struct {
	specs   [2]servers.PrometheusSpec
	running [2]*servers.Prometheus
}

func startRealPair(t *testing.T, target string) *realPair {
	t.Helper()
	p := &realPair{}
	var start errgroup.Group
	for i := range p.specs {
		addr, err := servers.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		p.specs[i] = servers.PrometheusSpec{
			Name: fmt.Sprint("replica ", i), Dir: t.TempDir(), Listen: addr,
			Config: fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {cluster: pair, replica: "%d"}}
scrape_configs: [{job_name: work, static_configs: [{targets: ["%s"]}]}]
`, i, target),
		}
		start.Go(func() error { return p.start(t, i) })
	}
	t.Cleanup(func() {
		for _, one := range p.running {
			if one != nil {
				_ = one.Kill()
			}
		}
	})
	if err := start.Wait(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *realPair) start(t *testing.T, i int) (err error) {
	p.running[i], err = servers.StartPrometheus(t.Context(), p.specs[i])
	return err
}

// One of a real pair is killed and started again: at no moment is a rate
// wrong, nor afterwards, over the whole time.
func TestRealPairWithOneKilled(t *testing.T) {
	pair := startRealPair(t, counting(t))
	fed := watched(t, federation.Config{Timeout: 5 * time.Second, Clusters: []federation.Cluster{{
		Name: "pair", URLs: []string{pair.running[0].URL, pair.running[1].URL}, ReplicaLabels: []string{"replica"},
	}}})
	begin := time.Now()
	asked, warned := 0, 0
	ask := func() promql.Vector { // until there is an answer without a warning
		t.Helper()
		for {
			v, notes, err := fed.Instant(t.Context(), `rate(work_total[6s])`, time.Now())
			if err != nil || time.Since(begin) > time.Minute {
				t.Fatalf("after %s: got %v, %v", time.Since(begin), notes, err)
			}
			asked++
			if len(notes) == 0 {
				return v
			}
			warned++
		}
	}
	for v := ask(); len(v) != 1 || math.Abs(v[0].F-100) > 5; v = ask() {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("after 20 s: got %v, want 100", v)
		}
	}
	watch := func(d time.Duration) {
		t.Helper()
		for end := time.Now().Add(d); time.Now().Before(end); {
			if v := ask(); len(v) != 1 || math.Abs(v[0].F-100) > 40 {
				t.Fatalf("after %s: got %v, want about 100", time.Since(begin), v)
			}
		}
	}
	whole := time.Now()
	if err := pair.running[0].Kill(); err != nil {
		t.Fatal(err)
	}
	watch(6 * time.Second)
	if err := pair.start(t, 0); err != nil {
		t.Fatal(err)
	}
	watch(6 * time.Second)
	// On a machine that has no time for it, a replica may not have been searched.
	if warned > asked/4 {
		t.Errorf("%d of %d answers came with a warning", warned, asked)
	}
	for query, within := range map[string][2]float64{`rate(work_total[6s])`: {60, 140}, `count_over_time(up[6s])`: {5, 7}, `resets(work_total[15s])`: {0, 0}} {
		m, notes, err := fed.Range(t.Context(), query, whole, time.Now(), 250*time.Millisecond)
		for len(notes) > 0 && time.Since(begin) < time.Minute {
			m, notes, err = fed.Range(t.Context(), query, whole, time.Now(), 250*time.Millisecond)
		}
		if err != nil || len(notes) > 0 || len(m) != 1 {
			t.Fatalf("%s: got %v, %v, %v", query, m, notes, err)
		}
		if !labels.Equal(m[0].Metric.MatchLabels(false, "__name__"), labels.FromStrings("cluster", "pair", "instance", m[0].Metric.Get("instance"), "job", "work")) {
			t.Errorf("%s: got %s, want no replica", query, m[0].Metric)
		}
		if n := int(time.Since(whole) / (250 * time.Millisecond)); len(m[0].Floats) < n-4 {
			t.Errorf("%s: got %d points, want %d", query, len(m[0].Floats), n)
		}
		if i := slices.IndexFunc(m[0].Floats, func(p promql.FPoint) bool { return p.F < within[0] || p.F > within[1] }); i >= 0 {
			t.Errorf("%s: got %v, want %v all the time", query, m[0].Floats, within)
		}
	}
}
