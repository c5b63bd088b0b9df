package federation

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
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

	// planHeader and planParam say whether parts of a query may be evaluated
	// in the clusters: "on" (the default), or "off" to see that its answer is
	// the same, or what the clusters' part of it costs.
	planHeader = "X-Midwatch-Plan"
	planParam  = "plan"

	// cacheParam says whether a query may take from what is kept of earlier
	// ones, and leave something: "on" (the default) or "off". The header
	// Cache-Control says "off" with no-store and with no-cache.
	cacheParam = "cache"

	// maxFormBytes bounds a POST body, as net/http bounds a form.
	maxFormBytes = 10 << 20
)

// Handler serves Prometheus' HTTP API over all clusters, below /api/v1/, and
// /federate. Parameters, errors and the bytes of an answer are Prometheus'
// own; all labels include the external ones. The parameter partial=fail, or
// the header X-Midwatch-Partial: fail, makes a request fail where it would be
// answered without some cluster. The parameter plan=off, or the header
// X-Midwatch-Plan: off, has a query evaluated as a whole here, as Unplanned
// does.
//
// What a request may see is bounded by WithMatchers of its context.
func (f *Federation) Handler() http.Handler { return f.handler }

func newHandler(f *Federation) http.Handler {
	mux := http.NewServeMux()
	upstream := route.New()
	newAPI(f).Register(upstream.WithPrefix("/api/v1"))
	for _, path := range upstreamPaths() {
		mux.Handle("/api/v1/"+path, upstream)
	}
	mux.Handle("/api/v1/query_exemplars", saying(upstream))
	own := route.New()
	for path, answer := range f.endpoints() {
		own.Get("/api/v1/"+path, f.serve(answer))
		mux.Handle("/api/v1/"+path, own)
	}
	own.Options("/api/v1/*path", noContent)
	for path, why := range refused() {
		mux.Handle("/api/v1/"+path, refusal(path, why))
	}
	mux.HandleFunc("GET /api/v1/notifications/live", noContent)
	mux.HandleFunc("GET /federate", f.federate)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		respondError(w, http.StatusNotFound, "not_found", "federation does not serve this path")
	})
	return choosing(mux)
}

// upstreamPaths are what Prometheus' own code answers, over the federation;
// it says itself that its search is not enabled.
func upstreamPaths() []string {
	return []string{"query", "query_range", "format_query", "parse_query", "series", "labels", "label/", "search/", "features"}
}

// endpoints are what is not answered by Prometheus' own code, since that asks
// its own targets, rules and storage.
func (f *Federation) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"rules":              f.rules,
		"alerts":             f.alerts,
		"alertmanagers":      f.alertmanagers,
		"notifications":      notifications,
		"targets":            f.targets,
		"targets/metadata":   f.targetMetadata,
		"scrape_pools":       f.scrapePools,
		"metadata":           f.metadata,
		"status/buildinfo":   buildInfo,
		"status/config":      configuration,
		"status/flags":       f.flags,
		"status/runtimeinfo": runtimeInfo(time.Now().UTC()),
		"status/tsdb":        f.tsdbStatus,
		"status/walreplay":   walReplay,
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
		false, nil, false, false, false, false, f.config.LookbackDelta, false, false, statusCode, withFeatures(f.features),
		v1.OpenAPIOptions{IncludePaths: []string{"/query"}}, f.parser)
}

// statusCode gives "unavailable" the status that it has in HTTP. N is the type
// of v1's error numbers, which v1 does not export.
func statusCode[N comparable](typ N, _ error) (int, bool) {
	return http.StatusServiceUnavailable, any(typ) == any(v1.ErrorUnavailable)
}

// choice is what a request may choose, by a parameter or by a header that
// stands for it.
type choice struct {
	param, header string // the header is "" where there is none
	usual, other  string
	choose        func(context.Context) context.Context // the other
}

func choices() []choice {
	return []choice{
		{param: partialParam, header: partialHeader, usual: "warn", other: "fail", choose: FailPartial},
		{param: planParam, header: planHeader, usual: "on", other: "off", choose: Unplanned},
		{param: cacheParam, usual: "on", other: "off", choose: Uncached},
	}
}

// choosing reads what a request chooses: what it does about missing clusters,
// whether it is planned, and whether kept answers will do.
func choosing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
		ctx := r.Context()
		for _, c := range choices() {
			switch cmp.Or(r.FormValue(c.param), r.Header.Get(c.header)) {
			case c.other:
				ctx = c.choose(ctx)
			case "", c.usual:
			default:
				respondError(w, http.StatusBadRequest, "bad_data", fmt.Sprintf("invalid parameter %q: want %s or %s", c.param, c.usual, c.other))
				return
			}
		}
		if c := r.Header.Get("Cache-Control"); strings.Contains(c, "no-store") || strings.Contains(c, "no-cache") {
			ctx = Uncached(ctx)
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
