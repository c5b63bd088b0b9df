package federation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
)

// What the servers of a growing world take in: samples that are no older than
// the newest by half of what a block holds, or by the out-of-order window.
const (
	growingBlock  = 4 * time.Minute
	growingWindow = 5 * time.Minute
)

// growing is a server whose samples come as time goes on.
type growing struct {
	standIn
	db *teststorage.TestStorage

	mu         sync.Mutex
	now        time.Time
	started    string
	configured string
	admin      bool
	window     time.Duration
	hides      string // a path that it does not serve
}

func newGrowing(t testing.TB, own map[string]string) *growing {
	g := &growing{standIn: standIn{own: own, traffic: &traffic{}}, started: "2026-11-19T00:00:00Z", configured: "2026-11-19T00:00:01Z", window: growingWindow}
	g.db = teststorage.New(t, func(o *tsdb.Options) {
		o.MinBlockDuration, o.MaxBlockDuration = growingBlock.Milliseconds(), 4*growingBlock.Milliseconds()
		o.OutOfOrderTimeWindow = growingWindow.Milliseconds()
	})
	return g
}

func (g *growing) serve(t testing.TB) string {
	t.Helper()
	api := g.handler(g.db)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if data, ok := g.told(r); ok {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
			return
		}
		g.mu.Lock()
		hidden := g.hides != "" && strings.HasSuffix(r.URL.Path, g.hides)
		g.mu.Unlock()
		if hidden {
			http.NotFound(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// told is what a server tells of itself, as a Prometheus does.
func (g *growing) told(r *http.Request) (any, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/")
	switch {
	case path == g.hides:
		return nil, false
	case path == "status/runtimeinfo":
		return map[string]any{"startTime": g.started, "lastConfigTime": g.configured}, true
	case path == "status/flags":
		return map[string]string{"storage.tsdb.min-block-duration": "4m", "web.enable-admin-api": fmt.Sprint(g.admin)}, true
	case path == "status/config":
		return map[string]string{"yaml": fmt.Sprintf("global: {external_labels: {}}\nstorage: {tsdb: {out_of_order_time_window: %ds}}\n", int(g.window.Seconds()))}, true
	case path == "status/tsdb/blocks":
		return map[string]any{"blocks": g.db.BlockMetas()}, true
	case path == "query" && r.Method == http.MethodPost:
		// Its query for the newest sample is for the time of this world.
		if length := r.ContentLength; length > 0 && length < 200 {
			return g.newest(r)
		}
	}
	return nil, false
}

func (g *growing) newest(r *http.Request) (any, bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("query") != "max(timestamp(up))" {
		return nil, false
	}
	return map[string]any{"resultType": "vector", "result": []any{
		map[string]any{"metric": map[string]string{}, "value": []any{0, seconds(g.now)}},
	}}, true
}

// growingWorld is a world of growing servers.
type growingWorld struct {
	*world
	clusters []federation.Cluster
	servers  []*growing
	registry *prometheus.Registry
	whole    *teststorage.TestStorage
	coming   [][]testSeries // of each server: samples that it does not have yet
	late     [][]testSeries // that are withheld
	rnd      *rand.Rand
}

func newGrowingWorld(t testing.TB, seed uint64) *growingWorld {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 9))
	w := &growingWorld{world: &world{name: fmt.Sprint("growing ", seed), span: randomSpan}, registry: prometheus.NewRegistry(), rnd: rnd}
	for _, m := range plainClusters(rnd) {
		g := newGrowing(t, m.own)
		m.URLs = []string{g.serve(t)}
		m.traffic = g.traffic
		w.clusters = append(w.clusters, m.Cluster)
		w.servers = append(w.servers, g)
		w.coming = append(w.coming, m.series)
		w.members = append(w.members, m)
		w.series = append(w.series, relabel(m.Cluster, m.series)...)
	}
	w.late = make([][]testSeries, len(w.servers))
	w.whole = teststorage.New(t, func(o *tsdb.Options) { o.OutOfOrderTimeWindow = time.Hour.Milliseconds() })
	w.reference = w.whole
	w.parser, w.engine = newReferenceEngine()
	w.federation = newFederation(t, federation.Config{Clusters: w.clusters, CacheBytes: 16 << 20, Registerer: w.registry})
	w.federation.Doubt(0)
	return w
}

// advance lets time go on. A tenth of the samples comes a turn later than it
// should.
func (w *growingWorld) advance(t testing.TB, to time.Time) {
	t.Helper()
	for i, g := range w.servers {
		c := w.members[i].Cluster
		write(t, g.db, w.late[i])
		write(t, w.whole, relabel(c, w.late[i]))
		var now, late []testSeries
		for k := range w.coming[i] {
			s := &w.coming[i][k]
			n, _ := slices.BinarySearchFunc(s.samples, to.UnixMilli()+1, func(one sample, t int64) int { return int(one.t - t) })
			due := testSeries{labels: s.labels}
			held := testSeries{labels: s.labels}
			for _, one := range s.samples[:n] {
				if one.h == nil && one.fh == nil && w.rnd.IntN(10) == 0 && to.UnixMilli()-one.t < growingWindow.Milliseconds()/2 {
					held.samples = append(held.samples, one)
				} else {
					due.samples = append(due.samples, one)
				}
			}
			s.samples = s.samples[n:]
			now, late = append(now, due), append(late, held)
		}
		w.late[i] = late
		write(t, g.db, now)
		write(t, w.whole, relabel(c, now))
		g.mu.Lock()
		g.now = to
		g.mu.Unlock()
	}
}

// write appends samples, in order of time.
func write(t testing.TB, into storage.Appendable, series []testSeries) {
	t.Helper()
	type one struct {
		of testSeries
		sample
	}
	var all []one
	for _, s := range series {
		for _, p := range s.samples {
			all = append(all, one{s, p})
		}
	}
	slices.SortStableFunc(all, func(a, b one) int { return int(a.t - b.t) })
	for chunk := range slices.Chunk(all, 200) {
		app := into.Appender(context.Background())
		for _, p := range chunk {
			if err := appendSample(app, p.of.labels, p.sample); err != nil {
				t.Fatalf("append to %s: %v", p.of.labels, err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// count returns how many pieces were found, and how many were not.
func (w *growingWorld) count(t testing.TB) (hits, misses float64) {
	t.Helper()
	for name, into := range map[string]*float64{"hits": &hits, "misses": &misses} {
		families, err := w.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "midwatch_federation_cache_"+name+"_total" {
				*into = f.GetMetric()[0].GetCounter().GetValue()
			}
		}
	}
	return hits, misses
}

// looked is a query that somebody looks at again and again.
type looked struct {
	query    string
	lookback time.Duration
	step     time.Duration
	end      time.Duration // before now
	span     time.Duration
}

// window returns the window at a time, in steps since 1970 as a dashboard asks.
func (l looked) window(now time.Time) window {
	end := now.Add(-l.end).Truncate(l.step)
	return window{start: end.Add(-l.span).Truncate(l.step), end: end, step: l.step}
}

// Random queries over windows that move with time, while samples come late,
// have the answers of one Prometheus, though most of them are kept.
func TestKeptAnswersAreThoseOfOnePrometheus(t *testing.T) {
	worlds := max(2, *randomQueries/1000)
	t.Run("worlds", func(t *testing.T) {
		for i := range worlds {
			t.Run(fmt.Sprint(*randomSeed+uint64(i)), func(t *testing.T) {
				t.Parallel()
				newGrowingWorld(t, *randomSeed+uint64(i)).lookOn(t)
			})
		}
	})
}

func (w *growingWorld) lookOn(t *testing.T) {
	seed := w.rnd.Uint64()
	g := newGrammar(rand.New(rand.NewPCG(seed, 6)), sortedLabels(w.series), w.span)
	smith := newSmith(int64(seed>>1), sortedLabels(w.series))
	var panels []looked
	for len(panels) < 25 {
		query := g.query()
		if g.IntN(5) == 0 {
			query = smith.WalkRangeQuery().Pretty(0)
		}
		if isRangeType(w.parser, query) {
			continue
		}
		panels = append(panels, looked{
			query: query, lookback: g.lookback(), step: one(g, 5*time.Second, 15*time.Second, 20*time.Second, 7*time.Second),
			end: one(g, 0, 0, time.Minute, 7*time.Minute, -time.Minute), span: time.Duration(3+g.IntN(25)) * time.Minute,
		})
	}
	for elapsed := 27 * time.Minute; elapsed < randomSpan; elapsed += time.Minute + time.Duration(g.IntN(60))*time.Second {
		now := at(elapsed)
		w.advance(t, now)
		for _, p := range panels {
			w.lookback = p.lookback
			w.compare(t, p.query, p.window(now))
			p.end += time.Duration(g.IntN(300)) * time.Second
			p.span -= time.Duration(g.IntN(120)) * time.Second
			w.compare(t, p.query, p.window(now))
		}
	}
	hits, misses := w.count(t)
	t.Logf("%v pieces were kept, %v were not; %d answers cannot be compared", hits, misses, w.undetermined)
	if hits < 300 || hits < misses {
		t.Errorf("%v pieces were kept and %v were not, want most of them", hits, misses)
	}
}

// asked asks a query, and returns how many pieces of its answer were kept and
// how many were asked for.
func (w *growingWorld) asked(ctx context.Context, t *testing.T, query string, when window) (hits, misses float64) {
	t.Helper()
	hits, misses = w.count(t)
	q, err := w.federation.NewRangeQuery(ctx, nil, nil, query, when.start, when.end, when.step)
	if err != nil {
		t.Fatal(err)
	}
	got := q.Exec(ctx)
	if d := diff(query, got, w.refer(w.reference, query, when)); d != "" {
		t.Errorf("%s: %s", query, d)
	}
	h, m := w.count(t)
	return h - hits, m - misses
}

func TestWhatIsKept(t *testing.T) {
	w := newGrowingWorld(t, 3)
	for _, g := range w.servers {
		g.db.DisableCompactions()
	}
	w.advance(t, at(30*time.Minute))
	const query = `sum by (app) (rate(http_requests_total[2m]))`
	when := window{start: at(2 * time.Minute), end: at(10 * time.Minute), step: 15 * time.Second} // 33 steps
	ctx := t.Context()
	expect := func(what string, hits, misses float64) {
		t.Helper()
		if h, m := w.asked(ctx, t, query, when); h != hits || m != misses {
			t.Errorf("%s: %v pieces are kept and %v asked for, want %v and %v", what, h, m, hits, misses)
		}
	}
	expect("first", 0, 6)
	expect("again", 6, 0)
	when.start = at(3 * time.Minute)
	expect("a shorter time", 6, 0)
	when.start = at(3*time.Minute + time.Second)
	when.end = when.end.Add(time.Second)
	expect("other steps", 0, 6)
	expect("again", 6, 0)

	for _, g := range w.servers {
		g.traffic.take()
	}
	expect("nothing is asked", 6, 0)
	for _, g := range w.servers {
		if read, queries := g.traffic.take(); read > 0 || slices.Contains(queries, query) {
			t.Errorf("%d reads, queries %q", read, queries)
		}
	}

	ctx = federation.Uncached(t.Context())
	expect("without the cache", 0, 0)
	ctx = t.Context()
	first := w.servers[0]
	first.set(func() { first.configured = "2026-11-20T01:00:00Z" })
	expect("one was configured anew", 4, 2)
	first.set(func() { first.started = "2026-11-20T01:00:00Z" })
	expect("one was started anew", 4, 2)
	first.set(func() { first.window = time.Hour })
	expect("its samples may come later", 4, 0)
	first.set(func() { first.window, first.admin = growingWindow, true })
	expect("its series may be deleted", 4, 0)
	first.set(func() { first.admin, first.hides = false, "status/tsdb/blocks" })
	expect("it does not tell its blocks", 4, 0)
}

// A real Prometheus tells what must be known of its past.
func TestAnswersOfARealPrometheusAreKept(t *testing.T) {
	series := dataset(5)
	spec := blockSpec(t, "kept", "{}", series)
	spec.Listen = freePort(t)
	spec.Config += "scrape_configs: [{job_name: itself, scrape_interval: 1s, static_configs: [{targets: ['" + spec.Listen + "']}]}]\n"
	c := federation.Cluster{Name: "one", URLs: []string{startAll(t, spec)[0].URL}}
	w := &growingWorld{world: &world{series: relabel(c, series)}, registry: prometheus.NewRegistry()}
	w.setReference(t)
	w.federation = newFederation(t, federation.Config{Clusters: []federation.Cluster{c}, CacheBytes: 1 << 20, Registerer: w.registry})
	w.federation.Doubt(0)
	when := window{start: at(20 * time.Minute), end: at(90 * time.Minute), step: time.Minute}
	const query = `sum by (app) (rate(http_requests_total[5m]))`
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C { // until it has scraped itself
		hits, misses := w.asked(t.Context(), t, query, when)
		switch {
		case hits == 3 && misses == 0:
			return
		case t.Failed() || time.Now().After(deadline):
			t.Fatalf("%v pieces are kept and %v asked for, want 3 and none", hits, misses)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Whoever asks may say that nothing kept is wanted.
func TestRequestsPastTheCache(t *testing.T) {
	w := newGrowingWorld(t, 5)
	w.advance(t, at(30*time.Minute))
	srv := httptest.NewServer(w.federation.Handler())
	t.Cleanup(srv.Close)
	for _, c := range []struct {
		param, header string
		status        int
		looks         bool
	}{
		{status: http.StatusOK, looks: true},
		{param: "on", header: "max-age=0", status: http.StatusOK, looks: true},
		{param: "off", status: http.StatusOK},
		{header: "no-store", status: http.StatusOK},
		{header: "max-age=0, no-cache", status: http.StatusOK},
		{param: "maybe", status: http.StatusBadRequest},
	} {
		form := url.Values{"query": {"sum(up)"}, "start": {seconds(at(0))}, "end": {seconds(at(8 * time.Minute))}, "step": {"15"}}
		if c.param != "" {
			form.Set("cache", c.param)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/api/v1/query_range?"+form.Encode(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cache-Control", c.header)
		hits, misses := w.count(t)
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		h, m := w.count(t)
		if resp.StatusCode != c.status || (h+m > hits+misses) != c.looks {
			t.Errorf("%+v: status %d, %v pieces looked for", c, resp.StatusCode, h+m-hits-misses)
		}
	}
}

// A cache that is full lets go of what was not used for long.
func TestFullCache(t *testing.T) {
	w := newGrowingWorld(t, 6)
	for _, g := range w.servers {
		g.db.DisableCompactions()
	}
	w.advance(t, at(30*time.Minute))
	w.federation = newFederation(t, federation.Config{Clusters: w.clusters, CacheBytes: 20 << 10, Registerer: w.registry})
	w.federation.Doubt(0)
	when := window{start: at(2 * time.Minute), end: at(10 * time.Minute), step: 15 * time.Second}
	ask := func(i int) (hits, misses float64) {
		return w.asked(t.Context(), t, fmt.Sprintf("http_requests_total > %d", i), when)
	}
	for i := range 30 {
		ask(i)
		ask(0)
	}
	if h, m := ask(0); h != 6 || m != 0 {
		t.Errorf("of what is used always, %v pieces are kept, %v are not", h, m)
	}
	if h, m := ask(1); h != 0 || m != 6 {
		t.Errorf("of what is used no more, %v pieces are kept, %v are not", h, m)
	}
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "midwatch_federation_cache_bytes" {
			if got := f.GetMetric()[0].GetGauge().GetValue(); got <= 0 || got > 20<<10 {
				t.Errorf("the cache takes %v bytes", got)
			}
		}
	}
}

func (g *growing) set(what func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	what()
}
