package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Bounds of what people may ask for.
const (
	maxActor  = 200     // bytes
	maxNote   = 4 << 10 // bytes
	maxPeople = 20      // of one act
	maxSnooze = 31 * 24 * time.Hour
)

// act is something that somebody does to an incident.
type act struct {
	name   string // as the audit and errors have it
	detail string
	do     func(tx Tx, inc *alert.Incident, at time.Time) error
}

// Acknowledge notes that actor looks after the incident: nobody is paged for
// it again, unless its level rises or the policy's time for that is over. Of
// several, the first stays noted. A drill is over with it. The error is
// ErrNotFound, ErrResolved or ErrActor (wrapped), or the store's.
func (e *Engine) Acknowledge(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return e.act(ctx, id, actor, act{name: "acknowledge", do: func(tx Tx, inc *alert.Incident, at time.Time) error {
		before := inc.Status
		if err := acknowledge(tx, inc, actor, at); err != nil || before != alert.Open {
			return err
		}
		if err := takeBack(tx, *inc, at, "acknowledged before it was sent"); err != nil {
			return err
		}
		if inc.Drill {
			return e.endDrill(tx, inc, "the drill was acknowledged", at)
		}
		if timeout := e.c.Responders.Step(at, *inc).AckTimeout; timeout > 0 {
			inc.NextPageAt = at.Add(timeout)
		}
		return e.editOthers(tx, *inc, at, at, nil)
	}})
}

// Resolve ends the incident by actor's word, and tells those who were paged.
// Alerts of it that go on firing open no new incident: one must have started
// after this to do so. To resolve a resolved incident changes nothing. The
// error is ErrNotFound or ErrActor (wrapped), or the store's.
func (e *Engine) Resolve(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return e.act(ctx, id, actor, act{name: "resolve", do: func(tx Tx, inc *alert.Incident, at time.Time) error {
		if inc.Status == alert.Closed {
			return nil
		}
		return e.closeIncident(tx, inc, actor, at)
	}})
}

// Escalate goes on to the next step of the incident's policy now, also when
// somebody acknowledged it, it is muted, or it is a P3 at night. The error is ErrNotFound, ErrResolved or ErrActor
// (wrapped), or the store's.
func (e *Engine) Escalate(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return e.act(ctx, id, actor, act{name: "escalate", do: func(tx Tx, inc *alert.Incident, at time.Time) error {
		if err := reopenFor(tx, inc, alert.Event{At: at, Kind: alert.EventEscalated, Actor: actor, Text: "escalated"}); err != nil {
			return err
		}
		return e.advance(tx, inc, page.Called, at)
	}})
}

// takeBack drops the pages that wait, but not those to people who were called
// for help, unless they acknowledged.
func takeBack(tx Tx, inc alert.Incident, at time.Time, reason string) error {
	waiting, err := tx.Waiting(inc.ID, at)
	if err != nil {
		return err
	}
	for _, w := range waiting {
		if w.At.After(at) || pointless(w.Page, inc, at) {
			if err := tx.MarkDropped(w.Key, at, reason); err != nil {
				return err
			}
		}
	}
	return nil
}

// Snooze pages nobody for the incident until until, at most 31 days from now;
// then its escalation resumes. A rising level ends the snooze. The error is
// ErrNotFound, ErrResolved, ErrInvalid or ErrActor (wrapped), or the store's.
func (e *Engine) Snooze(ctx context.Context, id int64, until time.Time, actor string) (alert.Incident, error) {
	until = until.UTC().Truncate(time.Millisecond)
	text := "snoozed until " + until.Format(time.RFC3339)
	return e.act(ctx, id, actor, act{name: "snooze", detail: text, do: func(tx Tx, inc *alert.Incident, at time.Time) error {
		switch {
		case inc.Status == alert.Closed:
			return ErrResolved
		case !until.After(at) || until.After(at.Add(maxSnooze)):
			return fmt.Errorf("%w: a snooze ends within 31 days from now", ErrInvalid)
		}
		inc.SnoozedUntil, inc.NextPageAt = until, until
		if err := tx.Supersede(inc.ID, at, "snoozed before it was sent"); err != nil {
			return err
		}
		if err := tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventSnoozed, Actor: actor, Text: text}); err != nil {
			return err
		}
		return e.editOthers(tx, *inc, at, at, nil)
	}})
}

// Reassign pages users now, and from now on in the place of those whom the
// policy names; with no users, the policy's again. The error is ErrNotFound,
// ErrResolved, ErrInvalid or ErrActor (wrapped), or the store's.
func (e *Engine) Reassign(ctx context.Context, id int64, users []string, actor string) (alert.Incident, error) {
	users = people(users)
	text := "reassigned to " + strings.Join(users, ", ")
	if len(users) == 0 {
		text = "given back to its policy"
	}
	return e.act(ctx, id, actor, act{name: "reassign", detail: text, do: func(tx Tx, inc *alert.Incident, at time.Time) error {
		if err := e.reachable(*inc, users); err != nil {
			return err
		}
		if err := reopenFor(tx, inc, alert.Event{At: at, Kind: alert.EventAssigned, Actor: actor, Text: text}); err != nil {
			return err
		}
		if err := tx.Supersede(inc.ID, at, text); err != nil {
			return err
		}
		inc.Assigned, inc.Step, inc.Cycle = users, 0, 0
		return e.advance(tx, inc, page.Called, at)
	}})
}

// AddResponders pages users now, whatever else keeps the incident from paging,
// and from now on besides those whom the policy names. They are told of the end. The error is ErrNotFound, ErrResolved,
// ErrInvalid or ErrActor (wrapped), or the store's.
func (e *Engine) AddResponders(ctx context.Context, id int64, users []string, actor string) (alert.Incident, error) {
	users = people(users)
	text := "called for help: " + strings.Join(users, ", ")
	return e.act(ctx, id, actor, act{name: "add responders", detail: text, do: func(tx Tx, inc *alert.Incident, at time.Time) error {
		if inc.Status == alert.Closed {
			return ErrResolved
		}
		if len(users) == 0 {
			return fmt.Errorf("%w: it names nobody", ErrInvalid)
		}
		if err := e.reachable(*inc, users); err != nil {
			return err
		}
		inc.Responders = people(append(slices.Clone(inc.Responders), users...))
		if err := tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventAssigned, Actor: actor, Text: text}); err != nil {
			return err
		}
		_, quiet, err := e.quietUntil(tx, inc, at)
		if err == nil {
			err = tellOrder(tx, *inc, quiet, page.Called, at)
		}
		if err != nil {
			return err
		}
		return e.call(tx, *inc, users, at)
	}})
}

// call pages users for an incident besides its rounds, also when somebody has
// acknowledged it.
func (e *Engine) call(tx Tx, inc alert.Incident, users []string, at time.Time) error {
	if inc.Round == 0 {
		inc.Round = 1
	}
	theirs := inc
	theirs.Assigned, theirs.Responders = users, nil
	for _, n := range e.c.Responders.Step(at, theirs).Notices {
		p := page.Page{
			Key:  fmt.Sprintf("%s/called/%s/%s", keyPrefix(inc), base36(at), contactKey(n.To)),
			Kind: page.Called, To: n.To, At: at.Add(n.After), Round: inc.Round, Incident: inc,
		}
		if err := tx.Enqueue(p.At, p); err != nil {
			return err
		}
	}
	return nil
}

// Note adds what somebody says to the incident's story, in at most 4 KiB. The
// error is ErrNotFound, ErrInvalid or ErrActor (wrapped), or the store's.
func (e *Engine) Note(ctx context.Context, id int64, text, actor string) (alert.Incident, error) {
	text = strings.TrimSpace(text)
	return e.act(ctx, id, actor, act{name: "note", detail: cut(text, 200), do: func(tx Tx, inc *alert.Incident, at time.Time) error {
		if text == "" || len(text) > maxNote || !utf8.ValidString(text) {
			return fmt.Errorf("%w: a note is UTF-8 of at most %d bytes", ErrInvalid, maxNote)
		}
		if err := tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventNote, Actor: actor, Text: text}); err != nil {
			return err
		}
		return e.editOthers(tx, *inc, at, at, nil)
	}})
}

// act does something to an incident by somebody's order, and keeps who did it.
func (e *Engine) act(ctx context.Context, id int64, actor string, a act) (inc alert.Incident, err error) {
	defer func() {
		if err != nil {
			inc, err = alert.Incident{}, fmt.Errorf("%s incident %d: %w", a.name, id, err)
		}
	}()
	if actor == "" || len(actor) > maxActor || !utf8.ValidString(actor) {
		return inc, ErrActor
	}
	err = e.c.Store.Update(ctx, func(tx Tx) (err error) {
		if inc, err = get(tx, id); err != nil {
			return err
		}
		at := now()
		if err = a.do(tx, &inc, at); err != nil {
			return err
		}
		if err = tx.Audit(at, actor, alert.Via(ctx), a.name, fmt.Sprint("incident ", id), a.detail); err != nil {
			return err
		}
		return tx.SaveIncident(inc)
	})
	if err == nil {
		e.c.Logger.InfoContext(ctx, "incident changed by hand", "act", a.name, "incident", id, "status", inc.Status, "actor", actor)
		e.stir()
	}
	return inc, err
}

// stir wakes all that may have something to do now.
func (e *Engine) stir() {
	wake(e.escalate)
	wake(e.deliver)
	wake(e.changed)
}

// reopenFor makes an incident one that people are paged for, whoever
// acknowledged or snoozed it.
func reopenFor(tx Tx, inc *alert.Incident, why alert.Event) error {
	if inc.Status == alert.Closed {
		return ErrResolved
	}
	if inc.Status == alert.Acknowledged {
		why.Text += ": the acknowledgement by " + inc.AckedBy + " is void"
	}
	inc.Status, inc.AckedAt, inc.AckedBy, inc.SnoozedUntil = alert.Open, time.Time{}, "", time.Time{}
	return tx.AddEvents(inc.ID, why)
}

// people returns names once each, without empty ones.
func people(names []string) (all []string) {
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// reachable returns an error when there is a user whom no contact reaches, or
// there are too many.
func (e *Engine) reachable(inc alert.Incident, users []string) error {
	if len(users) > maxPeople {
		return fmt.Errorf("%w: %d people, %d are allowed", ErrInvalid, len(users), maxPeople)
	}
	for _, u := range users {
		if len(e.c.Responders.Ways(u, inc.Level)) == 0 {
			return fmt.Errorf("%w: nobody is called %q", ErrInvalid, cut(u, maxActor))
		}
	}
	return nil
}
