package federation_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/teststorage"
	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// writeBlock writes series as a TSDB block that a Prometheus serves.
func writeBlock(t *testing.T, dir string, series []testSeries) {
	t.Helper()
	w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, (24 * time.Hour).Milliseconds())
	if err != nil {
		t.Fatal(err)
	}
	load(t, w, series)
	if _, err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// realWorld is three real Prometheus behind federation, and one that holds
// all their data.
type realWorld struct {
	clusters  map[string]*servers.Prometheus
	specs     map[string]servers.PrometheusSpec
	all       []testSeries // of the reference
	urls      map[string]string
	reference string
	api       string // of federation
	fed       *federation.Federation
}

func startRealWorld(t *testing.T) *realWorld {
	t.Helper()
	own := map[string]string{ // external labels that the servers have
		"hangzhou": "{cluster: hangzhou}",
		"beijing":  "{}",
		"tencent":  "{cluster: tx, prometheus: monitoring/k8s, prometheus_replica: k8s-0}",
	}
	w := &realWorld{clusters: map[string]*servers.Prometheus{}, specs: map[string]servers.PrometheusSpec{}, urls: map[string]string{}}
	var all []testSeries
	specs := []servers.PrometheusSpec{}
	extra := map[string][]labels.Labels{ // labels as external ones, of series themselves
		"hangzhou": {labels.FromStrings("__name__", "own", "cluster", "somewhere")},
		"tencent": {
			labels.FromStrings("__name__", "own", "prometheus", "monitoring/k8s"),
			labels.FromStrings("__name__", "own", "prometheus", "other"),
			labels.FromStrings("__name__", "only_tencent", "instance", "n1"),
		},
	}
	for i, name := range []string{"hangzhou", "beijing", "tencent"} {
		series := append(dataset(int64(100+i), extra[name]...), oddities(int64(i))...)
		all = append(all, relabel(federation.Cluster{Name: name}, series)...)
		specs = append(specs, blockSpec(t, name, own[name], series))
	}
	specs = append(specs, blockSpec(t, "reference", "{}", all))
	running := startAll(t, specs...)
	w.reference, w.all = running[3].URL, all
	for i, spec := range specs[:3] {
		w.clusters[spec.Name], w.urls[spec.Name], w.specs[spec.Name] = running[i], running[i].URL, spec
	}
	w.federate(t)
	return w
}

// startAll starts servers at once.
func startAll(t *testing.T, specs ...servers.PrometheusSpec) []*servers.Prometheus {
	t.Helper()
	running := make([]*servers.Prometheus, len(specs))
	var start errgroup.Group
	for i, spec := range specs {
		start.Go(func() (err error) {
			running[i], err = servers.StartPrometheus(t.Context(), spec)
			return err
		})
	}
	err := start.Wait()
	for _, p := range running {
		if p != nil {
			t.Cleanup(func() { _ = p.Kill() })
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return running
}

// storage returns what the reference holds.
func (w *realWorld) storage(t *testing.T) storage.Queryable { return storageOf(t, w.all) }

func storageOf(t testing.TB, series []testSeries) storage.Queryable {
	t.Helper()
	db := teststorage.New(t)
	load(t, db, series)
	return db
}

func blockSpec(t *testing.T, name, external string, series []testSeries) servers.PrometheusSpec {
	dir := t.TempDir()
	writeBlock(t, filepath.Join(dir, "data"), series)
	return servers.PrometheusSpec{
		Name: name, Dir: dir, Config: "global: {external_labels: " + external + "}\n",
		Flags: []string{"--storage.tsdb.retention.time=100y"},
	}
}

func (w *realWorld) federate(t *testing.T) {
	w.fed = newFederation(t, federation.Config{Timeout: 5 * time.Second, Clusters: w.config()})
	srv := httptest.NewServer(w.fed.Handler())
	t.Cleanup(srv.Close)
	w.api = srv.URL
}

func (w *realWorld) config() []federation.Cluster {
	return []federation.Cluster{
		{Name: "hangzhou", URLs: []string{w.urls["hangzhou"]}},
		{Name: "beijing", URLs: []string{w.urls["beijing"]}},
		{Name: "tencent", URLs: []string{w.urls["tencent"]}, ReplicaLabels: []string{"prometheus_replica"}},
	}
}

// answer is what an API says.
type answer struct {
	status      int
	contentType string
	body        string
}

func ask(t testing.TB, method, base, path string, form url.Values) answer {
	t.Helper()
	target, body := base+path, io.Reader(http.NoBody)
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else {
		target += "?" + form.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), string(b)}
}

// requests to which both must give the same bytes: every kind of answer, every
// parameter, every kind of error.
func sameBytes() []struct {
	path string
	form url.Values
} {
	type request = struct {
		path string
		form url.Values
	}
	instant := fmt.Sprint(at(100 * time.Minute).Unix())
	var out []request
	for _, q := range []string{
		`http_requests_total`, `sum by (cluster) (rate(http_requests_total[5m]))`, `1 - max by (service) (budget_left)`, `latency_seconds`,
		`node_load1[2m]`, `latency_seconds[1m]`, `sum(rate(latency_seconds[5m]))`, `scalar(vector(1.5e-9))`, `"text"`, `nothing`, `1/0 - 1/0`,
		`node_load1{cluster!="beijing"}`, `{"utf8.label"="日本"}`, `rate(node_load1[5m])`, `mixed_samples`, `own{prometheus="monitoring/k8s"}`,
		`node_load1 / on (instance) node_info`, `{__name__=~"node_load1|budget_left"} + 0`, `sum(`, ``, `quantile(2, node_load1)`,
		`sum({__name__=~"latency_seconds|node_load1"})`, `label_replace(node_load1, "cluster", "all", "", "")`,
	} {
		out = append(out, request{"/api/v1/query", url.Values{"query": {q}, "time": {instant}}})
		out = append(out, request{"/api/v1/query_range", url.Values{
			"query": {q}, "start": {at(50 * time.Minute).Format(time.RFC3339)}, "end": {fmt.Sprint(at(80*time.Minute).Unix()) + ".5"}, "step": {"1m7s"},
		}})
	}
	good := func() url.Values {
		return url.Values{"query": {"node_load1"}, "start": {instant}, "end": {instant}, "step": {"15"}, "time": {instant}}
	}
	for param, values := range map[string][]string{
		"time":  {"", "x", "1e400", "NaN", "2026-11-20T01:00:00Z", "2026-11-20T01:00:00", "-1"},
		"start": {"", "x", "NaN", "99999999999999999999"}, "end": {"", "x", "1"},
		"step": {"", "0", "-1", "1h", "1x", "1e300", "NaN", "0.0001"}, "timeout": {"x", "1m"},
		"limit": {"x", "-1", "2", "0"}, "lookback_delta": {"1s", "x"},
	} {
		for _, v := range values {
			form := good()
			form.Set(param, v)
			if param != "time" || v != "" {
				out = append(out, request{"/api/v1/query", form})
			}
			out = append(out, request{"/api/v1/query_range", form})
		}
	}
	long := good()
	long.Set("start", "0")
	out = append(out, request{"/api/v1/query_range", long}, request{"/api/v1/format_query", good()}, request{"/api/v1/parse_query", good()})
	return out
}

func TestRealPrometheus(t *testing.T) {
	w := startRealWorld(t)
	for i, r := range sameBytes() {
		method := []string{http.MethodGet, http.MethodPost}[i%2]
		got, want := ask(t, method, w.api, r.path, r.form), ask(t, method, w.reference, r.path, r.form)
		if got != want && !sameVector(r.form.Get("query"), got, want) {
			t.Errorf("%s %s?%s\n got %+v\nwant %+v", method, r.path, r.form.Encode(), got, want)
		}
	}
	w.checkStatus(t)
	w.killOne(t)
}

// sameVector tells whether two answers are instant vectors that differ at most
// in order. Prometheus promises none.
func sameVector(query string, a, b answer) bool {
	var got, want apiAnswer
	if json.Unmarshal([]byte(a.body), &got) != nil || json.Unmarshal([]byte(b.body), &want) != nil {
		return false
	}
	return a.status == b.status && got.Data.ResultType == "vector" && len(a.body) == len(b.body) && compareAnswers(query, got, want) == ""
}

func (w *realWorld) checkStatus(t *testing.T) {
	t.Helper()
	want := map[string][]string{
		"hangzhou": nil,
		"beijing":  {`external label cluster is configured as "beijing", but the server has none`},
		"tencent": {
			`external label cluster is configured as "tencent", but the server's is "tx"`,
			`the server has an external label prometheus ("monitoring/k8s") that is not configured: add it to labels, or to replica_labels if it tells replicas apart`,
		},
	}
	for _, s := range w.fed.Check(t.Context()) {
		r := s.Replicas[0]
		if !s.Up || !r.Up || r.Problem != "" || r.URL != w.urls[s.Name] {
			t.Errorf("cluster %s: got %+v", s.Name, s)
		}
		if strings.Join(r.Differences, "\n") != strings.Join(want[s.Name], "\n") {
			t.Errorf("cluster %s: got differences %q, want %q", s.Name, r.Differences, want[s.Name])
		}
	}
}

// killOne kills a cluster: from the first answer on, what is missing is said.
func (w *realWorld) killOne(t *testing.T) {
	t.Helper()
	if err := w.clusters["beijing"].Kill(); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"query": {`count(node_load1)`}, "time": {fmt.Sprint(at(100 * time.Minute).Unix())}}
	type body struct {
		Status, ErrorType, Error string
		Warnings                 []string
		Data                     struct{ Result []struct{ Value [2]any } }
	}
	query := func() (int, body) {
		a := ask(t, http.MethodGet, w.api, "/api/v1/query", form)
		var b body
		if err := json.Unmarshal([]byte(a.body), &b); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		return a.status, b
	}
	for range 3 {
		status, b := query()
		if status != http.StatusOK || len(b.Warnings) != 1 || b.Warnings[0] != `missing from this answer: cluster "beijing" (connection refused)` {
			t.Errorf("got %d %+v, want the warning", status, b)
		}
	}
	form.Set("partial", "fail")
	if status, b := query(); status != http.StatusServiceUnavailable || b.ErrorType != "unavailable" || !strings.Contains(b.Error, `cluster "beijing" (connection refused)`) {
		t.Errorf("partial=fail: got %d %+v, want 503", status, b)
	}
	form.Set("partial", "warn")
	form.Set("query", `node_load1{cluster="beijing"}`)
	if status, b := query(); status != http.StatusServiceUnavailable || b.ErrorType != "unavailable" || b.Error != `no queried cluster answered: cluster "beijing" (connection refused)` {
		t.Errorf("only the dead cluster: got %d %+v, want 503", status, b)
	}
	form.Set("partial", "maybe")
	if status, b := query(); status != http.StatusBadRequest || b.ErrorType != "bad_data" {
		t.Errorf("partial=maybe: got %d %+v, want 400", status, b)
	}
}
