package incident

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// caseFile is an incident with what the batch does to it.
type caseFile struct {
	alert.Incident
	before   alert.Incident // as it is kept
	opened   bool
	reopened bool
	touched  bool
	paged    bool        // a round of pages was begun
	raised   alert.Level // the level that it must rise to; 0 when it need not
	added    []*alert.Alert
	changed  map[int64]*alert.Alert
	refired  []*alert.Alert
	settled  []*alert.Alert
}

// change makes known what a says.
func (c *caseFile) change(known *alert.Alert, a alert.Alert) {
	if a.State == alert.Resolved {
		a.StartsAt, a.Annotations = known.StartsAt, known.Annotations
	}
	a.ID, a.IncidentID, a.Labels = known.ID, known.IncidentID, known.Labels
	*known = a
	if known.ID != 0 {
		c.changed[known.ID] = known
	}
	c.touched = true
}

func (c *caseFile) add(a *alert.Alert) {
	c.added = append(c.added, a)
	c.touched = true
	c.rise(*a)
}

// rise makes the incident as urgent and as old as an alert that fires.
func (c *caseFile) rise(a alert.Alert) {
	if a.StartsAt.Before(c.Since) {
		c.Since = a.StartsAt
	}
	switch level := a.Level(); {
	case (c.opened || c.reopened) && level.Outranks(c.Level):
		c.Level, c.Title = level, titleOf(a)
	case level.Outranks(c.Level) && (c.raised == 0 || level.Outranks(c.raised)):
		c.raised = level
	}
}

// tell adds what alerts did to the stories.
func (in *intake) tell(touched []*caseFile) error {
	var (
		ids    []int64
		events []alert.Event
	)
	for _, c := range touched {
		for _, event := range c.events(in.at) {
			ids, events = append(ids, c.ID), append(events, event)
		}
	}
	return in.tx.AddStories(ids, events)
}

// save keeps the incident with all that the batch did to it, and pages whom
// that concerns.
func (in *intake) save(c *caseFile) error {
	if err := in.resume(c); err != nil {
		return err
	}
	if err := in.page(c); err != nil {
		return err
	}
	if err := in.recount(c); err != nil {
		return err
	}
	if c.kept() {
		return nil
	}
	return in.tx.SaveIncident(c.Incident)
}

// kept tells whether the incident is as it was before.
func (c *caseFile) kept() bool {
	now := c.Incident
	now.Alerts, now.AlertCount = c.before.Alerts, c.before.AlertCount
	return reflect.DeepEqual(now, c.before)
}

// inhibit keeps which of the alerts inhibit others. Where one does no longer,
// whoever it muted is due now.
func (in *intake) inhibit(touched []*caseFile) error {
	rules, woke := in.engine.quiet.inhibitions(), false
	for _, c := range touched {
		if err := addInhibitors(in.tx, rules, c.added...); err != nil {
			return err
		}
		if err := addInhibitors(in.tx, rules, c.refired...); err != nil {
			return err
		}
		some, err := in.engine.loosen(in.tx, slices.DeleteFunc(slices.Clone(c.settled), firing), in.at)
		if err != nil {
			return err
		}
		woke = woke || some
	}
	for _, c := range touched {
		if woke {
			c.wake(in.at)
		}
	}
	return nil
}

// wake makes the next page of a muted incident due: it may not be muted any
// more.
func (c *caseFile) wake(at time.Time) {
	if c.Muted != "" && c.Status == alert.Open && !c.SnoozedUntil.After(at) {
		c.NextPageAt = at
	}
}

// firing tells of an alert that fires again in the same batch.
func firing(a *alert.Alert) bool { return a.State == alert.Firing }

// events tells what alerts did, one line for all that did the same.
func (c *caseFile) events(at time.Time) []alert.Event {
	var events []alert.Event
	add := func(kind alert.EventKind, verb string, alerts []*alert.Alert) {
		if len(alerts) > 0 {
			events = append(events, alert.Event{At: at, Kind: kind, Text: describe(verb, alerts)})
		}
	}
	if c.opened {
		events = append(events, alert.Event{At: at, Kind: alert.EventOpened, Text: fmt.Sprintf("opened as %s: %s", c.Level, c.Title)})
	}
	add(alert.EventAlert, "fires", c.added)
	add(alert.EventAlert, "fires again", c.refired)
	add(alert.EventAlert, "resolved", c.settled)
	return events
}

// page tells of an incident that opened, opened again or rose. What else
// happened to it is shown in messages that were sent before.
func (in *intake) page(c *caseFile) error {
	kind := page.Opened
	switch {
	case c.opened:
		c.foremost()
		c.paged = true
		return in.engine.advance(in.tx, &c.Incident, kind, in.at)
	case c.reopened:
	case c.raised != 0:
		if c.Round > 0 {
			kind = page.Raised
		}
		if err := in.tx.AddEvents(c.ID, raise(&c.Incident, c.raised, in.at)); err != nil {
			return err
		}
	default:
		return nil
	}
	c.paged = true
	full, err := get(in.tx, c.ID)
	if err != nil {
		return err
	}
	c.Alerts, c.AlertCount = full.Alerts, full.AlertCount
	if c.reopened {
		return in.engine.pageReopened(in.tx, &c.Incident, in.at)
	}
	return in.engine.advance(in.tx, &c.Incident, kind, in.at)
}

// refresh has messages that were sent brought up to date, and first pages wait
// for more alerts to join, where no round of pages was begun.
func (in *intake) refresh(touched []*caseFile) error {
	var settle, shown []int64
	for _, c := range touched {
		if c.paged || len(c.added)+len(c.refired)+len(c.settled) == 0 || c.Status == alert.Closed {
			continue
		}
		if c.Round > 0 {
			shown = append(shown, c.ID)
		}
		if c.Round == 1 {
			settle = append(settle, c.ID)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	if in.engine.c.EvidenceWait > 0 {
		quiet, stormy := in.engine.unsettled.due(settle, in.at)
		if err := in.tx.Settle(quiet, in.at.Add(settleTime)); err != nil {
			return err
		}
		if err := in.tx.Settle(stormy, in.at.Add(settleTime+settleEvery)); err != nil {
			return err
		}
	}
	messaged, err := in.tx.Messaged(shown)
	if err != nil {
		return err
	}
	return in.tx.Joined(messaged, in.at.Add(coalesce), in.at.Add(coalesceMax))
}

// foremost shows a new incident its alerts.
func (c *caseFile) foremost() {
	const shown = 1000
	if len(c.added) > shown {
		c.AlertCount = len(c.added)
	}
	for _, a := range c.added[:min(shown, len(c.added))] {
		c.Alerts = append(c.Alerts, *a)
	}
}

// recount sees whether all alerts of the incident are resolved, and whether
// any is expired.
func (in *intake) recount(c *caseFile) error {
	if len(c.refired)+len(c.settled) == 0 {
		return nil
	}
	counts, err := in.tx.CountAlerts(c.ID)
	if err != nil {
		return err
	}
	c.Stale = counts[alert.Expired] > 0
	if counts[alert.Firing]+counts[alert.Expired] > 0 {
		return nil
	}
	if held, err := in.hold(c); err != nil || held {
		return err
	}
	return in.engine.closeIncident(in.tx, &c.Incident, "", in.at)
}
