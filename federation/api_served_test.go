package federation_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	v1 "github.com/prometheus/prometheus/web/api/v1"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/federation"
)

// prometheusPaths returns the paths that Prometheus says its API has, each with
// its methods, below /api/v1.
func prometheusPaths(t *testing.T) map[string][]string {
	t.Helper()
	rec := httptest.NewRecorder()
	spec := v1.NewOpenAPIBuilder(v1.OpenAPIOptions{}, slog.New(slog.DiscardHandler))
	spec.ServeOpenAPI(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?openapi_version=3.2", http.NoBody))
	var document struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(rec.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{"openapi.yaml": {http.MethodGet}} // which it leaves out
	for path, operations := range document.Paths {
		for method := range operations {
			path := strings.ReplaceAll(strings.TrimPrefix(path, "/"), "{name}", "job")
			out[path] = append(out[path], strings.ToUpper(method))
		}
	}
	return out
}

// Of every path of Prometheus' API it is decided what is answered, so that a
// new one is not forgotten.
func TestEveryPathOfPrometheus(t *testing.T) {
	const (
		merged  = "the clusters' answers, as one" // or of the federation itself
		refused = "an error that says why"
		off     = "as a Prometheus that has it disabled"
		nothing = "no content"
	)
	decided := map[string]string{
		"query": merged, "query_range": merged, "query_exemplars": merged, "format_query": merged, "parse_query": merged,
		"labels": merged, "label/job/values": merged, "series": merged, "metadata": merged, "rules": merged, "alerts": merged,
		"targets": merged, "targets/metadata": merged, "scrape_pools": merged, "alertmanagers": merged,
		"status/config": merged, "status/runtimeinfo": merged, "status/buildinfo": merged, "status/flags": merged, "status/tsdb": merged,
		"status/walreplay": merged, "features": merged, "notifications": merged, "notifications/live": nothing,
		"search/metric_names": off, "search/label_names": off, "search/label_values": off,
		"scrape_pools/config": refused, "targets/relabel_steps": refused, "status/tsdb/blocks": refused, "status/self_metrics": refused,
		"read": refused, "write": refused, "otlp/v1/metrics": refused, "openapi.yaml": refused,
		"admin/tsdb/delete_series": refused, "admin/tsdb/clean_tombstones": refused, "admin/tsdb/snapshot": refused,
	}
	cluster := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":null}`)
	}))
	api := serve(t, newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "a", URLs: []string{cluster}}}}).Handler())
	form := url.Values{"match[]": {"up"}, "start": {"0"}, "end": {"60"}, "step": {"15"}}
	there := prometheusPaths(t)
	for path := range decided {
		if there[path] == nil {
			t.Errorf("Prometheus has no %s", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(there)) {
		if form.Set("query", "1"); path == "query_exemplars" {
			form.Set("query", "up")
		}
		for _, method := range there[path] {
			a := ask(t, method, api, "/api/v1/"+path, form)
			got := ""
			switch {
			case a.status == http.StatusOK && strings.HasPrefix(a.body, `{"status":"success"`):
				got = merged
			case a.status == http.StatusNotFound && strings.Contains(a.body, "federation does not serve "+path+": "):
				got = refused
			case a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "search API disabled"):
				got = off
			case a.status == http.StatusNoContent && a.body == "":
				got = nothing
			}
			if got == "" || got != decided[path] {
				t.Errorf("%s %s: got %d %s, want %q", method, path, a.status, a.body, decided[path])
			}
		}
		if a := ask(t, http.MethodOptions, api, "/api/v1/"+path, nil); a.status != http.StatusNoContent && decided[path] != refused && decided[path] != nothing {
			t.Errorf("OPTIONS %s: got %d", path, a.status)
		}
	}
}

// testFeatures compares what the language can with what it can in Prometheus.
func (w *apiWorld) testFeatures(t *testing.T) {
	type told struct {
		Data map[string]map[string]bool
	}
	var got, want told
	for base, into := range map[string]*told{w.api: &got, w.reference: &want} {
		if err := json.Unmarshal([]byte(ask(t, http.MethodGet, base, "/api/v1/features", nil).body), into); err != nil {
			t.Fatal(err)
		}
	}
	delete(got.Data["promql_functions"], "holt_winters") // which promqlsmith brings
	for _, category := range []string{"promql", "promql_functions", "promql_operators"} {
		if len(got.Data[category]) == 0 || !maps.Equal(got.Data[category], want.Data[category]) {
			t.Errorf("%s: got %v, want %v", category, got.Data[category], want.Data[category])
		}
	}
	for name := range got.Data["api"] {
		if _, known := want.Data["api"][name]; !known {
			t.Errorf("Prometheus has no feature %s", name)
		}
	}
}

// plan=off, or the header, has a query evaluated here, over raw samples.
func TestPlanOff(t *testing.T) {
	registry := prometheus.NewRegistry()
	f := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "a", URLs: []string{serve(t, healthy(t))}}}, Registerer: registry})
	get := func(param, header string) string {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/query?"+url.Values{
			"query": {"sum(up)"}, "time": {fmt.Sprint(dataStart.Unix() + 60)}, "plan": {param},
		}.Encode(), http.NoBody)
		req.Header.Set("X-Midwatch-Plan", header)
		return record(f.Handler(), req).Body.String()
	}
	whole := get("", "")
	for _, c := range [][2]string{{"on", "off"}, {"off", ""}, {"", "off"}} {
		if got := get(c[0], c[1]); got != whole || !strings.Contains(got, `"10"`) {
			t.Errorf("%q: got %s, want %s", c, got, whole)
		}
	}
	for _, c := range [][2]string{{"maybe", ""}, {"", "maybe"}} {
		if got := get(c[0], c[1]); !strings.Contains(got, "want on or off") {
			t.Errorf("%q: got %s", c, got)
		}
	}
	want := strings.NewReader(`# HELP midwatch_federation_runs_total Queries by how they were answered: planned, with parts of them evaluated in the clusters; or over raw samples, and why: nothing, forced, remembered, holes, histograms, labels, overflow, times, annotated, refused, failed.
# TYPE midwatch_federation_runs_total counter
midwatch_federation_runs_total{run="forced"} 2
midwatch_federation_runs_total{run="planned"} 2
`)
	if err := testutil.GatherAndCompare(registry, want, "midwatch_federation_runs_total"); err != nil {
		t.Error(err)
	}
}
