package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/internal/golden"
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

// requests of the history after a time, and those of them that failed.
func requests(at time.Duration) float64 { return 100 * at.Seconds() }

// writeHistory makes a data folder of Prometheus, with blocks and a
// write-ahead log, of two counters.
func writeHistory(t *testing.T, dir string, length time.Duration, total, failed func(time.Duration) float64) {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.MinBlockDuration = max(o.MinBlockDuration, (length / 12).Milliseconds())
	o.MaxBlockDuration, o.RetentionDuration = o.MinBlockDuration, 0
	db, err := tsdb.Open(dir, nil, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := labels.FromStrings("__name__", "http_requests_total", "app", "payments", "code", "200")
	bad := labels.FromStrings("__name__", "http_requests_total", "app", "payments", "code", "500")
	app := db.Appender(t.Context())
	for at := time.Duration(0); at <= length; at += 15 * time.Second {
		ms := begun.Add(at).UnixMilli()
		for l, v := range map[*labels.Labels]float64{&good: total(at) - failed(at), &bad: failed(at)} {
			if _, err := app.Append(0, *l, ms, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
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
	writeHistory(t, filepath.Join(dir, "data"), historyEnds, requests, failed)
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

// TestSimulateManual draws the picture of the manual, of twelve days with an
// outage, a slow burn, a short failure and a night of maintenance, and compares
// what is printed with the manual. "make golden" writes both anew.
func TestSimulateManual(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	total, failed := twelveDays()
	writeHistory(t, filepath.Join(dir, "data"), 12*24*time.Hour, total, failed)
	slos := filepath.Join(dir, "slo.yaml")
	exclusion := "  exclusions: [{name: new database, from: 2026-11-09T01:00:00Z, to: 2026-11-09T05:00:00Z}]\n"
	text := strings.NewReplacer("99.9\n", "99.5\n  window: 7d\n"+exclusion).Replace(simulatedSLO)
	if err := os.WriteFile(slos, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(dir, "simulate.png")
	if golden.Updating() {
		picture = filepath.Join(repository(t), "docs", "img", "simulate.png")
	}
	var stdout bytes.Buffer
	c := simulateCommandAt(time.UTC)
	c.SetOut(&stdout)
	c.SetArgs([]string{"--from", "2026-11-03", "--to", "2026-11-13", "--tsdb", filepath.Join(dir, "data"), "--png", picture, slos})
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	drawn, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer drawn.Close()
	if c, err := png.DecodeConfig(drawn); err != nil || c.Width != 1920 || c.Height < 600 {
		t.Errorf("the picture is %dx%d, %v", c.Width, c.Height, err)
	}
	golden.File(t, filepath.Join("testdata", "simulate.txt"), stdout.String())
	if manual := read(t, filepath.Join(repository(t), "docs", "simulate.md")); !strings.Contains(manual, stdout.String()) {
		t.Errorf("docs/simulate.md does not show what is printed:\n%s", &stdout)
	}
}

// twelveDays returns counters of twelve days: traffic swings between night and
// day, and some of it fails.
func twelveDays() (total, failed func(time.Duration) float64) {
	const hour = time.Hour
	minutes := 12 * 24 * 60
	all, bad := make([]float64, minutes+2), make([]float64, minutes+2)
	for i := range minutes + 1 {
		at := time.Duration(i) * time.Minute
		perMinute := 60 * (40 + 160*(1-math.Cos(2*math.Pi*(at.Hours()-3)/24)))
		ratio := 0.00008 * (1.5 + math.Sin(at.Hours()/5))
		switch {
		case at >= 90*hour && at < 90*hour+25*time.Minute: // an outage
			ratio = 0.35
		case at >= 130*hour && at < 152*hour: // a slow burn
			ratio = 0.01
		case at >= 193*hour && at < 196*hour: // maintenance
			ratio = 0.8
		case at >= 254*hour+2*time.Minute && at < 254*hour+13*time.Minute: // a short failure
			ratio = 0.06
		}
		all[i+1], bad[i+1] = all[i]+perMinute, bad[i]+perMinute*ratio
	}
	between := func(of []float64) func(time.Duration) float64 {
		return func(at time.Duration) float64 {
			i := int(at / time.Minute)
			return of[i] + (of[i+1]-of[i])*(at-time.Duration(i)*time.Minute).Minutes()
		}
	}
	return between(all), between(bad)
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

// TestProgressWithoutTerminal sees a line each ten seconds, and no bar.
func TestProgressWithoutTerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := newAdvance(&b, "simulating")
	for s := range 35 {
		p.at(p.began.Add(time.Duration(s)*time.Second), float64(s)/100, "2026-11-01")
	}
	p.end()
	want := "simulating  10%  2026-11-01  1m30s left\nsimulating  20%  2026-11-01  1m20s left\nsimulating  30%  2026-11-01  1m10s left\n"
	if b.String() != want {
		t.Errorf("want\n%sgot\n%s", want, &b)
	}
}
