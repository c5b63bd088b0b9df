package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/app"
)

// BenchmarkPageLatency measures how long it takes from a POST of a P1 to the
// channel's request, over HTTP on both sides and with evidence.wait 0, while
// 1,000 alerts a second are sent besides.
func BenchmarkPageLatency(b *testing.B) {
	pages := newHook()
	receiver := httptest.NewServer(pages)
	defer receiver.Close()
	url := serveBench(b, receiver.URL)
	ctx, stop := context.WithCancel(b.Context())
	var background sync.WaitGroup
	background.Go(func() { rain(ctx, b, url) })
	<-pages.of("background-0") // it rains

	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		service := fmt.Sprintf("core-%d", i)
		arrived, begun := pages.of(service), time.Now()
		postBench(b, url, []map[string]any{benchAlert(service, "P1", 0)})
		took = append(took, (<-arrived).Sub(begun))
	}
	stop()
	background.Wait()
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// hook tells when a service is first paged.
type hook struct {
	mu      sync.Mutex
	arrived map[string]chan time.Time
}

func newHook() *hook { return &hook{arrived: map[string]chan time.Time{}} }

func (h *hook) of(service string) chan time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.arrived[service] == nil {
		h.arrived[service] = make(chan time.Time, 1)
	}
	return h.arrived[service]
}

func (h *hook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	at := time.Now()
	var m struct {
		CommonLabels map[string]string `json:"commonLabels"`
	}
	if json.NewDecoder(r.Body).Decode(&m) == nil {
		select {
		case h.of(m.CommonLabels["service"]) <- at:
		default: // it was paged before
		}
	}
}

// serveBench runs a Midwatch that pages to a webhook and returns its URL.
func serveBench(b *testing.B, receiver string) string {
	b.Helper()
	dir := b.TempDir()
	for _, name := range []string{"slo.yaml", "oncall.yaml"} {
		content, err := os.ReadFile(filepath.Join("..", "testdata", "bench", name))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	config := fmt.Sprintf(`external_url: http://127.0.0.1:1
slo_files: [slo.yaml]
oncall_files: [oncall.yaml]
clusters: [{name: bench, urls: ["http://127.0.0.1:1"]}]
evidence: {wait: 0s}
incidents: {pages_per_minute: -1}
notifiers: {webhook: {url: %q}}
api: {tokens: [{name: bench, token: only-for-measuring}]}
`, receiver)
	file := filepath.Join(dir, "midwatch.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	a, err := app.New(b.Context(), app.Options{ConfigFile: file, ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return "http://" + a.Addr()
}

// rain sends 1,000 alerts a second, in batches of 100: 10,000 different ones
// in 200 groups, again and again.
func rain(ctx context.Context, b *testing.B, url string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		batch := make([]map[string]any, 100)
		for i := range batch {
			id := (n*100 + i) % 10_000
			batch[i] = benchAlert(fmt.Sprintf("background-%d", id%200), "P2", id)
		}
		postBench(b, url, batch)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func benchAlert(service, severity string, id int) map[string]any {
	return map[string]any{"labels": map[string]string{
		"alertname": "SLOErrorBudgetBurn", "service": service, "slo": "availability", "severity": severity,
		"cluster": "bench", "tier": "1h5m", "id": fmt.Sprint(id),
	}}
}

func postBench(b *testing.B, url string, alerts []map[string]any) {
	body, err := json.Marshal(alerts)
	if err != nil {
		b.Error(err)
		return
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(b.Context()), http.MethodPost, url+"/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Errorf("%s", resp.Status)
	}
}
