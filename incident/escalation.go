package incident

import (
	"context"
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Bounds of the escalation's loop.
const (
	poll        = 15 * time.Second // it looks at least this often: the clock may have been set
	retryStore  = time.Second      // after an error of the store
	dueAtOnce   = 200              // incidents or alerts in one transaction
	resendGrace = 2 * time.Minute  // after a start no alert expires: its sender could not reach us
)

// escalation pages what becomes due until ctx ends.
func (e *Engine) escalation(ctx context.Context, started time.Time) {
	for ctx.Err() == nil {
		e.pulse.beat("escalation")
		next, err := e.escalateDue(ctx, started)
		if err != nil && ctx.Err() == nil {
			e.c.Logger.ErrorContext(ctx, "escalate incidents", "err", err)
			next = now().Add(retryStore)
		}
		waitAtMost(ctx, e.escalate, next, e.c.Poll)
	}
}

// wait returns at next, or after poll, when c wakes it or ctx ends. The zero
// time is no time.
func wait(ctx context.Context, c <-chan struct{}, next time.Time) { waitAtMost(ctx, c, next, poll) }

func waitAtMost(ctx context.Context, c <-chan struct{}, next time.Time, longest time.Duration) {
	if !next.IsZero() {
		longest = min(longest, time.Until(next))
	}
	t := time.NewTimer(longest)
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
	wake(e.changed)
	err = e.c.Store.View(ctx, func(tx Tx) (err error) {
		next, err = tx.NextDue()
		return err
	})
	if err != nil || next.IsZero() || next.After(at) {
		return next, err
	}
	busy := false
	err = e.c.Store.Update(ctx, func(tx Tx) error {
		if busy, err = e.workOff(tx, at, at.Sub(started) >= resendGrace); err != nil {
			return err
		}
		next, err = tx.NextDue()
		return err
	})
	if paused := at.Add(retryStore); !busy && !next.IsZero() && next.Before(paused) {
		next = paused // what is due may not be done yet
	}
	wake(e.deliver)
	return next, err
}

// workOff does a part of what is due, and tells whether there may be more of
// it.
func (e *Engine) workOff(tx Tx, at time.Time, expire bool) (more bool, err error) {
	works := []func(Tx, time.Time) (int, error){e.pageDue, e.failOverDue}
	if expire {
		works = append([]func(Tx, time.Time) (int, error){e.expire}, works...)
	}
	for _, work := range works {
		n, err := work(tx, at)
		if err != nil {
			return false, err
		}
		more = more || n == dueAtOnce
	}
	return more, nil
}

// surveyEvery is how often the gauges are set at most.
const surveyEvery = time.Second

// survey sets the gauges to what the store holds until ctx ends, soon after
// something changed.
func (e *Engine) survey(ctx context.Context) {
	for ctx.Err() == nil {
		err := e.c.Store.View(ctx, func(tx Tx) error {
			open, err := tx.CountIncidents()
			if err != nil {
				return err
			}
			queued, oldest, err := tx.CountPages()
			e.metrics.survey(open, queued, oldest, now())
			return err
		})
		if err != nil && ctx.Err() == nil {
			e.c.Logger.ErrorContext(ctx, "count incidents and pages", "err", err)
		}
		waitAtMost(ctx, nil, time.Time{}, surveyEvery)
		waitAtMost(ctx, e.changed, time.Time{}, poll)
	}
}

// pageDue pages the rounds that are due and returns how many there were.
func (e *Engine) pageDue(tx Tx, at time.Time) (int, error) {
	due, err := tx.DueIncidents(at, dueAtOnce)
	if err != nil {
		return 0, err
	}
	for _, inc := range due {
		if err := e.goOn(tx, &inc, at); err != nil {
			return 0, fmt.Errorf("page incident %d: %w", inc.ID, err)
		}
		if err := tx.SaveIncident(inc); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}

// goOn does what is due for an incident: its next round, once whoever looked
// after it or snoozed it has had the time for it.
func (e *Engine) goOn(tx Tx, inc *alert.Incident, at time.Time) error {
	switch {
	case inc.Status == alert.Closed:
		inc.NextPageAt = time.Time{}
		return nil
	case inc.Drill && !at.Before(inc.OpenedAt.Add(drillTime)):
		return e.endDrill(tx, inc, "nobody acknowledged the drill", at)
	}
	if text := resume(inc, at); text != "" {
		if err := tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventEscalated, Text: text}); err != nil {
			return err
		}
	}
	kind, err := kindOfRound(tx, *inc)
	if err != nil {
		return err
	}
	if kind == page.Reopened {
		return e.pageReopened(tx, inc, at)
	}
	return e.advance(tx, inc, kind, at)
}

// kindOfRound returns what a round is that is due: one that was put off, or
// that reached nobody, is what it would have been.
func kindOfRound(tx Tx, inc alert.Incident) (page.Kind, error) {
	if inc.Round == 0 {
		return page.Opened, nil
	}
	if inc.Step > 0 || inc.Cycle > 0 {
		return page.Again, nil
	}
	last, err := tx.LastSaid(inc.ID)
	switch {
	case err != nil:
		return "", err
	case last == "":
		return page.Opened, nil
	case inc.Reopened > 0 && last == page.Resolved:
		return page.Reopened, nil
	}
	return page.Again, nil
}

// beginAnew has the policy begin with its first step where nobody was told of
// the incident yet: the round that was to tell was taken back.
func beginAnew(tx Tx, inc *alert.Incident) error {
	last, err := tx.LastSaid(inc.ID)
	if err == nil && (last == "" || inc.Reopened > 0 && last == page.Resolved) {
		inc.Step, inc.Cycle = 0, 0
	}
	return err
}

// resume ends an acknowledgement or a snooze whose time is over, and returns
// what the story says of it, "" when there was none.
func resume(inc *alert.Incident, at time.Time) (text string) {
	switch {
	case !inc.SnoozedUntil.IsZero() && !inc.SnoozedUntil.After(at):
		text = "the snooze is over: escalation resumes"
	case inc.SnoozedUntil.After(at):
		return "" // somebody acknowledged it besides
	case inc.Status == alert.Acknowledged:
		text = fmt.Sprintf("not resolved %s after %s acknowledged it: escalation resumes", at.Sub(inc.AckedAt).Round(time.Second), inc.AckedBy)
	default:
		return ""
	}
	inc.Status, inc.AckedAt, inc.AckedBy, inc.SnoozedUntil = alert.Open, time.Time{}, "", time.Time{}
	return text
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
		if err := e.afterExpiry(tx, id, alerts, at); err != nil {
			return 0, err
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
