package federation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	osexec "os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// object asks for a path and returns the answer's JSON.
func object(t *testing.T, base, path string, form url.Values) map[string]any {
	t.Helper()
	a := ask(t, http.MethodGet, base, "/api/v1/"+path, form)
	body, ok := settled(t, apiRequest{path, form}, a).(map[string]any)
	if !ok {
		t.Fatalf("%s: got %d %s", path, a.status, a.body)
	}
	return body
}

// testRules compares what a federation of one cluster answers with what the
// cluster does, and then looks at all of them together.
func (w *apiWorld) testRules(t *testing.T) {
	alone := serve(t, newFederation(t, federation.Config{Clusters: w.clusters[1:]}).Handler())
	for _, form := range []url.Values{
		nil,
		{"type": {"alert"}},
		{"type": {"record"}},
		{"rule_name[]": {"ShopIsOpen", "shop:requests:sum"}},
		{"rule_group[]": {"empty hall"}},
		{"file[]": {"nowhere"}},
		{"match[]": {`{team="shop"}`}},
		{"match[]": {`{severity="P1"}`, `{severity="P3"}`}},
		{"exclude_alerts": {"true"}},
		{"group_limit": {"1"}},
		{"group_limit": {"2"}},
		{"match[]": {`{namespace="web"}`}, "type": {"ALERT"}},
	} {
		got, want := object(t, alone, "rules", form), object(t, w.servers["beijing"].URL, "rules", form)
		if walk(got, withoutToken); !reflect.DeepEqual(got, underLabels(want)) {
			t.Errorf("rules?%s\n got %v\nwant %v", form.Encode(), got, want)
		}
	}
	got, want := object(t, alone, "alerts", nil), object(t, w.servers["beijing"].URL, "alerts", nil)
	if !reflect.DeepEqual(got, underLabels(want)) {
		t.Errorf("alerts\n got %v\nwant %v", got, want)
	}
	w.testPages(t)
	for query, n := range map[string]int{`{cluster="beijing"}`: 2, `{region="cn-east",severity="P3"}`: 1, `{cluster="nowhere"}`: 0} {
		if groups := groupsOf(t, w.api, url.Values{"match[]": {query}}); len(groups) != n {
			t.Errorf("match %s: got %d groups, want %d: %v", query, len(groups), n, groups)
		}
	}
	alerts := object(t, w.api, "alerts", nil)["data"].(map[string]any)["alerts"].([]any)
	if len(alerts) != 6 { // of each cluster two namespaces and Always
		t.Errorf("got %d alerts, want those of HA replicas once: %v", len(alerts), alerts)
	}
}

func withoutToken(m map[string]any) {
	if _, ok := m["groupNextToken"]; ok {
		m["groupNextToken"] = "some"
	}
}

// underLabels adds the external labels of beijing wherever there are labels.
func underLabels(body map[string]any) map[string]any {
	walk(body, func(m map[string]any) {
		withoutToken(m)
		if set, ok := m["labels"].(map[string]any); ok {
			set["cluster"] = "beijing"
		}
	})
	return body
}

func groupsOf(t *testing.T, base string, form url.Values) []any {
	t.Helper()
	return object(t, base, "rules", form)["data"].(map[string]any)["groups"].([]any)
}

// testPages reads the groups page by page.
func (w *apiWorld) testPages(t *testing.T) {
	t.Helper()
	whole := groupsOf(t, w.api, nil)
	var paged []any
	form := url.Values{"group_limit": {"1"}}
	for range whole {
		data := object(t, w.api, "rules", form)["data"].(map[string]any)
		paged = append(paged, data["groups"].([]any)...)
		token, _ := data["groupNextToken"].(string)
		form.Set("group_next_token", token)
	}
	if sortJSON(paged); len(whole) != 4 || form.Get("group_next_token") != "" || !reflect.DeepEqual(paged, whole) {
		t.Errorf("got pages of %v, want %v", paged, whole)
	}
}

// fixedRules are rules that somebody else evaluates.
type fixedRules []*rules.Group

func (f fixedRules) RuleGroups() []*rules.Group { return f }

func TestOwnRules(t *testing.T) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr("vector(1)")
	if err != nil {
		t.Fatal(err)
	}
	recording := rules.NewRecordingRule("fleet:slo", expr, labels.FromStrings("tier", "all"))
	alerting := rules.NewAlertingRule("FleetBurns", expr, time.Minute, 0, labels.FromStrings("severity", "P1"), labels.FromStrings("summary", "s"), labels.EmptyLabels(), "", true, nil)
	own := fixedRules{rules.NewGroup(rules.GroupOptions{
		Name: "fleet", File: "midwatch-fleet.yaml", Interval: 30 * time.Second, Rules: []rules.Rule{recording, alerting}, Opts: &rules.ManagerOptions{},
	})}
	base := serve(t, newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "a", URLs: []string{serve(t, http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"success","data":{"groups":[],"alerts":[]}}`)
		}))}}}, Rules: own}).Handler())
	got := ask(t, http.MethodGet, base, "/api/v1/rules", nil)
	want := `{"status":"success","data":{"groups":[{"name":"fleet","file":"midwatch-fleet.yaml","rules":[` +
		`{"name":"fleet:slo","query":"vector(1)","labels":{"tier":"all"},"health":"unknown","evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z","type":"recording"},` +
		`{"state":"unknown","name":"FleetBurns","query":"vector(1)","duration":60,"keepFiringFor":0,"labels":{"severity":"P1"},"annotations":{"summary":"s"},"alerts":[],` +
		`"health":"unknown","evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z","type":"alerting"}],` +
		`"interval":30,"limit":0,"evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z"}]}}`
	if got.status != http.StatusOK || got.body != want {
		t.Errorf("got  %d %s\nwant %s", got.status, got.body, want)
	}
}

func (w *apiWorld) testTSDB(t *testing.T) {
	count := func(server string) uint64 {
		return uint64(object(t, w.servers[server].URL, "status/tsdb", nil)["data"].(map[string]any)["headStats"].(map[string]any)["numSeries"].(float64))
	}
	hangzhou, beijing := max(count("hangzhou-0"), count("hangzhou-1")), count("beijing")
	var got struct {
		Data struct {
			HeadStats               struct{ NumSeries uint64 }
			SeriesCountByMetricName []struct{ Name string }
			SeriesCountByCluster    []struct {
				Name  string
				Value uint64
			}
			SeriesCountByLabelValuePair []struct {
				Name  string
				Value uint64
			}
		}
	}
	a := ask(t, http.MethodGet, w.api, "/api/v1/status/tsdb", url.Values{"limit": {"20"}})
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Data.HeadStats.NumSeries != hangzhou+beijing || len(got.Data.SeriesCountByMetricName) > 20 {
		t.Errorf("got %+v, want %d series", got.Data, hangzhou+beijing)
	}
	by := map[string]uint64{}
	for _, one := range slices.Concat(got.Data.SeriesCountByCluster, got.Data.SeriesCountByLabelValuePair) {
		by[one.Name] = one.Value
	}
	if by["hangzhou"] != hangzhou || by["beijing"] != beijing || by["cluster=hangzhou"] != hangzhou || by["region=cn-east"] != hangzhou {
		t.Errorf("got series by cluster %v, want %d and %d", by, hangzhou, beijing)
	}
}

// testFederate compares what a Prometheus would scrape, in every format.
func (w *apiWorld) testFederate(t *testing.T) {
	const written = `{__name__=~"shop_requests_total|native_seconds|custom_seconds|pair|http.requests|own|old"}`
	for _, match := range [][]string{
		{written}, {`shop_requests_total{cluster="beijing"}`, `pair`}, {`{cluster="hangzhou",__name__=~"(native|custom)_seconds"}`}, {`nothing`}, nil, {`{`}, {`old`, `{x="y"}`},
	} {
		for _, accept := range []string{
			"", "text/plain;version=1.0.0;escaping=allow-utf-8", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=underscores",
			"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", "application/openmetrics-text;version=1.0.0",
		} {
			got, want := scraped(t, w.api, match, accept), scraped(t, w.reference, match, accept)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("federate %q as %q\n got %q\nwant %q", match, accept, got, want)
			}
		}
	}
}

// scraped returns status, type and the sorted lines, or metrics, of an answer
// of /federate.
func scraped(t *testing.T, base string, match []string, accept string) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/federate?"+url.Values{"match[]": match}.Encode(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	head := []string{resp.Status, resp.Header.Get("Content-Type")}
	var lines []string
	if strings.Contains(accept, "delimited") && resp.StatusCode == http.StatusOK {
		for dec := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header)); ; {
			var family dto.MetricFamily
			if err := dec.Decode(&family); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for _, m := range family.Metric {
				b, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, family.GetName()+" "+family.GetType().String()+" "+string(b))
			}
		}
	} else {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		lines = strings.Split(strings.ReplaceAll(string(body), "  ", " "), "\n")
	}
	slices.Sort(lines)
	return append(head, lines...)
}

// testClient calls what Prometheus' own client library has.
func (w *apiWorld) testClient(t *testing.T) {
	both := make([]v1.API, 2)
	for i, address := range []string{w.api, w.reference} {
		c, err := api.NewClient(api.Config{Address: address})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = v1.NewAPI(c)
	}
	ctx := t.Context()
	start, end := w.now.Add(-time.Minute), w.now.Add(time.Minute)
	same := map[string]func(a v1.API) (any, error){
		"query": func(a v1.API) (any, error) {
			v, _, err := a.Query(ctx, `shop_requests_total{cluster="hangzhou",code="200"}`, w.now, v1.WithTimeout(time.Minute))
			return v, err
		},
		"range": func(a v1.API) (any, error) {
			v, _, err := a.QueryRange(ctx, `shop_requests_total`, v1.Range{Start: start, End: w.now, Step: 15 * time.Second})
			m, _ := v.(model.Matrix)
			slices.SortFunc(m, func(a, b *model.SampleStream) int { return strings.Compare(a.Metric.String(), b.Metric.String()) })
			return m, err
		},
		"names": func(a v1.API) (any, error) { v, _, err := a.LabelNames(ctx, []string{held}, start, end); return v, err },
		"values": func(a v1.API) (any, error) {
			v, _, err := a.LabelValues(ctx, "cluster", []string{held}, start, end)
			return v, err
		},
		"series": func(a v1.API) (any, error) {
			v, _, err := a.Series(ctx, []string{heldPay}, start, end)
			slices.SortFunc(v, func(a, b model.LabelSet) int { return strings.Compare(a.String(), b.String()) })
			return v, err
		},
		"exemplars": func(a v1.API) (any, error) { return a.QueryExemplars(ctx, "shop_requests_total", start, end) },
		"format":    func(a v1.API) (any, error) { return a.FormatQuery(ctx, "sum(  x)") },
		"targets":   func(a v1.API) (any, error) { v, err := a.Targets(ctx); return len(v.Active), err },
		"metadata": func(a v1.API) (any, error) {
			v, err := a.Metadata(ctx, "app_up", "")
			return v, err
		},
		"target metadata": func(a v1.API) (any, error) {
			v, err := a.TargetsMetadata(ctx, `{cluster="hangzhou"}`, "app_up", "")
			return v, err
		},
		"version": func(a v1.API) (any, error) { v, err := a.Buildinfo(ctx); return v.Version, err },
	}
	for name, call := range same {
		got, err := call(both[0])
		want, wrong := call(both[1])
		if err != nil || wrong != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v (%v), want %v (%v)", name, got, err, want, wrong)
		}
	}
	answers := map[string]func(a v1.API) error{
		"rules":         func(a v1.API) error { _, err := a.Rules(ctx, nil); return err },
		"alerts":        func(a v1.API) error { _, err := a.Alerts(ctx); return err },
		"alertmanagers": func(a v1.API) error { _, err := a.AlertManagers(ctx); return err },
		"config":        func(a v1.API) error { _, err := a.Config(ctx); return err },
		"flags":         func(a v1.API) error { _, err := a.Flags(ctx); return err },
		"runtimeinfo":   func(a v1.API) error { _, err := a.Runtimeinfo(ctx); return err },
		"tsdb":          func(a v1.API) error { _, err := a.TSDB(ctx); return err },
	}
	for name, call := range answers {
		if err := call(both[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (w *apiWorld) testPromtool(t *testing.T) {
	promtool, err := servers.Binary("promtool")
	if err != nil {
		t.Fatal(err)
	}
	now := strconv.FormatInt(w.now.Unix(), 10)
	before := strconv.FormatInt(w.now.Unix()-60, 10)
	for _, args := range [][]string{
		{"instant", "--time=" + now, "URL", `sort_desc(shop_requests_total) or http.requests`},
		{"instant", "--time=" + now, "URL", `sort_by_label(shop_requests_total, "cluster", "code")`},
		{"range", "--start=" + before, "--end=" + now, "--step=5s", "URL", `sum by (cluster) (shop_requests_total)`},
		{"series", "--match=" + heldPay, "--start=" + before, "URL"},
		{"labels", "--match=" + held, "URL", "cluster"},
		{"labels", "URL", "service.name"},
	} {
		outputs := make([]string, 2)
		for i, server := range []string{w.api, w.reference} {
			of := append([]string{"query"}, args...)
			of[slices.Index(of, "URL")] = server
			out, err := osexec.CommandContext(t.Context(), promtool, of...).CombinedOutput()
			lines := strings.Split(string(out), "\n")
			if args[0] != "instant" {
				slices.Sort(lines)
			}
			outputs[i] = fmt.Sprint(err, strings.Join(lines, "\n"))
		}
		if outputs[0] != outputs[1] {
			t.Errorf("promtool query %q\n got %s\nwant %s", args, outputs[0], outputs[1])
		}
	}
}

// bind lets a handler see what matchers match.
func bind(t *testing.T, next http.Handler, texts ...string) http.Handler {
	t.Helper()
	ms, err := federation.ParseMatchers(texts)
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(federation.WithMatchers(r.Context(), ms...)))
	})
}

// testTenants asks everything as somebody who may see the namespace pay of
// hangzhou: nothing of beijing, nor of the namespace web, may be in any answer.
func (w *apiWorld) testTenants(t *testing.T) {
	tenant := serve(t, bind(t, w.fed.Handler(), `namespace="pay"`, `cluster="hangzhou"`))
	requests := slices.DeleteFunc(catalogueRequests(w), func(r apiRequest) bool { return strings.Contains(r.form.Get("match[]"), "web") })
	requests = append(requests, apiRequest{"rules", nil}, apiRequest{"alerts", nil}, apiRequest{"targets", nil}, apiRequest{"status/tsdb", nil},
		apiRequest{"metadata", nil}, apiRequest{"alertmanagers", nil}, apiRequest{"labels", nil}, apiRequest{"label/__name__/values", nil}, apiRequest{"label/cluster/values", nil})
	for _, query := range []string{
		`{__name__!=""}`, `shop_requests_total or {__name__=~".+"}`, `max_over_time(shop_requests_total[5m:10s])`, `max_over_time(count({__name__!=""})[5m:10s]) and on () shop_requests_total`,
		`shop_requests_total unless {namespace="pay"}`, `label_replace(shop_requests_total, "namespace", "pay", "", "")`, `count by (cluster) ({__name__=~".+"})`,
		`count_values("v", {__name__=~".+"})`, `shop_requests_total{namespace!="pay"}`, `topk(10, {cluster=~".+",__name__!=""}) @ end()`, `group by (namespace) ({__name__!=""} offset 1s)`,
	} {
		form := url.Values{"query": {query}, "time": {fmt.Sprint(w.now.Unix() + 1)}}
		requests = append(requests, apiRequest{"query", form}, apiRequest{"query_exemplars", form}, apiRequest{"query_range", url.Values{
			"query": {query}, "start": {fmt.Sprint(w.now.Unix() - 30)}, "end": form["time"], "step": {"5s"},
		}})
	}
	for _, r := range requests {
		a := ask(t, http.MethodGet, tenant, "/api/v1/"+r.path, r.form)
		for _, foreign := range []string{`"web"`, `"200"`, `beijing"`, `"cart"`, `"old"`, `"late"`, "app_requests", "Always", "Requests answered", "away", "cn-north"} {
			if a.status == http.StatusOK && strings.Contains(a.body, foreign) {
				t.Errorf("%s?%s: got %s in %s", r.path, r.form.Encode(), foreign, a.body)
			}
		}
	}
	for _, line := range scraped(t, tenant, []string{`{__name__!=""}`, `shop_requests_total{cluster="beijing"}`}, "") {
		if strings.Contains(line, `{`) && (!strings.Contains(line, `namespace="pay"`) || !strings.Contains(line, `cluster="hangzhou"`)) {
			t.Errorf("federate: got %s", line)
		}
	}
	own := maps.Collect(slices.All([]string{`sum(shop_requests_total)`, `count({__name__!=""} offset 1ms) or vector(0)`, `sum(max_over_time(shop_requests_total[1m:5s]))`}))
	for _, query := range own {
		form := func(q string) url.Values {
			return url.Values{"query": {q}, "time": {fmt.Sprint(w.now.Unix() + 1)}}
		}
		explicit := strings.NewReplacer("shop_requests_total", `shop_requests_total{namespace="pay",cluster="hangzhou"}`, `{__name__!=""}`, `{__name__!="",namespace="pay",cluster="hangzhou"}`).Replace(query)
		got, want := ask(t, http.MethodGet, tenant, "/api/v1/query", form(query)), ask(t, http.MethodGet, w.reference, "/api/v1/query", form(explicit))
		if got != want {
			t.Errorf("%s: got %+v, want %+v", query, got, want)
		}
	}
	if groups := groupsOf(t, tenant, nil); len(groups) != 1 {
		t.Errorf("got %v, want the rule with an alert of the namespace", groups)
	}
	whole := serve(t, bind(t, w.fed.Handler(), `cluster="beijing"`))
	if a := ask(t, http.MethodGet, whole, "/api/v1/status/tsdb", nil); a.status != http.StatusOK || strings.Contains(a.body, "hangzhou") {
		t.Errorf("tsdb of a whole cluster: got %d %s", a.status, a.body)
	}
}

// testMissing kills a replica, which nobody notices, and then a cluster, which
// every answer says.
func (w *apiWorld) testMissing(t *testing.T) {
	if err := w.servers["hangzhou-1"].Kill(); err != nil {
		t.Fatal(err)
	}
	everything := []apiRequest{
		{"labels", nil},
		{"label/namespace/values", nil},
		{"label/cluster/values", nil},
		{"series", url.Values{"match[]": {"pair", `own`}}},
		{"query_exemplars", url.Values{"query": {"shop_requests_total"}}},
		{"rules", nil},
		{"alerts", nil},
		{"targets", nil},
		{"targets/metadata", nil},
		{"scrape_pools", nil},
		{"metadata", nil},
		{"status/tsdb", nil},
		{"alertmanagers", nil},
		{"query", url.Values{"query": {"shop_requests_total"}}},
	}
	for _, r := range everything {
		if body := object(t, w.api, r.path, r.form); body["status"] != "success" || body["warnings"] != nil {
			t.Errorf("%s without a replica: got %v", r.path, body)
		}
	}
	if err := w.servers["beijing"].Kill(); err != nil {
		t.Fatal(err)
	}
	for _, r := range everything {
		body := object(t, w.api, r.path, r.form)
		warnings := fmt.Sprint(body["warnings"])
		if body["status"] != "success" || !strings.Contains(warnings, `missing from this answer: cluster "beijing" (`) {
			t.Errorf("%s without a cluster: got %v", r.path, body)
		}
		form := maps.Clone(r.form)
		if form == nil {
			form = url.Values{}
		}
		form.Set("partial", "fail")
		if a := ask(t, http.MethodGet, w.api, "/api/v1/"+r.path, form); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"errorType":"unavailable"`) {
			t.Errorf("%s, partial=fail: got %d %s", r.path, a.status, a.body)
		}
	}
	for _, r := range []apiRequest{{"labels", url.Values{"match[]": {`pair{cluster="hangzhou"}`}}}, {"series", url.Values{"match[]": {`pair{cluster!="beijing"}`}}}} {
		if body := object(t, w.api, r.path, r.form); body["warnings"] != nil {
			t.Errorf("%s: got %v, want nothing said of a cluster that is not asked", r.path, body)
		}
	}
	if a := ask(t, http.MethodGet, w.api, "/api/v1/labels", url.Values{"match[]": {`own{cluster="beijing"}`}}); a.status != http.StatusServiceUnavailable {
		t.Errorf("only the dead cluster: got %d %s, want 503", a.status, a.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.api+"/federate?match[]=pair", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said := resp.Header.Get("X-Midwatch-Warning"); resp.StatusCode != http.StatusOK || !strings.Contains(said, `cluster "beijing"`) {
		t.Errorf("federate: got %s, and said %q", resp.Status, said)
	}
}
