package federation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
)

// clusterTimeout is short: a hanging cluster must not hold up an answer.
const clusterTimeout = 400 * time.Millisecond

// steady returns n series of one value each.
func steady(name string, n int, f float64) []testSeries {
	out := make([]testSeries, n)
	for i := range out {
		out[i].labels = labels.FromStrings(model.MetricNameLabel, name, "instance", fmt.Sprint(i))
		for k := range scrapes {
			out[i].samples = append(out[i].samples, sample{t: dataStart.UnixMilli() + int64(k)*scrape.Milliseconds(), f: f})
		}
	}
	return out
}

// serve serves a handler on loopback, in silence.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

// healthy returns the handler of a Prometheus with 10 series "up" of value 1.
func healthy(t testing.TB) http.Handler {
	t.Helper()
	db := teststorage.New(t)
	load(t, db, steady("up", 10, 1))
	return standIn{}.handler(db)
}

// onRead replaces what a Prometheus does when it is asked for data, be it
// samples or answers.
func onRead(h http.Handler, read http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/read", "/api/v1/query", "/api/v1/query_range":
			read(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// record returns what a handler answers.
func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

type fault struct {
	name  string
	url   func(t *testing.T) string
	cause string // the warning's when samples are read
}

// evaluating returns the warning's cause when the cluster evaluates, "" when
// the fault is none then.
func (f fault) evaluating() string {
	switch {
	case f.name == "marks no end": // JSON does
		return ""
	case strings.HasPrefix(f.cause, "broken answer"), f.name == "ends after a checksum":
		return "broken answer"
	}
	return f.cause
}

const streamed = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"

// faults returns the ways in which a Prometheus that is like h can fail.
func faults(h http.Handler) []fault {
	type read = func(h http.Handler) http.HandlerFunc
	faulty := func(name, cause string, f read) fault {
		return fault{name: name, cause: cause, url: func(t *testing.T) string { return serve(t, onRead(h, f(h))) }}
	}
	answer := func(contentType, body string) read {
		return func(http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				_, _ = w.Write([]byte(body))
			}
		}
	}
	return []fault{
		{"refuses", func(t *testing.T) string {
			srv := httptest.NewServer(http.NotFoundHandler())
			srv.Close()
			return srv.URL
		}, "connection refused"},
		{"hangs", func(t *testing.T) string { return serve(t, http.HandlerFunc(hang)) }, "no answer within 400ms"},
		faulty("hangs when it reads", "no answer within 400ms", func(http.Handler) http.HandlerFunc { return hang }),
		faulty("answers 500", "answered 500 Internal Server Error", func(http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "secret insides", http.StatusInternalServerError)
			}
		}),
		faulty("redirects", "answered 302 Found", func(http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }
		}),
		faulty("is no Prometheus", "broken answer: neither streamed", answer("text/html", "<html>")),
		faulty("sends garbage", "broken answer: a frame", answer(streamed, strings.Repeat("garbage ", 100))),
		faulty("sends a huge frame", "broken answer: a frame is too large", answer(streamed, "\xff\xff\xff\xff\x0f....")),
		faulty("sends garbage samples", "broken answer: not a snappy block", answer("application/x-protobuf", "\xff\xff\xff\xff\xff")),
		faulty("ends after a length", "connection closed before the end", answer(streamed, "\x20")),
		faulty("ends after a checksum", "connection closed before the end", answer(streamed, "\x20abcd")),
		faulty("writes an error after data", "broken answer", errorAfterData),
		faulty("dies within the body", "connection closed before the end", deathWithinBody),
		faulty("marks no end", "broken answer: its end is not marked", unmarkedEnd),
	}
}

// errorAfterData answers as h does, then writes words into the stream.
func errorAfterData(h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := record(h, r)
		maps.Copy(w.Header(), rec.Header())
		_, _ = w.Write(append(rec.Body.Bytes(), strings.Repeat("query failed\n", 20)...))
	}
}

// deathWithinBody answers half of what h does.
func deathWithinBody(h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := record(h, r)
		maps.Copy(w.Header(), rec.Header())
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// unmarkedEnd answers as h does, in a protocol that does not say where that
// ends.
func unmarkedEnd(h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := record(h, r)
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		fmt.Fprintf(buf, "HTTP/1.0 200 OK\r\nContent-Type: %s\r\n\r\n", streamed)
		_, _ = buf.Write(rec.Body.Bytes())
		_ = buf.Flush()
	}
}

// hang takes the request, and waits until the client is gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that it is
	<-r.Context().Done()
}

func TestMissingClusterIsNamed(t *testing.T) {
	h := healthy(t)
	for _, f := range faults(h) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			t.Run("samples", func(t *testing.T) { wantMissing(federation.Unplanned(t.Context()), t, h, f, f.cause) })
			if cause := f.evaluating(); cause != "" {
				t.Run("answers", func(t *testing.T) { wantMissing(t.Context(), t, h, f, cause) })
			}
		})
	}
}

func wantMissing(ctx context.Context, t *testing.T, h http.Handler, f fault, cause string) {
	t.Helper()
	fed := newFederation(t, federation.Config{Timeout: clusterTimeout, Clusters: []federation.Cluster{
		{Name: "fine", URLs: []string{serve(t, h)}},
		{Name: "faulty", URLs: []string{f.url(t)}},
	}})
	begin := time.Now()
	v, notes, err := fed.Instant(ctx, `sum(up) or absent(up{cluster="faulty"})`, at(time.Hour))
	if took := time.Since(begin); took > 5*clusterTimeout {
		t.Errorf("the answer took %s, want about the cluster's timeout %s", took, clusterTimeout)
	}
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, v, 10)
	wantWarning(t, notes, `missing from this answer: cluster "faulty" (`+cause)
	if _, _, err := fed.Instant(federation.FailPartial(ctx), `sum(up)`, at(time.Hour)); !errors.Is(err, federation.ErrUnavailable) || !strings.Contains(err.Error(), `cluster "faulty" (`+cause) {
		t.Errorf("under FailPartial: got error %v, want ErrUnavailable that names the cluster", err)
	}
	if v, _, err := fed.Instant(ctx, `sum(up{cluster="faulty"})`, at(time.Hour)); !errors.Is(err, federation.ErrUnavailable) {
		t.Errorf("only the faulty cluster: got %v, %v, want ErrUnavailable", v, err)
	}
	v, notes, err = fed.Instant(ctx, `sum(up{cluster="fine"})`, at(time.Hour))
	if err != nil || len(notes) != 0 {
		t.Errorf("only the other cluster: got %v, %v", notes, err)
	}
	wantValue(t, v, 10)
}

func wantValue(t *testing.T, v promql.Vector, f float64) {
	t.Helper()
	if len(v) == 0 || v[0].F != f {
		t.Errorf("got %v, want first %v", v, f)
	}
}

func wantWarning(t *testing.T, notes annotations.Annotations, prefix string) {
	t.Helper()
	warnings, _ := notes.AsStrings("", 10, 10)
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], prefix) {
		t.Errorf("got warnings %q, want one that begins with %q", warnings, prefix)
	}
}

func TestReplicaTakesOver(t *testing.T) {
	h := healthy(t)
	for _, f := range faults(h) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			fed := newFederation(t, federation.Config{Timeout: 2 * clusterTimeout, Clusters: []federation.Cluster{
				{Name: "pair", URLs: []string{f.url(t), serve(t, h)}},
			}})
			for range 2 {
				v, notes, err := fed.Instant(t.Context(), `sum(up)`, at(time.Hour))
				if err != nil || len(notes) != 0 {
					t.Fatalf("got %v, %v", notes, err)
				}
				wantValue(t, v, 10)
			}
		})
	}
}

func TestBothReplicasAway(t *testing.T) {
	byName := map[string]fault{}
	for _, f := range faults(healthy(t)) {
		byName[f.name] = f
	}
	fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{
		{Name: "pair", URLs: []string{byName["refuses"].url(t), byName["answers 500"].url(t)}},
	}})
	_, _, err := fed.Instant(t.Context(), `up`, at(time.Hour))
	want := `query "up": no queried cluster answered: cluster "pair" (replica 1: connection refused, replica 2: answered 500 Internal Server Error)`
	if err == nil || err.Error() != want {
		t.Errorf("got error %v\nwant %s", err, want)
	}
}

func TestCancellationReachesClusters(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	h := healthy(t)
	url := serve(t, onRead(h, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		hang(w, r)
		close(left)
	}))
	fed := newFederation(t, federation.Config{Timeout: time.Minute, Clusters: []federation.Cluster{{Name: "one", URLs: []string{url}}}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, _, err := fed.Instant(ctx, `up`, at(time.Hour))
	if !errors.Is(err, context.Canceled) && !errors.As(err, new(promql.ErrQueryCanceled)) {
		t.Errorf("got error %v, want one of cancellation", err)
	}
	<-left
}

func TestShortQueryDeadlineStillNamesTheCluster(t *testing.T) {
	fed := newFederation(t, federation.Config{Timeout: time.Minute, Clusters: []federation.Cluster{
		{Name: "fine", URLs: []string{serve(t, healthy(t))}},
		{Name: "hanging", URLs: []string{serve(t, http.HandlerFunc(hang))}},
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	v, notes, err := fed.Instant(ctx, `sum(up)`, at(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, v, 10)
	wantWarning(t, notes, `missing from this answer: cluster "hanging" (no answer within`)
}

func TestLimits(t *testing.T) {
	urls := []string{serve(t, healthy(t))}
	const want = "query processing would load too many samples into memory in query execution"
	for name, c := range map[string]federation.Config{
		"samples": {MaxSamples: 9}, "bytes": {MaxBytes: 300},
	} {
		c.Clusters = []federation.Cluster{{Name: "one", URLs: urls}}
		fed := newFederation(t, c)
		_, _, err := fed.Instant(federation.Unplanned(t.Context()), `sum(up)`, at(time.Hour))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, read: got error %v, want %q", name, err, want)
		}
		if _, _, err := fed.Instant(t.Context(), `up`, at(time.Hour)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, answered: got error %v, want %q", name, err, want)
		}
	}
}

func TestTransitionsAreLoggedAndMeasured(t *testing.T) {
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	h := healthy(t)
	away := false
	url := serve(t, onRead(h, func(w http.ResponseWriter, r *http.Request) {
		if away {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	}))
	fed := newFederation(t, federation.Config{
		Logger: slog.New(slog.NewTextHandler(&log, nil)), Registerer: reg,
		Clusters: []federation.Cluster{{Name: "one", URLs: []string{strings.Replace(url, "://", "://user:hunter2@", 1)}}},
	})
	for _, away = range []bool{false, false, true, true, false} {
		_, _, _ = fed.Instant(t.Context(), `up`, at(time.Hour)) // the outcome is in log and metrics
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), `level=WARN msg="cluster does not answer" cluster=one cause="answered 502 Bad Gateway"`) ||
		!strings.Contains(log.String(), `level=INFO msg="cluster answers again" cluster=one away=`) {
		t.Errorf("got log\n%s", &log)
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Error("the log has the password")
	}
	const want = `
# HELP midwatch_federation_cluster_up Whether the cluster answers: whether one of its servers answers probes, or, where nothing probes it, whether it answered the last query.
# TYPE midwatch_federation_cluster_up gauge
midwatch_federation_cluster_up{cluster="one"} 1
# HELP midwatch_federation_queries_total Queries by result: complete, partial, error.
# TYPE midwatch_federation_queries_total counter
midwatch_federation_queries_total{result="complete"} 3
midwatch_federation_queries_total{result="error"} 2
# HELP midwatch_federation_requests_total Selectors asked of a cluster, by result: success, error, timeout, canceled, too_much, not_asked (since it does not answer probes).
# TYPE midwatch_federation_requests_total counter
midwatch_federation_requests_total{cluster="one",result="error"} 2
midwatch_federation_requests_total{cluster="one",result="success"} 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "midwatch_federation_cluster_up", "midwatch_federation_queries_total", "midwatch_federation_requests_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestEqualSelectorsAreFetchedOnce(t *testing.T) {
	h := healthy(t)
	reads := make(chan struct{}, 100)
	url := serve(t, onRead(h, func(w http.ResponseWriter, r *http.Request) {
		reads <- struct{}{}
		h.ServeHTTP(w, r)
	}))
	fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{url}}}})
	for _, c := range []struct {
		ctx   context.Context
		wants int
	}{{federation.Unplanned(t.Context()), 1}, {t.Context(), 2}} {
		v, _, err := fed.Instant(c.ctx, `vector(scalar(sum(up)) + scalar(sum(up)) + scalar(count(up)))`, at(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, v, 30)
		if len(reads) != c.wants {
			t.Errorf("got %d requests, want %d", len(reads), c.wants)
		}
		for len(reads) > 0 {
			<-reads
		}
	}
}

// Two series of one cluster that differ only in a label which the external
// label replaces become one, as in a single Prometheus, and that is said.
func TestSeriesThatBecomeTheSameAreMerged(t *testing.T) {
	series := func(cluster string, offset int64, f float64) testSeries {
		s := testSeries{labels: labels.FromStrings(model.MetricNameLabel, "x", "cluster", cluster)}
		for k := range int64(10) {
			s.samples = append(s.samples, sample{t: dataStart.UnixMilli() + k*10_000 + offset, f: f})
		}
		return s
	}
	srv := standIn{}.start(t, []testSeries{series("a", 0, 1), series("b", 5000, 2)})
	fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{srv.URL}}}})
	v, notes, err := fed.Instant(t.Context(), `sum_over_time(x[1000s])`, at(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if len(v) != 1 || v[0].F != 30 || v[0].Metric.String() != `{cluster="one"}` {
		t.Errorf("got %v, want {cluster=\"one\"} 30: ten samples of 1 and ten of 2", v)
	}
	wantWarning(t, notes, `cluster "one": 1 series have the labels of another one`)
}
