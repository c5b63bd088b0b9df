package federation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand" //nolint:depguard // promqlsmith takes its type.
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/cortexproject/promqlsmith"
	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
)

var (
	randomQueries = flag.Int("federation.queries", 200, "random queries that federation and one Prometheus must answer alike")
	randomSeed    = flag.Int64("federation.seed", 1, "seed of the random queries")
)

// standIn is a Prometheus as far as federation sees it: its own
// remote-read handler over a TSDB, and its status.
type standIn struct {
	own        map[string]string // external labels that it really has
	frameBytes int               // of a streamed answer; 0 is Prometheus' default
	sampled    bool              // it does not stream
	hidden     bool              // it does not serve its configuration
}

func (p standIn) start(t testing.TB, series []testSeries) *httptest.Server {
	t.Helper()
	db := teststorage.New(t)
	load(t, db, series)
	srv := httptest.NewUnstartedServer(p.handler(db))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func (p standIn) handler(db storage.SampleAndChunkQueryable) http.Handler {
	conf := config.DefaultConfig
	conf.GlobalConfig.ExternalLabels = labels.FromMap(p.own)
	frame := p.frameBytes
	if frame == 0 {
		frame = config.DefaultChunkedReadLimit / 50
	}
	read := remote.NewReadHandler(slog.New(slog.DiscardHandler), nil, db, func() config.Config { return conf }, 1e9, 100, frame)
	mux := http.NewServeMux()
	if p.sampled {
		read = withoutStreaming(read)
	}
	mux.Handle("POST /api/v1/read", read)
	if !p.hidden {
		mux.HandleFunc("GET /api/v1/status/config", func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]string{"yaml": conf.String()}})
		})
	}
	mux.HandleFunc("GET /api/v1/status/buildinfo", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"success","data":{"version":"3.15.0"}}`))
	})
	return mux
}

// withoutStreaming hides from a read handler that the client takes streams.
func withoutStreaming(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := remote.DecodeReadRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.AcceptedResponseTypes = []prompb.ReadRequest_ResponseType{prompb.ReadRequest_SAMPLES}
		plain, err := proto.Marshal(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		clone := r.Clone(r.Context())
		clone.Body = io.NopCloser(bytes.NewReader(snappy.Encode(nil, plain)))
		next.ServeHTTP(w, clone)
	})
}

// world is a federation over clusters beside one TSDB that holds everything.
type world struct {
	federation *federation.Federation
	reference  storage.Queryable
	engine     *promql.Engine
	parser     parser.Parser
	series     []testSeries // as the reference holds them

	undetermined int // answers that Prometheus itself does not repeat
}

// newWorld starts four clusters that differ in what their servers' external
// labels are and in how they answer.
func newWorld(t testing.TB) *world {
	t.Helper()
	type member struct {
		federation.Cluster
		standIn
		extra []labels.Labels
	}
	members := []member{
		{ // configured as it is; large series come in many frames
			Cluster: federation.Cluster{Name: "hangzhou", Labels: map[string]string{"cluster": "hangzhou", "region": "cn-east"}},
			standIn: standIn{own: map[string]string{"cluster": "hangzhou", "region": "cn-east"}, frameBytes: 300},
			extra:   []labels.Labels{labels.FromStrings("__name__", "own_cluster", "cluster", "somewhere")},
		},
		{ // the server has none
			Cluster: federation.Cluster{Name: "beijing", Labels: map[string]string{"cluster": "beijing", "region": "cn-north"}},
			extra:   []labels.Labels{labels.FromStrings("__name__", "own_cluster", "cluster", "beijing")},
		},
		{ // differs, has more, is one of HA replicas; a series has a label of its own like the server's
			Cluster: federation.Cluster{Name: "tencent", ReplicaLabels: []string{"prometheus_replica"}},
			standIn: standIn{own: map[string]string{"cluster": "tx", "prometheus": "k8s", "region": "self", "prometheus_replica": "0"}},
			extra: []labels.Labels{
				labels.FromStrings("__name__", "own_prometheus", "prometheus", "k8s"),
				labels.FromStrings("__name__", "own_prometheus", "prometheus", "other"),
				labels.FromStrings("__name__", "own_prometheus", "instance", "without"),
			},
		},
		{ // sends samples, does not stream, hides its configuration
			Cluster: federation.Cluster{Name: "edge", Labels: map[string]string{"site": "edge"}},
			standIn: standIn{own: map[string]string{"site": "edge"}, sampled: true, hidden: true},
		},
	}
	w := &world{}
	var clusters []federation.Cluster
	for i, m := range members {
		series := dataset(int64(i+1), m.extra...)
		m.URLs = []string{m.start(t, series).URL}
		clusters = append(clusters, m.Cluster)
		w.series = append(w.series, relabel(m.Cluster, series)...)
	}
	w.federation = newFederation(t, federation.Config{Clusters: clusters})
	w.setReference(t)
	return w
}

func (w *world) setReference(t testing.TB) {
	t.Helper()
	db := teststorage.New(t)
	load(t, db, w.series)
	w.reference = db
	w.parser = parser.NewParser(parser.Options{})
	w.engine = promql.NewEngine(promql.EngineOpts{
		MaxSamples: federation.DefaultMaxSamples, Timeout: time.Minute, LookbackDelta: federation.DefaultLookbackDelta,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true, EnableNegativeOffset: true, Parser: w.parser,
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

// check asks a query of both, at an instant and over a range, and reports
// whether both answered it.
func (w *world) check(t *testing.T, query string) bool {
	t.Helper()
	instant := at(100*time.Minute + 7*time.Second + 123*time.Millisecond)
	answered := w.compare(t, query, instant, instant, 0)
	if !isRangeType(w.parser, query) {
		answered = w.compare(t, query, at(50*time.Minute), at(110*time.Minute), 97*time.Second) && answered
	}
	return answered
}

// compare reports whether both answered the query. Which of several equal
// values topk and bottomk keep, Prometheus leaves to the order of a Go map:
// where the reference disagrees with itself, there is nothing to compare.
func (w *world) compare(t *testing.T, query string, start, end time.Time, step time.Duration) bool {
	t.Helper()
	got := w.exec(t, w.federation, query, start, end, step)
	want := w.exec(t, w.engine, query, start, end, step)
	difference := diff(got, want)
	for range 10 {
		if difference == "" {
			break
		}
		if diff(w.exec(t, w.engine, query, start, end, step), want) != "" {
			w.undetermined++
			return true
		}
	}
	if difference != "" {
		t.Errorf("%s\nfrom %s to %s by %s\n%s", query, start, end, step, difference)
	}
	return want.Err == nil
}

func isRangeType(p parser.Parser, query string) bool {
	expr, err := p.ParseExpr(query)
	return err == nil && (expr.Type() == parser.ValueTypeMatrix || expr.Type() == parser.ValueTypeString)
}

func (w *world) exec(t *testing.T, e promql.QueryEngine, query string, start, end time.Time, step time.Duration) *promql.Result {
	t.Helper()
	var q promql.Query
	var err error
	if step == 0 {
		q, err = e.NewInstantQuery(context.Background(), w.reference, nil, query, start)
	} else {
		q, err = e.NewRangeQuery(context.Background(), w.reference, nil, query, start, end, step)
	}
	if err != nil {
		return &promql.Result{Err: err}
	}
	return q.Exec(context.Background())
}

// diff compares an answer with the reference's: errors, annotations, labels,
// times, values. It returns "" when they are the same.
func diff(got, want *promql.Result) string {
	if fmt.Sprint(got.Err) != fmt.Sprint(want.Err) {
		return fmt.Sprintf(" got error %v\nwant error %v", got.Err, want.Err)
	}
	if g, r := notes(got), notes(want); !slices.Equal(g, r) {
		return fmt.Sprintf(" got annotations %q\nwant annotations %q", g, r)
	}
	if want.Err != nil {
		return ""
	}
	g, r := points(got.Value), points(want.Value)
	for i := range min(len(g), len(r)) {
		if !g[i].equal(r[i]) {
			return fmt.Sprintf(" got %s\nwant %s", g[i], r[i])
		}
	}
	if len(g) != len(r) {
		return fmt.Sprintf(" got %d points\nwant %d points", len(g), len(r))
	}
	return ""
}

func notes(r *promql.Result) []string {
	warnings, infos := r.Warnings.AsStrings("", 0, 0)
	all := slices.Concat(warnings, infos)
	slices.Sort(all)
	return all
}

// point is one value of an answer, whatever the type of the answer.
type point struct {
	labels labels.Labels
	t      int64
	f      float64
	h      *histogram.FloatHistogram
	text   string
}

func (p point) String() string {
	return fmt.Sprintf("%s %d %s%s", p.labels, p.t, describe(p.f, p.h), p.text)
}

func (p point) equal(o point) bool {
	if !labels.Equal(p.labels, o.labels) || p.t != o.t || p.text != o.text || (p.h == nil) != (o.h == nil) {
		return false
	}
	if p.h == nil {
		return ratioClose(p.f, o.f)
	}
	return equalHistograms(p.h, o.h)
}

func equalHistograms(a, b *histogram.FloatHistogram) bool {
	a, b = a.Copy().Compact(0), b.Copy().Compact(0)
	return a.Schema == b.Schema && ratioClose(a.Count, b.Count) && ratioClose(a.Sum, b.Sum) &&
		ratioClose(a.ZeroCount, b.ZeroCount) && a.ZeroThreshold == b.ZeroThreshold &&
		slices.Equal(a.CustomValues, b.CustomValues) &&
		slices.Equal(a.PositiveSpans, b.PositiveSpans) && slices.Equal(a.NegativeSpans, b.NegativeSpans) &&
		slices.EqualFunc(a.PositiveBuckets, b.PositiveBuckets, ratioClose) &&
		slices.EqualFunc(a.NegativeBuckets, b.NegativeBuckets, ratioClose)
}

// points returns the values of an answer in order of labels and time.
func points(v parser.Value) []point {
	var out []point
	switch v := v.(type) {
	case promql.Scalar:
		out = append(out, point{t: v.T, f: v.V})
	case promql.String:
		out = append(out, point{t: v.T, text: v.V})
	case promql.Vector:
		for _, s := range v {
			out = append(out, point{labels: s.Metric, t: s.T, f: s.F, h: s.H})
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				out = append(out, point{labels: s.Metric, t: p.T, f: p.F})
			}
			for _, p := range s.Histograms {
				out = append(out, point{labels: s.Metric, t: p.T, h: p.H})
			}
		}
	}
	slices.SortStableFunc(out, byLabels(func(p point) labels.Labels { return p.labels }))
	return out
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
	t.Run("listed", func(t *testing.T) {
		for _, q := range queries {
			w.check(t, q)
		}
	})
	t.Run("random", w.checkRandom)
}

func (w *world) checkRandom(t *testing.T) {
	w.undetermined = 0
	rnd := rand.New(rand.NewSource(*randomSeed))
	smith := promqlsmith.New(rnd, sortedLabels(w.series),
		promqlsmith.WithEnableOffset(true), promqlsmith.WithEnableAtModifier(true),
		promqlsmith.WithAtModifierMaxTimestamp(at(2*time.Hour).UnixMilli()),
		promqlsmith.WithEnableVectorMatching(true), promqlsmith.WithMaxDepth(4))
	answered := 0
	for range *randomQueries {
		if q := smith.WalkRangeQuery().Pretty(0); w.check(t, q) {
			answered++
		}
	}
	t.Logf("%d random queries: %d answered, %d that Prometheus itself does not repeat", *randomQueries, answered, w.undetermined)
	if w.undetermined > *randomQueries/10+1 {
		t.Errorf("seed %d: %d of %d answers cannot be compared", *randomSeed, w.undetermined, *randomQueries)
	}
	if answered < *randomQueries/2 {
		t.Errorf("seed %d: %d of %d random queries have an answer, want at least half", *randomSeed, answered, *randomQueries)
	}
}
