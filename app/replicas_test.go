package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/notifiers/webhook"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/client"
)

// calls keeps the pages that webhook calls brought, each once however often it
// was sent.
type calls struct {
	mu   sync.Mutex
	seen map[sent]page.Kind
}

// sent is a page, however often it was sent.
type sent struct{ service, key string }

func (c *calls) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var m webhook.Message
	if json.NewDecoder(r.Body).Decode(&m) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[sent]page.Kind{}
	}
	c.seen[sent{m.Midwatch.Incident.Service, m.Midwatch.Key}] = m.Midwatch.Kind
}

// woke says which pages somebody was to be woken by: those that only bring an
// earlier message up to date are none.
func (c *calls) woke(service string) []page.Kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kinds []page.Kind
	for what, kind := range c.seen {
		if what.service == service && kind != page.Updated {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// replica runs one of several Midwatches on one database, and returns its
// client and its stop.
func replica(t *testing.T, database, hook string) (*client.Client, string, func()) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"slo.yaml", "oncall.yaml"} {
		content, err := os.ReadFile(filepath.Join("..", "testdata", "bench", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf(`external_url: http://127.0.0.1:1
slo_files: [slo.yaml]
oncall_files: [oncall.yaml]
clusters: [{name: bench, urls: ["http://127.0.0.1:1"]}]
store: {url: %q}
evidence: {wait: 0s}
notifiers: {webhook: {url: %q}}
api: {tokens: [{name: li.na, token: only-for-a-test}]}
`, database, hook)
	file := filepath.Join(dir, "midwatch.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{ConfigFile: file, ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	url := "http://" + a.Addr()
	c, err := client.New(client.Config{URL: url, Token: secret.New("only-for-a-test")})
	if err != nil {
		t.Fatal(err)
	}
	return c, url, stop
}

func fire(t *testing.T, url, service string) {
	t.Helper()
	body := fmt.Sprintf(`[{"labels": {"alertname": "SLOErrorBudgetBurn", "service": %q, "slo": "availability", "severity": "P1", "cluster": "bench"}}]`, service)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v2/alerts", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

func TestReplicasOnOneDatabaseAreOneMidwatch(t *testing.T) {
	pg, err := servers.StartPostgres(t.Context(), servers.PostgresSpec{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pg.Stop() })
	got := &calls{}
	hook := httptest.NewServer(got)
	t.Cleanup(hook.Close)

	one, urlOne, stopOne := replica(t, pg.URL(), hook.URL)
	two, urlTwo, _ := replica(t, pg.URL(), hook.URL)

	fire(t, urlOne, "payments") // as each Prometheus does, to both
	fire(t, urlTwo, "payments")
	until(t, "the page", func() bool { return len(got.woke("payments")) > 0 })
	list, err := one.List(t.Context(), false)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d incidents, %v", len(list), err)
	}

	stopOne() // whoever is left goes on
	fire(t, urlTwo, "orders")
	until(t, "the page after one replica stopped", func() bool { return len(got.woke("orders")) > 0 })
	inc, err := two.Acknowledge(t.Context(), list[0].ID, "")
	if err != nil || inc.AckedBy != "li.na" {
		t.Errorf("acknowledge: %+v, %v", inc, err)
	}
	if woke := got.woke("payments"); !slices.Equal(woke, []page.Kind{page.Opened}) {
		t.Errorf("paged as %v, want once", woke)
	}
}
