package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/servers"
)

const askedSLO = `apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: availability}
spec:
  service: shop
  objective: 99.9
  window: 30d
  sli: {events: {errors: 'http_requests_total{job=~"shop.*",status=~"5.."}', total: 'http_requests_total{job=~"shop.*"}'}}
`

// ran is what a command did.
type ran struct {
	code           int
	stdout, stderr string
}

func runHere(t *testing.T, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A real Prometheus says how often it scrapes what the SLOs count: the longest
// interval of those targets, not of all.
func TestCompileAsksPrometheus(t *testing.T) {
	p, err := servers.StartPrometheus(t.Context(), servers.PrometheusSpec{Name: "asked", Dir: t.TempDir(), Config: `
global: {evaluation_interval: 20s}
scrape_configs:
  - {job_name: shop, scrape_interval: 20s, scrape_timeout: 5s, static_configs: [{targets: ["127.0.0.1:1"]}]}
  - {job_name: shop-slow, scrape_interval: 40s, scrape_timeout: 5s, static_configs: [{targets: ["127.0.0.1:2"]}]}
  - {job_name: disks, scrape_interval: 5m, scrape_timeout: 5s, static_configs: [{targets: ["127.0.0.1:3"]}]}
`})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	awaitTargets(t, p.URL)
	slos, out := written(t, askedSLO), t.TempDir()
	got := runHere(t, "compile", "--prometheus", p.URL, "--out", out, slos)
	want := ran{0, fmt.Sprintf("scrape interval 40s, of \"shop-slow\"\nevaluation interval 20s\nrules of 1 SLO written to %s\n", out), ""}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	b, err := os.ReadFile(filepath.Join(out, "midwatch-slo-shop.yaml"))
	if err != nil || !strings.Contains(string(b), "interval: 20s") || !strings.Contains(string(b), "rate2m40s") {
		t.Errorf("the rules are not for these intervals: %v\n%.600s", err, b)
	}
	got = runHere(t, "compile", "--prometheus", p.URL, "--interval", "30s", "--scrape-interval", "15s", "--out", out, slos)
	if want := (ran{0, fmt.Sprintf("rules of 1 SLO written to %s\n", out), ""}); got != want {
		t.Errorf("asked for what flags say: %+v, want %+v", got, want)
	}
	other := written(t, strings.ReplaceAll(askedSLO, "shop.*", "bank.*"))
	got = runHere(t, "compile", "--prometheus", p.URL, "--out", out, other)
	if got.code != exitProblem || !strings.Contains(got.stdout, "longest of all") || !strings.Contains(got.stderr, "scrape interval 5m0s is not between") {
		t.Errorf("no target of the SLO's: %+v", got)
	}
}

// awaitTargets waits for a Prometheus that has just started to know them.
func awaitTargets(t *testing.T, url string) {
	t.Helper()
	client, err := asked{url: url}.client()
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		var found struct {
			ActiveTargets []target `json:"activeTargets"`
		}
		if err := client.get(t.Context(), "/api/v1/targets", "", &found); err != nil {
			t.Fatal(err)
		}
		if len(found.ActiveTargets) == 3 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d targets after 20 s", len(found.ActiveTargets))
		}
	}
}

func TestCompileSaysWhyPrometheusIsNoHelp(t *testing.T) {
	answers := func(status int, text string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	slos, out := written(t, askedSLO), t.TempDir()
	for want, url := range map[string]string{
		"connection refused":      "http://127.0.0.1:1",
		"it answers 503":          answers(http.StatusServiceUnavailable, "away"),
		"not that of a Promethe":  answers(http.StatusOK, "<html>"),
		`has the status "error"`:  answers(http.StatusOK, `{"status":"error"}`),
		"it has none; say --scra": answers(http.StatusOK, `{"status":"success","data":{"activeTargets":[]}}`),
		`the scrape interval "x"`: answers(http.StatusOK, `{"status":"success","data":{"activeTargets":[{"scrapeInterval":"x"}]}}`),
	} {
		if got := runHere(t, "compile", "--prometheus", url, "--out", out, slos); got.code != exitProblem || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: want %q, got %+v", url, want, got)
		}
	}
	if got := runHere(t, "compile", "--prometheus", "shop:9090", "--out", out, slos); got.code != exitUsage || !strings.Contains(got.stderr, "no http or https URL") {
		t.Errorf("a wrong URL: %+v", got)
	}
	if entries, err := os.ReadDir(out); err != nil || len(entries) > 0 {
		t.Errorf("%d files are written: %v", len(entries), err)
	}
}

func TestCompileReachesPrometheusAsItIsTold(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "midwatch" || password != "of-the-test" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"status":"success","data":{"activeTargets":[{"scrapeInterval":"15s","scrapePool":"shop"}]}}`))
	}))
	t.Cleanup(s.Close)
	settings := written(t, "basic_auth: {username: midwatch, password: of-the-test}\n")
	args := []string{"compile", "--prometheus", s.URL, "--interval", "30s", "--out", t.TempDir(), written(t, askedSLO)}
	if got := runHere(t, args...); got.code != exitProblem || !strings.Contains(got.stderr, "it answers 401") {
		t.Errorf("without a password: %+v", got)
	}
	if got := runHere(t, append(args, "--http.config.file", settings)...); got.code != exitOK {
		t.Errorf("with it: %+v", got)
	}
}
