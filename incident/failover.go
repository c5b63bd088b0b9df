package incident

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// pageUndeliverable is Midwatch's alert of a person whom no page reaches.
const pageUndeliverable = "MidwatchPageUndeliverable"

// patienceWith returns how long a page may fail until another contact of the
// person gets one.
func patienceWith(p page.Page) time.Duration {
	switch p.Incident.Level {
	case alert.P1:
		return 30 * time.Second
	case alert.P2:
		return 2 * time.Minute
	default:
		return 15 * time.Minute
	}
}

// failOverDue pages other contacts in the place of those that did not take a
// page in time, and returns how many such pages there were.
func (e *Engine) failOverDue(tx Tx, at time.Time) (int, error) {
	late, err := tx.Failovers(at, dueAtOnce)
	if err != nil {
		return 0, err
	}
	for _, p := range late {
		if err := tx.FailedOver(p.Key); err != nil {
			return 0, err
		}
		pages, err := stands(tx, p)
		if err != nil {
			return 0, err
		}
		for _, p := range pages {
			if _, err := e.failOver(tx, p, at); err != nil {
				return 0, fmt.Errorf("fail over from page %s: %w", p.Key, err)
			}
		}
	}
	return len(late), nil
}

// failOver pages the person's next contact that this round has not used, and
// returns whether there is one.
func (e *Engine) failOver(tx Tx, p page.Page, at time.Time) (bool, error) {
	found, err := tx.IncidentsByID([]int64{p.Incident.ID})
	if err != nil || len(found) == 0 || p.To.User == "" || p.Kind == page.Updated || pointless(p, found[0], at) {
		return false, err
	}
	round, err := tx.RoundPages(p.Incident.ID, p.Round, p.To.User)
	if err != nil {
		return false, err
	}
	used := map[page.Thread]page.Record{}
	for _, r := range round {
		if r.Kind == p.Kind {
			used[r.Thread()] = r
		}
	}
	inc := found[0]
	for _, way := range e.c.Responders.Ways(p.To.User, inc.Level) {
		next := page.Page{Key: p.Key + "/" + part(way.To.Channel) + "/" + part(way.To.Address), Kind: p.Kind, To: way.To, At: at, Round: p.Round, Incident: inc}
		r, known := used[next.Thread()]
		switch {
		case !known:
			return true, e.otherwise(tx, p, next, at)
		case r.State == page.Queued && r.Attempt == 0 && !r.Held && r.Due.After(at):
			return true, e.instead(tx, p, next, tx.BringForward(r.Key, at), at)
		}
	}
	return false, nil
}

// otherwise enqueues a page to another contact in the place of what earlier
// rounds have waiting for that, unless a later round has.
func (e *Engine) otherwise(tx Tx, p, next page.Page, at time.Time) error {
	waiting, err := tx.Waiting(next.Incident.ID, at)
	if err != nil {
		return err
	}
	for _, w := range waiting {
		if w.Thread() == next.Thread() && w.Round > next.Round {
			return nil
		}
	}
	r := round{tx: tx, inc: next.Incident, at: at, waiting: waiting}
	return e.instead(tx, p, next, r.enqueue(next, 0), at)
}

// instead tells the story that a contact is paged in the place of another.
func (e *Engine) instead(tx Tx, p, next page.Page, err error, at time.Time) error {
	if err != nil {
		return err
	}
	text := fmt.Sprintf("no page to %s by %s so far: by %s instead", nameOf(p.To), p.To.Channel, next.To.Channel)
	return tx.AddEvents(p.Incident.ID, alert.Event{At: at, Kind: alert.EventPageFailed, Text: text})
}

// dead keeps that a page will never be accepted, and pages another contact of
// the person. When there is none, that is an alert of its own.
func (c courier) dead(tx Tx, p page.Page, at time.Time, reason string) error {
	pages, err := stands(tx, p)
	if err != nil {
		return err
	}
	if err := tx.MarkDead(p.Key, at, reason); err != nil {
		return err
	}
	for _, one := range pages {
		text := fmt.Sprintf("no page to %s by %s after %d tries: %s", nameOf(one.To), one.To.Channel, p.Attempt, reason)
		event := alert.Event{At: at, Kind: alert.EventPageFailed, Text: text}
		if err := tx.AddEvents(one.Incident.ID, event); err != nil {
			return err
		}
		if err := c.afterDeath(tx, one, at); err != nil {
			return fmt.Errorf("after the end of page %s: %w", one.Key, err)
		}
	}
	return nil
}

// afterDeath goes on after a page that nobody took.
func (c courier) afterDeath(tx Tx, p page.Page, at time.Time) error {
	if other, err := c.failOver(tx, p, at); err != nil || other {
		return err
	}
	inc, err := get(tx, p.Incident.ID)
	if err != nil || inc.Status != alert.Open {
		return err
	}
	if err := c.undeliverable(tx, p, inc, at); err != nil {
		return err
	}
	if !inc.NextPageAt.IsZero() {
		return c.hurry(tx, inc, p, at)
	}
	if told, err := tx.Reached(inc.ID, inc.Level); err != nil || told {
		return err
	}
	inc.NextPageAt = at.Add(repeatDead) // no other is to come, and nobody was told of the level
	return tx.SaveIncident(inc)
}

// hurry makes the next step of the policy due when the last page of a round
// that was to reach somebody died. The first step, with which a policy begins
// again, and its last keep their time, and so nobody is tried without end.
func (e *Engine) hurry(tx Tx, inc alert.Incident, p page.Page, at time.Time) error {
	if inc.Drill || inc.Round != p.Round || inc.Step == 0 || inc.Muted != "" || !inc.NextPageAt.After(at) || inc.SnoozedUntil.After(at) {
		return nil
	}
	if e.c.Responders.Step(at, inc).Wait == 0 {
		return nil // the last step, which may have been this one, keeps its time
	}
	if lives, err := tx.RoundLives(inc.ID, inc.Round); err != nil || lives {
		return err
	}
	inc.NextPageAt = at
	text := "no page of this step reaches anybody: goes on at once"
	if err := tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventEscalated, Text: text}); err != nil {
		return err
	}
	return tx.SaveIncident(inc)
}

// undeliverable raises an alert when no contact of a person took any page of
// the round. That the pages of this alert are undeliverable raises none.
func (c courier) undeliverable(tx Tx, p page.Page, inc alert.Incident, at time.Time) error {
	round, err := tx.RoundPages(p.Incident.ID, p.Round, p.To.User)
	if err != nil {
		return err
	}
	for _, r := range round {
		if p.To.User == "" && r.Thread() != p.Thread() {
			continue // of another channel
		}
		if r.State == page.Sent || r.State == page.Queued || r.State == page.Bundled {
			return nil
		}
	}
	c.metrics.dead.Inc()
	if inc.Drill || aboutPaging(inc) {
		return nil
	}
	return c.takeOwn(tx, undeliverableTo(p.To, at), at)
}

// unreached raises the same alert when another round comes in the place of
// pages that were tried for long, to somebody whom none of the incident's has
// reached: such pages never get old enough to die.
func (e *Engine) unreached(tx Tx, inc alert.Incident, waiting []page.Record, at time.Time) error {
	waiting = slices.DeleteFunc(slices.Clone(waiting), func(w page.Record) bool {
		return w.Kind == page.Resolved || w.Attempt < unreachedTries || at.Sub(w.At) < patienceWith(w.Page)
	})
	if len(waiting) == 0 || inc.Drill || aboutPaging(inc) {
		return nil
	}
	told, err := tx.Told(inc.ID)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, c := range told {
		known[c.User] = true
	}
	for _, w := range waiting {
		if known[w.To.User] {
			continue
		}
		known[w.To.User] = true
		if err := e.takeOwn(tx, undeliverableTo(w.To, at), at); err != nil {
			return err
		}
	}
	return nil
}

// unreachedTries is how often a page was tried at least when it is said that
// its person is not reached.
const unreachedTries = 3

func aboutPaging(inc alert.Incident) bool {
	for _, a := range inc.Alerts {
		if a.Label(model.AlertNameLabel) == pageUndeliverable && a.Label(alert.LabelService) == ownService {
			return true
		}
	}
	return false
}

// undeliverableTime is how long after the last sign of it Midwatch says that a
// person cannot be paged.
const undeliverableTime = 24 * time.Hour

func undeliverableTo(c page.Contact, at time.Time) alert.Alert {
	who := cmp.Or(c.User, c.FullName, c.Address)
	return alert.Alert{
		Labels: model.LabelSet{
			model.AlertNameLabel: pageUndeliverable, alert.LabelService: ownService, alert.LabelSeverity: "P2", "user": model.LabelValue(who),
		},
		Annotations: model.LabelSet{"summary": model.LabelValue(nameOf(c) + " cannot be paged by any contact")},
		State:       alert.Firing, StartsAt: at, EndsAt: at.Add(undeliverableTime), UpdatedAt: at,
	}
}

// takeOwn takes in an alert of Midwatch itself, in the transaction of its
// cause.
func (e *Engine) takeOwn(tx Tx, a alert.Alert, at time.Time) error {
	in := &intake{engine: e, tx: tx, at: at}
	if err := in.run([]alert.Alert{a}); err != nil {
		return fmt.Errorf("take alert %s of midwatch itself: %w", a.Labels[model.AlertNameLabel], err)
	}
	return nil
}

// reachedAgain resolves the alerts of people whom no page reached, when one
// does.
func (c courier) reachedAgain(tx Tx, pages []page.Page, at time.Time) error {
	if len(pages) == 0 {
		return nil
	}
	a := undeliverableTo(pages[0].To, at)
	known, err := tx.LatestAlerts([]model.Fingerprint{a.Fingerprint()})
	if err != nil {
		return err
	}
	for _, k := range known {
		if k.Labels.Equal(a.Labels) && k.State != alert.Resolved {
			a.State, a.EndsAt = alert.Resolved, at
			return c.takeOwn(tx, a, at)
		}
	}
	return nil
}

// maxDeadPages is how many dead pages DeadPages returns.
const maxDeadPages = 500

// DeadPages returns the pages that no provider took, the newest first, at most
// 500.
func (e *Engine) DeadPages(ctx context.Context) (dead []page.Record, err error) {
	err = e.read(ctx, func(tx Tx) error {
		dead, err = tx.DeadPages(maxDeadPages)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list dead pages: %w", err)
	}
	return dead, nil
}
