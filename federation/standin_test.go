package federation_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/grafana/regexp"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/util/teststorage"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// standIn is a Prometheus as far as federation sees it: its own HTTP API over
// a TSDB.
type standIn struct {
	own        map[string]string // external labels that it really has
	frameBytes int               // of a streamed answer; 0 is Prometheus' default
	sampled    bool              // it does not stream
	hidden     bool              // it does not serve its configuration
	version    string            // "" is a 3.x
	lookback   time.Duration     // 0 is Prometheus' default
	traffic    *traffic          // what it is asked; nil counts nothing
}

func (p standIn) start(t testing.TB, series []testSeries) *httptest.Server {
	t.Helper()
	db := teststorage.New(t)
	load(t, db, series)
	srv := httptest.NewUnstartedServer(p.handler(db))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func (p standIn) handler(db storage.SampleAndChunkQueryable) http.Handler {
	conf := config.DefaultConfig
	conf.GlobalConfig.ExternalLabels = labels.FromMap(p.own)
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", p.api(db, conf))
	if p.sampled {
		mux.Handle("POST /api/v1/read", withoutStreaming(p.api(db, conf)))
	}
	if p.hidden {
		mux.Handle("GET /api/v1/status/config", http.NotFoundHandler())
	}
	mux.HandleFunc("GET /-/ready", func(http.ResponseWriter, *http.Request) {})
	if p.traffic != nil {
		return p.traffic.count(mux)
	}
	return mux
}

// api returns Prometheus' API. Its defaults that a configuration decides
// differ from those of the reference, so that nothing may rely on them.
func (p standIn) api(db storage.SampleAndChunkQueryable, conf config.Config) http.Handler {
	lookback := p.lookback
	if lookback == 0 {
		lookback = 5 * time.Minute
	}
	frame := p.frameBytes
	if frame == 0 {
		frame = config.DefaultChunkedReadLimit / 50
	}
	version := p.version
	if version == "" {
		version = "3.15.0"
	}
	discard := slog.New(slog.DiscardHandler)
	promQL := parser.NewParser(parser.Options{EnableExperimentalFunctions: true})
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: discard, MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return (30 * time.Second).Milliseconds() },
		EnableAtModifier:         true, EnableNegativeOffset: true, Parser: promQL,
	})
	none := regexp.MustCompile(`^\b$`)
	router := route.New()
	v1.NewAPI(engine, db, nil, nil, nil, nil, nil, nil,
		func() config.Config { return conf }, map[string]string{}, v1.GlobalURLOptions{},
		func(h http.HandlerFunc) http.HandlerFunc { return h },
		nil, "", false, false, 0, discard, nil, 1e9, 100, frame, false, none, nil, &v1.PrometheusVersion{Version: version},
		nil, nil, nil, nil, nil, false, nil, false, false, false, false, lookback, false, false, nil, nil,
		v1.OpenAPIOptions{IncludePaths: []string{"/query"}}, promQL,
	).Register(router.WithPrefix("/api/v1"))
	return router
}

// withoutStreaming hides from a read handler that the client takes streams.
func withoutStreaming(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := remote.DecodeReadRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.AcceptedResponseTypes = []prompb.ReadRequest_ResponseType{prompb.ReadRequest_SAMPLES}
		plain, err := proto.Marshal(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		clone := r.Clone(r.Context())
		clone.Body = io.NopCloser(bytes.NewReader(snappy.Encode(nil, plain)))
		next.ServeHTTP(w, clone)
	})
}

// traffic is what servers were asked for.
type traffic struct {
	mu      sync.Mutex
	read    int      // requests for raw samples
	queries []string // PromQL that they evaluated
}

// count notes requests on their way to next.
func (tr *traffic) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		tr.note(strings.TrimPrefix(r.URL.Path, "/api/v1/"), r.URL.Query(), body)
		next.ServeHTTP(w, r)
	})
}

func (tr *traffic) note(path string, form url.Values, body []byte) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch path {
	case "read":
		tr.read++
	case "query", "query_range":
		if posted, err := url.ParseQuery(string(body)); err == nil && posted.Has("query") {
			form = posted
		}
		tr.queries = append(tr.queries, form.Get("query"))
	}
}

// take returns what was asked since the last call.
func (tr *traffic) take() (read int, queries []string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	read, queries = tr.read, tr.queries
	tr.read, tr.queries = 0, nil
	return read, queries
}
