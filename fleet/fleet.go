package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/alert"
)

const (
	// file is what the groups are said to be of.
	file = "fleet/midwatch-fleet.yaml"
	// resend is how often an alert that fires is delivered again.
	resend = time.Minute
	// settleEvery is how often it is looked for alerts whose end was not told.
	settleEvery = time.Minute
	// upkeepEvery is how often it is looked who leads, what is missing and
	// which alerts are over.
	upkeepEvery = 5 * time.Second

	queryTimeout = time.Minute
	maxSamples   = 50_000_000 // as Prometheus' --query.max-samples
	interval     = 30 * time.Second
	reloadEvery  = 10 * time.Second // of blocks, such as a backfill writes
)

// Fleet evaluates rules over all clusters. Its methods are safe for concurrent
// use.
type Fleet struct {
	c       Config
	log     *slog.Logger
	metrics metrics
	parser  parser.Parser
	engine  *promql.Engine
	db      *tsdb.DB
	manager *rules.Manager
	remote  *remoteWrite
	stop    context.CancelFunc // of the rules' context
	quiet   *slog.Logger       // of what logs each step that it takes

	program   atomic.Pointer[program]
	memory    *memory
	aside     aside
	standings standings
	evaluated evaluations
	absences  absences
	post      post
	filler    *filler
	leads     atomic.Bool

	update    sync.Mutex
	settledAt time.Time // only of the goroutine that maintains
}

var (
	_ storage.Queryable = (*Fleet)(nil)
	_ rules.GroupLoader = loader{}
)

// New opens the folder of the fleet. Nothing is evaluated before Run.
func New(ctx context.Context, c Config) (*Fleet, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	link, err := url.Parse(c.ExternalURL)
	if err != nil {
		return nil, errors.New("fleet: the external URL is not one")
	}
	f := &Fleet{c: c, log: c.Logger, quiet: slog.New(slog.DiscardHandler), metrics: newMetrics(c.Registerer), parser: parser.NewParser(parser.Options{})}
	f.standings.byRule = map[string]standing{}
	f.absences = absences{metric: f.metrics.missing, byGroup: map[string]Lack{}, byName: map[string]absence{}}
	f.post = post{due: make(chan struct{}, 1), byLabels: map[model.Fingerprint]letter{}}
	f.program.Store(&program{})
	r := prometheus.WrapRegistererWithPrefix("midwatch_fleet_", c.Registerer)
	if f.db, err = f.open(r); err != nil {
		return nil, err
	}
	f.filler, f.memory = newFiller(c.Dir, c.Logger), newMemory(c.Dir, c.Logger)
	if last, any := f.newest(); any { // before anything is recorded after it
		f.filler.since(last)
	}
	f.engine = promql.NewEngine(promql.EngineOpts{
		Logger: c.Logger, MaxSamples: maxSamples, Timeout: queryTimeout, Parser: f.parser,
		EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
	})
	f.remote = newRemoteWrite(f, r)
	rulesCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.stop = stop
	f.manager = rules.NewManager(&rules.ManagerOptions{
		Context: rulesCtx, ExternalURL: link, QueryFunc: f.query, NotifyFunc: f.notify,
		Appendable: f.db, Queryable: f.db, GroupLoader: loader{f}, Parser: f.parser,
		OutageTolerance: heldFor, ForGracePeriod: 0, ResendDelay: resend, RestoreNewRuleGroups: true,
		Logger: c.Logger, Registerer: r,
	})
	return f, nil
}

// open opens the database. What was written before a crash is read back.
func (f *Fleet) open(r prometheus.Registerer) (*tsdb.DB, error) {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = f.c.Retention.Milliseconds()
	o.MaxBytes = f.c.MaxBytes
	o.OutOfOrderTimeWindow = lateWindow.Milliseconds()
	o.BlockReloadInterval = reloadEvery
	db, err := tsdb.Open(f.c.Dir, f.log, r, o, nil)
	if err != nil {
		return nil, fmt.Errorf("open the fleet's series: %w", err)
	}
	return db, nil
}

// newest returns when the newest sample was recorded, if any was.
func (f *Fleet) newest() (at time.Time, is bool) {
	last := f.db.Head().MaxTime()
	for _, b := range f.db.Blocks() {
		last = max(last, b.MaxTime())
	}
	return time.UnixMilli(last), last != math.MinInt64
}

// Update makes the groups those that are evaluated, in an order in which each
// rule comes after those that it reads. Rules that stay keep their state. The
// names are values of the label slo: of the clusters' series only those with
// one of them are read. An error changes nothing. Before Run it can be called
// once: a second call would wait for Run.
func (f *Fleet) Update(groups []rulefmt.RuleGroup, slos []string) error {
	f.update.Lock()
	defer f.update.Unlock()
	p, err := newProgram(f.parser, groups, slos)
	if err != nil {
		return fmt.Errorf("update the fleet's rules: %w", err)
	}
	before := f.program.Swap(p)
	if err := f.manager.Update(interval, []string{file}, labels.EmptyLabels(), f.c.ExternalURL, f.evaluate); err != nil {
		f.program.Store(before)
		return fmt.Errorf("update the fleet's rules: %w", err)
	}
	f.forget()
	f.filler.wake()
	return nil
}

// forget drops what is known of rules that are no more.
func (f *Fleet) forget() {
	groups, asides, standing := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, g := range f.manager.RuleGroups() {
		groups[g.Name()] = true
		for _, r := range g.Rules() {
			d := rules.NewRuleDetail(r)
			asides[ruleKey(g.Name(), d)] = true
			standing[standingKey(d)] = true
		}
	}
	f.aside.keep(asides)
	f.absences.keep(groups)
	f.memory.keep(groups)
	f.standings.mu.Lock()
	defer f.standings.mu.Unlock()
	for key := range f.standings.byRule {
		if !standing[key] {
			delete(f.standings.byRule, key)
		}
	}
}

// loader gives the rule manager the groups of the program.
type loader struct{ fleet *Fleet }

// Load implements rules.GroupLoader.
func (l loader) Load(string, bool, model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return &rulefmt.RuleGroups{Groups: slices.Clone(l.fleet.program.Load().groups)}, nil
}

// Parse implements rules.GroupLoader.
func (l loader) Parse(query string) (parser.Expr, error) { return l.fleet.parser.ParseExpr(query) }

// Querier reads what is recorded. Only whole numbers are.
func (f *Fleet) Querier(mint, maxt int64) (storage.Querier, error) { return f.db.Querier(mint, maxt) }

// RuleGroups returns the groups with what is known of their rules.
func (f *Fleet) RuleGroups() []*rules.Group { return f.manager.RuleGroups() }

// AlertingRules returns the rules that alert.
func (f *Fleet) AlertingRules() []*rules.AlertingRule { return f.manager.AlertingRules() }

// Failing returns a rule whose last evaluation failed, and why; "" when none
// did. That data is missing is no failure.
func (f *Fleet) Failing() (rule string, cause error) {
	for _, g := range f.manager.RuleGroups() {
		for _, r := range g.Rules() {
			if err := r.LastError(); err != nil {
				return r.Name(), err
			}
		}
	}
	return "", nil
}

// Run evaluates the rules until ctx ends, then stops evaluating, delivers what
// waits, and closes the folder. It must be called once.
func (f *Fleet) Run(ctx context.Context) error {
	var tasks, managed sync.WaitGroup
	managed.Go(f.manager.Run)
	for _, task := range []func(context.Context){f.carry, f.maintain, f.fill} {
		tasks.Go(func() { task(ctx) })
	}
	<-ctx.Done()
	f.stop() // what is evaluated just now is not waited for: a cluster may hang
	f.manager.Stop()
	managed.Wait()
	tasks.Wait()
	f.memory.write(time.Now())
	f.lastCall(context.WithoutCancel(ctx))
	return f.closeFolder()
}

// Close closes the folder of a fleet that never ran.
func (f *Fleet) Close() error {
	f.stop()
	var managed sync.WaitGroup
	managed.Go(f.manager.Run) // groups wait for it, to find that it is over
	f.manager.Stop()
	managed.Wait()
	return f.closeFolder()
}

func (f *Fleet) closeFolder() error {
	err := errors.Join(f.remote.close(), f.db.Close())
	if err != nil {
		return fmt.Errorf("close the fleet's series: %w", err)
	}
	return nil
}

// maintain looks now and then who leads, what is missing, and which alerts are
// over that nobody said are.
func (f *Fleet) maintain(ctx context.Context) {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		f.lead(ctx)
		f.memory.upkeep(time.Now())
		if f.leads.Load() {
			f.tellAbsences(time.Now())
			f.settle(ctx, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lead finds out whether this replica leads.
func (f *Fleet) lead(ctx context.Context) {
	leads := f.c.Leads(ctx)
	if leads == f.leads.Load() && f.remote.applied {
		return
	}
	if err := f.remote.apply(leads); err != nil {
		f.log.ErrorContext(ctx, "series are not written to remote storages", "err", err)
	}
	f.leads.Store(leads)
	f.metrics.leads.Set(0)
	if leads {
		f.metrics.leads.Set(1)
	}
	if leads {
		f.announce()
	} else {
		f.post.clear()
	}
}

// announce says of all alerts what is known: what the rules found while
// another replica led may not have been told.
func (f *Fleet) announce() {
	for _, r := range f.manager.AlertingRules() {
		var all []alert.Alert
		r.ForEachActiveAlert(func(a *rules.Alert) {
			if a.State != rules.StatePending && !a.LastSentAt.IsZero() {
				all = append(all, f.letterOf(r.Query().String(), a))
			}
		})
		f.send(all...)
	}
}
