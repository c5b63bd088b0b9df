package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/store"
	"github.com/midwatch-slo/midwatch/web"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// overridesAge is how long overrides that another replica took in are not
// seen here.
const overridesAge = 5 * time.Second

// duty is the roster with the overrides made at run time: who is on call, as
// the engine and the web ask for it.
type duty struct{ app *App }

var (
	_ incident.Responders = duty{}
	_ web.OnCall          = duty{}
	_ web.Rotas           = duty{}
	_ web.Calendars       = duty{}
	_ web.Overrides       = duty{}
)

// Route says how alerts with these labels are looked after.
func (d duty) Route(labels model.LabelSet) incident.Route {
	s := d.app.current.Load()
	return incident.Route(s.duty.Load().Route(s.routed(labels)))
}

// routed returns an alert's labels as routes and maintenance match them: with
// those of its SLO's author.
func (s *state) routed(labels model.LabelSet) map[string]string {
	of := plain(labels)
	if def, ok := s.byID[of[alert.LabelService]+"/"+of[alert.LabelSLO]]; ok {
		of = besides(of, def.Labels)
	}
	return of
}

// Step returns the step of the incident's policy that begins at an instant.
func (d duty) Step(at time.Time, inc alert.Incident) incident.Step {
	s := d.app.current.Load()
	p := s.duty.Load().Step(at, s.request(inc))
	return incident.Step{
		Notices: notices(p.Notices), Wait: p.Wait, Step: p.Step, Cycle: p.Cycle,
		Skipped: p.Skipped, Name: p.Name, AckTimeout: p.AckTimeout,
	}
}

// Ways returns every way to reach a user at a level.
func (d duty) Ways(user string, level alert.Level) []incident.Notice {
	return notices(d.app.current.Load().duty.Load().Ways(user, level))
}

// WorkingTime returns at, or when the working hours of who looks after the
// incident begin.
func (d duty) WorkingTime(at time.Time, inc alert.Incident) time.Time {
	s := d.app.current.Load()
	return s.duty.Load().WorkingTimeOf(at, s.request(inc))
}

// Muted says why nobody is paged for such alerts now, by the on-call files.
func (d duty) Muted(at time.Time, labels model.LabelSet) (why string, until time.Time, ok bool) {
	s := d.app.current.Load()
	return s.duty.Load().Muted(at, s.routed(labels))
}

func notices(all []oncall.Notice) []incident.Notice {
	to := make([]incident.Notice, len(all))
	for i, n := range all {
		to[i] = incident.Notice(n)
	}
	return to
}

func plain(labels model.LabelSet) map[string]string {
	of := make(map[string]string, len(labels))
	for name, value := range labels {
		of[string(name)] = string(value)
	}
	return of
}

// besides returns labels with those of an SLO's author, which go first but
// for what the alert is about.
func besides(of, author map[string]string) map[string]string {
	service, slo, severity := of[alert.LabelService], of[alert.LabelSLO], of[alert.LabelSeverity]
	maps.Copy(of, author)
	of[alert.LabelService], of[alert.LabelSLO], of[alert.LabelSeverity] = service, slo, severity
	return of
}

// request is an incident as the roster is asked about it.
func (s *state) request(inc alert.Incident) oncall.StepRequest {
	of, tiers := map[string]string{}, map[string]bool{}
	for _, a := range inc.Alerts {
		maps.Copy(of, plain(a.Labels))
		if t := a.Label(alert.LabelTier); t != "" {
			tiers[t] = true
		}
	}
	of[alert.LabelService], of[alert.LabelSLO], of[alert.LabelSeverity] = inc.Service, inc.SLO, inc.Level.String()
	if def, ok := s.byID[sloID(inc)]; ok {
		of = besides(of, def.Labels)
	}
	q := oncall.StepRequest{
		Policy: inc.Policy, Labels: of, Step: inc.Step, Cycle: inc.Cycle, Level: inc.Level,
		Assigned: inc.Assigned, Responders: inc.Responders, Incident: inc.ID,
	}
	for t := range tiers {
		q.Tiers = append(q.Tiers, t)
	}
	return q
}

// Person returns whose contact an address of a channel is.
func (d duty) Person(channel, address string) (name string, ok bool) {
	roster := d.app.current.Load().duty.Load()
	for _, u := range roster.Users() {
		for _, n := range roster.Ways(u.Name, alert.P1) {
			if n.To.Channel == channel && strings.EqualFold(n.To.Address, address) {
				return u.Name, true
			}
		}
	}
	return "", false
}

// Watches says who is on call by each schedule, and who is next.
func (d duty) Watches(at time.Time) []wire.Watch {
	roster := d.app.current.Load().duty.Load()
	var all []wire.Watch
	for _, name := range roster.Schedules() {
		now := roster.At(name, at)
		w := wire.Watch{Schedule: name, Now: shift(now)}
		if !now.Endless() {
			w.Next = shift(roster.At(name, now.Until))
		}
		all = append(all, w)
	}
	return all
}

func shift(s oncall.Shift) wire.Shift {
	if s.Endless() {
		s.Until = time.Time{}
	}
	return wire.Shift{User: s.User, FullName: s.FullName, From: s.From, Until: s.Until, Override: s.Override, Layer: s.Layer, Reason: s.Reason}
}

// Rotas says who is on call by each schedule over a span.
func (d duty) Rotas(from, to time.Time) []wire.Rota {
	roster := d.app.current.Load().duty.Load()
	var all []wire.Rota
	for _, name := range roster.Schedules() {
		r := wire.Rota{Schedule: name, Timezone: roster.Location(name).String(), Shifts: []wire.Shift{}}
		for _, s := range roster.Shifts(name, from, to) {
			r.Shifts = append(r.Shifts, shift(s))
		}
		all = append(all, r)
	}
	return all
}

// Users returns everybody in the on-call files.
func (d duty) Users() []wire.User {
	var all []wire.User
	for _, u := range d.app.current.Load().duty.Load().Users() {
		all = append(all, wire.User{Name: u.Name, FullName: u.FullName})
	}
	return all
}

// Overrides returns the overrides made at run time that are not over.
func (d duty) Overrides(ctx context.Context) ([]wire.Override, error) {
	all, err := d.app.overrides(ctx)
	list := make([]wire.Override, len(all))
	for i, o := range all {
		list[i] = wire.Override(o)
	}
	return list, err
}

// overrides reads those that are not over.
func (a *App) overrides(ctx context.Context) (all []store.Override, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		all, err = tx.Overrides(time.Now())
		return err
	})
	return all, err
}

// AddOverride puts somebody on call at once.
func (d duty) AddOverride(ctx context.Context, o wire.Override, actor string) (wire.Override, error) {
	if err := d.check(o); err != nil {
		return o, err
	}
	o.CreatedBy, o.CreatedAt = actor, time.Now().UTC().Truncate(time.Millisecond)
	err := d.app.store.Update(ctx, func(tx *store.Tx) (err error) {
		if o.ID, err = tx.AddOverride(store.Override(o)); err != nil {
			return err
		}
		detail := fmt.Sprintf("%s from %s until %s", o.User, o.From.Format(time.RFC3339), o.Until.Format(time.RFC3339))
		return tx.Audit(o.CreatedAt, actor, alert.Via(ctx), "override", "schedule "+o.Schedule, detail)
	})
	if err != nil {
		return o, err
	}
	return o, d.app.refreshOverrides(ctx)
}

// check says what is wrong with an override.
func (d duty) check(o wire.Override) error {
	roster := d.app.current.Load().duty.Load()
	for _, u := range roster.With([]oncall.Override{{Schedule: o.Schedule, User: o.User, From: o.From, Until: o.Until}}).Unknown() {
		return &web.RefusedError{Reason: fmt.Sprintf("there is no schedule %q with a user %q, or it ends before it begins", u.Schedule, u.User)}
	}
	return nil
}

// EndOverride ends an override now.
func (d duty) EndOverride(ctx context.Context, id int64, actor string) error {
	at := time.Now().UTC().Truncate(time.Millisecond)
	err := d.app.store.Update(ctx, func(tx *store.Tx) error {
		o, err := tx.EndOverride(id, at)
		if err != nil {
			return err
		}
		return tx.Audit(at, actor, alert.Via(ctx), "end override", "schedule "+o.Schedule, o.User)
	})
	if errors.Is(err, store.ErrNoOverride) {
		return fmt.Errorf("override %d: %w", id, web.ErrNotFound)
	}
	if err != nil {
		return err
	}
	return d.app.refreshOverrides(ctx)
}

// overlay is what was last known of the overrides made at run time.
type overlay struct {
	mu        sync.Mutex // held from reading them until they are in force: what is older never replaces what is newer
	overrides []oncall.Override
}

// refreshOverrides lays the overrides that the store has over the roster with
// its calendars.
func (a *App) refreshOverrides(ctx context.Context) error {
	a.overlay.mu.Lock()
	defer a.overlay.mu.Unlock()
	all, err := a.overrides(ctx)
	if err != nil {
		return fmt.Errorf("read overrides: %w", err)
	}
	of := make([]oncall.Override, len(all))
	for i, o := range all {
		of[i] = oncall.Override{ID: o.ID, Schedule: o.Schedule, User: o.User, From: o.From, Until: o.Until, Reason: o.Reason}
	}
	a.overlay.overrides = of
	s := a.current.Load()
	s.duty.Store(s.fed.Load().With(of))
	return nil
}

// swap puts a state in force, with the overrides from its first moment on, and
// returns the one before.
func (a *App) swap(ctx context.Context, s *state) (old *state) {
	a.overlay.mu.Lock()
	defer a.overlay.mu.Unlock()
	roster := s.fed.Load().With(a.overlay.overrides)
	for _, o := range roster.Unknown() {
		a.o.Logger.WarnContext(ctx, "an override has no effect: the on-call files no longer have its schedule or its user",
			"id", o.ID, "schedule", o.Schedule, "user", o.User)
	}
	s.duty.Store(roster)
	return a.current.Swap(s)
}

// watchOverrides takes in what other replicas did, until ctx ends.
func (a *App) watchOverrides(ctx context.Context) {
	tick := time.NewTicker(overridesAge)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.refreshOverrides(ctx); err != nil && ctx.Err() == nil {
				a.o.Logger.ErrorContext(ctx, "who is on call may not be up to date", "err", err)
			}
		}
	}
}
