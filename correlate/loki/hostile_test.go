package loki

import (
	"bytes"
	"context"
	"fmt"
	"log" //nolint:depguard // logcli prints to it.
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/page"
)

const series = `{"status":"success","data":[{"app":"pay","cluster":"hangzhou","level":"error"}]}`

func payIncident(at time.Time) alert.Incident {
	return alert.Incident{ID: 1, Service: "pay", Since: at, Alerts: []alert.Alert{
		{Labels: model.LabelSet{"cluster": "hangzhou"}},
	}}
}

// ask collects from a Loki that answers as handler does.
func ask(ctx context.Context, t *testing.T, handler http.HandlerFunc, change func(*Config)) page.Evidence {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c := Config{
		URL: server.URL, Username: "midwatch", Password: secret.New("hunter2"), Timeout: 5 * time.Second,
		GrafanaURL: "https://grafana.example.com/", GrafanaDatasource: "loki",
	}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.Collect(ctx, payIncident(time.Now()), "")
}

func TestProblemsOfLoki(t *testing.T) {
	var printed bytes.Buffer
	writer := log.Writer()
	log.SetOutput(&printed) // logcli prints to it what we must not
	t.Cleanup(func() { log.SetOutput(writer) })
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"500":               {answer(500, "text/plain", "boom\nstack\n"), "loki answered 500 Internal Server Error: boom stack"},
		"429":               {answer(429, "text/plain", "too many outstanding requests"), "loki answered 429 Too Many Requests: too many outstanding requests"},
		"400 in JSON":       {answer(400, "application/json", `{"status":"error","error":"parse error at line 1"}`), "loki answered 400 Bad Request: parse error at line 1"},
		"502 of a proxy":    {answer(502, "text/html", "<html>bad gateway</html>"), "loki answered 502 Bad Gateway"},
		"login page":        {answer(200, "text/html", "<html>log in</html>"), "loki: the answer is not Loki's"},
		"redirect":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, "loki answered 302 Found"},
		"empty":             {answer(200, "application/json", ""), "loki: the answer is not Loki's"},
		"no JSON":           {answer(200, "application/json", "hello"), "loki: the answer is not Loki's"},
		"other JSON":        {answer(200, "application/json", `{"status":"error"}`), "loki: the answer is not Loki's"},
		"nested deep":       {answer(200, "application/json", strings.Repeat(`{"data":[`, 200000)), "loki: the answer is not Loki's"},
		"echoes the secret": {answer(401, "text/plain", "midwatch:hunter2 is not known"), "loki answered 401 Unauthorized: midwatch:<secret> is not known"},
		"half a body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"status":"success",`)
		}, "loki broke off in the middle of its answer"},
		"no streams": {answer(200, "application/json", `{"status":"success","data":[]}`), `no log streams match {app="pay", cluster=~"hangzhou|"}`},
	} {
		t.Run(name, func(t *testing.T) {
			e := ask(t.Context(), t, c.handler, nil)
			if e.Problem != c.want {
				t.Errorf("problem %q, want %q", e.Problem, c.want)
			}
			if !strings.HasPrefix(e.Link, "https://grafana.example.com/explore?panes=") {
				t.Errorf("link %q", e.Link)
			}
		})
	}
	if printed.Len() > 0 {
		t.Errorf("the client printed %q", printed.String())
	}
}

func TestLokiThatIsNotThere(t *testing.T) {
	e := ask(t.Context(), t, nil, func(c *Config) { c.URL = "http://127.0.0.1:1" })
	if e.Problem != "loki is not reachable: connection refused" {
		t.Errorf("problem %q", e.Problem)
	}
}

// linesOr answers the question for streams, and gives lines to handler.
func linesOr(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/series") {
			fmt.Fprint(w, series)
			return
		}
		handler(w, r)
	}
}

func TestGarbageForLines(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"status":"success","data":{"resultType":"vector","result":[]}}`,
		`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":1},"values":[["x","y"]]}]}}`,
		`{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[[]]}]}}`,
		`{"status":"success","data":{"resultType":"streams","result":`,
		`{"data":{"resultType":"streams","result":[{"values":[["1","\ud800\u0000"]]}]`,
	} {
		e := ask(t.Context(), t, linesOr(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }), nil)
		if len(e.Patterns) > 0 && e.Problem == "" {
			t.Errorf("%s: patterns %v", body, e.Patterns)
		}
	}
}

func TestBeforeThatFailsIsSaid(t *testing.T) {
	var asked atomic.Int64
	start := time.Now()
	e := ask(t.Context(), t, linesOr(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.FormValue("end") < fmt.Sprint(start.UnixNano()) {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, streamsOf(`{"message":"boom 1"}`, `{"message":"boom 2"}`))
	}), nil)
	if want := "nothing to compare with: loki answered 503 Service Unavailable: no"; e.Problem != want {
		t.Errorf("problem %q, want %q", e.Problem, want)
	}
	want := page.LogPattern{Template: "boom <*>", Count: 2, AtLeast: true, Sample: "boom 1", Cluster: "hangzhou"}
	if len(e.Patterns) != 1 || e.Patterns[0] != want {
		t.Errorf("patterns %+v", e.Patterns)
	}
	if asked.Load() != 2 {
		t.Errorf("%d queries for lines: a failed one was repeated", asked.Load())
	}
}

func streamsOf(lines ...string) string {
	var values []string
	for i, l := range lines {
		values = append(values, fmt.Sprintf("[%q,%q]", fmt.Sprint(1_000_000_000_000_000_000-i), l))
	}
	return `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"cluster":"hangzhou","level":"error"},"values":[` + strings.Join(values, ",") + `]}]}}`
}

func TestFewerLinesAreReadWhenTheyAreHuge(t *testing.T) {
	e := ask(t.Context(), t, linesOr(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("limit") == "5000" {
			chunk := bytes.Repeat([]byte("x"), 1<<20)
			for range 33 {
				_, _ = w.Write(chunk)
			}
			return
		}
		fmt.Fprint(w, streamsOf(`{"message":"limit `+r.FormValue("limit")+`"}`))
	}), nil)
	if e.Problem != "" || len(e.Patterns) != 1 || e.Patterns[0].Sample != "limit 500" {
		t.Errorf("evidence %+v", e)
	}
}

func TestTheEndOfTheContextEndsTheRequest(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for name, c := range map[string]struct {
		timeout time.Duration // of the configuration
		want    string
	}{
		"cancelled": {time.Minute, "stopped before loki answered"},
		"timeout":   {50 * time.Millisecond, "loki gave no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, ended := make(chan struct{}), make(chan struct{})
			handler := func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusOK) // headers arrive, the body never does
				w.(http.Flusher).Flush()
				close(arrived)
				<-r.Context().Done()
				close(ended)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.timeout == time.Minute {
				go func() { <-arrived; cancel() }()
			}
			e := ask(ctx, t, handler, func(conf *Config) { conf.Timeout = c.timeout })
			if e.Problem != c.want {
				t.Errorf("problem %q, want %q", e.Problem, c.want)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the request still runs")
			}
		})
	}
}
