package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/rules/explain"
)

// recordedByACluster is what a cluster has recorded of an SLO, as an exporter says it.
const recordedByACluster = `slo:sli_error:ratio_rate5m{service="shop",slo="availability"} 0.02
slo:sli_error:ratio_rate30d{service="shop",slo="availability"} 0.0004
slo:current_burn_rate:ratio{service="shop",slo="availability"} 20
slo:period_error_budget_remaining:ratio{service="shop",slo="availability"} 0.6
slo:sli_total:rate30d{service="shop",slo="availability"} 0.5
slo:sli_total:rate30d{service="shop",slo="other"} 7
ALERTS{alertname="SLOErrorBudgetBurn",alertstate="firing",service="shop",severity="P2",slo="availability",team="payments",tier="1h5m"} 1
`

const twoClusters = `external_url: http://midwatch.test
slo_files: [slo.yaml]
oncall_files: [oncall.yaml]
clusters:
  - {name: eu, urls: [%q]}
  - {name: us, urls: ["http://127.0.0.1:1"]}
notifiers:
  wecom: {corp_id: ww-test, agent_id: 1000002, secret: provider-secret}
api:
  tokens: [{name: test, token: a-token-of-sixteen-characters-or-more}]
`

// How an SLO stands is asked of one Prometheus, and of all clusters of a
// configuration, of which one does not answer.
func TestExplainAsks(t *testing.T) {
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, recordedByACluster) }))
	defer exporter.Close()
	p, err := servers.StartPrometheus(t.Context(), servers.PrometheusSpec{Name: "explained", Dir: t.TempDir(), Config: fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs: [{job_name: rules, honor_labels: true, static_configs: [{targets: [%q]}], metric_relabel_configs: [{action: labeldrop, regex: instance|job}]}]
`, strings.TrimPrefix(exporter.URL, "http://"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	slos := written(t, askedSLO)
	one := explained(t, 0, func(e explain.Explanation) bool { return len(e.Current.Standings) > 0 }, "explain", slos, "--prometheus", p.URL, "-o", "json")
	s := one.Current.Standings[0]
	if s.Ratios["5m"] != 0.02 || s.Ratios["30d"] != 0.0004 || *s.Burn != 20 || *s.BudgetLeft != 0.6 || !slices.Equal(s.Firing, []string{"P2 1h5m"}) || len(one.Current.Standings) != 1 {
		t.Errorf("%+v", one.Current.Standings)
	}
	if one.Pace.Traffic != 0.5 || *one.Budget.Events != 0.5*30*86400*0.001 {
		t.Errorf("traffic %g, %g events may fail", one.Pace.Traffic, *one.Budget.Events)
	}
	config := written(t, fmt.Sprintf(twoClusters, p.URL))
	both := explained(t, 1, func(explain.Explanation) bool { return true }, "explain", slos, "--config", config, "-o", "json")
	if len(both.Current.Standings) != 1 || both.Current.Standings[0].Labels["cluster"] != "eu" {
		t.Errorf("%+v", both.Current.Standings)
	}
	if missing := strings.Join(both.Current.Missing, "\n"); !strings.Contains(missing, `"us"`) {
		t.Errorf("missing: %q", missing)
	}
	text := runHere(t, "explain", slos, "--prometheus", p.URL)
	for _, want := range []string{"error ratio over 5m   2%\n", "error ratio over 30d  0.04%\n", "budget left           60%\n", "traffic               0.5 events a second, 1,296,000 in 30d\n", "firing                P2 1h5m\n"} {
		if !strings.Contains(text.stdout, want) {
			t.Errorf("%q is not in\n%s", want, text.stdout)
		}
	}
}

// explained runs a command until what it prints is enough.
func explained(t *testing.T, code int, enough func(explain.Explanation) bool, args ...string) (e explain.Explanation) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		got := runHere(t, args...)
		e = explain.Explanation{}
		if err := json.Unmarshal([]byte(got.stdout), &e); err != nil || got.code != code {
			t.Fatalf("%+v: %v", got, err)
		}
		if enough(e) {
			return e
		}
		<-tick.C
	}
	t.Fatalf("%s: never enough: %+v", strings.Join(args, " "), e.Current)
	return e
}
