package incident

import (
	"context"
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Merge moves all alerts of one incident into another, which it returns, and
// closes the first. While the other is not resolved, later alerts of the
// first one's key join it. The error is ErrNotFound, ErrResolved, ErrInvalid
// or ErrActor (wrapped), or the store's.
func (e *Engine) Merge(ctx context.Context, from, into int64, actor string) (alert.Incident, error) {
	detail := fmt.Sprintf("incident %d into incident %d", from, into)
	return e.act(ctx, into, actor, act{name: "merge", detail: detail, do: func(tx Tx, target *alert.Incident, at time.Time) error {
		source, err := get(tx, from)
		switch {
		case err != nil:
			return err
		case from == into || source.Drill || target.Drill:
			return fmt.Errorf("%w: an incident is merged into another, and a drill into none", ErrInvalid)
		case source.Status == alert.Closed || target.Status == alert.Closed:
			return ErrResolved
		}
		if err := e.giveUp(tx, &source, *target, actor, at); err != nil {
			return err
		}
		return e.absorb(tx, target, source, actor, at)
	}})
}

// giveUp closes an incident whose alerts another takes.
func (e *Engine) giveUp(tx Tx, source *alert.Incident, target alert.Incident, actor string, at time.Time) error {
	if err := tx.MoveAlerts(source.ID, target.ID); err != nil {
		return err
	}
	source.Status, source.ResolvedAt, source.ResolvedBy, source.MergedInto = alert.Closed, at, actor, target.ID
	source.Stale, source.Muted, source.NextPageAt, source.SnoozedUntil = false, "", time.Time{}, time.Time{}
	text := fmt.Sprintf("merged into incident %d: %s", target.ID, target.Title)
	if err := tx.AddEvents(source.ID, alert.Event{At: at, Kind: alert.EventMerged, Actor: actor, Text: text}); err != nil {
		return err
	}
	if err := tx.Supersede(source.ID, at, text); err != nil {
		return err
	}
	if err := tx.SaveIncident(*source); err != nil {
		return err
	}
	return e.editOthers(tx, *source, at, at, nil)
}

// absorb makes an incident one that another's alerts were moved to, and pages
// whom that concerns.
func (e *Engine) absorb(tx Tx, target *alert.Incident, source alert.Incident, actor string, at time.Time) error {
	text := fmt.Sprintf("took the alerts of incident %d: %s", source.ID, source.Title)
	if err := tx.AddEvents(target.ID, alert.Event{At: at, Kind: alert.EventMerged, Actor: actor, Text: text}); err != nil {
		return err
	}
	full, err := get(tx, target.ID)
	if err != nil {
		return err
	}
	target.Alerts, target.AlertCount = full.Alerts, full.AlertCount
	target.Stale = target.Stale || source.Stale
	if source.Since.Before(target.Since) {
		target.Since = source.Since
	}
	if !source.Level.Outranks(target.Level) {
		if target.Muted != "" && target.Status == alert.Open && !target.SnoozedUntil.After(at) {
			target.NextPageAt = at // what joined may not be muted
		}
		return e.editOthers(tx, *target, at, at, nil)
	}
	if err := tx.AddEvents(target.ID, raise(target, source.Level, at)); err != nil {
		return err
	}
	kind := page.Raised
	if target.Round == 0 {
		kind = page.Opened
	}
	return e.advance(tx, target, kind, at)
}
