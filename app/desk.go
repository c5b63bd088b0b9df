package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/notifiers/slack"
	"github.com/midwatch-slo/midwatch/notifiers/wecom"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/store"
	"github.com/midwatch-slo/midwatch/web"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// engine is the incident engine as the web asks for it.
type engine struct{ app *App }

var (
	_ web.Incidents = engine{}
	_ web.Desk      = engine{}
	_ web.Alerts    = engine{}
	_ web.Silences  = engine{}
	_ web.Drills    = engine{}
	_ web.Delivery  = engine{}
	_ web.Audit     = engine{}
)

// told returns what was asked for, and an error as the web knows it.
func told[T any](v T, err error) (T, error) { return v, webError(err) }

// webError tells the web which of its own errors an error of the engine is.
func webError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, incident.ErrNotFound):
		return fmt.Errorf("%w: %w", web.ErrNotFound, err)
	case errors.Is(err, incident.ErrResolved):
		return fmt.Errorf("%w: %w", web.ErrConflict, err)
	case errors.Is(err, incident.ErrInvalid), errors.Is(err, incident.ErrActor):
		return &web.RefusedError{Reason: err.Error()}
	}
	return err
}

func (e engine) List(ctx context.Context, all bool) ([]alert.Incident, error) {
	return told(e.app.engine.List(ctx, all))
}

func (e engine) Story(ctx context.Context, id int64) (web.Story, error) {
	s, err := e.app.engine.Get(ctx, id)
	return web.Story(s), webError(err)
}

func (e engine) Acknowledge(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return told(e.app.engine.Acknowledge(ctx, id, actor))
}

func (e engine) Resolve(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return told(e.app.engine.Resolve(ctx, id, actor))
}

func (e engine) Escalate(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return told(e.app.engine.Escalate(ctx, id, actor))
}

func (e engine) Snooze(ctx context.Context, id int64, until time.Time, actor string) (alert.Incident, error) {
	return told(e.app.engine.Snooze(ctx, id, until, actor))
}

func (e engine) Reassign(ctx context.Context, id int64, users []string, actor string) (alert.Incident, error) {
	return told(e.app.engine.Reassign(ctx, id, users, actor))
}

func (e engine) AddResponders(ctx context.Context, id int64, users []string, actor string) (alert.Incident, error) {
	return told(e.app.engine.AddResponders(ctx, id, users, actor))
}

func (e engine) Note(ctx context.Context, id int64, text, actor string) (alert.Incident, error) {
	return told(e.app.engine.Note(ctx, id, text, actor))
}

func (e engine) Merge(ctx context.Context, from, into int64, actor string) (alert.Incident, error) {
	return told(e.app.engine.Merge(ctx, from, into, actor))
}

// Alerts returns the alerts that fire or expired.
func (e engine) Alerts(ctx context.Context) ([]web.AlertStatus, error) {
	all, err := e.app.engine.Alerts(ctx)
	list := make([]web.AlertStatus, len(all))
	for i, a := range all {
		list[i] = web.AlertStatus{
			Alert: a.Alert, SilencedBy: a.SilencedBy, InhibitedBy: a.InhibitedBy, MutedBy: a.MutedBy, Policy: a.Policy,
			Group: group(a.Alert, duty(e).Route(a.Labels).GroupBy),
		}
	}
	return list, webError(err)
}

// group returns the labels that the alert's incident groups by; nil for the
// default ones.
func group(a alert.Alert, by []string) model.LabelSet {
	if len(by) == 0 {
		return nil
	}
	of := model.LabelSet{}
	for _, name := range by {
		of[model.LabelName(name)] = a.Labels[model.LabelName(name)]
	}
	return of
}

func (e engine) Silences(ctx context.Context) ([]silence.Silence, error) {
	return told(e.app.engine.Silences(ctx))
}

func (e engine) Silence(ctx context.Context, id string) (silence.Silence, error) {
	return told(e.app.engine.Silence(ctx, id))
}

func (e engine) SaveSilence(ctx context.Context, s silence.Silence, actor string) (string, error) {
	return told(e.app.engine.SaveSilence(ctx, s, actor))
}

func (e engine) ExpireSilence(ctx context.Context, id, actor string) error {
	return webError(e.app.engine.ExpireSilence(ctx, id, actor))
}

// Deeds returns who did what, newest first.
func (e engine) Deeds(ctx context.Context, before int64, limit int) (deeds []wire.Deed, err error) {
	err = e.app.store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.AuditLog(before, limit)
		for _, r := range rows {
			deeds = append(deeds, wire.Deed(r))
		}
		return err
	})
	return deeds, err
}

// shownDrills is how many drills are shown with what became of them.
const shownDrills = 50

// Drills returns the newest drills and how they went.
func (e engine) Drills(ctx context.Context) ([]wire.Drill, error) {
	all, err := e.app.engine.Drills(ctx)
	if err != nil {
		return nil, webError(err)
	}
	drills := make([]wire.Drill, min(len(all), shownDrills))
	for i, d := range all[:len(drills)] {
		s, err := e.app.engine.Get(ctx, d.Incident)
		if err != nil {
			return nil, webError(err)
		}
		drills[i] = drill(d, s)
	}
	return drills, nil
}

func drill(d page.Drill, s incident.Story) wire.Drill {
	w := wire.Drill{
		Incident: d.Incident, StartedAt: d.At, StartedBy: d.By, To: s.Incident.Policy, Users: s.Incident.Assigned,
		DeliveredAt: d.DeliveredAt, AckedAt: d.AckedAt, AckedBy: s.Incident.AckedBy,
	}
	if len(s.Incident.Assigned) > 0 {
		w.To = s.Incident.Assigned[0]
	}
	for _, ev := range s.Events {
		if ev.Kind == alert.EventPageFailed {
			w.Problem = ev.Text
		}
	}
	return w
}

// StartDrill pages whoever is on call by a schedule, or one person.
func (e engine) StartDrill(ctx context.Context, what wire.DrillRequest, actor string) (wire.Drill, error) {
	x := incident.Exercise{User: what.User, Labels: model.LabelSet{}}
	if what.Level != "" {
		x.Labels[alert.LabelSeverity] = model.LabelValue(what.Level)
	}
	if what.Schedule != "" {
		s := e.app.current.Load().duty.Load().At(what.Schedule, time.Now())
		switch {
		case s.Schedule == "":
			return wire.Drill{}, &web.RefusedError{Reason: fmt.Sprintf("there is no schedule %q", what.Schedule)}
		case s.Gap():
			return wire.Drill{}, &web.RefusedError{Reason: fmt.Sprintf("nobody is on call by %q now", what.Schedule)}
		}
		x.User = s.User
	}
	id, err := e.app.engine.Drill(ctx, x, actor)
	if err != nil {
		return wire.Drill{}, webError(err)
	}
	s, err := e.app.engine.Get(ctx, id)
	return drill(page.Drill{Incident: id, By: actor, At: s.Incident.OpenedAt}, s), webError(err)
}

// Delivery says how pages go out by each channel, and which did not.
func (e engine) Delivery(ctx context.Context) (wire.Delivery, error) {
	dead, err := e.app.engine.DeadPages(ctx)
	if err != nil {
		return wire.Delivery{}, webError(err)
	}
	d := wire.Delivery{Dead: dead}
	states, err := e.app.channelStates(ctx)
	for _, name := range e.app.current.Load().senders.Channels() {
		st := states[name]
		st.Name = name
		d.Channels = append(d.Channels, wire.Channel(st))
	}
	return d, err
}

// channelStates reads how the outbox stands.
func (a *App) channelStates(ctx context.Context) (states map[string]store.ChannelState, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		states, err = tx.ChannelStates(time.Now().Add(-24 * time.Hour))
		return err
	})
	return states, err
}

// buttons is what people do from a chat: the engine with errors that a chat
// may show.
type buttons struct{ app *App }

var (
	_ wecom.Desk  = buttons{}
	_ slack.Desk  = buttons{}
	_ slack.Board = buttons{}
)

// chat returns a context of what somebody does from a chat.
func chat(ctx context.Context) context.Context { return alert.WithVia(ctx, "chat") }

// refused tells a chat why something cannot be done, where that may be shown.
func refused(err error) error {
	switch {
	case errors.Is(err, incident.ErrNotFound), errors.Is(err, incident.ErrResolved), errors.Is(err, incident.ErrInvalid):
		return &slack.Refused{Words: err.Error()}
	}
	return err
}

func (b buttons) Acknowledge(ctx context.Context, id int64, actor string) error {
	_, err := b.app.engine.Acknowledge(chat(ctx), id, actor)
	return refused(err)
}

func (b buttons) Escalate(ctx context.Context, id int64, actor string) error {
	_, err := b.app.engine.Escalate(chat(ctx), id, actor)
	return refused(err)
}

func (b buttons) Resolve(ctx context.Context, id int64, actor string) error {
	_, err := b.app.engine.Resolve(chat(ctx), id, actor)
	return refused(err)
}

func (b buttons) Snooze(ctx context.Context, id int64, until time.Time, actor string) error {
	_, err := b.app.engine.Snooze(chat(ctx), id, until, actor)
	return refused(err)
}

// Incidents returns those that are not resolved.
func (b buttons) Incidents(ctx context.Context) ([]alert.Incident, error) {
	return b.app.engine.List(ctx, false)
}

// OnCall says who is on call now.
func (b buttons) OnCall(context.Context) ([]slack.Duty, error) {
	var all []slack.Duty
	for _, w := range duty(b).Watches(time.Now()) {
		all = append(all, slack.Duty{Schedule: w.Schedule, User: w.Now.User, Until: w.Now.Until})
	}
	return all, nil
}
