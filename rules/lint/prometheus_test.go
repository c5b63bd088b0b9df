package lint_test

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/rules/lint"
)

// Every check that asks finds something about its bad file in a real
// Prometheus, as the golden says, and nothing about its good file.
func TestChecksThatAsk(t *testing.T) {
	server, at := shop(t)
	find := func(check, file string) []lint.Finding {
		found, err := lint.Run(t.Context(), load(t, filepath.Join(folder, check, file)), lint.Options{Now: at, Read: os.ReadFile, Server: server})
		if err != nil {
			t.Fatal(err)
		}
		return of(check, found)
	}
	for _, check := range lint.Checks() {
		if !check.Asks() {
			continue
		}
		t.Run(check.Name, func(t *testing.T) {
			bad := find(check.Name, "bad.yaml")
			golden.File(t, filepath.Join(folder, check.Name, "bad.txt"), text(bad))
			for _, s := range load(t, filepath.Join(folder, check.Name, "bad.yaml")) {
				if !slices.ContainsFunc(bad, func(f lint.Finding) bool { return f.SLO == s.ID() }) {
					t.Errorf("nothing is found in %s of the bad file", s.ID())
				}
			}
			if good := find(check.Name, "good.yaml"); len(good) > 0 {
				t.Errorf("found in the good file: %s", text(good))
			}
		})
	}
}

// A server that does not answer is an error, and hides nothing of what is
// found in the files.
func TestAServerThatDoesNotAnswer(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that the client went away
		<-r.Context().Done()
	}))
	defer slow.Close()
	server, err := lint.NewPrometheus(slow.URL, slow.Client())
	if err != nil {
		t.Fatal(err)
	}
	slos := load(t, filepath.Join(folder, "same-selector", "bad.yaml"))[:1]
	began := time.Now()
	found, err := lint.Run(t.Context(), slos, lint.Options{Now: now, Server: server, Timeout: 20 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "it answers nothing: ") {
		t.Errorf("error: %v", err)
	}
	if len(of("same-selector", found)) != 1 {
		t.Errorf("found: %s", text(found))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// shop returns a Prometheus with a day's history of a shop, which a test
// exporter goes on with, and an instant at which all is there.
func shop(t *testing.T) (lint.Prometheus, time.Time) {
	t.Helper()
	dir := t.TempDir()
	at := time.Now().Truncate(time.Second)
	writeHistory(t, filepath.Join(dir, "data"), at)
	exporter := httptest.NewServer(promhttp.HandlerFor(shopMetrics(), promhttp.HandlerOpts{}))
	t.Cleanup(exporter.Close)
	p, err := servers.StartPrometheus(t.Context(), servers.PrometheusSpec{
		Name: "shop", Dir: dir, Flags: []string{"--storage.tsdb.retention.time=15d"},
		Config: fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: shop
    static_configs: [{targets: [%q]}]
`, strings.TrimPrefix(exporter.URL, "http://")),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	server, err := lint.NewPrometheus(p.URL, client)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for kind := ""; kind == ""; {
		select {
		case <-t.Context().Done():
			t.Fatal("the exporter is not scraped")
		case <-tick.C:
		}
		if kind, err = server.Type(t.Context(), "queue_jobs_total"); err != nil {
			t.Fatal(err)
		}
	}
	return server, at
}

// shopMetrics are what the exporter says: their types above all.
func shopMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	app := prometheus.Labels{"app": "shop"}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests.", ConstLabels: app}, []string{"status", "region"})
	requests.WithLabelValues("200", "eu").Inc()
	jobs := prometheus.NewGauge(prometheus.GaugeOpts{Name: "queue_jobs_total", Help: "Jobs, misnamed.", ConstLabels: app}) //nolint:promlinter // that is the mistake.
	seconds := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "request_seconds", Help: "Latency.", ConstLabels: app, Buckets: []float64{0.1, 0.5, 1}})
	seconds.Observe(0.2)
	r.MustRegister(requests, jobs, seconds)
	return r
}

// writeHistory writes a block with a day of samples.
func writeHistory(t *testing.T, dir string, until time.Time) {
	t.Helper()
	w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, (365 * 24 * time.Hour).Milliseconds())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	app := w.Appender(t.Context())
	counter := func(every time.Duration, perSecond float64, ls ...string) {
		var ref storage.SeriesRef
		begin := until.Add(-26 * time.Hour)
		for at := begin; !at.After(until); at = at.Add(every) {
			if ref, err = app.Append(ref, labels.FromStrings(append(ls, "app", "shop")...), at.UnixMilli(), math.Floor(perSecond*at.Sub(begin).Seconds())); err != nil {
				t.Fatal(err)
			}
		}
	}
	const name, often = model.MetricNameLabel, 15 * time.Second
	counter(often, 20, name, "http_requests_total", "status", "200", "region", "eu")
	counter(often, 0.01, name, "http_requests_total", "status", "500", "region", "asia")
	counter(often, 25, name, "busy_total")
	counter(3*time.Minute, 5, name, "rare_total")
	counter(often, 2.0/86400, name, "quiet_total") // two events a day
	for le, perSecond := range map[string]float64{"0.1": 10, "0.5": 15, "1.0": 19, "+Inf": 20} {
		counter(often, perSecond, name, "request_seconds_bucket", "le", le)
	}
	counter(often, 20, name, "request_seconds_count")
	gauge(t, app, until, labels.FromStrings(name, "up", "job", "shop", "instance", "old"))
	many(t, app, until)
	native(t, app, until)
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func gauge(t *testing.T, app storage.Appender, until time.Time, ls labels.Labels) {
	t.Helper()
	for at := until.Add(-2 * time.Hour); !at.After(until); at = at.Add(15 * time.Second) {
		if _, err := app.Append(0, ls, at.UnixMilli(), 1); err != nil {
			t.Fatal(err)
		}
	}
}

// many writes more series than a side should select.
func many(t *testing.T, app storage.Appender, until time.Time) {
	t.Helper()
	for i := range 10_001 {
		ls := labels.FromStrings(model.MetricNameLabel, "many_total", "app", "shop", "path", fmt.Sprintf("/%d", i))
		if _, err := app.Append(0, ls, until.UnixMilli(), 1); err != nil {
			t.Fatal(err)
		}
	}
}

func native(t *testing.T, app storage.Appender, until time.Time) {
	t.Helper()
	ls := labels.FromStrings(model.MetricNameLabel, "native_seconds", "app", "shop")
	var h *histogram.Histogram
	for i := range int64(240) {
		h = tsdbutil.GenerateTestHistogram(i)
		if _, err := app.AppendHistogram(0, ls, until.Add(time.Duration(i-239)*15*time.Second).UnixMilli(), h, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// A server may answer anything: what is no answer is said, and nothing is
// taken for one.
func TestAServerThatAnswersNonsense(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"a sample that is null": {`{"status":"success","data":{"resultType":"vector","result":[null]}}`, "a sample of the answer is none"},
		"a text":                {`{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`, "query "},
		"null":                  {`null`, "query "},
	} {
		t.Run(name, func(t *testing.T) {
			h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.answer) }))
			t.Cleanup(h.Close)
			server, err := lint.NewPrometheus(h.URL, h.Client())
			if err != nil {
				t.Fatal(err)
			}
			if v, err := server.Query(t.Context(), "up", time.Unix(0, 0)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: %v", v, err)
			}
		})
	}
}
