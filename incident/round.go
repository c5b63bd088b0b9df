package incident

import (
	"fmt"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// How long after a round of pages the next is due, where the policy does not
// say.
const (
	repeatP1   = 5 * time.Minute  // the policy is through, and nobody has acknowledged
	repeatNone = 5 * time.Minute  // the policy had nobody
	repeatDead = 15 * time.Minute // after the last page died, when none reached anybody
)

// How long pages wait for what makes them complete.
const (
	settleTime  = 200 * time.Millisecond // for more alerts to join, after each that does
	settleEvery = 100 * time.Millisecond // how often that is written down for one incident in a storm
	stormWait   = time.Second            // that they may take beyond EvidenceWait, below P1
	factsWait   = 100 * time.Millisecond // for the SLO's standing, when they wait for no evidence
)

// advance begins the round of pages of inc that is due at at, or puts it off
// until it may begin, and sets when the next is due. It does not save inc.
func (e *Engine) advance(tx Tx, inc *alert.Incident, kind page.Kind, at time.Time) error {
	inc.NextPageAt = time.Time{}
	if inc.Level == alert.Info && kind != page.Called {
		return nil
	}
	if kind == page.Raised || kind == page.Reopened { // what was known of it then is void
		inc.Step, inc.Cycle, inc.SnoozedUntil = 0, 0, time.Time{}
	}
	until, quiet, err := e.quietUntil(tx, inc, at)
	if err != nil || quiet && kind != page.Called {
		inc.NextPageAt = until
		return err
	}
	if err := tellOrder(tx, *inc, quiet, kind, at); err != nil {
		return err
	}
	step := e.c.Responders.Step(at, *inc)
	goesOn := len(inc.Assigned) == 0 && (kind == page.Called && inc.Round > 0 || kind == page.Again && inc.Step > 0)
	if err := tellStep(tx, *inc, step, goesOn, at); err != nil {
		return err
	}
	inc.Round++
	inc.NextPageAt = nextRound(inc, step, at)
	if inc.Muted != "" { // what follows waits for the end of that
		inc.NextPageAt = earliest(inc.NextPageAt, until)
	}
	if goesOn && kind != page.Called {
		kind = page.Escalated
	}
	return e.pageRound(tx, *inc, kind, step.Notices, at)
}

// quietUntil tells whether nobody is to be paged for the incident now, and
// until when that holds at the latest; the zero time is until something
// changes.
func (e *Engine) quietUntil(tx Tx, inc *alert.Incident, at time.Time) (until time.Time, quiet bool, err error) {
	if inc.SnoozedUntil.After(at) {
		return inc.SnoozedUntil, true, nil
	}
	inc.SnoozedUntil = time.Time{}
	if !inc.Drill {
		if until, err = e.muteAndTell(tx, inc, at); err != nil || inc.Muted != "" {
			return until, true, err
		}
	}
	if inc.Level == alert.P3 {
		if due := e.workingTime(at, *inc); due.After(at) {
			return due, true, nil
		}
	}
	return time.Time{}, false, nil
}

// tellOrder adds to the story that somebody is paged by an order whom else
// nobody would page.
func tellOrder(tx Tx, inc alert.Incident, quiet bool, kind page.Kind, at time.Time) error {
	var why string
	switch {
	case kind != page.Called:
		return nil
	case inc.SnoozedUntil.After(at):
		why = "it is snoozed"
	case inc.Muted != "":
		why = inc.Muted
	case quiet:
		why = "it is outside working hours"
	case inc.Level == alert.Info:
		why = "its level pages nobody"
	default:
		return nil
	}
	return tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventEscalated, Text: "paged all the same, since somebody asked for it: " + why})
}

// workingTime is cut to what the store keeps.
func (e *Engine) workingTime(at time.Time, inc alert.Incident) time.Time {
	return e.c.Responders.WorkingTime(at, inc).UTC().Truncate(time.Millisecond)
}

// muteAndTell is mute, with a line of the story for what changed.
func (e *Engine) muteAndTell(tx Tx, inc *alert.Incident, at time.Time) (until time.Time, err error) {
	before := inc.Muted
	if until, err = e.mute(tx, inc, at); err != nil || inc.Muted == before {
		return until, err
	}
	text := "nobody is paged: " + inc.Muted
	if inc.Muted == "" {
		text = "somebody is to be paged again"
	}
	return until, tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventMuted, Text: text})
}

// tellStep adds to the story which steps were skipped and, when the policy
// goes on, to which step.
func tellStep(tx Tx, inc alert.Incident, s Step, goesOn bool, at time.Time) error {
	var events []alert.Event
	if len(s.Skipped) > 0 {
		text := fmt.Sprintf("nobody is on call for %s: skipped", strings.Join(s.Skipped, ", "))
		events = append(events, alert.Event{At: at, Kind: alert.EventEscalated, Text: text})
	}
	if goesOn && s.Name != "" {
		events = append(events, alert.Event{At: at, Kind: alert.EventEscalated, Text: "goes on to " + s.Name})
	}
	return tx.AddEvents(inc.ID, events...)
}

// nextRound sets the step of the next round, and returns when that is due, the
// zero time when none is.
func nextRound(inc *alert.Incident, s Step, at time.Time) (next time.Time) {
	switch {
	case len(s.Notices) == 0:
		next = at.Add(repeatNone)
	case s.Wait > 0:
		inc.Step, inc.Cycle = s.Step, s.Cycle
		next = at.Add(s.Wait)
	case inc.Level == alert.P1:
		next = at.Add(repeatP1)
	}
	if end := inc.OpenedAt.Add(drillTime); inc.Drill && (next.IsZero() || next.After(end)) {
		next = end
	}
	return next
}

// pageRound puts the pages of a round into the outbox.
func (e *Engine) pageRound(tx Tx, inc alert.Incident, kind page.Kind, notices []Notice, at time.Time) error {
	if len(notices) == 0 {
		e.c.Logger.Error("nobody to page", "incident", inc.ID, "level", inc.Level)
		e.metrics.pages.WithLabelValues("", "nobody").Inc()
		return tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventPageFailed, Text: "nobody is on call for it"})
	}
	known, err := e.acquainted(tx, inc, kind)
	if err != nil {
		return err
	}
	r := round{tx: tx, inc: inc, at: at, waits: e.patience(inc, kind, at)}
	first := kind == page.Opened && inc.Round == 1
	if !first {
		if r.waiting, err = tx.Waiting(inc.ID, at); err != nil {
			return err
		}
	}
	reached := map[page.Thread]bool{}
	for _, n := range notices {
		p := page.Page{Key: pageKey(inc, n.To), Kind: kind, To: n.To, At: at.Add(n.After), Round: inc.Round, Incident: inc}
		if kind == page.Escalated && known[n.To.User] {
			p.Kind = page.Again
		}
		reached[p.Thread()] = true
		if err := r.enqueue(p, n.After); err != nil {
			return err
		}
	}
	if err := e.unreached(tx, inc, r.waiting, at); err != nil {
		return err
	}
	if r.waits.gather {
		if err := tx.Gather(inc.ID, at); err != nil {
			return err
		}
	}
	if first {
		return nil // nobody has a message yet
	}
	return e.editOthers(tx, inc, at, at.Add(coalesce), reached)
}

// acquainted returns the users who were paged for the incident before, where
// that makes a difference.
func (e *Engine) acquainted(tx Tx, inc alert.Incident, kind page.Kind) (map[string]bool, error) {
	if kind != page.Escalated {
		return nil, nil
	}
	told, err := tx.Told(inc.ID)
	known := make(map[string]bool, len(told))
	for _, c := range told {
		known[c.User] = true
	}
	return known, err
}

// round is a round of pages on its way into the outbox.
type round struct {
	tx      Tx
	inc     alert.Incident
	at      time.Time
	waits   patience
	waiting []page.Record // of earlier rounds
}

// enqueue adds a page that is due after a while, in the place of an earlier
// one to the same address that nobody took. One that was not due yet stays,
// unless it tells of a lower level. Where a provider said when to come back,
// that holds.
func (r *round) enqueue(p page.Page, after time.Duration) error {
	var held time.Time
	for _, w := range r.waiting {
		if w.Thread() != p.Thread() {
			continue
		}
		if w.Attempt == 0 && w.Kind != page.Resolved && w.At.After(r.at) && w.Incident.Level == p.Incident.Level && !w.At.After(p.At) {
			return nil
		}
		if w.Held && w.Due.After(held) {
			held = w.Due
		}
		if err := r.tx.MarkDropped(w.Key, r.at, "a later page tells more"); err != nil {
			return err
		}
	}
	waits := r.waits
	if after > 0 {
		waits = patience{}
	}
	err := waits.enqueue(r.tx, r.at.Add(after), p)
	if err == nil && held.After(r.at) {
		err = r.tx.Hold(p.Key, held, r.at.Add(patienceWith(p)))
	}
	return err
}

// patience says until when the pages of a round wait.
type patience struct {
	due     time.Time // unless something changes it
	settles time.Time // when they go if all is known and no alert joins
	latest  time.Time // when they go in any case; zero: they wait for nothing
	gather  bool      // evidence or facts are to be looked for
}

// enqueue adds a page that waits so or, when nothing is to be waited for, is
// due at due.
func (p patience) enqueue(tx Tx, due time.Time, of page.Page) error {
	if p.latest.IsZero() {
		return tx.Enqueue(due, of)
	}
	return tx.Await(p.due, p.settles, p.latest, of)
}

func (e *Engine) patience(inc alert.Incident, kind page.Kind, at time.Time) patience {
	facts := e.c.Facts != nil && inc.SLO != "" && e.c.HasFacts(inc)
	evidence := e.c.Evidence != nil && inc.Round == 1 && kind != page.Resolved && e.c.HasEvidence(inc)
	p := patience{gather: !inc.Drill && (facts || evidence)}
	wait := e.c.EvidenceWait
	if wait < 0 && facts {
		wait = factsWait
	}
	settle := time.Duration(0)
	if kind == page.Opened && e.c.EvidenceWait > 0 {
		settle = min(settleTime, wait)
	}
	if wait < 0 || inc.Drill || !p.gather && settle == 0 {
		return p
	}
	p.settles, p.latest = at.Add(settle), at.Add(wait)
	switch {
	case p.gather:
		p.due = p.latest
	case inc.Level != alert.P1: // in a storm, one page that has it all beats two
		p.latest = p.latest.Add(stormWait)
		fallthrough
	default:
		p.due = p.settles
	}
	return p
}

// pageKey tells a page of the incident's round from all others.
func pageKey(inc alert.Incident, to page.Contact) string {
	return fmt.Sprintf("%s/%d/%s", keyPrefix(inc), inc.Round, contactKey(to))
}

// keyPrefix tells an incident from all others, of other databases too.
func keyPrefix(inc alert.Incident) string {
	return fmt.Sprintf("%d-%s", inc.ID, base36(inc.OpenedAt))
}

func contactKey(c page.Contact) string {
	return part(c.User) + "/" + part(c.Channel) + "/" + part(c.Address)
}
