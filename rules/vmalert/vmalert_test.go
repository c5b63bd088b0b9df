// The tests here let a real VictoriaMetrics and vmalert evaluate rules. They
// wait for series to be found there, so they are beside those of the rules.
package vmalert_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

const slos = `
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: bad}
spec:
  service: shop
  critical: true
  objective: 99.9
  sli: {events: {errors: 'failures_total{app="bad"}', total: 'requests_total{app="bad"}'}}
---
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: good}
spec:
  service: shop
  objective: 99.9
  sli: {events: {errors: 'failures_total{app="good"}', total: 'requests_total{app="good"}'}}
`

// victoria is a VictoriaMetrics with a vmalert and what its alerts reach.
type victoria struct {
	url, vmalert string
	mu           sync.Mutex
	alerts       []model.LabelSet
}

func (v *victoria) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var alerts []struct{ Labels model.LabelSet }
	b, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(b, &alerts)
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, a := range alerts {
		v.alerts = append(v.alerts, a.Labels)
	}
}

// fired says whether an alert with these labels came.
func (v *victoria) fired(want model.LabelSet) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, a := range v.alerts {
		all := true
		for name, value := range want {
			all = all && a[name] == value
		}
		if all {
			return true
		}
	}
	return false
}

func startVictoria(t *testing.T) *victoria {
	t.Helper()
	path, err := servers.Binary("victoria-metrics")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := servers.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	v := &victoria{url: "http://" + addr}
	p, err := servers.Start(t.Context(), servers.Spec{
		Name: "victoria-metrics", Path: path, LogFile: filepath.Join(dir, "vm.log"), Ready: v.url + "/health",
		Args: []string{"-storageDataPath=" + filepath.Join(dir, "data"), "-httpListenAddr=" + addr, "-search.latencyOffset=1s", "-search.disableCache"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return v
}

// alerting runs a vmalert over rule files.
func (v *victoria) alerting(t *testing.T, rules string) {
	t.Helper()
	path, err := servers.Binary("vmalert")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := servers.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(v)
	t.Cleanup(receiver.Close)
	v.vmalert = "http://" + addr
	p, err := servers.Start(t.Context(), servers.Spec{
		Name: "vmalert", Path: path, LogFile: filepath.Join(t.TempDir(), "vmalert.log"), Ready: v.vmalert + "/health",
		Args: []string{
			"-rule=" + filepath.Join(rules, "*.yaml"), "-httpListenAddr=" + addr, "-datasource.url=" + v.url, "-datasource.queryStep=5m",
			"-remoteWrite.url=" + v.url, "-remoteWrite.flushInterval=200ms", "-notifier.url=" + receiver.URL, "-evaluationInterval=1s",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
}

// give hands in samples of a counter from one time to another.
func (v *victoria) give(t *testing.T, series string, from, to time.Time, perSecond func(time.Time) float64) {
	t.Helper()
	var b strings.Builder
	value := 0.0
	const every = 5 * time.Second
	for at := from; at.Before(to); at = at.Add(every) {
		value += perSecond(at) * every.Seconds()
		fmt.Fprintf(&b, "%s %g %d\n", series, value, at.UnixMilli())
	}
	v.post(t, b.String())
}

func (v *victoria) post(t *testing.T, samples string) {
	t.Helper()
	resp, err := http.Post(v.url+"/api/v1/import/prometheus", "text/plain", strings.NewReader(samples))
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
}

// ask returns the value of an expression that is one series, and whether it
// is one now.
func (v *victoria) ask(t *testing.T, expr string) (value float64, ok bool) {
	t.Helper()
	resp, err := http.Get(v.url + "/api/v1/query?nocache=1&query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct{ Result model.Vector }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Data.Result) != 1 {
		return 0, false
	}
	return float64(answer.Data.Result[0].Value), true
}

// A real VictoriaMetrics and vmalert evaluate the rules: windows are recorded,
// the outage of one SLO pages and the other does not.
func TestVmalertEvaluatesTheRules(t *testing.T) {
	both, err := slo.Parse("slo.yaml", []byte(slos))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile(both, rules.Options{Interval: 5 * time.Second, ScrapeInterval: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	// vmalert reads what a rule recorded one evaluation later: what is made of
	// events is evaluated each second, so as not to wait.
	for _, f := range set.Files {
		for i, g := range f.Groups {
			f.Groups[i].Interval = model.Duration(time.Second)
			if strings.HasPrefix(g.Name, "midwatch-events/") {
				f.Groups[i].Interval = model.Duration(5 * time.Second)
			}
		}
	}
	dir := t.TempDir()
	if _, err := set.Write(dir, rules.Output{Format: rules.FormatVictoriaMetrics}); err != nil {
		t.Fatal(err)
	}
	v := startVictoria(t)
	now := time.Now()
	outage := now.Add(-10 * time.Minute)
	for _, app := range []string{"bad", "good"} {
		v.give(t, fmt.Sprintf(`requests_total{app=%q}`, app), now.Add(-2*time.Hour), now.Add(5*time.Minute), func(time.Time) float64 { return 50 })
	}
	v.give(t, `failures_total{app="bad"}`, now.Add(-2*time.Hour), now.Add(5*time.Minute), func(at time.Time) float64 {
		if at.After(outage) {
			return 50
		}
		return 0
	})
	v.alerting(t, dir)
	page := model.LabelSet{"alertname": "SLOErrorBudgetBurn", "slo": "bad", "service": "shop", "tier": "1h5m", "severity": "P1"}
	soon(t, "the outage pages", func() bool { return v.fired(page) })
	soon(t, "the ratio of the other is recorded", func() bool {
		ratio, ok := v.ask(t, `slo:sli_error:ratio_rate1h{slo="good"}`)
		return ok && ratio == 0
	})
	ratio, ok := v.ask(t, `slo:sli_error:ratio_rate5m{slo="bad"}`)
	if !ok || ratio < 0.99 || ratio > 1.01 {
		t.Errorf("the ratio of the outage is %g, %v", ratio, ok)
	}
	if v.fired(model.LabelSet{"alertname": "SLOErrorBudgetBurn", "slo": "good"}) || v.fired(model.LabelSet{"alertname": "SLORuleEvaluationFailing"}) {
		t.Errorf("what is well pages: %v", v.alerts)
	}
	resp, err := http.Get(v.vmalert + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if strings.HasPrefix(line, "vmalert_recording_rules_error{") && !strings.HasSuffix(line, " 0") || strings.HasPrefix(line, "vmalert_alerting_rules_error{") && !strings.HasSuffix(line, " 0") {
			t.Error(line)
		}
	}
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(50 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after 50 s still not: %s", what)
		}
	}
}
