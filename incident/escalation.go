package incident

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// How long after a round of pages the next is due.
const (
	repeatP1 = 5 * time.Minute
	repeatP2 = 15 * time.Minute

	repeatDead = 15 * time.Minute // after the last page died, when none reached anybody
)

// Bounds of the escalation's loop.
const (
	poll        = 15 * time.Second // it looks at least this often: the clock may have been set
	retryStore  = time.Second      // after an error of the store
	dueAtOnce   = 200              // incidents or alerts in one transaction
	resendGrace = 2 * time.Minute  // after a start no alert expires: its sender could not reach us
)

// step is one round of pages for an incident.
type step struct {
	everyContact bool          // else only the first
	then         time.Duration // after which the next round is due; 0 for none
}

// stepOf returns what a round of pages is at a level. first is the first round
// since the incident had that level; told says whether any page has told
// anybody of that level. At Info there are no pages.
func stepOf(level alert.Level, first, told bool) (s step, ok bool) {
	switch level {
	case alert.P1:
		return step{everyContact: true, then: repeatP1}, true
	case alert.P2:
		if first || !told {
			return step{then: repeatP2}, true
		}
		return step{}, true
	case alert.P3:
		return step{}, true
	case alert.Info:
	}
	return step{}, false
}

// recipients returns those of the contacts that a step pages.
func (s step) recipients(contacts []page.Contact) []page.Contact {
	if s.everyContact || len(contacts) == 0 {
		return contacts
	}
	return contacts[:1]
}

// advance pages the round of inc that is due at at, or puts it off until it
// may be, and sets when the next is due. It does not save inc.
func (e *Engine) advance(tx Tx, inc *alert.Incident, kind page.Kind, at time.Time) error {
	inc.NextPageAt = time.Time{}
	told, err := tx.Reached(inc.ID, inc.Level)
	if err != nil {
		return err
	}
	s, ok := stepOf(inc.Level, kind != page.Again, told)
	if !ok {
		return nil
	}
	if inc.Level == alert.P3 {
		if due := e.c.Responders.WorkingTime(at, *inc).UTC().Truncate(time.Millisecond); due.After(at) {
			inc.NextPageAt = due
			return nil
		}
	}
	inc.Round++
	if s.then > 0 {
		inc.NextPageAt = at.Add(s.then)
	}
	return e.pageRound(tx, *inc, kind, s, at)
}

// pageRound puts the pages of a round into the outbox, in the place of those
// of an earlier round that nobody took.
func (e *Engine) pageRound(tx Tx, inc alert.Incident, kind page.Kind, s step, at time.Time) error {
	var contacts []page.Contact
	for _, n := range e.c.Responders.Step(at, inc).Notices {
		contacts = append(contacts, n.To)
	}
	to := s.recipients(contacts)
	if len(to) == 0 {
		e.c.Logger.Error("nobody to page", "incident", inc.ID, "level", inc.Level)
		e.metrics.pages.WithLabelValues("", "nobody").Inc()
		return tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventPageFailed, Text: "nobody is on call for it"})
	}
	if err := tx.Supersede(inc.ID, at, "a later page tells more"); err != nil {
		return err
	}
	pages, taken := make([]page.Page, len(to)), map[string]int{}
	for i, c := range to {
		key := fmt.Sprintf("%s/%d/%s/%s", keyPrefix(inc), inc.Round, part(c.User), part(c.Channel))
		if taken[key]++; taken[key] > 1 { // two addresses in one channel
			key = fmt.Sprintf("%s/%d", key, taken[key])
		}
		pages[i] = page.Page{Key: key, Kind: kind, To: c, At: at, Round: inc.Round, Incident: inc}
	}
	return tx.Enqueue(at, pages...)
}

// keyPrefix tells an incident from all others, of other databases too.
func keyPrefix(inc alert.Incident) string {
	return fmt.Sprintf("%d-%s", inc.ID, strconv.FormatInt(inc.OpenedAt.UnixMilli(), 36))
}

// tellResolved tells everybody who was paged that it is over, each through
// the best channel that reached them in the first round that did. The end of a P3 waits for working
// hours, as its beginning did.
func (e *Engine) tellResolved(tx Tx, inc alert.Incident, at time.Time) error {
	told, err := tx.Told(inc.ID)
	if err != nil || len(told) == 0 {
		return err
	}
	due := at
	if inc.Level == alert.P3 {
		full, err := get(tx, inc.ID)
		if err != nil {
			return err
		}
		if w := e.c.Responders.WorkingTime(at, full).UTC(); w.After(at) {
			due = w
		}
	}
	for _, c := range told {
		p := page.Page{
			Key:  fmt.Sprintf("%s/resolved/%s", keyPrefix(inc), part(c.User)),
			Kind: page.Resolved, To: c, At: due, Round: inc.Round, Incident: inc,
		}
		if err := tx.Enqueue(due, p); err != nil { // a second contact of the person has the same key
			return err
		}
	}
	return nil
}

// escalation pages what becomes due until ctx ends.
func (e *Engine) escalation(ctx context.Context, started time.Time) {
	for ctx.Err() == nil {
		next, err := e.escalateDue(ctx, started)
		if err != nil && ctx.Err() == nil {
			e.c.Logger.ErrorContext(ctx, "escalate incidents", "err", err)
			next = now().Add(retryStore)
		}
		wait(ctx, e.escalate, next)
	}
}

// wait returns at next, or after poll, when c wakes it or ctx ends. The zero
// time is no time.
func wait(ctx context.Context, c <-chan struct{}, next time.Time) {
	d := poll
	if !next.IsZero() {
		d = min(poll, time.Until(next))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c:
	case <-ctx.Done():
	}
}

// escalateDue does what is due now and returns when something next is.
func (e *Engine) escalateDue(ctx context.Context, started time.Time) (next time.Time, err error) {
	at := now()
	if next, err = e.survey(ctx, at); err != nil || next.IsZero() || next.After(at) {
		return next, err
	}
	busy := false
	err = e.c.Store.Update(ctx, func(tx Tx) error {
		var expired, paged int
		if at.Sub(started) >= resendGrace {
			if expired, err = e.expire(tx, at); err != nil {
				return err
			}
		}
		if paged, err = e.pageDue(tx, at); err != nil {
			return err
		}
		busy = expired == dueAtOnce || paged == dueAtOnce
		next, err = tx.NextDue()
		return err
	})
	if paused := at.Add(retryStore); !busy && !next.IsZero() && next.Before(paused) {
		next = paused // what is due may not be done yet
	}
	wake(e.deliver)
	return next, err
}

// survey returns when something is next due, and sets the gauges.
func (e *Engine) survey(ctx context.Context, at time.Time) (next time.Time, err error) {
	err = e.c.Store.View(ctx, func(tx Tx) error {
		open, err := tx.CountIncidents()
		if err != nil {
			return err
		}
		queued, oldest, err := tx.CountPages()
		if err != nil {
			return err
		}
		e.metrics.survey(open, queued, oldest, at)
		next, err = tx.NextDue()
		return err
	})
	return next, err
}

// pageDue pages the rounds that are due and returns how many there were.
func (e *Engine) pageDue(tx Tx, at time.Time) (int, error) {
	due, err := tx.DueIncidents(at, dueAtOnce)
	if err != nil {
		return 0, err
	}
	for _, inc := range due {
		kind := page.Again
		if inc.Round == 0 {
			kind = page.Opened
		}
		if err := e.advance(tx, &inc, kind, at); err != nil {
			return 0, fmt.Errorf("page incident %d: %w", inc.ID, err)
		}
		if err := tx.SaveIncident(inc); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}

// expire marks alerts whose senders fell silent, and their incidents stale.
// It returns how many alerts there were.
func (e *Engine) expire(tx Tx, at time.Time) (int, error) {
	overdue, err := tx.OverdueAlerts(at, dueAtOnce)
	if err != nil {
		return 0, err
	}
	silent := map[int64][]*alert.Alert{}
	for i := range overdue {
		overdue[i].State = alert.Expired
		silent[overdue[i].IncidentID] = append(silent[overdue[i].IncidentID], &overdue[i])
	}
	for id, alerts := range silent {
		if err := tx.SaveAlerts(alerts); err != nil {
			return 0, err
		}
		if err := makeStale(tx, id, alerts, at); err != nil {
			return 0, fmt.Errorf("make incident %d stale: %w", id, err)
		}
	}
	return len(overdue), nil
}

// makeStale notes that alerts of an incident expired. It stays open, and its
// escalation goes on: silence is not recovery.
func makeStale(tx Tx, id int64, expired []*alert.Alert, at time.Time) error {
	inc, err := get(tx, id)
	if err != nil || inc.Status == alert.Closed {
		return err
	}
	event := alert.Event{At: at, Kind: alert.EventAlert, Text: describe("expired", expired)}
	if !inc.Stale {
		event.Kind = alert.EventStale
		event.Text += "; no word from its sender, so it may go on"
	}
	inc.Stale = true
	if err := tx.SaveIncident(inc); err != nil {
		return err
	}
	return tx.AddEvents(id, event)
}
