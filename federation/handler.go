package federation

import (
	"fmt"
	"net/http"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

const (
	// partialHeader and partialParam say what a query does when a cluster it
	// asks does not answer: "warn" (the default) or "fail".
	partialHeader = "X-Midwatch-Partial"
	partialParam  = "partial"

	// maxFormBytes bounds a POST body, as net/http bounds a form.
	maxFormBytes = 10 << 20
)

// Handler serves Prometheus' HTTP API over all clusters, below /api/v1/, and
// /federate. Parameters, errors and the bytes of an answer are Prometheus'
// own; all labels include the external ones. The parameter partial=fail, or
// the header X-Midwatch-Partial: fail, makes a request fail where it would be
// answered without some cluster.
//
// What a request may see is bounded by WithMatchers of its context.
func (f *Federation) Handler() http.Handler { return f.handler }

func newHandler(f *Federation) http.Handler {
	mux := http.NewServeMux()
	upstream := route.New()
	newAPI(f).Register(upstream.WithPrefix("/api/v1"))
	for _, path := range []string{"query", "query_range", "format_query", "parse_query", "series", "labels", "label/"} {
		mux.Handle("/api/v1/"+path, upstream)
	}
	mux.Handle("/api/v1/query_exemplars", saying(upstream))
	own := route.New()
	for path, answer := range f.endpoints() {
		own.Get("/api/v1/"+path, f.serve(answer))
		mux.Handle("/api/v1/"+path, own)
	}
	mux.HandleFunc("GET /federate", f.federate)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		respondError(w, http.StatusNotFound, "not_found", "federation does not serve this path")
	})
	return partial(mux)
}

// endpoints are what is not answered by Prometheus' own code, since that asks
// its own targets, rules and storage.
func (f *Federation) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"rules":              f.rules,
		"alerts":             f.alerts,
		"alertmanagers":      f.alertmanagers,
		"targets":            f.targets,
		"targets/metadata":   f.targetMetadata,
		"scrape_pools":       f.scrapePools,
		"metadata":           f.metadata,
		"status/buildinfo":   buildInfo,
		"status/config":      configuration,
		"status/flags":       f.flags,
		"status/runtimeinfo": runtimeInfo(time.Now().UTC()),
		"status/tsdb":        f.tsdbStatus,
	}
}

// newAPI returns Prometheus' own API over the federation. Only what
// newHandler routes to it may be called: the rest has nothing behind it.
func newAPI(f *Federation) *v1.API {
	none := regexp.MustCompile(`^\b$`) // allows no other origin
	pass := func(h http.HandlerFunc) http.HandlerFunc { return h }
	return v1.NewAPI(f, catalogue{f}, nil, nil, exemplars{fed: f}, nil, nil, nil,
		func() config.Config { return config.Config{} }, nil, v1.GlobalURLOptions{}, pass,
		nil, "", false, false, 0, f.config.Logger, nil, 0, 1, 0, false, none, nil, nil, nil, nil, nil, nil, nil,
		false, nil, false, false, false, false, f.config.LookbackDelta, false, false, statusCode, nil,
		v1.OpenAPIOptions{IncludePaths: []string{"/query"}}, f.parser)
}

// statusCode gives "unavailable" the status that it has in HTTP. N is the type
// of v1's error numbers, which v1 does not export.
func statusCode[N comparable](typ N, _ error) (int, bool) {
	return http.StatusServiceUnavailable, any(typ) == any(v1.ErrorUnavailable)
}

// partial reads what a request does about missing clusters.
func partial(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
		mode := r.FormValue(partialParam)
		if mode == "" {
			mode = r.Header.Get(partialHeader)
		}
		switch mode {
		case "fail":
			r = r.WithContext(FailPartial(r.Context()))
		case "", "warn":
		default:
			respondError(w, http.StatusBadRequest, "bad_data", fmt.Sprintf("invalid parameter %q: want warn or fail", partialParam))
			return
		}
		next.ServeHTTP(w, r)
	})
}
