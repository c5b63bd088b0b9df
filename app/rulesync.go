package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/web"
	"github.com/midwatch-slo/midwatch/web/wire"
)

const (
	// rulesPatience is how long rules may not be kept before an alert says so.
	rulesPatience  = 30 * time.Minute
	comparedAtOnce = 4

	// rulesNotKept is the alert.
	rulesNotKept = "MidwatchRulesNotInStep"
)

// ruleKeeper keeps the rules where the configuration says in step with the
// SLOs, and looks whether clusters have loaded them.
type ruleKeeper struct {
	current func() *state
	report  func(ctx context.Context, alerts []alert.Alert) error // takes alerts in
	client  *http.Client
	logger  *slog.Logger
	now     func() time.Time
	due     chan struct{} // something may have changed

	unloaded map[string]bool // files that a Prometheus has not loaded yet; only of the one goroutine

	mu       sync.Mutex
	targets  map[string]*wire.RuleTarget
	clusters map[string]*wire.RuleCluster
	metrics  ruleMetrics
}

type ruleMetrics struct {
	success   *prometheus.GaugeVec
	failures  *prometheus.CounterVec
	different *prometheus.GaugeVec
	unknown   *prometheus.CounterVec
}

var _ web.Rules = (*ruleKeeper)(nil)

func newRuleKeeper(a *App, r prometheus.Registerer) *ruleKeeper {
	k := &ruleKeeper{
		current: a.current.Load, logger: a.o.Logger.With("component", "rules"), now: time.Now, due: make(chan struct{}, 1),
		report: func(ctx context.Context, alerts []alert.Alert) error { return a.engine.Receive(ctx, alerts) },
		client: &http.Client{
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		unloaded: map[string]bool{}, targets: map[string]*wire.RuleTarget{}, clusters: map[string]*wire.RuleCluster{},
		metrics: ruleMetrics{
			success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
				Name: "midwatch_rules_last_success_timestamp_seconds", Help: "When the rules at a target were last found or brought in step with the SLOs, in seconds since 1970.",
			}, []string{"target"}),
			failures: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "midwatch_rules_failures_total", Help: "How often the rules at a target could not be brought in step.",
			}, []string{"target"}),
			different: prometheus.NewGaugeVec(prometheus.GaugeOpts{
				Name: "midwatch_cluster_rules_different", Help: "Groups of rules that a cluster has loaded otherwise than the SLOs have them, has not loaded, or has and should not; of its replicas the one with the most.",
			}, []string{"cluster"}),
			unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "midwatch_cluster_rules_failures_total", Help: "How often a cluster did not say which rules it has loaded.",
			}, []string{"cluster"}),
		},
	}
	r.MustRegister(k.metrics.success, k.metrics.failures, k.metrics.different, k.metrics.unknown)
	return k
}

// wake makes it look at once, such as after a reload.
func (k *ruleKeeper) wake() {
	select {
	case k.due <- struct{}{}:
	default: // it will already
	}
}

// run keeps the rules until ctx ends.
func (k *ruleKeeper) run(ctx context.Context) {
	defer k.client.CloseIdleConnections()
	for {
		every := time.Hour
		if r := k.current().rules; r != nil {
			every = r.every
		}
		k.pass(ctx, k.current())
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-k.due:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pass brings every target in step once, and then looks at every cluster.
func (k *ruleKeeper) pass(ctx context.Context, s *state) {
	r := s.rules
	if r == nil {
		r = &ruleTargets{}
	}
	k.forget(r)
	for _, t := range r.targets {
		did, err := t.sync(ctx, k, r.set)
		if ctx.Err() != nil {
			return
		}
		k.noteTarget(ctx, t.name(), did, err, r.every)
	}
	var group errgroup.Group
	group.SetLimit(comparedAtOnce)
	for _, c := range r.compare {
		group.Go(func() error {
			k.compare(ctx, r, c)
			return nil
		})
	}
	_ = group.Wait() // each notes what goes wrong
}

// forget drops what is not configured any more.
func (k *ruleKeeper) forget(r *ruleTargets) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name := range k.targets {
		if !slices.ContainsFunc(r.targets, func(t ruleTarget) bool { return t.name() == name }) {
			delete(k.targets, name)
			k.metrics.success.DeleteLabelValues(name)
			k.metrics.failures.DeleteLabelValues(name)
		}
	}
	for name := range k.clusters {
		if !slices.ContainsFunc(r.compare, func(c federation.Cluster) bool { return c.Name == name }) {
			delete(k.clusters, name)
			k.metrics.different.DeleteLabelValues(name)
			k.metrics.unknown.DeleteLabelValues(name)
		}
	}
}

// noteTarget keeps how it went, logs it, and says so when it goes wrong for
// long.
func (k *ruleKeeper) noteTarget(ctx context.Context, name, did string, err error, every time.Duration) {
	at := k.now()
	k.mu.Lock()
	t := k.targets[name]
	first := t == nil
	if first {
		t = &wire.RuleTarget{Name: name}
		k.targets[name] = t
		k.metrics.failures.WithLabelValues(name)
	}
	failed := t.Error != ""
	since := t.FailingSince
	if err == nil {
		t.Error, t.FailingSince, t.InStepAt = "", time.Time{}, at
		k.metrics.success.WithLabelValues(name).Set(float64(at.UnixMilli()) / 1000)
	} else {
		if t.FailingSince.IsZero() {
			t.FailingSince = at
		}
		t.Error, since = err.Error(), t.FailingSince
		k.metrics.failures.WithLabelValues(name).Inc()
	}
	k.mu.Unlock()
	switch {
	case err != nil:
		k.logger.ErrorContext(ctx, "rules are not in step with the slos", "target", name, "err", err)
	case did != "":
		k.logger.InfoContext(ctx, "rules brought in step with the slos", "target", name, "did", did)
	}
	switch {
	case err != nil && at.Sub(since) >= rulesPatience:
		k.tell(ctx, notKept(name, err.Error(), since, at, at.Add(2*every+rulesPatience)))
	case err == nil && (failed || first): // at the first time one may be open from before a restart
		k.tell(ctx, notKept(name, "", cmpTime(since, at), at, at))
	}
}

// cmpTime returns the first of the times that is one.
func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// notKept is the alert about a target; it is over when it ends at once.
func notKept(name, cause string, since, at, ends time.Time) alert.Alert {
	a := alert.Alert{
		Labels: model.LabelSet{
			model.AlertNameLabel: rulesNotKept, alert.LabelService: ownService, alert.LabelSeverity: "P3", "target": model.LabelValue(name),
		},
		Annotations: model.LabelSet{
			"summary":     model.LabelValue(fmt.Sprintf("The rules at %s are not in step with the SLOs", name)),
			"description": model.LabelValue("SLOs that changed since alert as they did before, and new ones not at all. " + cause),
		},
		State: alert.Firing, StartsAt: since, EndsAt: ends, UpdatedAt: at,
	}
	if !ends.After(at) {
		a.State = alert.Resolved
	}
	return a
}

func (k *ruleKeeper) tell(ctx context.Context, a alert.Alert) {
	if err := k.report(ctx, []alert.Alert{a}); err != nil && ctx.Err() == nil {
		k.logger.ErrorContext(ctx, "alert of midwatch itself is not taken in", "err", err)
	}
}

// compare looks at what each replica of a cluster has loaded.
func (k *ruleKeeper) compare(ctx context.Context, r *ruleTargets, c federation.Cluster) {
	found := wire.RuleCluster{Name: c.Name, CheckedAt: k.now()}
	var errs []error
	for i, base := range c.URLs {
		replica := redacted(base)
		loaded, err := k.loaded(ctx, c.Name, i)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("ask %s for its rules: %w", replica, err))
			continue
		}
		differences := r.differences(loaded)
		found.Different = max(found.Different, len(differences))
		for _, d := range differences[:min(len(differences), maxDifferences-len(found.Differences))] {
			d.Replica = replica
			found.Differences = append(found.Differences, d)
		}
	}
	if err := errors.Join(errs...); err != nil {
		found.Error = err.Error()
	}
	k.noteCluster(ctx, found, len(errs) < len(c.URLs))
}

// redacted returns a URL without its password.
func redacted(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

func (k *ruleKeeper) noteCluster(ctx context.Context, found wire.RuleCluster, known bool) {
	k.mu.Lock()
	before := k.clusters[found.Name]
	if before == nil {
		before = &wire.RuleCluster{}
		k.metrics.unknown.WithLabelValues(found.Name)
	}
	k.clusters[found.Name] = &found
	if known {
		k.metrics.different.WithLabelValues(found.Name).Set(float64(found.Different))
	} else {
		k.metrics.different.DeleteLabelValues(found.Name) // it is not known
	}
	if found.Error != "" {
		k.metrics.unknown.WithLabelValues(found.Name).Inc()
	}
	k.mu.Unlock()
	log := k.logger.With("cluster", found.Name)
	if found.Error != "" && found.Error != before.Error {
		log.WarnContext(ctx, "a cluster does not say which rules it has loaded", "err", found.Error)
	}
	switch {
	case found.Different > 0 && found.Different != before.Different:
		d := found.Differences[0]
		log.WarnContext(ctx, "a cluster has loaded other rules than the slos have", "groups", found.Different, "replica", d.Replica, "group", d.Group, "rule", d.Rule, "problem", d.What)
	case found.Different == 0 && before.Different > 0 && known:
		log.InfoContext(ctx, "a cluster has loaded the rules of the slos")
	}
}

// RuleStatus implements web.Rules.
func (k *ruleKeeper) RuleStatus() (out wire.RuleStatus, kept bool) {
	out = wire.RuleStatus{Targets: []wire.RuleTarget{}, Clusters: []wire.RuleCluster{}}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(k.targets)) {
		out.Targets = append(out.Targets, *k.targets[name])
	}
	for _, name := range slices.Sorted(maps.Keys(k.clusters)) {
		out.Clusters = append(out.Clusters, *k.clusters[name])
	}
	return out, k.current().rules != nil
}
