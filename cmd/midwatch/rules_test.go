package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/web/wire"
)

// keeps is a server whose rules have a status.
func keeps(t *testing.T, s wire.RuleStatus) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/api/v1/status/rules" {
			w.WriteHeader(http.StatusNotFound)
		}
		_ = json.NewEncoder(w).Encode(wire.Envelope{Status: wire.Success, Data: data})
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestRuleStatus(t *testing.T) {
	ago := time.Now().Add(-time.Minute)
	good := wire.RuleStatus{
		Targets:  []wire.RuleTarget{{Name: "/etc/rules", InStepAt: ago}},
		Clusters: []wire.RuleCluster{{Name: "hangzhou", CheckedAt: ago}},
	}
	got := runHere(t, "rules", "status", "--url", keeps(t, good))
	if want := "/etc/rules: in step, looked at 1m0s ago\ncluster hangzhou: has loaded the rules of the SLOs, looked at 1m0s ago\n"; got != (ran{exitOK, want, ""}) {
		t.Errorf("all in step: %+v", got)
	}
	bad := wire.RuleStatus{
		Targets: []wire.RuleTarget{{Name: "http://mimir namespace midwatch", Error: "it answers 429", FailingSince: ago}},
		Clusters: []wire.RuleCluster{
			{Name: "beijing", Error: "connection refused"},
			{Name: "hangzhou", Different: 1, Differences: []wire.RuleDifference{{
				Replica: "http://prometheus", Group: "midwatch-windows", Rule: "a:b", What: "another expression", Want: "sum(x)", Have: "sum(\n  y)",
			}}},
		},
	}
	got = runHere(t, "rules", "status", "--url", keeps(t, bad))
	want := `http://mimir namespace midwatch: not in step for 1m0s: it answers 429
cluster beijing: not known: connection refused
cluster hangzhou: 1 group otherwise
  http://prometheus midwatch-windows: a:b: another expression
    want sum(x)
    have sum(   y)
`
	if got != (ran{exitProblem, want, ""}) {
		t.Errorf("not in step: %+v", got)
	}
	got = runHere(t, "rules", "status", "--json", "--url", keeps(t, bad))
	var printed wire.RuleStatus
	if err := json.Unmarshal([]byte(got.stdout), &printed); err != nil || got.code != exitProblem || len(printed.Clusters) != 2 {
		t.Errorf("JSON: %v %+v", err, got)
	}
	if got := runHere(t, "rules", "status", "--url", "http://127.0.0.1:1"); got.code != exitProblem || !strings.Contains(got.stderr, "midwatch: ask for the rules") {
		t.Errorf("no server: %+v", got)
	}
	if got := runHere(t, "rules", "status", "extra"); got.code != exitUsage {
		t.Errorf("an argument too many: %+v", got)
	}
}
