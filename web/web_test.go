package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/wire"
)

var start = time.Date(2026, 11, 21, 3, 21, 40, 0, time.UTC)

const (
	sharedToken = "shared-0123456789"
	linsToken   = "lins-own-0123456789"
)

// rooms stands in for the rest of Midwatch. What is in fail is returned by
// every method.
type rooms struct {
	received  []alert.Alert
	open      []alert.Incident
	resolved  []alert.Incident
	story     Story
	standings Standings
	watches   []wire.Watch
	acted     []string
	fail      error
	actFail   error // of acting only
	wait      bool  // until the context ends
	ready     bool
	reload    error
}

func (f *rooms) err(ctx context.Context) error {
	if f.wait {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.fail
}

func (f *rooms) Receive(ctx context.Context, alerts []alert.Alert) error {
	if err := f.err(ctx); err != nil {
		return err
	}
	f.received = append(f.received, alerts...)
	return nil
}

func (f *rooms) List(ctx context.Context, all bool) ([]alert.Incident, error) {
	if all {
		return append(f.open, f.resolved...), f.err(ctx)
	}
	return f.open, f.err(ctx)
}

func (f *rooms) Story(ctx context.Context, id int64) (Story, error) {
	if id != f.story.Incident.ID {
		return Story{}, ErrNotFound
	}
	return f.story, f.err(ctx)
}

func (f *rooms) Acknowledge(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return f.act(ctx, "ack", id, actor)
}

func (f *rooms) Resolve(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return f.act(ctx, "resolve", id, actor)
}

func (f *rooms) act(ctx context.Context, what string, id int64, actor string) (alert.Incident, error) {
	if id != f.story.Incident.ID {
		return alert.Incident{}, ErrNotFound
	}
	if err := cmp.Or(f.actFail, f.err(ctx)); err != nil {
		return alert.Incident{}, err
	}
	f.acted = append(f.acted, what+" by "+actor)
	inc := f.story.Incident
	inc.AckedBy = actor
	return inc, nil
}

func (f *rooms) Board(ctx context.Context) (Standings, error) { return f.standings, f.err(ctx) }
func (f *rooms) Watches(time.Time) []wire.Watch               { return f.watches }

// house is a handler, what is behind it, and its log.
type house struct {
	*Handler
	rooms *rooms
	log   *bytes.Buffer
	reg   *prometheus.Registry
}

func newHouse(t *testing.T, change func(*Config)) house {
	t.Helper()
	f := &rooms{ready: true, open: []alert.Incident{outage()}, story: outageStory()}
	tokens, err := NewTokens([]TokenConfig{{Token: secret.New(sharedToken)}, {Name: "Lin Yue", Token: secret.New(linsToken)}})
	if err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	reg := prometheus.NewRegistry()
	c := Config{
		Receiver: f, Incidents: f, Board: f, OnCall: f, Tokens: tokens,
		Ready: func() bool { return f.ready }, Reload: func(context.Context) error { return f.reload },
		Logger:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Gatherer: reg, Registerer: reg,
		Now:     func() time.Time { return start },
		Version: "1.2.3", SourceURL: "https://example.com/source/abc",
	}
	if change != nil {
		change(&c)
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return house{Handler: h, rooms: f, log: log, reg: reg}
}

// ask answers one request; header holds name and value in turn.
func (h house) ask(t *testing.T, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return h.send(t, method, target, strings.NewReader(body), header...)
}

func (h house) send(t *testing.T, method, target string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, body)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func wantCode(t *testing.T, w *httptest.ResponseRecorder, code int) {
	t.Helper()
	if w.Code != code {
		t.Fatalf("answered %d, want %d: %s", w.Code, code, w.Body)
	}
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

func wantNotIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("%q is in:\n%s", p, text)
		}
	}
}

func burning(cluster string) alert.Alert {
	return alert.Alert{
		Labels: model.LabelSet{
			"alertname": "SLOErrorBudgetBurn", "service": "payment-service", "slo": "payment-availability",
			"severity": "P1", "tier": "1h5m", "cluster": model.LabelValue(cluster),
		},
		Annotations:  model.LabelSet{"summary": "payments fail"},
		StartsAt:     start.Add(-9 * time.Minute),
		EndsAt:       start.Add(4 * time.Minute),
		State:        alert.Firing,
		GeneratorURL: "http://prometheus.example.com/graph",
	}
}

func outage() alert.Incident {
	return alert.Incident{
		ID: 42, Key: "payment-service/payment-availability", Service: "payment-service", SLO: "payment-availability",
		Title: "payments burn their budget", Level: alert.P1, Status: alert.Open,
		Since: start.Add(-9 * time.Minute), OpenedAt: start.Add(-8 * time.Minute), Alerts: []alert.Alert{burning("hangzhou")},
	}
}

func outageStory() Story {
	return Story{
		Incident: outage(),
		Events:   []alert.Event{{At: start.Add(-8 * time.Minute), Kind: alert.EventPaged, Text: "Paged Lin Yue by wecom"}},
		Evidence: []page.Evidence{{
			Source: "logs", Window: 15 * time.Minute, Link: "https://grafana.example.com/explore",
			Patterns: []page.LogPattern{{
				Template: "TimeoutException: pool <*>", Count: 2317, Before: 4, Sample: "TimeoutException: pool payments-db",
				TraceID: "4bf92f3577b34da6", Cluster: "hangzhou", Pod: "payment-service-7d9c",
			}},
		}},
		SLO: page.SLO{
			Description: "Payments succeed.", Objective: "99.95", Window: "30d", Runbook: "https://runbooks.example.com/payments",
			Standings: []page.Standing{
				{Cluster: "beijing", ErrorRatio: 0.0001, BurnRate: 0.2, BudgetLeft: 0.96},
				{Cluster: "hangzhou", ErrorRatio: 0.4, BurnRate: 800, BudgetLeft: 0.183},
			},
		},
	}
}

var errInside = errors.New("dial tcp 10.1.2.3:5432: password of postgres://user:hunter2 is wrong")

func TestConfigIsChecked(t *testing.T) {
	h := newHouse(t, nil)
	for name, change := range map[string]func(*Config){
		"no incidents":      func(c *Config) { c.Incidents = nil },
		"no logger":         func(c *Config) { c.Logger = nil },
		"no source":         func(c *Config) { c.SourceURL = "" },
		"source is no URL":  func(c *Config) { c.SourceURL = "javascript:alert(1)" },
		"registered before": func(c *Config) { c.Registerer = h.reg },
	} {
		c := h.Config
		c.Registerer = prometheus.NewRegistry()
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	h := newHouse(t, nil)
	for _, target := range []string{
		"/", "/incidents", "/incidents/42", "/incidents/7", "/nothing", "/assets/nothing", "/metrics", "/-/healthy", "/-/ready",
		"/-/reload", "/api/v1/incidents", "/api/v1/query", "/api/v2/alerts", "/api/v2/status", "/api/v3",
	} {
		hd := h.ask(t, http.MethodGet, target, "").Header()
		wantIn(t, hd.Get("Content-Security-Policy"), "default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got := hd.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
}

func TestWrongMethods(t *testing.T) {
	h := newHouse(t, nil)
	for _, c := range []struct{ method, target, allow string }{
		{"PUT", "/api/v2/alerts", "GET, HEAD, POST"},
		{"POST", "/api/v2/silence/x", "GET, HEAD, DELETE"},
		{"POST", "/api/v1/incidents", "GET, HEAD"},
		{"DELETE", "/api/v1/incidents/42", "GET, HEAD"},
		{"GET", "/api/v1/incidents/42/ack", "POST"},
		{"PUT", "/incidents/42", "GET, HEAD, POST"},
		{"POST", "/", "GET, HEAD"},
		{"GET", "/-/reload", "POST"},
	} {
		w := h.ask(t, c.method, c.target, "")
		if got := w.Header().Get("Allow"); w.Code != http.StatusMethodNotAllowed || got != c.allow {
			t.Errorf("%s %s: answered %d, Allow %q, want %q", c.method, c.target, w.Code, got, c.allow)
		}
	}
}

func TestSourcesThatHang(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.wait = true
	r, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for target, want := range map[string]int{"/api/v1/incidents": http.StatusGatewayTimeout, "/incidents": http.StatusGatewayTimeout, "/": http.StatusOK} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(r, http.MethodGet, target, nil))
		wantCode(t, w, want)
		wantIn(t, w.Body.String(), "no answer in time")
		wantNotIn(t, w.Body.String(), "All quiet")
	}
}

func TestClientThatLeaves(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.wait = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/incidents", nil))
	wantCode(t, w, statusClientGone)
}

func TestPanics(t *testing.T) {
	begun := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/late" {
			w.WriteHeader(http.StatusOK)
		}
		panic("insides of " + r.URL.Path)
	})
	h := newHouse(t, func(c *Config) { c.Query = begun })
	w := h.ask(t, http.MethodGet, "/api/v1/query", "")
	wantCode(t, w, http.StatusInternalServerError)
	wantIn(t, w.Body.String(), `"errorType":"internal"`)
	wantNotIn(t, w.Body.String(), "insides")
	wantIn(t, h.log.String(), "insides of /api/v1/query")

	srv := httptest.NewServer(h)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/api/v1/late", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("an answer that panicked half way looks whole")
	}
}

func TestMetrics(t *testing.T) {
	h := newHouse(t, nil)
	h.ask(t, http.MethodGet, "/api/v1/incidents/7", "")
	h.ask(t, http.MethodGet, "/api/v1/incidents/8", "")
	w := h.ask(t, http.MethodGet, "/metrics", "")
	wantCode(t, w, http.StatusOK)
	wantIn(t, w.Body.String(),
		`midwatch_http_requests_total{code="404",handler="api_incident"} 2`,
		`midwatch_http_request_duration_seconds_count{handler="api_incident"} 2`)
	wantIn(t, h.log.String(), "path=/api/v1/incidents/7", "code=404")
}

func TestProcess(t *testing.T) {
	h := newHouse(t, nil)
	wantCode(t, h.ask(t, http.MethodGet, "/-/healthy", ""), http.StatusOK)
	wantCode(t, h.ask(t, http.MethodGet, "/-/ready", ""), http.StatusOK)
	h.rooms.ready = false
	wantCode(t, h.ask(t, http.MethodGet, "/-/healthy", ""), http.StatusOK)
	wantCode(t, h.ask(t, http.MethodGet, "/-/ready", ""), http.StatusServiceUnavailable)
}

func TestServerHasLimits(t *testing.T) {
	s := newHouse(t, nil).Server()
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("a limit is missing: %+v", s)
	}
}

func nan() float64 { return math.NaN() }
