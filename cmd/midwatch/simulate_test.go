package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/rules/simulate"
)

// begun is when the history of the tests begins.
var begun = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// The history: 100 requests a second, of which 0.4% fail for eight hours, and
// all for ten minutes of the next day.
const (
	slowFrom, slowTo     = 10 * time.Hour, 18 * time.Hour
	outageFrom, outageTo = 25*time.Hour + 7*time.Minute, 25*time.Hour + 17*time.Minute
	historyEnds          = 30 * time.Hour
)

func failed(at time.Duration) float64 {
	part := func(from, to time.Duration) float64 { return max(0, min(at, to)-from).Seconds() }
	return 100 * (0.004*part(slowFrom, slowTo) + part(outageFrom, outageTo))
}

// writeHistory makes a data folder of Prometheus, with blocks and a
// write-ahead log.
func writeHistory(t *testing.T, dir string) {
	t.Helper()
	db, err := tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	total := labels.FromStrings("__name__", "http_requests_total", "app", "payments", "code", "200")
	bad := labels.FromStrings("__name__", "http_requests_total", "app", "payments", "code", "500")
	for at := time.Duration(0); at <= historyEnds; {
		app := db.Appender(t.Context())
		for range 240 {
			if at > historyEnds {
				break
			}
			ms := begun.Add(at).UnixMilli()
			if _, err := app.Append(0, total, ms, 100*at.Seconds()-failed(at)); err != nil {
				t.Fatal(err)
			}
			if _, err := app.Append(0, bad, ms, failed(at)); err != nil {
				t.Fatal(err)
			}
			at += 15 * time.Second
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(db.Blocks()) == 0 {
		t.Fatal("no block")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

const simulatedSLO = `
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: availability}
spec:
  service: payments
  objective: 99.9
  sli:
    events:
      errors: http_requests_total{app="payments",code="500"}
      total: http_requests_total{app="payments"}
`

func simulated(t *testing.T, args ...string) simulate.Report {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args = append([]string{"simulate", "--from", "2026-11-01T08:00:00Z", "--to", "2026-11-02T06:00:00Z", "-o", "json"}, args...)
	if code := run(t.Context(), args, &stdout, &stderr); code != exitOK {
		t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), code, &stderr)
	}
	var r simulate.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSimulateRealPrometheus compares a simulation with what was computed by
// hand, once on a Prometheus and once on its data folder.
func TestSimulateRealPrometheus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeHistory(t, filepath.Join(dir, "data"))
	slos := filepath.Join(dir, "slo.yaml")
	if err := os.WriteFile(slos, []byte(simulatedSLO), 0o644); err != nil {
		t.Fatal(err)
	}
	before := listing(t, filepath.Join(dir, "data"))
	picture := filepath.Join(dir, "out.png")
	fromFolder := simulated(t, "--tsdb", filepath.Join(dir, "data"), "--png", picture, slos)
	if diff := cmp.Diff(before, listing(t, filepath.Join(dir, "data"))); diff != "" {
		t.Errorf("the data folder was written to: %s", diff)
	}
	if b, err := os.ReadFile(picture); err != nil || !bytes.HasPrefix(b, []byte("\x89PNG")) || len(b) < 10_000 {
		t.Errorf("picture: %d bytes, %v", len(b), err)
	}
	p, err := servers.StartPrometheus(t.Context(), servers.PrometheusSpec{
		Name: "history", Dir: dir, Config: "global: {scrape_interval: 1h}\n", Flags: []string{"--storage.tsdb.retention.time=10y"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	asked := simulated(t, "--prometheus", p.URL, slos)
	// Prometheus has made a block of the log meanwhile, or not.
	served := simulated(t, "--tsdb", filepath.Join(dir, "data"), slos)
	for name, r := range map[string]simulate.Report{"of the Prometheus": asked, "of the folder that is served": served} {
		if diff := cmp.Diff(fromFolder, r); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	byHand(t, asked)
}

func byHand(t *testing.T, r simulate.Report) {
	t.Helper()
	if len(r.SLOs) != 1 || len(r.Warnings) != 0 {
		t.Fatalf("%d SLOs, warnings %q", len(r.SLOs), r.Warnings)
	}
	s := r.SLOs[0]
	onset := begun.Add(outageFrom)
	// A tier fires when its share of its long window has failed: 1.44% of an
	// hour in 52 s, 0.6% of six hours in 130 s. Of a day it is 0.3%, which are
	// 259 s, and of three days 0.1%, which are as many; what failed in the slow
	// burn are 115 s of them. Then it takes two scrapes and an evaluation: up
	// to two of those each two minutes for what wakes nobody.
	want := []struct {
		severity, tier string
		after, slack   time.Duration
	}{
		{"P2", "1h5m", 52 * time.Second, 45 * time.Second},
		{"P2", "6h30m", 130 * time.Second, 45 * time.Second},
		{"P3", "1d2h", 144 * time.Second, 4 * time.Minute},
		{"P3", "3d6h", 144 * time.Second, 4 * time.Minute},
	}
	if len(s.Alerts) != len(want) {
		t.Fatalf("%d alerts: %+v", len(s.Alerts), s.Alerts)
	}
	for i, w := range want {
		a := s.Alerts[i]
		if after := a.From.Sub(onset); a.Severity != w.severity || a.Tier != w.tier || after < w.after || after > w.after+w.slack || a.False {
			t.Errorf("want %s %s %s after the onset, or %s later; got %+v, %s after it", w.severity, w.tier, w.after, w.slack, a, after)
		}
	}
	if len(s.Incidents) != 2 {
		t.Fatalf("%d incidents: %+v", len(s.Incidents), s.Incidents)
	}
	slow, outage := s.Incidents[0], s.Incidents[1]
	budget := 0.001 * 100 * (30 * 24 * time.Hour).Seconds() // events
	if !slow.Missed() || !near(slow.Spent, 11520/budget, 0.01) || !near(slow.Worst, 0.004, 0.01) || slow.From.Sub(begun.Add(slowFrom)) > 2*time.Minute {
		t.Errorf("the slow burn: %+v", slow)
	}
	if outage.Missed() || *outage.First != 0 || *outage.Woken != 0 || !near(outage.Spent, 60000/budget, 0.01) || outage.Worst != 1 || outage.From.Sub(onset) > time.Minute || outage.To.Sub(begun.Add(outageTo)).Abs() > time.Minute {
		t.Errorf("the outage: %+v", outage)
	}
	if !near(s.Budget.End, 1-71520/budget, 0.002) || !near(s.Budget.Begin, 1, 1e-9) || s.Budget.Lowest.Value > s.Budget.End {
		t.Errorf("budget: from %v to %v, lowest %v", s.Budget.Begin, s.Budget.End, s.Budget.Lowest)
	}
	if !s.Short() || s.History.Sub(begun) > time.Minute {
		t.Errorf("history begins %v, short: %v", s.History, s.Short())
	}
}

func near(got, want, share float64) bool { return got >= want*(1-share) && got <= want*(1+share) }

// listing returns the size and the time of every file below a folder.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		out[path] = info.ModTime().String() + info.Mode().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
