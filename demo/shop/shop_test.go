package shop

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

// One connection serves 18 payments a second; 30 a second ask: 40% wait in
// vain, and nobody does when all ten are there.
func TestPoolThatLeaksFailsTwoOfFive(t *testing.T) {
	for _, c := range []struct {
		name     string
		leaked   int
		min, max float64
	}{
		{"leaking", leakSize, 0.38, 0.42},
		{"whole", 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failed, all := askPool(t, c.leaked)
				if share := float64(failed) / float64(all); share < c.min || share > c.max {
					t.Errorf("%d of %d payments failed: %.3f, want %.2f to %.2f", failed, all, share, c.min, c.max)
				}
			})
		})
	}
}

// askPool asks for a connection 30 times a second, at random instants, for
// five minutes.
func askPool(t *testing.T, leaked int) (failed, all int) {
	pool := NewPool("p", poolSize, traffic.PoolTimeout)
	if err := pool.Leak(t.Context(), leaked); err != nil {
		t.Fatal(err)
	}
	dice := newChance(1, "test")
	var wg sync.WaitGroup
	var mu sync.Mutex
	for begin := time.Now(); time.Since(begin) < 5*time.Minute; all++ {
		_ = pause(t.Context(), time.Duration(dice.exp()/30*float64(time.Second)))
		wg.Go(func() {
			if err := pool.Acquire(t.Context()); err != nil {
				mu.Lock()
				failed++
				mu.Unlock()
				return
			}
			_ = pause(t.Context(), traffic.Query)
			pool.Release()
		})
	}
	wg.Wait()
	return failed, all
}

func TestPoolHealsWhole(t *testing.T) {
	p := NewPool("HikariPool-1", 2, time.Millisecond)
	if err := p.Leak(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	err := p.Acquire(t.Context())
	if err == nil || !strings.Contains(err.Error(), "HikariPool-1 - connection is not available, request timed out after ") ||
		!strings.HasSuffix(err.Error(), "(total=2, active=2, idle=0, waiting=0)") {
		t.Errorf("leaked pool: %v", err)
	}
	p.Heal()
	if got, want := p.State(), (PoolState{Size: 2, Idle: 2}); got != want {
		t.Errorf("healed pool: %+v, want %+v", got, want)
	}
}

// A real shop, asked over HTTP, with a Loki that keeps what is pushed.
func TestShopServesCountsAndLogs(t *testing.T) {
	var mu sync.Mutex
	pushed := map[string]string{} // a line of each app and level
	loki := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct{ Streams []stream }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range body.Streams {
			if len(s.Stream) != 5 || s.Stream["cluster"] != "hangzhou" || s.Stream["namespace"] != "prod" || s.Stream["container"] != s.Stream["app"] {
				t.Errorf("labels of a stream: %v", s.Stream)
			}
			for _, v := range s.Values {
				if s.Stream["level"] == levelInfo || strings.Contains(v[1], "HikariPool-1") {
					pushed[s.Stream["app"]+" "+s.Stream["level"]] = v[1]
				}
			}
		}
	}))
	defer loki.Close()
	urls := runShop(t, loki.URL)
	post(t, urls[traffic.PaymentService]+"/admin/pool/leak")
	failure := "payment-service ERROR"
	waitFor(t, "a failed payment, logged", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return pushed[failure] != "" && pushed["user-center INFO"] != "" && pushed["order-service INFO"] != ""
	})
	var l line
	if err := json.Unmarshal([]byte(pushed[failure]), &l); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(l.Message, "TimeoutException: HikariPool-1 - ") || l.ErrorCode != "DB_POOL_TIMEOUT" || len(l.TraceID) != 32 || len(l.SpanID) != 16 {
		t.Errorf("line of a failed payment: %+v", l)
	}
	var o Outage
	if err := json.Unmarshal([]byte(post(t, urls[traffic.PaymentService]+"/admin/pool/heal")), &o); err != nil {
		t.Fatal(err)
	}
	if o.Failures == 0 || !o.FirstFailure.After(o.BrokenAt) || o.HealedAt.IsZero() || o.Pool.Leaked != 0 {
		t.Errorf("report of the outage: %+v", o)
	}
	metrics := ask(t, http.MethodGet, urls[traffic.PaymentService]+"/metrics")
	for _, want := range []string{
		`http_requests_total{app="payment-service",path="/api/payments",status="201"} `,
		`http_requests_total{app="payment-service",path="/api/payments",status="500"} 0`,
		`http_requests_total{app="payment-service",path="/api/payments",status="503"} `,
		`http_server_requests_seconds_bucket{app="payment-service",path="/api/payments",le="0.1"} `,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func runShop(t *testing.T, loki string) map[string]string {
	t.Helper()
	_, cluster, err := traffic.Find("hangzhou")
	if err != nil {
		t.Fatal(err)
	}
	listeners, urls := map[string]net.Listener{}, map[string]string{}
	for _, app := range traffic.Apps() {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[app], urls[app] = l, "http://"+l.Addr().String()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{Cluster: cluster, Listeners: listeners, Loki: loki, Logger: slog.New(slog.DiscardHandler)})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return urls
}

func post(t *testing.T, url string) string { t.Helper(); return ask(t, http.MethodPost, url) }

func ask(t *testing.T, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %v", method, url, resp.Status, err)
	}
	return string(b)
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}
