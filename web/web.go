// Package web serves Midwatch over HTTP: the pages that people read, the API
// that takes alerts in, the API of incidents, and what operators ask of a
// process. It knows what to say and to whom, and nothing of how alerts become
// incidents, who is on call or where figures come from: it asks the small
// interfaces that it declares.
package web

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of requests.
const (
	maxActBody     = 16 << 10
	maxSilenceBody = 512 << 10
	maxCallback    = 1 << 20
	maxQueryBody   = 10 << 20 // what net/http itself allows a form

	readLimit  = 10 * time.Second // for an answer that a person waits for
	writeLimit = 30 * time.Second // for what must be committed first
)

// Config is what a Handler needs. Everything is required but what says
// otherwise.
type Config struct {
	Receiver  Receiver
	Incidents Incidents
	Board     Board
	OnCall    OnCall

	// What of these is nil is answered with 404, and its pages say so.
	Desk       Desk
	Alerts     Alerts
	Silences   Silences
	Rotas      Rotas
	Calendars  Calendars
	Overrides  Overrides
	Audit      Audit
	Drills     Drills
	Delivery   Delivery
	Heartbeats Heartbeats
	Rules      Rules
	Clusters   Clusters
	Receivers  func() []string // names of the escalation policies; nil: none

	Ingest    *Ingest                 // who may send alerts; nil lets everybody
	Callbacks map[string]http.Handler // by name, at /callbacks/NAME: of providers, whose handlers verify for themselves
	LinkKey   []byte                  // signs links that acknowledge, see AckLink; none: no such link works

	Query    http.Handler                    // serves the rest of /api/v1/, and /federate, as Prometheus does; nil answers 404
	Querying *Querying                       // who may do so, and what they see; nil lets everybody see everything
	Ready    func() bool                     // whether /-/ready says so
	Reload   func(ctx context.Context) error // diag.Problems are shown to who asked; nil answers 404
	Tokens   *Tokens                         // who may act; nil lets nobody

	Logger     *slog.Logger
	Gatherer   prometheus.Gatherer   // what /metrics shows
	Registerer prometheus.Registerer // for the metrics of the handler itself

	Now       func() time.Time // default time.Now
	Location  *time.Location   // of times on pages until a browser knows better; default UTC
	Version   string           // for the footer; default "unknown"
	SourceURL string           // where this build's source is; http or https
}

func (c *Config) defaults() error {
	switch {
	case c.Receiver == nil, c.Incidents == nil, c.Board == nil, c.OnCall == nil:
		return errors.New("web: Receiver, Incidents, Board and OnCall are needed")
	case c.Ready == nil, c.Logger == nil, c.Gatherer == nil, c.Registerer == nil:
		return errors.New("web: Ready, Logger, Gatherer and Registerer are needed")
	case link(c.SourceURL) == "":
		return errors.New("web: SourceURL must be an http or https URL: users are owed the source of what they use")
	}
	if c.Tokens == nil {
		c.Tokens = &Tokens{}
	}
	if c.Ingest == nil {
		c.Ingest = &Ingest{tokens: &Tokens{}}
	}
	if c.Querying == nil {
		c.Querying = &Querying{tokens: &Tokens{}}
	}
	if c.Receivers == nil {
		c.Receivers = func() []string { return nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Version == "" {
		c.Version = "unknown"
	}
	return nil
}

// Handler serves everything that is on Midwatch's listen address.
type Handler struct {
	Config
	logger   *slog.Logger
	tokens   atomic.Pointer[Tokens]
	ingest   atomic.Pointer[Ingest]
	querying atomic.Pointer[Querying]
	calls    atomic.Pointer[map[string]http.Handler]
	cross    *http.CrossOriginProtection
	started  time.Time
	metrics  metrics
	pages    *template.Template
	assets   assets
	mux      *http.ServeMux
}

var _ http.Handler = (*Handler)(nil)

// New returns a handler and registers its metrics.
func New(c Config) (*Handler, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	h := &Handler{Config: c, logger: c.Logger.With("component", "web"), cross: http.NewCrossOriginProtection(), mux: http.NewServeMux()}
	h.tokens.Store(c.Tokens)
	h.ingest.Store(c.Ingest)
	h.querying.Store(c.Querying)
	h.SetCallbacks(c.Callbacks)
	h.started = c.Now()
	var err error
	if h.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if h.pages, err = parsePages(h.assets); err != nil {
		return nil, err
	}
	if h.metrics, err = newMetrics(c.Registerer); err != nil {
		return nil, err
	}
	for _, rt := range h.routes() {
		h.mux.Handle(rt.pattern, h.serve(rt))
	}
	return h, nil
}

// SetTokens replaces the tokens of those who may act.
func (h *Handler) SetTokens(t *Tokens) { h.tokens.Store(t) }

// SetIngest replaces who may send alerts.
func (h *Handler) SetIngest(in *Ingest) { h.ingest.Store(in) }

// SetQuerying replaces who may query, and what they see.
func (h *Handler) SetQuerying(q *Querying) { h.querying.Store(q) }

// SetCallbacks replaces the handlers of providers' callbacks, by name.
func (h *Handler) SetCallbacks(by map[string]http.Handler) {
	by = maps.Clone(by)
	h.calls.Store(&by)
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Server returns an http.Server for the handler with timeouts and limits for
// clients that are slow or hostile. Its write timeout leaves room for the
// slowest query.
func (h *Handler) Server() *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      5 * time.Minute,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(h.logger.Handler(), slog.LevelDebug),
	}
}

func (h *Handler) showMetrics() answer {
	show := promhttp.HandlerFor(h.Gatherer, promhttp.HandlerOpts{
		ErrorLog:          slog.NewLogLogger(h.logger.Handler(), slog.LevelError),
		EnableOpenMetrics: true,
	})
	return func(w http.ResponseWriter, r *http.Request) error {
		show.ServeHTTP(w, r)
		return nil
	}
}
