package federation_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"testing"
)

// The series that rules record, and what scrapes leave, are not in the
// reference under the same labels: what both are asked for leaves them out.
const (
	held    = `{__name__=~"shop_requests_total|native_seconds|custom_seconds|pair|http.requests|late|own|old|app_.*|up"}`
	heldPay = `{__name__=~"shop_requests_total|custom_seconds|old|pair",namespace="pay"}`
)

// catalogueRequests are what the reference and the federation must answer
// alike: status, errors, warnings and data, in whatever order.
func catalogueRequests(w *apiWorld) []apiRequest {
	sec := func(offset float64) string { return fmt.Sprint(float64(w.now.Unix()) + offset) }
	paths := []string{
		"labels", "series", "label/cluster/values", "label/region/values", "label/namespace/values", "label/__name__/values", "label/code/values",
		"label/service.name/values", "label/U__service_2e_name/values", "label/U__U____odd/values", "label/replica/values", "label/nothing/values",
	}
	matches := [][]string{
		{held},
		{heldPay},
		{`shop_requests_total`},
		{`shop_requests_total{cluster="hangzhou"}`},
		{`shop_requests_total{cluster!="hangzhou",region=""}`},
		{`{cluster="beijing",__name__=~"o.*"}`},
		{`{cluster="nowhere"}`},
		{`shop_requests_total{cluster="elsewhere"}`},
		{`own{cluster="beijing"}`},
		{`{"http.requests","service.name"="cart"}`},
		{`pair`, `late`},
		{`pair{cluster="hangzhou"}`, `old{cluster="hangzhou"}`, `own`},
		{`pair{replica=""}`},
		{`pair{replica="0"}`},
		{`late{region="self"}`},
		{`late{region="cn-east"}`},
		{`{region=~"cn-.*",__name__=~"own|late"}`},
		{`{cluster="hangzhou",region="cn-east",__name__="pair"}`, `{cluster="nowhere"}`},
		{`nothing`},
		{`{}`},
		{`{cluster=""}`},
		{`{`},
		{`{a=~"("}`},
		{`sum(x)`},
		{``},
		{`up`, `{x=""}`},
	}
	var out []apiRequest
	for _, path := range paths {
		for _, match := range matches {
			out = append(out, apiRequest{path, url.Values{"match[]": match}})
		}
		for name, values := range map[string][]string{
			"limit": {"0", "1", "2", "3", "100", "-1", "x", "99999999999999999999"},
			"start": {sec(-20), sec(600), "x", "NaN", "2026-11-20T01:00:00Z", ""}, "end": {sec(-86400 * 30), sec(60), "x"},
		} {
			for _, v := range values {
				out = append(out, apiRequest{path, url.Values{"match[]": {held}, name: {v}}})
			}
		}
	}
	for _, path := range []string{"label/-/values", "label/a%20b/values", "label/%ff/values", "label//values", "label/x"} {
		out = append(out, apiRequest{path, url.Values{"match[]": {held}}})
	}
	out = append(out, apiRequest{"series", nil})
	for _, query := range []string{
		`shop_requests_total`, `sum(rate(shop_requests_total{cluster="hangzhou"}[5m])) / sum(rate(shop_requests_total{code="200"}[5m]))`,
		`shop_requests_total{cluster=~"b.*"} or nothing`, `1`, `sum(`, ``, `shop_requests_total{region="cn-east",code="500"}`,
	} {
		out = append(out, apiRequest{"query_exemplars", url.Values{"query": {query}}})
		out = append(out, apiRequest{"query_exemplars", url.Values{"query": {query}, "start": {sec(-60)}, "end": {sec(60)}}})
		out = append(out, apiRequest{"query_exemplars", url.Values{"query": {query}, "start": {sec(60)}, "end": {sec(-60)}}})
	}
	for _, name := range []string{"start", "end"} {
		out = append(out, apiRequest{"query_exemplars", url.Values{"query": {"up"}, name: {"x"}}})
	}
	for _, form := range []url.Values{
		nil,
		{"limit": {"0"}},
		{"limit": {"x"}},
		{"limit_per_metric": {"x"}},
		{"metric": {"app_requests_total"}},
		{"metric": {"nothing"}},
		{"limit": {"-5"}},
		{"limit_per_metric": {"0"}},
		{"limit_per_metric": {"2"}},
		{"limit": {"2"}},
	} {
		out = append(out, apiRequest{"metadata", form})
	}
	for _, form := range []url.Values{
		nil,
		{"metric": {"app_up"}},
		{"match_target": {`{cluster="hangzhou"}`}},
		{"match_target": {`{cluster!="hangzhou",job="app"}`}},
		{"match_target": {"{"}},
		{"limit": {"x"}},
		{"limit": {"0"}},
		{"match_target": {`{cluster="nowhere"}`}},
	} {
		out = append(out, apiRequest{"targets/metadata", form})
	}
	for _, form := range []url.Values{nil, {"state": {"active"}}, {"state": {"dropped"}}, {"state": {"ANY"}}, {"state": {"x"}}, {"scrapePool": {"app"}}, {"scrapePool": {"no"}}} {
		out = append(out, apiRequest{"targets", form})
	}
	return append(out, apiRequest{"scrape_pools", nil}, apiRequest{"status/tsdb", url.Values{"limit": {"x"}}}, apiRequest{"status/tsdb", url.Values{"limit": {"0"}}},
		apiRequest{"status/tsdb", url.Values{"limit": {"10001"}}}, apiRequest{"rules", url.Values{"type": {"x"}}}, apiRequest{"rules", url.Values{"match[]": {"{"}}},
		apiRequest{"rules", url.Values{"match[]": {"{}"}}}, apiRequest{"rules", url.Values{"exclude_alerts": {"x"}}},
		apiRequest{"rules", url.Values{"group_limit": {"x"}}}, apiRequest{"rules", url.Values{"group_limit": {"0"}}},
		apiRequest{"rules", url.Values{"group_next_token": {"x"}}}, apiRequest{"rules", url.Values{"group_next_token": {"x"}, "group_limit": {"1"}}},
		apiRequest{"rules", url.Values{"rule_name[]": {"nothing"}, "group_limit": {"1"}}})
}

// grafanaRequests are what Grafana's data source for Prometheus sends: its
// health check, panels, the completion of names, variables, and the drawer of
// metrics. It posts to whatever takes that.
func grafanaRequests(w *apiWorld) []apiRequest {
	start, end := fmt.Sprint(w.now.Unix()-3600), fmt.Sprint(w.now.Unix()+60)
	span := func(more ...string) url.Values {
		form := url.Values{"start": {start}, "end": {end}}
		for i := 0; i < len(more); i += 2 {
			form.Add(more[i], more[i+1])
		}
		return form
	}
	return []apiRequest{
		{"query", url.Values{"query": {"1+1"}, "time": {end + ".5"}}},
		{"query_range", span("query", `sum by (cluster) (max_over_time(shop_requests_total{cluster=~"hangzhou|beijing"}[1m0s]))`, "step", "15")},
		{"query_range", span("query", `sum by (cluster) (sum_over_time(shop_requests_total[step() * 4] offset -(2s * 5)))`, "step", "15")},
		{"query_range", span("query", `max_over_time(shop_requests_total[range():step()])`, "step", "15")},
		{"query", url.Values{"query": {"up[5m / 0]"}, "time": {end}}},
		{"query_exemplars", span("query", `shop_requests_total{cluster=~"hangzhou|beijing"}`)},
		{"labels", span("limit", "40000", "match[]", held)},
		{"labels", span("match[]", "shop_requests_total", "match[]", "late")},
		{"label/cluster/values", span("limit", "40000", "match[]", held)},
		{"label/U__service_2e_name/values", span("match[]", `{"http.requests"}`)},
		{"series", span("limit", "40000", "match[]", heldPay)},
		{"series", span("match[]", `{__name__=~"pair|late",cluster=~"hangzhou"}`)},
		{"metadata", url.Values{"limit": {"40000"}}},
		{"metadata", url.Values{"metric": {"app_up"}, "limit_per_metric": {"1"}}},
		{"parse_query", url.Values{"query": {"sum(rate(a[5m]))"}}},
		{"format_query", url.Values{"query": {"sum(rate(a[5m]))"}}},
	}
}

type apiRequest struct {
	path string
	form url.Values
}

func TestCatalogue(t *testing.T) {
	w := startAPIWorld(t)
	posted := []string{"labels", "series", "query", "query_range", "query_exemplars", "parse_query", "format_query"}
	for i, r := range append(grafanaRequests(w), catalogueRequests(w)...) {
		methods := []string{http.MethodGet}
		if i%3 == 0 && slices.Contains(posted, r.path) {
			methods = []string{http.MethodPost}
		}
		if i%20 == 0 {
			methods = append(methods, http.MethodPut)
		}
		for _, method := range methods {
			got, want := ask(t, method, w.api, "/api/v1/"+r.path, r.form), ask(t, method, w.reference, "/api/v1/"+r.path, r.form)
			g, x := settled(t, r, got), settled(t, r, want)
			if got.status != want.status || got.contentType != want.contentType || !reflect.DeepEqual(g, x) {
				t.Errorf("%s %s?%s\n got %d %s %v\nwant %d %s %v", method, r.path, r.form.Encode(), got.status, got.contentType, g, want.status, want.contentType, x)
			}
		}
	}
	t.Run("features", w.testFeatures)
	t.Run("rules", w.testRules)
	t.Run("tsdb", w.testTSDB)
	t.Run("federate", w.testFederate)
	t.Run("client", w.testClient)
	t.Run("promtool", w.testPromtool)
	t.Run("tenants", w.testTenants)
	t.Run("missing", w.testMissing)
}

// settled returns an answer without what differs between any two servers:
// times of scrapes, and the order of what has none.
func settled(t *testing.T, r apiRequest, a answer) any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		return a.body
	}
	walk(body, func(m map[string]any) {
		for _, volatile := range []string{"lastScrape", "lastScrapeDuration", "discoveredLabels", "evaluationTime", "lastEvaluation", "activeAt", "globalUrl"} {
			delete(m, volatile)
		}
	})
	limited := r.form.Get("limit") != "" // what is left is for the server to say
	switch data := body["data"].(type) {
	case []any:
		if limited && r.path != "labels" {
			body["data"] = len(data)
		}
	case map[string]any:
		if limited && r.path == "metadata" {
			body["data"] = len(data)
		}
	}
	sortLists(body)
	return body
}

// sortLists sorts every list in a JSON value.
func sortLists(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			sortLists(one)
		}
	case []any:
		for _, one := range v {
			sortLists(one)
		}
		sortJSON(v)
	}
}

func sortJSON(list []any) {
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	slices.SortFunc(list, func(a, b any) int { return cmp.Compare(text(a), text(b)) })
}

// walk calls do for every object in a JSON value.
func walk(v any, do func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		do(v)
		for _, one := range v {
			walk(one, do)
		}
	case []any:
		for _, one := range v {
			walk(one, do)
		}
	}
}
