package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// answer writes a response, or returns an error before it has written
// anything.
type answer func(w http.ResponseWriter, r *http.Request) error

// route is one pattern of the mux and how it is served.
type route struct {
	pattern string
	name    string        // label handler of the metrics
	methods []string      // nil allows all
	limit   time.Duration // deadline of the request's context; 0 is none
	body    int64         // bytes of body that are read; 0 is none
	via     string        // by which way somebody acts here, for the audit
	answer  answer
	fail    func(w http.ResponseWriter, r *http.Request, p problem)
}

// serve wraps a route in all that every route has: headers, limits, metrics,
// the log, and an answer for errors and panics.
func (h *Handler) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		secure(rec.Header())
		defer func() {
			cause := recover()
			half := cause != nil && (rec.begun || cause == http.ErrAbortHandler) //nolint:errorlint // a panic's value is compared, as net/http does
			if cause != nil {
				h.recovered(rec, r, rt, cause)
			}
			h.observe(rec, r, rt, time.Since(start))
			if half {
				panic(http.ErrAbortHandler) // the answer is cut off: let the client see that
			}
		}()
		r = r.WithContext(alert.WithVia(r.Context(), rt.way(r)))
		if rt.limit > 0 {
			ctx, cancel := context.WithTimeout(r.Context(), rt.limit)
			defer cancel()
			r = r.WithContext(ctx)
		}
		r.Body = http.MaxBytesReader(rec, r.Body, rt.body)
		if err := rt.run(rec, r); err != nil {
			rt.fail(rec, r, h.explain(r, err))
		}
	})
}

// way returns by which way somebody acts: that of the route, or what the
// command line says of itself.
func (rt route) way(r *http.Request) string {
	if rt.via == "api" && r.Header.Get(wire.ViaHeader) == "cli" {
		return "cli"
	}
	return rt.via
}

func (rt route) run(w http.ResponseWriter, r *http.Request) error {
	if rt.methods != nil && !slices.Contains(rt.methods, r.Method) {
		return wrongMethod(r.Method, rt.methods)
	}
	return rt.answer(w, r)
}

// recovered logs what a handler panicked with, and answers for it unless it
// had begun to.
func (h *Handler) recovered(rec *recorder, r *http.Request, rt route, cause any) {
	if cause == http.ErrAbortHandler { //nolint:errorlint // as above
		return
	}
	id := h.logged(r.Context(), "answer", fmt.Errorf("panic: %v", cause), slog.String("stack", string(debug.Stack())))
	if !rec.begun {
		rt.fail(rec, r, internal(id))
	}
}

func (h *Handler) observe(rec *recorder, r *http.Request, rt route, took time.Duration) {
	h.metrics.requests.WithLabelValues(rt.name, strconv.Itoa(rec.status())).Inc()
	h.metrics.duration.WithLabelValues(rt.name).Observe(took.Seconds())
	h.logger.LogAttrs(r.Context(), slog.LevelDebug, "request served",
		slog.String("method", r.Method), slog.String("path", pathOf(r)), slog.String("handler", rt.name),
		slog.Int("code", rec.status()), slog.Int64("bytes", rec.bytes),
		slog.Duration("took", took), slog.String("remote", r.RemoteAddr))
}

// pathOf returns the path of a request for the log, without the signature of a
// link that acknowledges.
func pathOf(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, ackPath) {
		return ackPath + secret.New(r.URL.Path).String()
	}
	return r.URL.Path
}

// secure sets headers that hold for every answer. Pages bring no script or
// style of their own, so only our files may run.
func secure(hd http.Header) {
	hd.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("X-Frame-Options", "DENY")
	hd.Set("Referrer-Policy", "no-referrer")
	hd.Set("Cache-Control", "no-store")
}

// recorder remembers what a handler answered.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
	begun bool
}

// WriteHeader sends the status, and keeps the first final one.
func (rec *recorder) WriteHeader(code int) {
	if !rec.begun && code >= http.StatusOK {
		rec.begun, rec.code = true, code
	}
	rec.ResponseWriter.WriteHeader(code)
}

// Write sends a part of the body.
func (rec *recorder) Write(b []byte) (int, error) {
	if !rec.begun {
		rec.begun, rec.code = true, http.StatusOK
	}
	n, err := rec.ResponseWriter.Write(b)
	rec.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

func (rec *recorder) status() int {
	if rec.code == 0 {
		return http.StatusOK
	}
	return rec.code
}

// metrics are what the handler counts.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) (metrics, error) {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "midwatch_http_requests_total",
			Help: "HTTP requests answered, by handler and status code.",
		}, []string{"handler", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "midwatch_http_request_duration_seconds",
			Help:    "Time from the header of an HTTP request to the end of its answer, by handler.",
			Buckets: []float64{.001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"handler"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration} {
		if err := reg.Register(c); err != nil {
			return metrics{}, fmt.Errorf("register web metrics: %w", err)
		}
	}
	return m, nil
}
