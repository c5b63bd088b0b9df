package incident

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// When an incident flaps: it was opened again more often than maxTurns within
// flapWindow. It is then resolved only after a recovery of longRecovery times
// the time within which it would open again.
const (
	maxTurns     = 3
	flapWindow   = time.Hour
	longRecovery = 3
)

// reopen opens an incident again that its alerts resolved a moment ago. What
// somebody knew of it then is void; whom they called for it is not.
func (in *intake) reopen(c *caseFile, a alert.Alert) error {
	turns, err := in.tx.CountEvents(c.ID, alert.EventReopened, in.at.Add(-flapWindow))
	if err != nil {
		return err
	}
	text := fmt.Sprintf("fires again %s after it was resolved", in.at.Sub(c.ResolvedAt).Round(time.Second))
	if turns++; turns > maxTurns {
		text += fmt.Sprintf("; it flaps, %d times within %s: it stays open through recoveries shorter than %s, and its next turns page nobody",
			turns, short(flapWindow), short(in.engine.longQuiet()))
	}
	c.Status, c.Level, c.Title = alert.Open, a.Level(), titleOf(a)
	c.AckedAt, c.AckedBy, c.ResolvedAt, c.ResolvedBy = time.Time{}, "", time.Time{}, ""
	c.Step, c.Cycle, c.SnoozedUntil = 0, 0, time.Time{}
	c.Reopened++
	c.reopened, c.touched = true, true
	in.open[c.Key] = c
	return in.tx.AddEvents(c.ID, alert.Event{At: in.at, Kind: alert.EventReopened, Text: text})
}

// short writes a duration without the zeros at its end.
func short(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

func (e *Engine) longQuiet() time.Duration { return longRecovery * e.c.ReopenWithin }

// pageReopened begins the first round of pages since an incident opened again,
// or puts it off, and tells those who were told that it is over, unless the
// round does. It does not save inc.
func (e *Engine) pageReopened(tx Tx, inc *alert.Incident, at time.Time) error {
	before := inc.Round
	if err := e.advance(tx, inc, page.Reopened, at); err != nil || inc.Round == before {
		return err
	}
	believers, err := tx.ToldResolved(inc.ID)
	if err != nil {
		return err
	}
	for _, c := range believers {
		p := page.Page{
			Key:  fmt.Sprintf("%s/reopened/%d/%s", keyPrefix(*inc), inc.Reopened, contactKey(c)),
			Kind: page.Reopened, To: c, At: at, Round: inc.Round, Incident: *inc,
		}
		if err := tx.Enqueue(at, p); err != nil {
			return err
		}
	}
	return nil
}

// hold keeps a flapping incident open whose alerts are all resolved, and tells
// whether it did.
func (in *intake) hold(c *caseFile) (bool, error) {
	if c.Reopened <= maxTurns || in.engine.c.ReopenWithin < 0 {
		return false, nil
	}
	turns, err := in.tx.CountEvents(c.ID, alert.EventReopened, in.at.Add(-flapWindow))
	if err != nil || turns <= maxTurns {
		return false, err
	}
	quiet := in.engine.longQuiet()
	if err := in.tx.SaveRecovery(c.ID, in.at.Add(quiet)); err != nil {
		return false, err
	}
	text := fmt.Sprintf("all its alerts are resolved; it flaps, and is resolved when they stay so for %s", short(quiet))
	return true, in.tx.AddEvents(c.ID, alert.Event{At: in.at, Kind: alert.EventAlert, Text: text})
}

// resume ends the recovery of a flapping incident that fires again. A round of
// pages that was due meanwhile is due now.
func (in *intake) resume(c *caseFile) error {
	if len(c.added)+len(c.refired) == 0 {
		return nil
	}
	if c.Reopened > maxTurns {
		if err := in.tx.DropRecovery(c.ID); err != nil {
			return err
		}
	}
	c.wake(in.at) // what joined may not be muted
	return nil
}

// settleRecoveries resolves the incidents whose alerts have been resolved for
// long enough, and returns when the next may be.
func (e *Engine) settleRecoveries(tx Tx, at time.Time) (next time.Time, err error) {
	due, err := tx.DueRecoveries(at, dueAtOnce)
	if err != nil {
		return next, err
	}
	for _, id := range due {
		if err := e.settleRecovery(tx, id, at); err != nil {
			return next, fmt.Errorf("resolve incident %d: %w", id, err)
		}
	}
	return tx.NextRecovery()
}

func (e *Engine) settleRecovery(tx Tx, id int64, at time.Time) error {
	if err := tx.DropRecovery(id); err != nil {
		return err
	}
	inc, err := get(tx, id)
	if err != nil || inc.Status == alert.Closed {
		return err
	}
	counts, err := tx.CountAlerts(id)
	if err != nil || counts[alert.Firing]+counts[alert.Expired] > 0 {
		return err
	}
	if err := e.closeIncident(tx, &inc, "", at); err != nil {
		return err
	}
	return tx.SaveIncident(inc)
}
