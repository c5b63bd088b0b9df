package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web"
	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

const token = "shared-0123456789"

// rooms has one incident, 42.
type rooms struct{ incident alert.Incident }

func (r *rooms) Receive(context.Context, []alert.Alert) error { return nil }
func (r *rooms) Board(context.Context) (web.Standings, error) { return web.Standings{}, nil }
func (r *rooms) List(context.Context, bool) ([]alert.Incident, error) {
	return []alert.Incident{r.incident}, nil
}

func (r *rooms) Watches(time.Time) []wire.Watch {
	return []wire.Watch{{Schedule: "payments", Now: wire.Shift{User: "lin"}}}
}

func (r *rooms) Story(_ context.Context, id int64) (web.Story, error) {
	if id != r.incident.ID {
		return web.Story{}, web.ErrNotFound
	}
	return web.Story{Incident: r.incident, SLO: page.SLO{Standings: []page.Standing{{Cluster: "hangzhou", BurnRate: 800, BudgetLeft: math.NaN()}}}}, nil
}

func (r *rooms) Acknowledge(_ context.Context, _ int64, actor string) (alert.Incident, error) {
	if r.incident.Status == alert.Closed {
		return alert.Incident{}, web.ErrConflict
	}
	r.incident.Status, r.incident.AckedBy = alert.Acknowledged, actor
	return r.incident, nil
}

func (r *rooms) Resolve(_ context.Context, _ int64, actor string) (alert.Incident, error) {
	r.incident.Status, r.incident.ResolvedBy = alert.Closed, actor
	return r.incident, nil
}

// serve starts Midwatch's own handler and returns where.
func serve(t *testing.T) string {
	t.Helper()
	r := &rooms{alert.Incident{ID: 42, Level: alert.P1, Status: alert.Open, Since: time.Date(2026, 11, 21, 3, 12, 0, 0, time.UTC)}}
	tokens, err := web.NewTokens([]web.TokenConfig{{Token: secret.New(token)}})
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	h, err := web.New(web.Config{
		Receiver: r, Incidents: r, Board: r, OnCall: r, Ready: func() bool { return true }, Tokens: tokens,
		Logger: slog.New(slog.DiscardHandler), Gatherer: reg, Registerer: reg, SourceURL: "https://example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	return listen(t, h)
}

func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func newClient(t *testing.T, url, token string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url, Token: secret.New(token), Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAgainstTheRealHandler(t *testing.T) {
	c := newClient(t, serve(t), token)
	list, err := c.List(t.Context(), true)
	if err != nil || len(list) != 1 || list[0].ID != 42 || list[0].Level != alert.P1 {
		t.Fatalf("list: %+v, %v", list, err)
	}
	s, err := c.Get(t.Context(), 42)
	if err != nil || len(s.SLO.Standings) != 1 {
		t.Fatalf("get: %+v, %v", s, err)
	}
	if st := s.SLO.Standings[0]; st.BurnRate != 800 || !math.IsNaN(float64(st.BudgetLeft)) {
		t.Errorf("standing %+v: want 800 and NaN", st)
	}
	if inc, err := c.Acknowledge(t.Context(), 42, "Lin Yue"); err != nil || inc.Status != alert.Acknowledged || inc.AckedBy != "Lin Yue" {
		t.Errorf("acknowledge: %+v, %v", inc, err)
	}
	if inc, err := c.Resolve(t.Context(), 42, "Wei"); err != nil || inc.Status != alert.Closed || inc.ResolvedBy != "Wei" {
		t.Errorf("resolve: %+v, %v", inc, err)
	}
	if watches, err := c.OnCall(t.Context()); err != nil || len(watches) != 1 || watches[0].Now.User != "lin" {
		t.Errorf("on call: %+v, %v", watches, err)
	}
}

func TestRefusals(t *testing.T) {
	url := serve(t)
	c := newClient(t, url, token)
	if _, err := c.Resolve(t.Context(), 42, ""); err != nil {
		t.Fatal(err)
	}
	_, missing := c.Get(t.Context(), 7)
	_, over := c.Acknowledge(t.Context(), 42, "")
	_, noToken := newClient(t, url, "").Acknowledge(t.Context(), 42, "")
	_, wrongToken := newClient(t, url, "wrong-0123456789").Resolve(t.Context(), 42, "")
	for _, x := range []struct {
		err    error
		status int
		kind   string
		text   string
	}{
		{missing, 404, wire.NotFound, "get incident 7: there is no incident 7"},
		{over, 409, wire.Conflict, "acknowledge incident 42: incident 42 is already resolved"},
		{noToken, 401, wire.Unauthorized, "acting needs a token"},
		{wrongToken, 401, wire.Unauthorized, "not one of those configured"},
	} {
		var e *client.Error
		if !errors.As(x.err, &e) || e.Status != x.status || e.Type != x.kind || !strings.Contains(x.err.Error(), x.text) {
			t.Errorf("got %v (%+v), want %d %s %q", x.err, e, x.status, x.kind, x.text)
		}
	}
}

func TestOtherServers(t *testing.T) {
	const data = `{"status":"success","data":`
	for name, x := range map[string]struct {
		answer func(w http.ResponseWriter)
		text   string
	}{
		"a page":      {func(w http.ResponseWriter) { w.WriteHeader(502); _, _ = io.WriteString(w, "<h1>Bad gateway") }, "answers 502 Bad Gateway, and not as Midwatch does"},
		"other JSON":  {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{}`) }, "not as Midwatch does"},
		"a redirect":  {func(w http.ResponseWriter) { w.Header().Set("Location", "https://elsewhere"); w.WriteHeader(302) }, `redirects to "https://elsewhere"`},
		"half":        {func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100"); _, _ = io.WriteString(w, data) }, "read the answer"},
		"other data":  {func(w http.ResponseWriter) { _, _ = io.WriteString(w, data+`"x"}`) }, "understand the answer"},
		"over bounds": {func(w http.ResponseWriter) { _, _ = io.CopyN(w, spaces{}, 65<<20) }, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				x.answer(w)
			}))
			_, err := newClient(t, url, token).List(t.Context(), false)
			if err == nil || !strings.Contains(err.Error(), x.text) {
				t.Errorf("got %v, want %q", err, x.text)
			}
		})
	}
}

type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	_ = l.Close()
	_, err = newClient(t, "http://"+free, token).List(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "nothing listens at "+free+": is `midwatch serve` running there?") {
		t.Errorf("got %v", err)
	}

	release := make(chan struct{})
	url := listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer close(release)
	c, err := client.New(client.Config{URL: url, Timeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Get(t.Context(), 1); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "within 1ms") {
		t.Errorf("got %v", err)
	}

	if _, err := newClient(t, strings.Replace(serve(t), "http:", "https:", 1), token).List(t.Context(), false); err == nil || !strings.Contains(err.Error(), "speaks http, not https") {
		t.Errorf("got %v", err)
	}
}

func TestTheTokenGoesOnlyWhereItIsNeeded(t *testing.T) {
	var got []string
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":null}`)
	}))
	c := newClient(t, url+"/midwatch/", token)
	_, err1 := c.List(t.Context(), true)
	_, err2 := c.Acknowledge(t.Context(), 42, "")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	want := "GET /midwatch/api/v1/incidents?all=true |POST /midwatch/api/v1/incidents/42/ack Bearer " + token
	if g := strings.Join(got, "|"); g != want {
		t.Errorf("asked %q, want %q", g, want)
	}
}

func TestURLsThatCannotBe(t *testing.T) {
	for _, url := range []string{"", "localhost:9093", "ftp://localhost", "http://", "http://u:hunter2@localhost", "http://a b"} {
		if _, err := client.New(client.Config{URL: url}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v", url, err)
		}
	}
}
