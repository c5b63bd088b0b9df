package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	promrules "github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/fleet"
	"github.com/midwatch-slo/midwatch/store"
)

const (
	// fleetCheck is how often it is looked whether the rules are evaluated, and
	// when a folder is opened again that could not be.
	fleetCheck = 30 * time.Second
	// fleetPatience is how long they may not be before an alert says so.
	fleetPatience = 2 * time.Minute
	// fleetNotEvaluated is the alert.
	fleetNotEvaluated = "MidwatchFleetNotEvaluated"
	// leadGrace is how long a replica goes on to lead when it cannot see
	// whether it does: less than the others wait for it.
	leadGrace   = 8 * time.Second
	leadTimeout = 2 * time.Second
)

// fleetKeeper evaluates the rules of the fleet while there are any.
type fleetKeeper struct {
	app    *App
	logger *slog.Logger
	due    chan struct{} // the configuration may have changed

	mu  sync.Mutex
	now *runningFleet // nil: there are none

	led   bool // only of the one goroutine that asks who leads
	ledAt time.Time

	trouble trouble // only of the goroutine that runs
}

// trouble is that rules of the fleet are not evaluated.
type trouble struct {
	since  time.Time // zero: there is none
	told   bool
	judged bool // ever
}

// runningFleet is a fleet and what it was made of.
type runningFleet struct {
	*fleet.Fleet
	config   Fleet
	rules    *fleetRules // when it was last updated
	registry *prometheus.Registry
	stop     context.CancelFunc
	done     chan struct{} // closed when it is over; nil before it runs
}

var _ storage.Queryable = (*fleetKeeper)(nil)

func newFleetKeeper(a *App) *fleetKeeper {
	return &fleetKeeper{app: a, logger: a.o.Logger.With("component", "fleet"), due: make(chan struct{}, 1)}
}

// wake makes it look at the configuration, such as after a reload.
func (k *fleetKeeper) wake() {
	select {
	case k.due <- struct{}{}:
	default: // it will already
	}
}

// open opens the folder of the fleet and has its rules ready, when there are
// any.
func (k *fleetKeeper) open(ctx context.Context, s *state) error {
	if s.fleet == nil {
		return nil
	}
	r := &runningFleet{config: s.config.Fleet, registry: prometheus.NewRegistry()}
	f, err := fleet.New(ctx, fleet.Config{
		Dir:          s.config.Fleet.Path,
		Clusters:     fleetClusters{k.app},
		Members:      k.app.members,
		Deliver:      func(ctx context.Context, alerts []alert.Alert) error { return k.app.engine.Receive(ctx, alerts) },
		Standing:     k.standing,
		Leads:        k.leads,
		Retention:    s.fleet.retention,
		MaxBytes:     s.config.Fleet.MaxBytes,
		MissingAfter: time.Duration(s.config.Fleet.MissingAfter),
		ExternalURL:  s.config.ExternalURL,
		RemoteWrite:  s.fleet.remote,
		Logger:       k.logger,
		Registerer:   r.registry,
	})
	if err != nil {
		return err
	}
	r.Fleet = f
	if err := r.Update(s.fleet.groups, s.fleet.slos); err != nil {
		return errors.Join(err, f.Close())
	}
	r.rules = s.fleet
	k.set(r)
	return nil
}

func (k *fleetKeeper) set(r *runningFleet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = r
}

func (k *fleetKeeper) get() *runningFleet {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// run evaluates until ctx ends.
func (k *fleetKeeper) run(ctx context.Context) {
	for {
		k.judge(ctx, k.apply(ctx, k.app.current.Load()), time.Now())
		timer := time.NewTimer(fleetCheck)
		select {
		case <-ctx.Done():
			timer.Stop()
			k.end()
			return
		case <-k.due:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// apply makes what runs what the configuration says, and returns what is in the
// way of that.
func (k *fleetKeeper) apply(ctx context.Context, s *state) error {
	r := k.get()
	if r != nil && !r.suits(s) {
		k.end()
		r = nil
	}
	if r == nil {
		if err := k.open(ctx, s); err != nil {
			return err
		}
		r = k.get()
	}
	if r == nil {
		return nil
	}
	if r.done == nil {
		k.start(ctx, r)
	}
	if r.rules != s.fleet {
		if err := r.Update(s.fleet.groups, s.fleet.slos); err != nil {
			return err
		}
		r.rules = s.fleet
	}
	if rule, err := r.Failing(); err != nil {
		return fmt.Errorf("rule %s: %w", rule, err)
	}
	return nil
}

// judge logs what is in the way, and alerts when it stays.
func (k *fleetKeeper) judge(ctx context.Context, err error, at time.Time) {
	was := k.trouble
	k.trouble.judged = true
	a := alert.Alert{
		Labels:   model.LabelSet{model.AlertNameLabel: fleetNotEvaluated, alert.LabelService: ownService, alert.LabelSeverity: "P2"},
		State:    alert.Resolved,
		StartsAt: cmpTime(was.since, at), EndsAt: at, UpdatedAt: at,
	}
	if err == nil {
		k.trouble.since, k.trouble.told = time.Time{}, false
		if was.judged && !was.told { // at the first time one may be open from before a restart
			return
		}
	} else {
		k.logger.ErrorContext(ctx, "rules of the fleet are not evaluated", "err", err)
		if was.since.IsZero() {
			k.trouble.since = at
		}
		if at.Sub(k.trouble.since) < fleetPatience {
			return
		}
		k.trouble.told = true
		a.State, a.EndsAt = alert.Firing, at.Add(fleetPatience+4*fleetCheck)
		a.Annotations = model.LabelSet{
			"summary":     "SLOs of the fleet are not evaluated",
			"description": model.LabelValue("Their budgets may burn and nobody is paged. " + shortened(err.Error())),
		}
	}
	if err := k.app.engine.Receive(ctx, []alert.Alert{a}); err != nil && ctx.Err() == nil {
		k.logger.ErrorContext(ctx, "alert of midwatch itself is not taken in", "err", err)
	}
}

// shortened returns the begin of a text.
func shortened(text string) string {
	const most = 500
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// suits tells whether a fleet can go on under a configuration.
func (r *runningFleet) suits(s *state) bool {
	if s.fleet == nil {
		return false
	}
	was, is := r.config, s.config.Fleet
	return was.Path == is.Path && was.MaxBytes == is.MaxBytes && was.MissingAfter == is.MissingAfter &&
		r.rules.retention == s.fleet.retention && reflect.DeepEqual(r.rules.remote, s.fleet.remote)
}

func (k *fleetKeeper) start(ctx context.Context, r *runningFleet) {
	ctx, r.stop = context.WithCancel(ctx)
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		if err := r.Run(ctx); err != nil {
			k.logger.ErrorContext(ctx, "fleet ends", "err", err)
		}
	}()
}

// end stops what runs and waits for it.
func (k *fleetKeeper) end() {
	r := k.get()
	k.set(nil)
	switch {
	case r == nil:
	case r.done == nil:
		if err := r.Close(); err != nil {
			k.logger.Error("fleet ends", "err", err)
		}
	default:
		r.stop()
		<-r.done
	}
}

// Querier reads what the fleet's rules recorded.
func (k *fleetKeeper) Querier(mint, maxt int64) (storage.Querier, error) {
	if r := k.get(); r != nil {
		return r.Querier(mint, maxt)
	}
	return storage.NoopQuerier(), nil
}

// RuleGroups returns the groups of the fleet's rules, for Prometheus' API.
func (k *fleetKeeper) RuleGroups() []*promrules.Group {
	if r := k.get(); r != nil {
		return r.RuleGroups()
	}
	return nil
}

// AlertingRules returns the fleet's rules that alert, for Prometheus' API.
func (k *fleetKeeper) AlertingRules() []*promrules.AlertingRule {
	if r := k.get(); r != nil {
		return r.AlertingRules()
	}
	return nil
}

// Gather returns the metrics of the fleet.
func (k *fleetKeeper) Gather() ([]*dto.MetricFamily, error) {
	if r := k.get(); r != nil {
		return r.registry.Gather()
	}
	return nil, nil
}

// standing returns the alerts that fire in incidents.
func (k *fleetKeeper) standing(ctx context.Context) (out []alert.Alert, err error) {
	err = k.app.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		return tx.EachLiveAlert(func(a alert.Alert) error {
			if a.Label(labelScope) == scopeFleet {
				out = append(out, a)
			}
			return nil
		})
	})
	return out, err
}

// leads tells whether this replica is the one that pages for the fleet: that
// which has lived the longest.
func (k *fleetKeeper) leads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, leadTimeout)
	defer cancel()
	var first bool
	err := k.app.store.View(ctx, func(tx *store.Tx) (err error) {
		first, err = tx.First()
		return err
	})
	switch {
	case err == nil:
		k.led, k.ledAt = first, time.Now()
	case time.Since(k.ledAt) > leadGrace:
		k.led = false
	}
	return k.led
}

// members returns the clusters that are configured.
func (a *App) members() (out []fleet.Member) {
	for _, c := range a.current.Load().config.Clusters {
		out = append(out, fleet.Member{Name: c.Name, Labels: c.ExternalLabels()})
	}
	return out
}

const (
	labelScope = "scope"
	scopeFleet = "fleet"
)

// fleetClusters asks the clusters of the current configuration.
type fleetClusters struct{ app *App }

var _ fleet.Clusters = fleetClusters{}

// Instant implements fleet.Clusters.
func (c fleetClusters) Instant(ctx context.Context, query string, at time.Time) (promql.Vector, fleet.Lack, error) {
	q, err := c.app.current.Load().federation.NewInstantQuery(ctx, nil, nil, query, at)
	if err != nil {
		return nil, fleet.Lack{}, err
	}
	defer q.Close()
	res, lack, err := execute(ctx, q)
	if res == nil || err != nil {
		return nil, lack, err
	}
	v, err := res.Vector()
	return v, lack, err
}

// Range implements fleet.Clusters.
func (c fleetClusters) Range(ctx context.Context, query string, start, end time.Time, step time.Duration) (promql.Matrix, fleet.Lack, error) {
	q, err := c.app.current.Load().federation.NewRangeQuery(ctx, nil, nil, query, start, end, step)
	if err != nil {
		return nil, fleet.Lack{}, err
	}
	// The query is not closed: that would take back the points of the answer.
	res, lack, err := execute(ctx, q)
	if res == nil || err != nil {
		return nil, lack, err
	}
	m, err := res.Matrix()
	return m, lack, err
}

// execute returns the result of a query, none when no cluster answers.
func execute(ctx context.Context, q promql.Query) (*promql.Result, fleet.Lack, error) {
	res := q.Exec(ctx)
	lack := fleet.Lack{Missing: federation.Missing(res.Warnings), Doubtful: federation.Doubtful(res.Warnings)}
	switch {
	case res.Err == nil:
		return res, lack, nil
	case errors.Is(res.Err, federation.ErrUnavailable) && len(lack.Missing) > 0:
		return nil, lack, nil
	}
	return nil, fleet.Lack{}, fmt.Errorf("ask the clusters: %w", res.Err)
}
