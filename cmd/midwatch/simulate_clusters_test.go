package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// TestSimulateClusters simulates on two clusters of which one has served what
// went well and the other what failed: only both together have the SLO that a
// single Prometheus with all of it has.
func TestSimulateClusters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := func(time.Duration) float64 { return 0 }
	good := func(at time.Duration) float64 { return requests(at) - failed(at) }
	writeHistory(t, filepath.Join(dir, "one"), historyEnds, requests, failed)
	writeHistory(t, filepath.Join(dir, "well", "data"), historyEnds, good, none)
	writeHistory(t, filepath.Join(dir, "ill", "data"), historyEnds, failed, failed)
	slos := filepath.Join(dir, "slo.yaml")
	if err := os.WriteFile(slos, []byte(simulatedSLO), 0o644); err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	running := map[string]*servers.Prometheus{}
	for _, name := range []string{"well", "ill"} {
		p, err := servers.StartPrometheus(t.Context(), servers.PrometheusSpec{
			Name: name, Dir: filepath.Join(dir, name), Config: "global: {scrape_interval: 1h}\n", Flags: []string{"--storage.tsdb.retention.time=10y"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Kill() })
		running[name] = p
		fmt.Fprintf(&list, "  - {name: %s, urls: [%q]}\n", name, p.URL)
	}
	config := writeClusters(t, dir, list.String())
	got := simulated(t, "--config", config, slos)
	if diff := cmp.Diff(simulated(t, "--tsdb", filepath.Join(dir, "one"), slos), got); diff != "" {
		t.Errorf("another simulation than on one Prometheus: %s", diff)
	}
	byHand(t, got)
}

// writeClusters writes a configuration with a list of clusters.
func writeClusters(t *testing.T, dir, list string) string {
	t.Helper()
	oncall := read(t, filepath.Join(repository(t), "testdata", "bench", "oncall.yaml"))
	text := "external_url: http://127.0.0.1:1\nslo_files: [slo.yaml]\noncall_files: [oncall.yaml]\nclusters:\n" + list +
		"notifiers: {webhook: {url: 'http://127.0.0.1:1/'}}\napi: {tokens: [{name: test, token: secret}]}\n"
	config := filepath.Join(dir, "midwatch.yaml")
	for name, text := range map[string]string{config: text, filepath.Join(dir, "oncall.yaml"): oncall} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config
}

// TestHistoryLacksNoCluster sees that a history without one of the clusters is
// an error that names it, after some tries, and none of the expression.
func TestHistoryLacksNoCluster(t *testing.T) {
	t.Parallel()
	all, err := federation.New(federation.Config{Logger: slog.New(slog.DiscardHandler), Clusters: []federation.Cluster{{Name: "far", URLs: []string{"http://127.0.0.1:1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(all.Close)
	h := &historyOf{all: all, pause: time.Millisecond}
	_, err = h.Range(t.Context(), "sum(rate(requests_total[5m]))", begun, begun.Add(time.Hour), time.Minute)
	if err == nil || !strings.Contains(err.Error(), `ask clusters: no queried cluster answered: cluster "far"`) {
		t.Errorf("got %v", err)
	}
}

// TestSimulateTellsWhatIsWrongWithTheConfiguration sees every problem with its
// place.
func TestSimulateTellsWhatIsWrongWithTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := writeClusters(t, dir, "  - {name: one, urls: [ftp://a]}\n")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"simulate", "--from", "2026-11-01", "--to", "2026-11-02", "--config", config, written(t, simulatedSLO)}, &stdout, &stderr)
	if code != exitProblem || !strings.Contains(stderr.String(), `midwatch.yaml:5:24: clusters.0.urls.0: scheme "ftp" is neither http nor https`) {
		t.Errorf("exit code %d\n%s", code, &stderr)
	}
}
