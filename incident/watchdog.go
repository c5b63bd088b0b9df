package incident

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// Watch is a cluster that must be heard all the time: an alert that always
// fires keeps coming while its Prometheus can alert, and when it does not,
// nothing else comes from there either.
type Watch struct {
	Cluster  string          // value of the label cluster
	Matchers labels.Matchers // of the alert that always fires; none: named Watchdog or MidwatchWatchdog
	Timeout  time.Duration   // after which a cluster that is not heard cannot alert; 0 is 5 min
}

const (
	watchTimeout = 5 * time.Minute
	beatEvery    = 5 * time.Second // a heartbeat is kept at most this often
	ownLife      = 5 * time.Minute // of an alert of Midwatch itself, which is sent again before
	silenceKept  = 5 * 24 * time.Hour
)

func newWatches(watches []Watch) (map[string]Watch, error) {
	all := make(map[string]Watch, len(watches))
	for _, w := range watches {
		if _, twice := all[w.Cluster]; twice || w.Cluster == "" {
			return nil, fmt.Errorf("watch %q: each cluster must be named, and once", w.Cluster)
		}
		if w.Timeout < 0 {
			return nil, fmt.Errorf("watch %q: timeout %s is negative", w.Cluster, w.Timeout)
		}
		setDefault(&w.Timeout, watchTimeout)
		if len(w.Matchers) == 0 {
			w.Matchers = labels.Matchers{among(model.AlertNameLabel, []string{"Watchdog", "MidwatchWatchdog"})}
		}
		all[w.Cluster] = w
	}
	return all, nil
}

// vigil watches over what happens when nothing arrives.
type vigil struct {
	watches atomic.Pointer[map[string]Watch]
	wake    chan struct{}

	mu    sync.Mutex
	heard map[string]time.Time // when a heartbeat was last kept by this process
	swept time.Time            // when old silences were last deleted
}

func newVigil() *vigil { return &vigil{wake: make(chan struct{}, 1), heard: map[string]time.Time{}} }

// SetRules changes which alerts keep which from paging and which clusters are
// watched, as when the configuration is read again, and looks anew at whom
// nobody is paged for. The error says what is wrong with a rule or a watch,
// when nothing changes, or is the store's.
func (e *Engine) SetRules(ctx context.Context, inhibit []InhibitRule, watch []Watch) error {
	if err := e.setRules(inhibit, watch); err != nil {
		return err
	}
	wake(e.vigil.wake)
	return e.applyRules(ctx)
}

func (e *Engine) setRules(inhibit []InhibitRule, watch []Watch) error {
	rules, err := newInhibitions(inhibit)
	if err != nil {
		return err
	}
	watches, err := newWatches(watch)
	if err != nil {
		return err
	}
	e.quiet.rules.Store(&rules)
	e.vigil.watches.Store(&watches)
	return nil
}

// applyRules keeps what alerts inhibit by the rules of now, and has all that
// is muted looked at again: maintenance windows may have changed too.
func (e *Engine) applyRules(ctx context.Context) error {
	err := e.c.Store.Update(ctx, func(tx Tx) error {
		if err := e.keepInhibitors(tx, e.quiet.inhibitions()); err != nil {
			return err
		}
		_, err := tx.WakeMuted(now())
		return err
	})
	wake(e.escalate)
	if err != nil {
		return fmt.Errorf("apply inhibitions: %w", err)
	}
	return nil
}

// hear keeps heartbeats and returns the alerts that are none.
func (e *Engine) hear(ctx context.Context, alerts []alert.Alert, at time.Time) ([]alert.Alert, error) {
	watches := *e.vigil.watches.Load()
	if len(watches) == 0 {
		return alerts, nil
	}
	heard := map[string]bool{}
	rest := slices.DeleteFunc(alerts, func(a alert.Alert) bool {
		w, ok := watches[a.Label(alert.LabelCluster)]
		if !ok || !w.Matchers.Matches(a.Labels) {
			return false
		}
		if a.State == alert.Firing {
			heard[w.Cluster] = true
		}
		return true
	})
	due := e.vigil.due(heard, at)
	if len(due) == 0 {
		return rest, nil
	}
	err := e.c.Store.Update(ctx, func(tx Tx) error {
		for _, cluster := range due {
			if err := tx.Beat(cluster, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		e.vigil.kept(due, at)
		wake(e.vigil.wake)
	}
	return rest, err
}

// due returns those of the clusters whose heartbeat is to be kept now.
func (v *vigil) due(clusters map[string]bool, at time.Time) (due []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for cluster := range clusters {
		if since := at.Sub(v.heard[cluster]); since >= beatEvery || since < 0 {
			due = append(due, cluster)
		}
	}
	slices.Sort(due)
	return due
}

func (v *vigil) kept(clusters []string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, cluster := range clusters {
		v.heard[cluster] = at
	}
}

// Beats returns when each cluster's alert that always fires last arrived.
func (e *Engine) Beats(ctx context.Context) (beats map[string]time.Time, err error) {
	err = e.read(ctx, func(tx Tx) error {
		beats, err = tx.Beats()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read heartbeats: %w", err)
	}
	return beats, nil
}

// keepVigil looks after what nothing that arrives would wake, until ctx ends.
func (e *Engine) keepVigil(ctx context.Context, started time.Time) {
	if err := e.applyRules(ctx); err != nil && ctx.Err() == nil {
		e.c.Logger.ErrorContext(ctx, "keep vigil", "err", err)
	}
	for ctx.Err() == nil {
		e.pulse.beat("vigil")
		next, err := e.watchOver(ctx, started)
		if err != nil && ctx.Err() == nil {
			e.c.Logger.ErrorContext(ctx, "keep vigil", "err", err)
			next = now().Add(retryStore)
		}
		wait(ctx, e.vigil.wake, next)
	}
}

// watchOver does what is due now and returns when something next is.
func (e *Engine) watchOver(ctx context.Context, started time.Time) (next time.Time, err error) {
	at := now()
	own, next, err := e.survive(ctx, at, started)
	if err != nil {
		return next, err
	}
	recover, err := e.recoveries(ctx, at)
	if err != nil {
		return next, err
	}
	if own {
		err = e.receive(ctx, at, func(tx Tx) ([]alert.Alert, error) {
			alerts, _, err := e.clusterAlerts(tx, at, started)
			return alerts, err
		})
	}
	return earliest(next, recover), errors.Join(err, e.sweep(ctx, at))
}

// survive looks whether alerts of clusters are to be sent, and when the next
// may be.
func (e *Engine) survive(ctx context.Context, at, started time.Time) (due bool, next time.Time, err error) {
	err = e.c.Store.View(ctx, func(tx Tx) error {
		alerts, at, err := e.clusterAlerts(tx, at, started)
		due, next = len(alerts) > 0, at
		return err
	})
	return due, next, err
}

// recoveries resolves what has recovered for long enough, and returns when
// something next may have.
func (e *Engine) recoveries(ctx context.Context, at time.Time) (next time.Time, err error) {
	err = e.c.Store.View(ctx, func(tx Tx) error {
		next, err = tx.NextRecovery()
		return err
	})
	if err != nil || next.IsZero() || next.After(at) {
		return next, err
	}
	err = e.c.Store.Update(ctx, func(tx Tx) error {
		next, err = e.settleRecoveries(tx, at)
		return err
	})
	wake(e.deliver)
	return next, err
}

// sweep deletes silences that were over long ago, each hour.
func (e *Engine) sweep(ctx context.Context, at time.Time) error {
	e.vigil.mu.Lock()
	since := at.Sub(e.vigil.swept)
	e.vigil.mu.Unlock()
	if since >= 0 && since < time.Hour {
		return nil
	}
	err := e.c.Store.Update(ctx, func(tx Tx) error { return tx.DeleteSilences(at.Add(-silenceKept)) })
	if err == nil {
		e.vigil.mu.Lock()
		e.vigil.swept = at
		e.vigil.mu.Unlock()
	}
	return err
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// clusterAlerts returns the alerts about clusters that Midwatch has to send to
// itself: of those that fell silent, of those that still are before their
// alert expires, and of those that are heard again. A cluster has the timeout
// to be heard from its last heartbeat and from our own start on.
func (e *Engine) clusterAlerts(tx Tx, at, started time.Time) (alerts []alert.Alert, next time.Time, err error) {
	watches := *e.vigil.watches.Load()
	beats, err := tx.Beats()
	if err != nil || len(watches) == 0 && len(beats) == 0 {
		return nil, next, err
	}
	firing, err := e.firingClusters(tx, at, watches, beats)
	if err != nil {
		return nil, next, err
	}
	for _, cluster := range slices.Sorted(maps.Keys(watches)) {
		last, known := beats[cluster], firing[cluster]
		deadline := latest(last, started).Add(watches[cluster].Timeout)
		switch {
		case known != nil && last.After(known.StartsAt):
			alerts = append(alerts, e.clusterAlert(cluster, last, known.StartsAt, at, true))
		case known != nil && known.EndsAt.Sub(at) <= ownLife/2:
			alerts = append(alerts, e.clusterAlert(cluster, last, known.StartsAt, at, false))
		case known != nil:
			next = earliest(next, known.EndsAt.Add(-ownLife/2))
		case !at.Before(deadline):
			alerts = append(alerts, e.clusterAlert(cluster, last, deadline, at, false))
		default:
			next = earliest(next, deadline)
		}
	}
	for cluster, known := range firing {
		if _, ok := watches[cluster]; !ok { // nobody watches it any more
			alerts = append(alerts, e.clusterAlert(cluster, time.Time{}, known.StartsAt, at, true))
		}
	}
	return alerts, next, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// firingClusters returns, by cluster, the alerts that say that one is silent
// and that are not resolved.
func (e *Engine) firingClusters(tx Tx, at time.Time, watches map[string]Watch, beats map[string]time.Time) (map[string]*alert.Alert, error) {
	names := map[model.Fingerprint]string{}
	for _, clusters := range []func(func(string) bool){maps.Keys(watches), maps.Keys(beats)} {
		for c := range clusters {
			names[e.clusterAlert(c, at, at, at, false).Fingerprint()] = c
		}
	}
	known, err := tx.LatestAlerts(slices.Sorted(maps.Keys(names)))
	firing := map[string]*alert.Alert{}
	for i, a := range known {
		if cluster := names[a.Fingerprint()]; a.State != alert.Resolved && a.Label(alert.LabelCluster) == cluster {
			firing[cluster] = &known[i]
		}
	}
	return firing, err
}

// clusterAlert returns what Midwatch says of a cluster that was last heard at
// last, the zero time for never.
func (e *Engine) clusterAlert(cluster string, last, since, at time.Time, over bool) alert.Alert {
	heard := "It was never heard."
	if !last.IsZero() {
		heard = "It was last heard at " + last.UTC().Format("2006-01-02 15:04:05 MST") + "."
	}
	a := alert.Alert{
		Labels: model.LabelSet{
			model.AlertNameLabel: clusterSilent, alert.LabelService: ownService,
			alert.LabelSeverity: model.LabelValue(alert.P2.String()), alert.LabelCluster: model.LabelValue(cluster),
		},
		Annotations: model.LabelSet{
			"summary": model.LabelValue(cluster + " cannot alert"),
			"description": model.LabelValue("The alert that always fires in " + cluster + " does not arrive, so no other alert of it would. " + heard +
				" Check that its Prometheus runs and evaluates rules, that the rule of its Watchdog is loaded, that alerting.alertmanagers names this Midwatch," +
				" and that the network between them lets alerts through."),
		},
		State: alert.Firing, StartsAt: since, EndsAt: at.Add(ownLife),
	}
	if over {
		a.State, a.EndsAt = alert.Resolved, at
	}
	return e.normalize(a, at)
}
