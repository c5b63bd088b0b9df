package federation_test

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// floats returns the series of a dataset that hold no histograms.
func floats(seed int64) []testSeries {
	once := testSeries{labels: labels.FromStrings("__name__", "once"), samples: []sample{{t: at(time.Hour).UnixMilli(), f: 1}}}
	return slices.DeleteFunc(append(append(dataset(seed), oddities(seed)...), once), func(s testSeries) bool {
		return slices.ContainsFunc(s.samples, func(one sample) bool { return one.h != nil || one.fh != nil })
	})
}

// lasting returns series without staleness markers.
func lasting(series []testSeries) []testSeries {
	for i := range series {
		series[i].samples = slices.DeleteFunc(series[i].samples, func(one sample) bool { return math.Float64bits(one.f) == value.StaleNaN })
	}
	return series
}

// beside returns a world of two clusters, of which the first is at a URL and
// the second a Prometheus of this time.
func beside(t *testing.T, url string, series []testSeries) *world {
	t.Helper()
	clusters := []federation.Cluster{{Name: "tested", URLs: []string{url}}, {Name: "other"}}
	others := floats(77)
	clusters[1].URLs = []string{standIn{}.start(t, others).URL}
	w := &world{name: "beside", span: scrapes * scrape, federation: watched(t, federation.Config{Clusters: clusters})}
	w.series = unify(append(relabel(clusters[0], series), relabel(clusters[1], others)...))
	w.setReference(t)
	until(t, w.federation, "the first probe", isUp)
	return w
}

// over returns the handler of a server that holds series.
func (p standIn) over(t *testing.T, series []testSeries) http.Handler {
	t.Helper()
	db := teststorage.New(t)
	load(t, db, series)
	return p.handler(db)
}

// withoutRead hides that a server serves remote read.
func withoutRead(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/read" {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// backendQueries are of every class: with ranges, without, joins of clusters,
// what needs raw samples.
var backendQueries = []string{
	`http_requests_total`, `node_load1 offset 7m`, `sum by (app) (http_requests_total)`, `max(node_load1)`, `topk(2, node_load1)`, `quantile(0.9, node_load1)`,
	`sum by (app) (rate(http_requests_total[5m]))`, `sum(rate(http_requests_total[5m])) by (cluster) / sum(rate(http_requests_total[5m])) by (cluster)`,
	`increase(http_requests_total[15s])`, `count_over_time(node_load1[1m])`, `last_over_time(node_load1[15s])`, `changes(node_load1[10m])`,
	`avg_over_time(sum by (instance) (node_load1)[10m:77s])`, `histogram_quantile(0.9, sum by (le) (rate(http_duration_seconds_bucket[5m])))`,
	`node_load1 - on (instance) group_left node_load1{cluster="other"}`, `absent(nothing)`, `absent(node_load1{cluster="tested"})`,
	`count({__name__=~".+"})`, `{cluster="tested"}`, `{"utf8.label"="日本"}`, `timestamp(node_load1)`, `odd_values`, `sparse`, `rate(sparse[10m])`,
	`node_load1{cluster="tested", instance=~"n1|n2"} and on (instance) node_info`, `sort_desc(node_load1)`, `limitk(2, node_load1)`,
	fmt.Sprintf(`node_load1 @ %d`, at(30*time.Minute).Unix()), `stddev(node_load1)`, `node_load1[2m]`, `nothing`, `sum by (__name__) (rate(http_requests_total[5m]))`, `once`, `last_over_time(once[5m])`, `label_replace(node_load1, "cluster", "x", "", "")`,
}

// checkBackend asks everything, at times among which ranges begin at samples.
func (w *world) checkBackend(t *testing.T) {
	t.Helper()
	w.compare(t, `once`, window{start: at(65 * time.Minute), end: at(65 * time.Minute)}) // just too old
	w.compare(t, `once`, window{start: at(65*time.Minute - time.Millisecond), end: at(65*time.Minute - time.Millisecond)})
	boundary := at(80*time.Minute + time.Duration(w.series[0].samples[0].t-dataStart.UnixMilli())*time.Millisecond)
	for _, q := range backendQueries {
		w.check(t, q)
		w.compare(t, q, window{start: boundary, end: boundary})
		if !isRangeType(w.parser, q) {
			w.compare(t, q, window{start: boundary, end: boundary.Add(5 * time.Minute), step: scrape})
		}
	}
}

func TestOldPrometheus(t *testing.T) {
	series := floats(5)
	spec := blockSpec(t, "old", "{cluster: elsewhere, extra: one}", series)
	spec.Old = true
	p, err := servers.StartPrometheus(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	w := beside(t, p.URL, series)
	w.checkBackend(t)
	r := w.federation.Status()[0].Replicas[0]
	hidden := beside(t, withoutName(t, p.URL), series)
	hidden.compare(t, `once`, window{start: at(65 * time.Minute), end: at(65 * time.Minute)})
	if r := hidden.federation.Status()[0].Replicas[0]; r.Backend != "" || r.Pushes != "nothing" {
		t.Errorf("without a name: got %+v", r)
	}
	if r.Backend != "Prometheus" || !strings.HasPrefix(r.Version, "2.") || r.Pushes != "nothing" || !r.RemoteRead || len(r.Differences) != 2 {
		t.Errorf("got %+v", r)
	}
}

// withoutName returns the URL of the same server, which does not say what it
// is.
func withoutName(t *testing.T, base string) string {
	t.Helper()
	to, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	mux := http.NewServeMux()
	mux.Handle("/", forward)
	mux.Handle("/api/v1/status/buildinfo", http.NotFoundHandler())
	return serve(t, mux)
}

// Features that change answers keep a Prometheus from being asked to evaluate.
func TestAlteredPrometheus(t *testing.T) {
	series := floats(5)
	spec := blockSpec(t, "altered", "{}", series)
	spec.Flags = append(spec.Flags, "--enable-feature=promql-experimental-functions,promql-delayed-name-removal")
	p, err := servers.StartPrometheus(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	w := beside(t, p.URL, series)
	w.checkBackend(t)
	if r := w.federation.Status()[0].Replicas[0]; r.Pushes != "nothing" || !strings.HasPrefix(r.Version, "3.") {
		t.Errorf("got %+v", r)
	}
}

func TestVictoriaMetrics(t *testing.T) {
	v, err := servers.StartVictoria(t.Context(), servers.VictoriaSpec{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Kill() })
	series := slices.DeleteFunc(floats(6), func(s testSeries) bool { return s.labels.Get("__name__") == "odd_values" }) // it keeps no NaN
	for _, s := range series {
		for i := range s.samples {
			if !math.IsNaN(s.samples[i].f) {
				s.samples[i].f = math.Round(s.samples[i].f*1000) / 1000 // it keeps decimals
			}
		}
	}
	writeRemotely(t, v.URL, series)
	w := beside(t, v.URL, series)
	w.checkBackend(t)
	r := w.federation.Status()[0].Replicas[0]
	if r.Backend != "VictoriaMetrics" || r.Pushes != "nothing" || r.RemoteRead {
		t.Errorf("got %+v", r)
	}
}

// writeRemotely gives series to a server by remote write, and waits until it
// has them all.
func writeRemotely(t *testing.T, base string, series []testSeries) {
	t.Helper()
	var req prompb.WriteRequest
	for _, s := range series {
		ts := prompb.TimeSeries{}
		s.labels.Range(func(l labels.Label) { ts.Labels = append(ts.Labels, prompb.Label{Name: l.Name, Value: l.Value}) })
		for _, one := range s.samples {
			ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: one.t, Value: one.f})
		}
		req.Timeseries = append(req.Timeseries, ts)
	}
	plain, err := proto.Marshal(&req)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/write", "/internal/force_flush"} {
		resp, err := http.Post(base+path, "application/x-protobuf", bytes.NewReader(snappy.Encode(nil, plain)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			t.Fatalf("%s: %s", path, resp.Status)
		}
	}
}

// A Prometheus whose remote read is shut is asked by queries.
func TestWithoutRemoteRead(t *testing.T) {
	series := lasting(floats(8))
	h := standIn{}.over(t, series)
	w := beside(t, serve(t, withoutRead(h)), series)
	w.checkBackend(t)
	if r := w.federation.Status()[0].Replicas[0]; r.RemoteRead || r.Pushes != "everything" {
		t.Errorf("got %+v", r)
	}
}

// Thanos is asked to fail where it would leave data out.
func TestThanosIsAskedToBeWhole(t *testing.T) {
	series := lasting(floats(9))
	h := standIn{version: "0.42.4"}.over(t, series)
	url := serve(t, withoutRead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v1/query") && r.FormValue("partial_response") != "false" {
			http.Error(w, "it would be partial", http.StatusInternalServerError)
			return
		}
		h.ServeHTTP(w, r)
	})))
	w := beside(t, url, series)
	w.checkBackend(t)
	if r := w.federation.Status()[0].Replicas[0]; r.Backend != "Thanos" || r.Version != "0.42.4" || r.RemoteRead || r.Pushes != "selectors" {
		t.Errorf("got %+v", r)
	}
}

// Native histograms that cannot come as they are make their cluster a missing
// one, with the reason.
func TestHistogramsNeedRemoteRead(t *testing.T) {
	h := standIn{version: "0.42.4"}.over(t, dataset(3))
	fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{serve(t, withoutRead(h))}}}})
	_, _, err := fed.Instant(t.Context(), `sum(rate(latency_seconds[5m]))`, at(time.Hour))
	if err == nil || !strings.Contains(err.Error(), `cluster "one" (it has native histograms, which only remote read sends as they are)`) {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNoMatrix(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"HTML":          {"<html>", "broken answer"},
		"an error":      {`{"status":"error","data":{"result":[]}}`, "broken answer"},
		"cut":           {`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"1"`, "connection closed before the end"},
		"no pairs":      {`{"status":"success","data":{"result":[{"metric":{},"values":[[1]]}]}}`, "broken answer"},
		"out of order":  {fmt.Sprintf(`{"status":"success","data":{"result":[{"metric":{},"values":[[%[1]d,"1"],[%[1]d,"2"]]}]}}`, at(time.Hour).Unix()), "broken answer: samples are not in order"},
		"no label name": {fmt.Sprintf(`{"status":"success","data":{"result":[{"metric":{"":"x"},"values":[[%d,"1"]]}]}}`, at(time.Hour).Unix()), "broken answer: a label"},
	} {
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/api/v1/status/buildinfo":
				_, _ = w.Write([]byte(`{"data":{"version":"2.24.0"}}`))
			case "/api/v1/export":
				_, _ = w.Write([]byte(`{"metric":{"__name__":"x"},"values":[1,2],"timestamps":[1]}`))
			default:
				http.NotFound(w, r)
			}
		}))
		victoria := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{url}}}})
		if _, _, err := victoria.Instant(t.Context(), `x`, at(time.Hour)); err == nil || !strings.Contains(err.Error(), "broken answer: as many values as times") {
			t.Errorf("export: got %v", err)
		}
		unknown := http.NewServeMux()
		unknown.HandleFunc("/api/v1/query", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tt.body)) })
		fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{serve(t, unknown)}}}})
		if _, _, err := fed.Instant(t.Context(), `stddev(x)`, at(time.Hour)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
