// Package app builds, starts, reloads and stops everything that "midwatch
// serve" is made of. It is the one place that knows concrete types: what the
// rooms ask of each other, it passes in.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	build "github.com/midwatch-slo/midwatch/internal/version"
	"github.com/midwatch-slo/midwatch/store"
	"github.com/midwatch-slo/midwatch/web"
)

const (
	// stopTimeout is how long requests may take to end when the server stops.
	stopTimeout = 15 * time.Second
	// checkEvery is how often clusters are compared with the configuration.
	checkEvery = 5 * time.Minute
)

// Options is what the command line says.
type Options struct {
	ConfigFile    string
	ListenAddress string // port 0 takes a free one
	Cache         Bytes  // instead of what the configuration says, unless it is 0
	Logger        *slog.Logger
}

// App is a Midwatch, built and not yet running, or running.
type App struct {
	o        Options
	current  atomic.Pointer[state]
	reloads  sync.Mutex
	store    *store.Store
	engine   *incident.Engine
	web      *web.Handler
	listener net.Listener
	ready    atomic.Bool
	metrics  metrics
	linkKey  []byte // signs links that acknowledge
	feeds    *feeds
	rules    *ruleKeeper
	fleet    *fleetKeeper

	attending context.CancelFunc // ends what the channels have besides sending
	attended  sync.WaitGroup
	stopped   bool // guarded by reloads: nothing is attended any more

	overlay overlay
}

// New reads the configuration, opens the store and listens. When it returns
// an error nothing is left open.
func New(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{o: o}
	a.fleet = newFleetKeeper(a)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	s, err := makeState(o, a.fleet)
	if err != nil {
		return nil, err
	}
	a.current.Store(s)
	if a.store, err = openStore(ctx, s.config.Store); err != nil {
		return nil, err
	}
	a.feeds = newFeeds(a.store, o.Logger.With("component", "calendars"))
	a.prepareFeeds(ctx, s)
	if err := a.refreshOverrides(ctx); err != nil {
		return nil, err
	}
	if a.linkKey, err = a.readLinkKey(ctx); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), version.NewCollector("midwatch"), newFeedAge(a))
	a.metrics = newMetrics(registry)
	a.metrics.reloaded(true)
	a.rules = newRuleKeeper(a, registry)
	if a.engine, err = a.newEngine(s, registry); err != nil {
		return nil, err
	}
	if a.web, err = a.newWeb(s, registry); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	if a.listener, err = lc.Listen(ctx, "tcp", o.ListenAddress); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return a, nil
}

func (a *App) newEngine(s *state, registry prometheus.Registerer) (*incident.Engine, error) {
	// The engine takes 0 as "the default" and less as "do not wait".
	wait := time.Duration(*s.config.Evidence.Wait)
	if wait == 0 {
		wait = -1
	}
	poll := time.Duration(0)
	if s.config.Store.shared() {
		poll = time.Second // what other replicas cause
	}
	return incident.New(incident.Config{
		Store:          ledger{a.store},
		Responders:     duty{a},
		ReopenWithin:   s.config.Incidents.reopenWithin(),
		Inhibit:        s.inhibit,
		Watch:          s.watched,
		Poll:           poll,
		PerChannel:     func(channel string) int { return a.current.Load().config.Channels.atOnce(channel) },
		PagesPerMinute: s.config.Incidents.PagesPerMinute,
		Sender:         sender{a},
		Evidence:       evidence{a},
		Facts:          facts{a},
		HasEvidence:    func(alert.Incident) bool { return a.current.Load().logs != nil },
		HasFacts: func(inc alert.Incident) bool {
			_, known := a.current.Load().byID[sloID(inc)]
			return known
		},
		Normalize:    a.normalize,
		Link:         a.link,
		AckLink:      a.ackLink,
		EvidenceWait: wait,
		Logger:       a.o.Logger.With("component", "incident"),
		Registerer:   registry,
	})
}

func (a *App) newWeb(s *state, registry *prometheus.Registry) (*web.Handler, error) {
	return web.New(web.Config{
		Receiver:  intake{a},
		Incidents: engine{a},
		Board:     &board{app: a},
		OnCall:    duty{a},
		Desk:      engine{a}, Alerts: engine{a}, Silences: engine{a}, Drills: engine{a}, Delivery: engine{a}, Audit: engine{a},
		Rotas: duty{a}, Calendars: duty{a}, Overrides: duty{a},
		Heartbeats: a.engine,
		Rules:      a.rules,
		Clusters:   clusters{a},
		Receivers: func() []string {
			var names []string
			for _, p := range a.current.Load().duty.Load().Policies() {
				names = append(names, p.Name)
			}
			return names
		},
		Ingest:    s.ingest,
		Querying:  s.querying,
		Callbacks: callbacks(s.channels, buttons{a}),
		LinkKey:   a.linkKey,
		Query: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.current.Load().federation.Handler().ServeHTTP(w, r)
		}),
		Ready:  a.ready.Load,
		Reload: a.Reload,
		Tokens: s.tokens,
		Logger: a.o.Logger,
		Gatherer: prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			return prometheus.Gatherers{registry, a.current.Load().registry, a.fleet}.Gather()
		}),
		Registerer: registry,
		Location:   time.Local, //nolint:gosmopolitan // the server's own zone is the best guess before a browser says its own.
		Version:    build.Version,
		SourceURL:  build.SourceURL(),
	})
}

// Addr is the address that it listens on.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Run serves until ctx ends or it cannot, then stops in reverse order: no new requests,
// those in hand are answered, pages being sent are finished, the store is
// closed.
func (a *App) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := a.web.Server()
	// What is accepted while the server winds down must still be paged.
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	var engine, rest errgroup.Group
	engine.Go(func() error { return a.engine.Run(engineCtx) })
	rest.Go(func() error { defer stop(); return a.serve(server) })
	for _, task := range []func(context.Context){a.watchClusters, a.watchOverrides, a.watchFeeds, a.reports, a.retain, a.pulses, a.warnOfHolidays, a.rules.run, a.fleet.run} {
		rest.Go(func() error { task(ctx); return nil })
	}
	a.reloads.Lock()
	a.attend(ctx)
	a.reloads.Unlock()
	a.ready.Store(true)
	a.o.Logger.InfoContext(ctx, "midwatch is ready", "address", a.Addr(), "version", build.Version, "slos", len(a.current.Load().slos))

	<-ctx.Done()
	a.ready.Store(false)
	a.o.Logger.InfoContext(ctx, "stopping")
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil { // whoever is that slow is cut off
		a.o.Logger.WarnContext(ctx, "requests did not end in time", "err", err)
		_ = server.Close()
	}
	err := rest.Wait()
	a.reloads.Lock()
	a.stopped = true
	a.attending()
	a.reloads.Unlock()
	a.attended.Wait()
	stopEngine()
	return errors.Join(err, engine.Wait(), a.close())
}

func (a *App) serve(server *http.Server) error {
	if err := server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (a *App) close() error {
	var err error
	if a.listener != nil {
		_ = a.listener.Close() // the server has closed it already, unless it never served
	}
	a.fleet.end() // it has ended already, unless it never ran
	if s := a.current.Load(); s != nil {
		s.close()
	}
	if a.store != nil {
		err = a.store.Close()
	}
	return err
}

// Reload reads the configuration, and all files that it names, again. What
// can go wrong goes wrong before anything changes. The store's path and the
// wait for evidence stay as they were at the start.
func (a *App) Reload(ctx context.Context) error {
	a.reloads.Lock()
	defer a.reloads.Unlock()
	if a.stopped {
		return errors.New("reload: midwatch is stopping")
	}
	s, err := makeState(a.o, a.fleet)
	a.metrics.reloaded(err == nil)
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	ctx = context.WithoutCancel(ctx) // who asked may go away: from here on all of it is done
	s.succeed(a.current.Load())
	a.prepareFeeds(ctx, s)
	old := a.swap(ctx, s)
	if err := a.engine.SetRules(ctx, s.inhibit, s.watched); err != nil {
		a.o.Logger.ErrorContext(ctx, "inhibitions are not in force yet", "err", err)
	}
	a.web.SetTokens(s.tokens)
	a.web.SetIngest(s.ingest)
	a.web.SetQuerying(s.querying)
	a.web.SetCallbacks(callbacks(s.channels, buttons{a}))
	a.attend(ctx) // last: the channels before take no more callbacks then
	a.noteReload(ctx)
	a.rules.wake()
	a.fleet.wake()
	old.close()
	a.o.Logger.InfoContext(ctx, "configuration reloaded", "slos", len(s.slos), "clusters", len(s.config.Clusters))
	go s.checkClusters(ctx, a.o.Logger)
	return nil
}

// watchClusters compares the clusters with the configuration now and then.
func (a *App) watchClusters(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		a.current.Load().checkClusters(ctx, a.o.Logger)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *App) link(incident int64) string {
	return fmt.Sprintf("%s/incidents/%d", strings.TrimRight(a.current.Load().config.ExternalURL, "/"), incident)
}

// metrics are those of the process as a whole.
type metrics struct {
	success prometheus.Gauge
	seconds prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		success: prometheus.NewGauge(prometheus.GaugeOpts{Name: "midwatch_config_last_reload_successful", Help: "Whether the last reload of the configuration succeeded."}),
		seconds: prometheus.NewGauge(prometheus.GaugeOpts{Name: "midwatch_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last loaded successfully, in seconds since 1970."}),
	}
	r.MustRegister(m.success, m.seconds)
	return m
}

func (m metrics) reloaded(ok bool) {
	if !ok {
		m.success.Set(0)
		return
	}
	m.success.Set(1)
	m.seconds.SetToCurrentTime()
}
