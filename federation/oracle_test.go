package federation_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/federation"
)

var (
	randomQueries = flag.Int("federation.queries", 1500, "random queries that federation and one Prometheus must answer alike")
	randomSeed    = flag.Uint64("federation.seed", 1, "seed of the first random world; each next one has the next seed")
)

// world is a federation over clusters beside one TSDB that holds everything.
type world struct {
	name       string
	federation *federation.Federation
	reference  storage.Queryable
	engine     *promql.Engine
	parser     parser.Parser
	series     []testSeries // as the reference holds them
	members    []member
	span       time.Duration // of the data

	pushes int // percent of random queries that must be answered by parts

	lookback     time.Duration  // that queries bring; 0 is none
	run          federation.Run // how the last query was answered
	undetermined int            // answers that Prometheus itself does not repeat
}

// member is a cluster of a world and the servers that it is made of.
type member struct {
	federation.Cluster
	standIn
	series []testSeries   // of the cluster
	holds  [][]testSeries // what each replica has of it; nil is one replica with everything
}

// window is when a query is evaluated: at an instant when step is 0.
type window struct {
	start, end time.Time
	step       time.Duration
}

func (w window) String() string {
	return fmt.Sprintf("%d %d %d", w.start.Sub(dataStart).Milliseconds(), w.end.Sub(dataStart).Milliseconds(), w.step.Milliseconds())
}

// assemble starts the servers of the members, a federation of them and the
// reference.
func assemble(t testing.TB, name string, span time.Duration, members ...member) *world {
	t.Helper()
	w := &world{name: name, span: span, members: members}
	var clusters []federation.Cluster
	var all []testSeries
	for i := range members {
		m := &members[i]
		m.traffic = &traffic{}
		if m.holds == nil {
			m.holds = [][]testSeries{m.series}
		}
		m.URLs = nil
		for _, held := range m.holds {
			m.URLs = append(m.URLs, m.start(t, held).URL)
		}
		clusters = append(clusters, m.Cluster)
		all = append(all, relabel(m.Cluster, m.series)...)
	}
	w.series = unify(all)
	config := federation.Config{Clusters: clusters}
	if clusters[0].SettledAfter > 0 {
		config.CacheBytes = 4 << 20
	}
	w.federation = watched(t, config)
	w.setReference(t)
	counted(t, w.federation)
	w.settle(t)
	return w
}

// counted waits until it is known of all servers which labels their series
// have.
func counted(t testing.TB, f *federation.Federation) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !f.Counted(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("after 20 s it is not known which labels series have")
		}
	}
}

// settle waits until replicas are known to be whole, and asked for PromQL.
func (w *world) settle(t testing.TB) {
	t.Helper()
	if !slices.ContainsFunc(w.members, func(m member) bool { return len(m.holds) > 1 }) {
		return
	}
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
		w.take(t)
		exec(w.federation, nil, "max(up)", window{start: at(4 * time.Minute), end: at(4 * time.Minute)})
		if read, queries := w.take(t); read == 0 && len(queries) > 0 {
			return
		}
	}
	t.Errorf("world %s: after 20 s replicas are not known to be whole", w.name)
}

// newWorld starts four clusters that differ in what their servers' external
// labels are and in how they answer.
func newWorld(t testing.TB) *world {
	t.Helper()
	return assemble(t, "traps", scrapes*scrape,
		member{ // configured as it is; large series come in many frames
			Cluster: federation.Cluster{Name: "hangzhou", Labels: map[string]string{"cluster": "hangzhou", "region": "cn-east"}},
			standIn: standIn{own: map[string]string{"cluster": "hangzhou", "region": "cn-east"}, frameBytes: 300},
			series:  dataset(1, labels.FromStrings("__name__", "own_cluster", "cluster", "somewhere")),
		},
		member{ // the server has none
			Cluster: federation.Cluster{Name: "beijing", Labels: map[string]string{"cluster": "beijing", "region": "cn-north"}},
			series:  dataset(2, labels.FromStrings("__name__", "own_cluster", "cluster", "beijing")),
		},
		member{ // differs, has more, is one of HA replicas; a series has a label of its own like the server's
			Cluster: federation.Cluster{Name: "tencent", ReplicaLabels: []string{"prometheus_replica"}},
			standIn: standIn{own: map[string]string{"cluster": "tx", "prometheus": "k8s", "region": "self", "prometheus_replica": "0"}},
			series: dataset(3,
				labels.FromStrings("__name__", "own_prometheus", "prometheus", "k8s"),
				labels.FromStrings("__name__", "own_prometheus", "prometheus", "other"),
				labels.FromStrings("__name__", "own_prometheus", "instance", "without"),
			),
		},
		member{ // sends samples, does not stream, hides its configuration
			Cluster: federation.Cluster{Name: "edge", Labels: map[string]string{"site": "edge"}},
			standIn: standIn{own: map[string]string{"site": "edge"}, sampled: true, hidden: true},
			series:  dataset(4),
		},
	)
}

func (w *world) setReference(t testing.TB) {
	t.Helper()
	w.reference = storageOf(t, w.series)
	w.parser, w.engine = newReferenceEngine()
}

func newReferenceParser() parser.Parser {
	return parser.NewParser(parser.Options{ExperimentalDurationExpr: true})
}

// newReferenceEngine returns a Prometheus' engine with the defaults that
// federation has.
func newReferenceEngine() (parser.Parser, *promql.Engine) {
	p := newReferenceParser()
	return p, promql.NewEngine(promql.EngineOpts{
		MaxSamples: federation.DefaultMaxSamples, Timeout: time.Minute, LookbackDelta: federation.DefaultLookbackDelta,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true, EnableNegativeOffset: true, Parser: p,
	})
}

func newFederation(t testing.TB, c federation.Config) *federation.Federation {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	f, err := federation.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// watched returns a federation that watches its clusters until the test ends.
func watched(t testing.TB, c federation.Config) *federation.Federation {
	t.Helper()
	f := newFederation(t, c)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Watch(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return f
}

// check asks a query of both, at an instant and over a range, and reports
// whether both answered it.
func (w *world) check(t testing.TB, query string) bool {
	t.Helper()
	instant := at(100*time.Minute + 7*time.Second + 123*time.Millisecond)
	answered := w.compare(t, query, window{start: instant, end: instant})
	if !isRangeType(w.parser, query) {
		answered = w.compare(t, query, window{start: at(50 * time.Minute), end: at(110 * time.Minute), step: 97 * time.Second}) && answered
	}
	return answered
}

// compare reports whether both answered the query. A difference is an error
// of the test.
func (w *world) compare(t testing.TB, query string, when window) bool {
	t.Helper()
	got := w.ask(query, when)
	want := w.refer(w.reference, query, when)
	difference := diff(query, got, want)
	if difference == "" {
		difference = inOrder(w.parser, query, got, want)
	}
	switch {
	case difference == "":
	case doubtful(query, got), w.unsettled(query, when, got, want):
		w.undetermined++
		return true
	default:
		t.Errorf("world %s | %s %d | %s\n%s: %s", w.name, when, w.lookback.Milliseconds(), query, w.run, difference)
	}
	return want.Err == nil
}

// doubtful tells whether an answer says that data may be missing from it: a
// replica with a hole answered alone, since the other one was slow.
func doubtful(query string, got *promql.Result) bool {
	return slices.ContainsFunc(notes(query, got), func(s string) bool {
		return strings.Contains(s, "may be missing from this answer")
	})
}

// unsettled tells whether Prometheus itself does not determine an answer.
// Which of several equal values topk and bottomk keep, and which of several
// duplicates an error names, depends on the order in which series come; a
// difference of two equal sums may be 0 or next to it.
func (w *world) unsettled(query string, when window, got, want *promql.Result) bool {
	for turn := range uint64(6) {
		again := w.refer(shaken{w.reference, turn, false}, query, when)
		if diff(query, again, want) != "" {
			return true
		}
	}
	others := make([]*promql.Result, 4)
	for turn := range others {
		others[turn] = w.refer(shaken{w.reference, uint64(turn), true}, query, when)
	}
	return explained(got, want, others)
}

func isRangeType(p parser.Parser, query string) bool {
	expr, err := p.ParseExpr(query)
	return err == nil && (expr.Type() == parser.ValueTypeMatrix || expr.Type() == parser.ValueTypeString)
}

func exec(e promql.QueryEngine, over storage.Queryable, query string, when window) *promql.Result {
	q, err := prepare(e, over, nil, query, when)
	if err != nil {
		return &promql.Result{Err: err}
	}
	return q.Exec(context.Background())
}

func (w *world) opts() promql.QueryOpts { return promql.NewPrometheusQueryOpts(false, w.lookback) }

// refer puts a query to Prometheus' engine.
func (w *world) refer(over storage.Queryable, query string, when window) *promql.Result {
	q, err := prepare(w.engine, over, w.opts(), query, when)
	if err != nil {
		return &promql.Result{Err: err}
	}
	return q.Exec(context.Background())
}

// ask puts a query to the federation, and notes how it was answered.
func (w *world) ask(query string, when window) *promql.Result {
	q, err := prepare(w.federation, nil, w.opts(), query, when)
	if err != nil {
		w.run = ""
		return &promql.Result{Err: err}
	}
	res := q.Exec(context.Background())
	w.run = federation.RunOf(q)
	return res
}

func prepare(e promql.QueryEngine, over storage.Queryable, opts promql.QueryOpts, query string, when window) (promql.Query, error) {
	if when.step == 0 {
		return e.NewInstantQuery(context.Background(), over, opts, query, when.start)
	}
	return e.NewRangeQuery(context.Background(), over, opts, query, when.start, when.end, when.step)
}

// take returns what the servers were asked since the last call. An old server
// may not have been asked for anything with a range: its ranges are closed on
// the left.
func (w *world) take(t testing.TB) (read int, queries []string) {
	t.Helper()
	for _, m := range w.members {
		r, q := m.traffic.take()
		for _, query := range q {
			if strings.HasPrefix(m.version, "2.") && hasRange(w.parser, query) {
				t.Errorf("world %s: cluster %s of version %s was asked %s", w.name, m.Name, m.version, query)
			}
		}
		read, queries = read+r, append(queries, q...)
	}
	return read, queries
}

func hasRange(p parser.Parser, query string) bool {
	expr, err := p.ParseExpr(query)
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch node.(type) {
		case *parser.MatrixSelector, *parser.SubqueryExpr:
			found = true
		}
		return nil
	})
	return err != nil || found
}

// queries that matter: each planning class, each trap of external labels.
var queries = []string{
	`http_requests_total`,
	`sum(http_requests_total)`,
	`sum by (cluster) (http_requests_total)`,
	`sum by (app) (rate(http_requests_total[5m]))`,
	`1 - max by (service) (budget_left)`,
	`max by (service) (1 - budget_left)`,
	`sum by (app) (rate(http_requests_total{status=~"5.."}[5m])) / sum by (app) (rate(http_requests_total[5m]))`,
	`sum without (cluster, region, instance) (increase(http_requests_total[10m]))`,
	`avg(node_load1)`, `stddev by (cluster) (node_load1)`, `quantile(0.9, node_load1)`, `quantile by (region) (0.5, node_load1)`,
	`count(node_load1)`, `group by (cluster) (node_load1)`, `count_values("v", ceil(node_load1 / 50))`,
	`topk(3, node_load1)`, `bottomk(2, http_requests_total)`, `topk by (cluster) (1, node_load1)`,
	`sort_desc(sum by (cluster) (node_load1))`,
	`http_requests_total offset 10m`, `rate(http_requests_total[5m] offset -3m)`,
	fmt.Sprintf(`node_load1 @ %d`, at(30*time.Minute).Unix()),
	fmt.Sprintf(`rate(http_requests_total[5m] @ %d offset 90s)`, at(30*time.Minute).Unix()),
	`sum(node_load1 @ start()) - sum(node_load1 @ end())`,
	`max_over_time(sum by (cluster) (rate(http_requests_total[2m]))[20m:77s])`,
	`avg_over_time(node_load1[30m:])`, `min_over_time((sum(node_load1))[10m:30s] offset 5m)`,
	`node_load1[3m]`, `node_load1[10m:2m]`, `last_over_time(node_load1[20m])`, `timestamp(node_load1)`,
	`changes(node_load1[10m])`, `resets(http_requests_total[30m])`, `present_over_time(node_load1[15s])`,
	`count_over_time({__name__=~".+"}[1m])`, `deriv(node_load1[10m])`, `predict_linear(node_load1[10m], 600)`,
	`label_replace(node_load1, "cluster", "$1-x", "cluster", "(.*)")`,
	`label_replace(node_load1, "zone", "$1", "region", "cn-(.*)")`,
	`label_replace(node_load1, "cluster", "", "cluster", ".*")`,
	`label_join(node_load1, "where", "/", "region", "cluster")`,
	`absent(node_load1{cluster="nowhere"})`, `absent(node_load1{cluster="beijing"})`, `absent(nothing{cluster="beijing", app="x"})`,
	`absent_over_time(nothing{region="cn-east"}[5m])`,
	`node_load1 * on (cluster, instance) group_left (kernel) node_info`,
	`node_load1 / on (instance) group_left sum by (instance) (node_load1)`,
	`sum by (cluster) (node_load1) / ignoring (cluster) group_left sum(node_load1)`,
	`node_load1 / on (instance) node_info`, // many to many: an error in both
	`node_load1{cluster="beijing"} - on (instance) node_load1{cluster="hangzhou"}`,
	`node_load1 and on (instance) node_info{cluster="tencent"}`, `node_load1 unless on (cluster) node_info{cluster!="tencent"}`,
	`node_load1{cluster="beijing"} or node_load1{cluster="tencent"}`,
	`node_load1 > bool 10`, `node_load1 > 0`, `node_load1 == node_load1`,
	`node_load1{cluster=""}`, `node_load1{cluster!=""}`, `node_load1{cluster=~""}`, `node_load1{cluster!~".+"}`, `node_load1{cluster=~".*"}`,
	`node_load1{cluster!="beijing"}`, `node_load1{cluster=~"bei.*|tencent"}`, `node_load1{cluster!~"bei.*"}`,
	`node_load1{cluster="tx"}`, `node_load1{cluster="tencent"}`, `node_load1{site="edge"}`, `node_load1{site=""}`, `node_load1{site!="edge"}`,
	`node_load1{region="cn-east"}`, `node_load1{region="self"}`, `node_load1{region=""}`, `node_load1{region!="self"}`,
	`own_cluster`, `own_cluster{cluster="somewhere"}`, `own_cluster{cluster="hangzhou"}`, `own_cluster{cluster="beijing"}`,
	`own_prometheus`, `own_prometheus{prometheus="k8s"}`, `own_prometheus{prometheus=""}`, `own_prometheus{prometheus!="k8s"}`, `own_prometheus{prometheus=~"k8s|other"}`,
	`sum by (prometheus) (node_load1)`, `node_load1{prometheus="k8s"}`, `node_load1{prometheus_replica="0"}`, `node_load1{prometheus_replica!="0"}`,
	`{cluster="beijing"}`, `count({cluster=~".+"})`, `count by (__name__) ({region="self"})`, `count({app="payment-service"})`,
	`latency_seconds`, `sum(rate(latency_seconds[5m]))`, `histogram_quantile(0.9, sum by (app) (rate(latency_seconds[5m])))`,
	`histogram_count(sum by (cluster) (latency_seconds))`, `histogram_sum(rate(latency_seconds[10m]))`, `histogram_fraction(0, 1, rate(latency_seconds[5m]))`,
	`histogram_avg(increase(queue_seconds[7m]))`, `avg(queue_seconds)`, `rate(queue_seconds[5m] offset 1m)`,
	`histogram_quantile(0.95, sum by (le, cluster) (rate(http_duration_seconds_bucket[5m])))`,
	`histogram_quantile(0.95, sum by (le) (rate(http_duration_seconds_bucket[5m])))`,
	`mixed_samples`, `sum(mixed_samples)`, `rate(mixed_samples[20m])`, `sum(mixed_samples or latency_seconds)`, `avg_over_time(mixed_samples[30m])`,
	`sum(latency_seconds or node_load1)`, `sum({__name__=~"latency_seconds|node_load1"})`,
	`{"utf8.label"="日本"}`, `sum by ("utf8.label") (node_info)`, `count by ("utf8.label") ({"utf8.label"=~".+"})`,
	`rate(node_load1[5m])`, `{__name__=~"node_load1|budget_left"} + 0`, // duplicate series once the name is gone
	`vector(1)`, `scalar(sum(node_load1))`, `time()`, `"text"`, `1 + 2`, `scalar(node_load1)`, `minute()`,
	`nothing`, `sum(nothing)`, `nothing or vector(0)`, `sum(http_requests_total{status="500"} or 0 * http_requests_total)`,
}

func TestAnswersAreThoseOfOnePrometheus(t *testing.T) {
	w := newWorld(t)
	for _, q := range queries {
		w.check(t, q)
	}
}
