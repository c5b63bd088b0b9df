package federation_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// apiWorld is a federation of real Prometheus that scrape, evaluate rules and
// take exemplars, beside one that holds all that they hold: hangzhou is a pair
// of HA replicas.
type apiWorld struct {
	servers   map[string]*servers.Prometheus
	clusters  []federation.Cluster
	reference string // URL
	fed       *federation.Federation
	api       string    // URL of the federation
	now       time.Time // of what was written
}

const apiRules = `groups:
  - name: shop
    interval: 200ms
    rules:
      - record: shop:requests:sum
        expr: sum(shop_requests_total)
        labels: {team: shop}
      - alert: ShopIsOpen
        expr: sum by (namespace) (shop_requests_total) > 0
        labels: {severity: P3}
        annotations: {summary: "{{ $labels.namespace }} is open"}
      - alert: ShopIsClosed
        expr: sum(shop_requests_total) < 0
        for: 5m
        labels: {severity: P1, namespace: web}
  - name: empty hall
    interval: 200ms
    rules:
      - alert: Always
        expr: vector(1)
        keep_firing_for: 1m
`

// exporter is what each cluster scrapes.
func exporter(t *testing.T, help string) string {
	t.Helper()
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# HELP app_requests_total %s\n# TYPE app_requests_total counter\napp_requests_total 1\n# HELP app_up Whether.\n# TYPE app_up gauge\napp_up 1\n", help)
	}))
	return strings.TrimPrefix(url, "http://")
}

func startAPIWorld(t *testing.T) *apiWorld {
	t.Helper()
	rules := filepath.Join(t.TempDir(), "rules.yml") // at the same place on all servers
	if err := os.WriteFile(rules, []byte(apiRules), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &apiWorld{servers: map[string]*servers.Prometheus{}, now: time.Now().Add(-30 * time.Second).Truncate(time.Second)}
	w.clusters = []federation.Cluster{
		{Name: "hangzhou", Labels: map[string]string{"cluster": "hangzhou", "region": "cn-east"}, ReplicaLabels: []string{"replica"}},
		{Name: "beijing"},
	}
	east, north := exporter(t, "Requests answered."), exporter(t, "Requests answered, with errors.")
	scrapeOf := func(address, extra string) string {
		return fmt.Sprintf("{targets: [%q], labels: {namespace: web%s}}", address, extra)
	}
	names := []string{"hangzhou-0", "hangzhou-1", "beijing", "reference"}
	targets := []string{
		scrapeOf(east, ""), scrapeOf(east, ""), scrapeOf(north, ""),
		scrapeOf(east, ", cluster: hangzhou, region: cn-east") + ", " + scrapeOf(north, ", cluster: beijing"),
	}
	running := make([]*servers.Prometheus, len(names))
	var start errgroup.Group
	for i, name := range names {
		spec := apiSpec(t, name, targets[i], rules)
		start.Go(func() (err error) {
			running[i], err = servers.StartPrometheus(t.Context(), spec)
			return err
		})
	}
	err := start.Wait()
	for i, p := range running {
		if p != nil {
			t.Cleanup(func() { _ = p.Kill() })
			w.servers[names[i]] = p
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	w.clusters[0].URLs = []string{running[0].URL, running[1].URL}
	w.clusters[1].URLs = []string{running[2].URL}
	w.reference = running[3].URL
	w.write(t)
	w.fed = newFederation(t, federation.Config{Clusters: w.clusters, Timeout: 5 * time.Second})
	w.api = serve(t, w.fed.Handler())
	w.settle(t)
	return w
}

func apiSpec(t *testing.T, name, targets, rules string) servers.PrometheusSpec {
	t.Helper()
	dropped := `["away-` + name + `"]`
	config := "global: {scrape_interval: 500ms}\n"
	if name == "reference" {
		dropped = `[away-hangzhou, away-beijing]`
	} else {
		config = "global: {scrape_interval: 500ms, external_labels: {cluster: other, replica: " + name + "}}\nrule_files: [" + rules + "]\n"
	}
	return servers.PrometheusSpec{
		Name: name, Dir: t.TempDir(),
		Config: config + "scrape_configs: [{job_name: app, static_configs: [" + targets + "]}, {job_name: none, static_configs: [{targets: " +
			strings.ReplaceAll(strings.ReplaceAll(dropped, "-0", ""), "-1", "") + "}], relabel_configs: [{action: drop, source_labels: [__address__], regex: away.*}]}]\n",
		Flags: []string{"--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"},
	}
}

// held returns what a server holds besides what it scrapes: four of the series
// are there in every cluster.
func (w *apiWorld) held(server string) []testSeries {
	ms := w.now.UnixMilli()
	one := func(f float64, pairs ...string) testSeries {
		return testSeries{labels: labels.FromStrings(pairs...), samples: []sample{{t: ms - 15_000, f: f - 1}, {t: ms, f: f}}}
	}
	h := tsdbutil.GenerateTestHistogram(3)
	custom := tsdbutil.GenerateTestCustomBucketsFloatHistogram(2)
	all := []testSeries{
		one(7, "__name__", "shop_requests_total", "namespace", "web", "code", "200"),
		one(2, "__name__", "shop_requests_total", "namespace", "pay", "code", "500"),
		{labels: labels.FromStrings("__name__", "native_seconds", "namespace", "web"), samples: []sample{{t: ms, h: h}}},
		{labels: labels.FromStrings("__name__", "custom_seconds", "namespace", "pay"), samples: []sample{{t: ms, fh: custom}}},
	}
	switch server {
	case "hangzhou-0":
		all = append(all, one(1, "__name__", "pair", "replica", "0", "namespace", "web"), one(3, "__name__", "http.requests", "service.name", "cart", "U__odd", "x"))
	case "hangzhou-1":
		all = append(all, one(1, "__name__", "pair", "replica", "1", "namespace", "web"), one(5, "__name__", "late", "namespace", "web", "region", "self"))
	case "beijing":
		all = append(all, one(4, "__name__", "own", "cluster", "elsewhere", "region", "cn-north"), one(9, "__name__", "old", "namespace", "pay"))
	}
	return all
}

func (w *apiWorld) write(t *testing.T) {
	t.Helper()
	whole := map[string]testSeries{}
	for server, c := range map[string]federation.Cluster{"hangzhou-0": w.clusters[0], "hangzhou-1": w.clusters[0], "beijing": w.clusters[1]} {
		series := w.held(server)
		remoteWrite(t, w.servers[server].URL, series)
		for _, s := range relabel(c, series) {
			whole[s.labels.String()] = s
		}
	}
	remoteWrite(t, w.reference, slices.Collect(maps.Values(whole)))
}

// remoteWrite writes series with an exemplar for each counter of requests.
func remoteWrite(t *testing.T, server string, series []testSeries) {
	t.Helper()
	var request prompb.WriteRequest
	for _, s := range series {
		one := prompb.TimeSeries{Labels: prompb.FromLabels(s.labels, nil)}
		for _, v := range s.samples {
			switch {
			case v.h != nil:
				one.Histograms = append(one.Histograms, prompb.FromIntHistogram(v.t, v.h))
			case v.fh != nil:
				one.Histograms = append(one.Histograms, prompb.FromFloatHistogram(v.t, v.fh))
			default:
				one.Samples = append(one.Samples, prompb.Sample{Timestamp: v.t, Value: v.f})
			}
		}
		if strings.HasSuffix(s.labels.Get("__name__"), "_total") {
			one.Exemplars = []prompb.Exemplar{{
				Labels: []prompb.Label{{Name: "trace_id", Value: s.labels.Get("code")}}, Value: 0.25, Timestamp: s.samples[1].t - 500,
			}}
		}
		request.Timeseries = append(request.Timeseries, one)
	}
	plain, err := proto.Marshal(&request)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, plain)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("remote write: got %s: %s", resp.Status, body)
	}
}

// settle waits until everything has been scraped and every rule evaluated.
func (w *apiWorld) settle(t *testing.T) {
	t.Helper()
	waitFor(t, "scrapes and rules", func() bool {
		for name, p := range w.servers {
			for _, query := range []string{"up == 1", "shop:requests:sum", `ALERTS{alertname="Always"}`} {
				a := ask(t, http.MethodGet, p.URL, "/api/v1/query", url.Values{"query": {query}})
				if name == "reference" && query != "up == 1" {
					continue
				}
				if !strings.Contains(a.body, `"metric"`) {
					return false
				}
			}
		}
		return strings.Count(ask(t, http.MethodGet, w.reference, "/api/v1/query", url.Values{"query": {"up == 1"}}).body, `"metric"`) == 2
	})
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}
