package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/correlate"
	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
	"github.com/midwatch-slo/midwatch/web"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// ledger is the store as the incident engine asks for it.
type ledger struct{ store *store.SQLite }

var _ incident.Store = ledger{}

func (l ledger) Update(ctx context.Context, f func(incident.Tx) error) error {
	return l.store.Update(ctx, func(tx *store.Tx) error { return f(tx) })
}

func (l ledger) View(ctx context.Context, f func(incident.Tx) error) error {
	return l.store.View(ctx, func(tx *store.Tx) error { return f(tx) })
}

// responders is the roster as the incident engine asks for it.
type responders struct{ app *App }

var _ incident.Responders = responders{}

func (r responders) Route(model.LabelSet) incident.Route { return incident.Route{} }

func (r responders) Step(at time.Time, inc alert.Incident) (step incident.Step) {
	s := r.app.current.Load()
	for _, c := range s.roster.Contacts(at, s.routeLabels(inc)) {
		step.Notices = append(step.Notices, incident.Notice{To: c})
	}
	return step
}

func (r responders) Ways(string, alert.Level) []incident.Notice { return nil }

func (r responders) Muted(time.Time, model.LabelSet) (why string, until time.Time, ok bool) {
	return "", time.Time{}, false
}

func (r responders) WorkingTime(at time.Time, inc alert.Incident) time.Time {
	s := r.app.current.Load()
	return s.roster.WorkingTime(at, s.routeLabels(inc))
}

// routeLabels are what routes can match: the labels that the SLO's author
// gave it, and what the incident itself is about.
func (s *state) routeLabels(inc alert.Incident) map[string]string {
	of := map[string]string{}
	for _, a := range inc.Alerts {
		for name, value := range a.Labels {
			of[string(name)] = string(value)
		}
	}
	if def, ok := s.byID[sloID(inc)]; ok {
		maps.Copy(of, def.Labels)
	}
	of[alert.LabelService], of[alert.LabelSLO], of[alert.LabelSeverity] = inc.Service, inc.SLO, inc.Level.String()
	return of
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

// incidents is the incident engine as the web asks for it.
type incidents struct{ engine *incident.Engine }

var _ web.Incidents = incidents{}

func (i incidents) List(ctx context.Context, all bool) ([]alert.Incident, error) {
	list, err := i.engine.List(ctx, all)
	return list, webError(err)
}

func (i incidents) Story(ctx context.Context, id int64) (web.Story, error) {
	s, err := i.engine.Get(ctx, id)
	return web.Story(s), webError(err)
}

func (i incidents) Acknowledge(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	inc, err := i.engine.Acknowledge(ctx, id, actor)
	return inc, webError(err)
}

func (i incidents) Resolve(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	inc, err := i.engine.Resolve(ctx, id, actor)
	return inc, webError(err)
}

// webError tells the web which of its own errors an error of the engine is.
func webError(err error) error {
	switch {
	case errors.Is(err, incident.ErrNotFound):
		return fmt.Errorf("%w: %w", web.ErrNotFound, err)
	case errors.Is(err, incident.ErrResolved):
		return fmt.Errorf("%w: %w", web.ErrConflict, err)
	}
	return err
}

// watches is the roster as the web asks for it.
type watches struct{ app *App }

func (w watches) Watches(at time.Time) []wire.Watch {
	roster := w.app.current.Load().roster
	var all []wire.Watch
	for _, name := range roster.Schedules() {
		now := roster.At(name, at)
		next := roster.At(name, now.Until)
		all = append(all, wire.Watch{
			Schedule: name,
			Now:      wire.Shift{User: now.User, FullName: now.FullName, From: now.From, Until: now.Until, Override: now.Override},
			Next:     wire.Shift{User: next.User, FullName: next.FullName, From: next.From, Until: next.Until, Override: next.Override},
		})
	}
	return all
}

// normalize says which cluster an alert comes from and drops the labels that
// only tell replicas apart, so that an HA pair's alerts are one.
func (a *App) normalize(al alert.Alert) alert.Alert {
	c, ok := a.current.Load().clusterOf(al.Labels)
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
