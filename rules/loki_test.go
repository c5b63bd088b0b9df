package rules_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/rules"
)

// A real Loki evaluates the rules that count log lines and writes what they
// record to a real Prometheus, where the rules of the events read it.
func TestLokiCountsLogEvents(t *testing.T) {
	t.Parallel()
	set := compile(t, rules.Options{},
		counting(t, "a", `group_by: [path]`, `sli: {logs: {errors: '{app="shop"} | logfmt | level="error"', total: '{app="shop"} | logfmt'}}`))
	dir := t.TempDir()
	for i, f := range set.Files {
		if f.Name == "loki/midwatch-logs.yaml" {
			set.Files[i].Name = "midwatch-logs.yaml"
			set.Files[i].Groups[0].Interval = model.Duration(5 * time.Second)
			if err := (rules.Set{Files: set.Files[i : i+1]}).WriteDir(folder(t, dir, "loki", "rules", "fake")); err != nil {
				t.Fatal(err)
			}
			set.Files = append(set.Files[:i:i], set.Files[i+1:]...)
			break
		}
	}
	if err := set.WriteDir(folder(t, dir, "prometheus", "rules")); err != nil {
		t.Fatal(err)
	}
	prometheus, err := servers.StartPrometheus(t.Context(), servers.PrometheusSpec{
		Dir: filepath.Join(dir, "prometheus"), Flags: []string{"--web.enable-remote-write-receiver"},
		Config: "rule_files: [rules/*.yaml]\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = prometheus.Stop() })
	loki, err := servers.StartLoki(t.Context(), servers.LokiSpec{
		Dir: filepath.Join(dir, "loki"), RemoteWrite: prometheus.URL + "/api/v1/write",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loki.Kill() })
	push(t, loki.URL, time.Now())

	// What is recorded is read when it is half a minute old.
	for side, want := range map[string]float64{"total": 1, "errors": 0.1} {
		near(t, side, eventually(t, prometheus.URL, `slo:log_`+side+`:rate1m{service="shop",slo="a",path="/pay"}`, 0), want, 0.02)
	}
	for _, g := range set.Groups() {
		for _, r := range g.Rules {
			if r.Record == "slo:sli_total:rate1m15s" {
				near(t, r.Record, eventually(t, prometheus.URL, r.Expr, 31*time.Second), 1, 0.02)
			}
		}
	}
}

func folder(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// push writes a line a second from three minutes before a time to two after
// it, of which each tenth is an error.
func push(t *testing.T, loki string, now time.Time) {
	t.Helper()
	var lines [][2]string
	for i := range 300 {
		level := "info"
		if i%10 == 0 {
			level = "error"
		}
		at := now.Add(time.Duration(i-180) * time.Second)
		lines = append(lines, [2]string{strconv.FormatInt(at.UnixNano(), 10), "path=/pay level=" + level})
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": map[string]string{"app": "shop"}, "values": lines}}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, loki+"/loki/api/v1/push", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("push: %s", resp.Status)
	}
}

// eventually returns the one value of an expression as soon as it has one,
// at a time so much later than now.
func eventually(t *testing.T, prometheus, expr string, later time.Duration) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		v, err := instant(ctx, prometheus, expr, time.Now().Add(later))
		if err == nil {
			return v
		}
		last = err.Error()
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %s", expr, last)
		case <-tick.C:
		}
	}
}

func instant(ctx context.Context, prometheus, expr string, at time.Time) (float64, error) {
	query := url.Values{"query": {expr}, "time": {strconv.FormatInt(at.Unix(), 10)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, prometheus+"/api/v1/query?"+query.Encode(), http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("%d series", len(answer.Data.Result))
	}
	return strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
}
