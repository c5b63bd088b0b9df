package federation_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

const (
	// chaosTimeout is how long a cluster may take to answer.
	chaosTimeout = 1500 * time.Millisecond
	// chaosAsked is how many answers there must be within each fault.
	chaosAsked = 24
	// chaosPatience is how long anything may take that must come about.
	chaosPatience = 40 * time.Second
)

// chaosQueries read the clusters in each of the ways that there are.
var chaosQueries = []string{
	`http_requests_total`,
	`sum(http_requests_total)`,
	`sum by (app) (rate(http_requests_total{status=~"5.."}[5m])) / sum by (app) (rate(http_requests_total[5m]))`,
	`sum by (cluster) (rate(http_requests_total[5m]))`,
	`count(node_load1)`,
	`quantile(0.9, node_load1)`,
	`avg by (app) (http_requests_total)`,
	`topk(3, node_load1)`,
	`sum(histogram_count(rate(latency_seconds[5m])))`,
	`sum(rate(latency_seconds[5m]))`,
	`absent(node_load1{cluster="beijing"})`,
	`node_load1{cluster="beijing"} - on (instance) node_load1{cluster="hangzhou"}`,
	`count(up) or vector(0)`,
	`max_over_time(sum(node_load1)[5m:1m])`,
	`sum(node_load1 offset 5m) - sum(node_load1)`,
	`node_load1{cluster="hangzhou"}`,
}

// truth knows the right answers for every set of clusters that may be missing.
type truth struct {
	over   storage.Queryable
	engine *promql.Engine
	mu     sync.Mutex
	known  map[string][]point
}

func newTruth(over storage.Queryable) *truth {
	_, engine := newReferenceEngine()
	return &truth{over: over, engine: engine, known: map[string][]point{}}
}

// answer returns what one Prometheus would say that does not hold the missing
// clusters.
func (tr *truth) answer(query string, when window, missing []string) ([]point, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	key := fmt.Sprint(query, when, missing)
	if v, ok := tr.known[key]; ok {
		return v, nil
	}
	res := exec(tr.engine, lacking{tr.over, missing}, query, when)
	if res.Err != nil {
		return nil, res.Err
	}
	tr.known[key] = points(res.Value)
	return tr.known[key], nil
}

// lacking is a storage without the series of some clusters.
type lacking struct {
	storage.Queryable
	clusters []string
}

// Querier returns a querier over the storage.
func (l lacking) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := l.Queryable.Querier(mint, maxt)
	return lackingQuerier{q, l.clusters}, err
}

type lackingQuerier struct {
	storage.Querier
	clusters []string
}

// Select returns the series that match.
func (q lackingQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	for _, name := range q.clusters {
		ms = append(slices.Clip(ms), labels.MustNewMatcher(labels.MatchNotEqual, "cluster", name))
	}
	return q.Querier.Select(ctx, sorted, hints, ms...)
}

// chaos asks all the time, and judges every answer.
type chaos struct {
	fed     *federation.Federation
	truth   *truth
	windows []window
	always  bool // no answer may lack a cluster

	mayDoubt bool // answers may say that they lack what a replica does
	doubted  bool // one did

	mu    sync.Mutex
	asked int // answers
	whole int // answers that nothing was missing from, in a row
	wrong map[string]int
}

var missingCluster = regexp.MustCompile(`cluster "([^"]+)" \(`)

// ask puts one query and judges the answer: it is that of one Prometheus that
// holds the clusters which are not named as missing. An error must name some.
func (c *chaos) ask(ctx context.Context, query string, when window) {
	res := exec(c.fed, nil, query, when)
	if ctx.Err() != nil {
		return
	}
	verdict, missing := "", []string{}
	if res.Err != nil {
		missing = names(res.Err.Error())
		if len(missing) == 0 {
			verdict = fmt.Sprintf("error that names no cluster: %v", res.Err)
		}
	} else {
		warnings, _ := res.Warnings.AsStrings(query, 0, 0)
		for _, w := range warnings {
			missing = append(missing, names(w)...)
		}
		verdict = c.judge(query, when, missing, points(res.Value))
		if doubtful(query, res) {
			verdict, missing = c.doubt(query, when), []string{"data of a replica"}
		}
	}
	if c.always && !doubtful(query, res) && verdict == "" && len(missing) > 0 {
		verdict = fmt.Sprintf("%s | %s lacks %q", query, when, missing)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.whole++
	if len(missing) > 0 {
		c.whole = 0
	}
	if verdict != "" {
		c.wrong[verdict]++
	}
}

// doubts lets answers say from now on that they lack what a replica does.
func (c *chaos) doubts(may bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mayDoubt = may
}

// doubt judges an answer that says so.
func (c *chaos) doubt(query string, when window) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubted = true
	if !c.mayDoubt {
		return fmt.Sprintf("%s | %s: lacks data of a replica while both answer", query, when)
	}
	return ""
}

func names(text string) []string {
	var out []string
	for _, found := range missingCluster.FindAllStringSubmatch(text, -1) {
		out = append(out, found[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *chaos) judge(query string, when window, missing []string, got []point) string {
	want, err := c.truth.answer(query, when, missing)
	if err != nil {
		return fmt.Sprintf("%s: the truth: %v", query, err)
	}
	if !slices.EqualFunc(got, want, point.equal) {
		return fmt.Sprintf("%s | %s without %q:\n got %.600v\nwant %.600v", query, when, missing, got, want)
	}
	return ""
}

// run asks until ctx ends, several at once.
func (c *chaos) run(ctx context.Context) {
	var askers sync.WaitGroup
	for asker := range 3 {
		askers.Go(func() {
			for i := asker; ctx.Err() == nil; i += 7 {
				c.ask(ctx, chaosQueries[i%len(chaosQueries)], c.windows[i%len(c.windows)])
			}
		})
	}
	askers.Wait()
}

// await waits until enough answers have come since the call, or, when wanted
// whole, until so many in a row lacked nothing.
func (c *chaos) await(t *testing.T, what string, whole bool) {
	t.Helper()
	c.mu.Lock()
	from := c.asked
	c.mu.Unlock()
	deadline := time.Now().Add(chaosPatience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		c.mu.Lock()
		done := c.asked-from >= chaosAsked && (!whole || c.whole >= chaosAsked)
		c.mu.Unlock()
		switch {
		case done:
			return
		case time.Now().After(deadline):
			t.Fatalf("%s: not within %s", what, chaosPatience)
		}
	}
}

// disturbance is a fault that begins and ends.
type disturbance struct {
	name       string
	begin, end func(t *testing.T)
}

// disturb runs disturbances one after the other while it asks.
func (c *chaos) disturb(t *testing.T, all []disturbance) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() { c.run(ctx) })
	defer func() {
		stop()
		asking.Wait()
		for _, verdict := range c.verdicts() {
			t.Error(verdict)
		}
		t.Logf("%d answers", c.asked)
	}()
	c.await(t, "answers at the start", true)
	for _, d := range all {
		before := len(c.verdicts())
		d.begin(t)
		c.await(t, d.name, false)
		d.end(t)
		c.await(t, "whole answers after: "+d.name, true)
		if now := c.verdicts(); len(now) > before {
			t.Errorf("%s: %d kinds of wrong answers more", d.name, len(now)-before)
		}
	}
}

func (c *chaos) verdicts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.wrong))
}

func newChaos(fed *federation.Federation, over storage.Queryable) *chaos {
	return &chaos{fed: fed, truth: newTruth(over), wrong: map[string]int{}, windows: []window{
		{start: at(100 * time.Minute), end: at(100 * time.Minute)},
		{start: at(60 * time.Minute), end: at(80 * time.Minute), step: 2 * time.Minute},
		{start: at(30*time.Minute + 500*time.Millisecond), end: at(30*time.Minute + 500*time.Millisecond)},
	}}
}

// startAgain starts a Prometheus where one was killed.
func startAgain(t *testing.T, at **servers.Prometheus, spec servers.PrometheusSpec) {
	t.Helper()
	spec.Listen = strings.TrimPrefix((*at).URL, "http://")
	p, err := servers.StartPrometheus(t.Context(), spec)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { _ = p.Kill() })
	*at = p
}

func signal(t *testing.T, p *servers.Prometheus, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.PID(), s); err != nil {
		t.Error(err)
	}
}

// processFaults are what can become of a real process.
func processFaults(name string, at **servers.Prometheus, spec servers.PrometheusSpec) []disturbance {
	return []disturbance{
		{name + " killed, and started again", func(t *testing.T) {
			if err := (*at).Kill(); err != nil {
				t.Error(err)
			}
		}, func(t *testing.T) { startAgain(t, at, spec) }},
		{
			name + " stopped, and continued",
			func(t *testing.T) { signal(t, *at, syscall.SIGSTOP) },
			func(t *testing.T) { signal(t, *at, syscall.SIGCONT) },
		},
	}
}

// gateFaults are what can become of a real server's answers.
func gateFaults(name string, g *gate) []disturbance {
	var out []disturbance
	for _, f := range []struct {
		what  string
		fault func(http.Handler) http.Handler
	}{
		{"answers 500", answers500},
		{"answers half a body", halfABody},
		{"slow", lateBy(chaosTimeout / 3)},
		{"slower than its time", lateBy(2 * chaosTimeout)},
		{"answers 500 every other time", alternately(answers500)},
	} {
		out = append(out, disturbance{name + " " + f.what, func(*testing.T) { g.set(f.fault) }, func(*testing.T) { g.set(nil) }})
	}
	return out
}

// alternately lets every other request meet a fault.
func alternately(fault func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	var mu sync.Mutex
	n := 0
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			n++
			hit := n%2 == 0
			mu.Unlock()
			if hit {
				next = fault(next)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// TestNoWrongAnswerWhileClustersFail asks all the time while one cluster of
// three is killed, stops, is slow, fails and comes back: no answer is wrong
// without saying what is missing from it.
func TestNoWrongAnswerWhileClustersFail(t *testing.T) {
	t.Parallel()
	w := startRealWorld(t)
	reference := w.storage(t)
	t.Run("answers", func(t *testing.T) {
		clusters := w.config()
		g := openGate(t, clusters[1].URLs[0])
		clusters[1].URLs[0] = g.URL
		fed := watched(t, federation.Config{Timeout: chaosTimeout, Clusters: clusters})
		newChaos(fed, reference).disturb(t, gateFaults("beijing", g))
	})
	t.Run("processes", func(t *testing.T) {
		fed := watched(t, federation.Config{Timeout: chaosTimeout, Clusters: w.config()})
		beijing := w.clusters["beijing"]
		newChaos(fed, reference).disturb(t, processFaults("beijing", &beijing, w.specs["beijing"]))
	})
}

// TestNoWrongAnswerWhileReplicasFail does the same with a cluster of two
// replicas that hold the same: all answers are whole.
func TestNoWrongAnswerWhileReplicasFail(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil, nil)
	c := newChaos(p.fed, p.reference)
	c.always = true
	c.disturb(t, append(processFaults("the first", &p.replicas[0], p.specs[0]), processFaults("the second", &p.replicas[1], p.specs[1])...))
}

// pair is a federation of three clusters, of which beijing is two real
// Prometheus that scrape the same.
type pair struct {
	fed       *federation.Federation
	reference storage.Queryable // holds what at least one of the replicas does
	specs     []servers.PrometheusSpec
	replicas  []*servers.Prometheus
}

// startPair starts a pair whose replicas were away at these times.
func startPair(t *testing.T, first, second []span) *pair {
	t.Helper()
	series := map[string][]testSeries{}
	for i, name := range []string{"hangzhou", "beijing", "tencent"} {
		series[name] = append(dataset(int64(200+i)), oddities(int64(i))...)
	}
	p := &pair{}
	if len(first)+len(second) > 0 {
		series["beijing"] = append(regular(series["beijing"]), always(labels.FromStrings("__name__", "up", "instance", "self", "job", "prometheus"), 1))
	}
	for i, away := range [][]span{first, second} {
		held := series["beijing"]
		for _, one := range away {
			held = without(held, one)
		}
		name := string(rune('a' + i))
		p.specs = append(p.specs, blockSpec(t, name, "{cluster: beijing, replica: "+name+"}", held))
	}
	p.replicas = startAll(t, p.specs...)
	clusters := []federation.Cluster{{Name: "beijing", ReplicaLabels: []string{"replica"}, URLs: []string{p.replicas[0].URL, p.replicas[1].URL}}}
	for _, name := range []string{"hangzhou", "tencent"} {
		clusters = append(clusters, federation.Cluster{Name: name, URLs: []string{standIn{}.start(t, series[name]).URL}})
	}
	var all []testSeries
	for _, c := range clusters {
		all = append(all, relabel(c, series[c.Name])...)
	}
	p.fed = watched(t, federation.Config{Timeout: 2 * chaosTimeout, Clusters: clusters})
	p.reference = storageOf(t, all)
	return p
}

// TestReplicasWithHoles asks a pair whose replicas were away one after the
// other: while both answer, nothing is missing; once one is killed, what the
// other lacks is said.
func TestReplicasWithHoles(t *testing.T) {
	t.Parallel()
	p := startPair(t,
		[]span{{50 * time.Minute, 58 * time.Minute}, {96 * time.Minute, 101 * time.Minute}},
		[]span{{25 * time.Minute, 31 * time.Minute}, {65 * time.Minute, 72 * time.Minute}})
	c := newChaos(p.fed, p.reference)
	c.always = true
	c.windows = append(c.windows, window{start: at(20 * time.Minute), end: at(110 * time.Minute), step: 97 * time.Second}, window{start: at(44 * time.Minute), end: at(44 * time.Minute)})
	c.disturb(t, []disturbance{
		{"both answer", func(*testing.T) {}, func(*testing.T) {}},
		{
			"the second killed, and started again",
			func(t *testing.T) {
				c.doubts(true)
				if err := p.replicas[1].Kill(); err != nil {
					t.Error(err)
				}
			},
			func(t *testing.T) {
				startAgain(t, &p.replicas[1], p.specs[1])
			},
		},
	})
	if !c.doubted {
		t.Error("no answer said what the first replica lacks")
	}
}
