package app

import (
	"context"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/correlate"
	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/fleet"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
	"github.com/midwatch-slo/midwatch/web"
)

// ledger is the store as the incident engine asks for it.
type ledger struct{ store *store.Store }

var _ incident.Store = ledger{}

func (l ledger) Update(ctx context.Context, f func(incident.Tx) error) error {
	return l.store.Update(ctx, func(tx *store.Tx) error { return f(tx) })
}

func (l ledger) UpdateLater(ctx context.Context, f func(incident.Tx) error) error {
	return l.store.UpdateLater(ctx, func(tx *store.Tx) error { return f(tx) })
}

func (l ledger) View(ctx context.Context, f func(incident.Tx) error) error {
	return l.store.View(ctx, func(tx *store.Tx) error { return f(tx) })
}

func sloID(inc alert.Incident) string { return inc.Service + "/" + inc.SLO }

// sender sends through the channels of the current configuration.
type sender struct{ app *App }

func (s sender) Send(ctx context.Context, p page.Page) (ref string, err error) {
	return s.app.current.Load().senders.Send(ctx, p)
}

// Edits tells whether messages of the channel can be changed after they are
// sent.
func (s sender) Edits(channel string) bool { return s.app.current.Load().senders.Edits(channel) }

// evidence asks the sources of the current configuration.
type evidence struct{ app *App }

func (e evidence) Collect(ctx context.Context, inc alert.Incident) []page.Evidence {
	s := e.app.current.Load()
	c := correlate.Collector{Logger: e.app.o.Logger.With("component", "correlate")}
	if s.logs != nil {
		c.Sources = append(c.Sources, correlate.Source{Name: "logs", Collect: func(ctx context.Context, inc alert.Incident) page.Evidence {
			return s.logs.Collect(ctx, inc, s.byID[sloID(inc)].Logs)
		}})
	}
	return c.Collect(ctx, inc)
}

// ownService is what Midwatch's own alerts are about.
const ownService = "midwatch"

// normalize says which cluster an alert comes from and drops the labels that
// only tell replicas apart, so that an HA pair's alerts are one.
func (a *App) normalize(al alert.Alert) alert.Alert {
	s := a.current.Load()
	al = s.severities.Normalize(al)
	if al.Label(alert.LabelService) == ownService {
		return al // of Midwatch itself
	}
	if al.Label(labelScope) == scopeFleet {
		return al // of no cluster, whatever labels its SLO has
	}
	c, ok := s.clusterOf(al.Labels)
	if !ok {
		return stray(al)
	}
	al.Labels = al.Labels.Clone()
	for _, name := range c.ReplicaLabels {
		delete(al.Labels, model.LabelName(name))
	}
	al.Labels[alert.LabelCluster] = model.LabelValue(c.Name)
	return al
}

// clusterOf returns the cluster whose external labels are all among those of
// an alert, that with the most of them when the labels of one cluster are
// among those of another.
func (s *state) clusterOf(labels model.LabelSet) (of federation.Cluster, ok bool) {
	for _, c := range s.config.Clusters {
		if from(c, labels) && (!ok || len(c.ExternalLabels()) > len(of.ExternalLabels())) {
			of, ok = c, true
		}
	}
	return of, ok
}

// stray marks an alert that no configured cluster can have sent. It is taken
// in all the same: a page too many is better than one too few.
func stray(al alert.Alert) alert.Alert {
	al.Annotations = al.Annotations.Clone()
	if al.Annotations == nil {
		al.Annotations = model.LabelSet{}
	}
	al.Annotations["midwatch_note"] = "names no cluster of Midwatch's configuration"
	return al
}

// from tells whether labels have every external label of a cluster.
func from(c federation.Cluster, labels model.LabelSet) bool {
	for name, value := range c.ExternalLabels() {
		if string(labels[model.LabelName(name)]) != value {
			return false
		}
	}
	return true
}

// intake takes alerts in from outside. Those that bear the names of Midwatch's
// own are told apart from them: nobody outside can say that one of ours is
// over.
type intake struct{ app *App }

var _ web.Receiver = intake{}

// labelOrigin marks an alert from outside that has a name of ours.
const labelOrigin = "origin"

// Receive takes alerts in, and returns when they are on disk.
func (i intake) Receive(ctx context.Context, alerts []alert.Alert) error {
	for n := range alerts {
		alerts[n] = outside(alerts[n])
	}
	return i.app.engine.Receive(ctx, alerts)
}

// outside marks an alert from outside that has a name of ours. A watchdog is
// none: it only shows that its cluster can alert.
func outside(al alert.Alert) alert.Alert {
	name := al.Label(model.AlertNameLabel)
	ours := strings.HasPrefix(name, "Midwatch") || name == fleet.AlertDataMissing
	if al.Label(alert.LabelService) != ownService || !ours || name == "MidwatchWatchdog" {
		return al
	}
	al.Labels = al.Labels.Clone()
	al.Labels[labelOrigin] = "outside"
	return al
}
