package store

import (
	"context"
	"fmt"
	"time"
)

// Pruned counts what Prune removed.
type Pruned struct {
	Incidents, Alerts, Events, Pages int
	Silences, Overrides, Audit       int
}

// pruneStep is how many rows one transaction of Prune removes of a table.
const pruneStep = 500

// settled are incidents that may be forgotten. While an alert fires whose
// incident somebody resolved by hand, it must stay known, or it would open
// another; and so must what was merged into an incident that is still known.
const settled = `status = 'resolved' AND resolved_at < ?
	AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.incident_id = incidents.id AND a.state = 'firing')
	AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.incident_id = incidents.id AND p.state IN ('queued', 'bundled'))
	AND NOT EXISTS (SELECT 1 FROM incidents heir WHERE heir.id = incidents.merged_into)`

// Prune removes incidents that were resolved before an instant, with their
// alerts, stories and pages, silences and overrides that ended before it, and
// what the audit says of the time before auditBefore. A zero time keeps all.
// It does so in many short transactions, between which others have their turn:
// one that ctx ends or an error stops goes on when it is called again.
func (s *Store) Prune(ctx context.Context, before, auditBefore time.Time) (Pruned, error) {
	var p Pruned
	steps := []func(*Tx) (bool, error){
		func(t *Tx) (bool, error) { return p.incidents(t, before) },
		func(t *Tx) (bool, error) {
			return t.remove(&p.Silences, "silences", "SELECT id FROM silences WHERE ends_at < ?", millis(before))
		},
		func(t *Tx) (bool, error) {
			return t.remove(&p.Overrides, "overrides", "SELECT id FROM overrides WHERE until_at < ?", millis(before))
		},
		func(t *Tx) (bool, error) {
			return t.remove(&p.Audit, "audit", "SELECT id FROM audit WHERE at < ?", millis(auditBefore))
		},
	}
	for _, step := range steps {
		for more := true; more; {
			kept := p
			err := s.Update(ctx, func(t *Tx) (err error) {
				more, err = step(t)
				return err
			})
			if err != nil {
				return kept, fmt.Errorf("remove what is old: %w", err)
			}
		}
	}
	return p, nil
}

// incidents removes some of what belongs to the oldest incident, or it
// itself, and tells whether there may be more.
func (p *Pruned) incidents(t *Tx, before time.Time) (more bool, err error) {
	ids, err := collect(t, scanID, "SELECT id FROM incidents WHERE "+settled+" ORDER BY resolved_at, id LIMIT 20", millis(before))
	if err != nil {
		return false, err
	}
	removed := p.Alerts + p.Events + p.Pages
	for _, id := range ids {
		for _, of := range []struct {
			table string
			n     *int
		}{{"alerts", &p.Alerts}, {"events", &p.Events}, {"pages", &p.Pages}} {
			more, err := t.remove(of.n, of.table, "SELECT id FROM "+of.table+" WHERE incident_id = ?", id)
			if err != nil || more {
				return more, err
			}
		}
		if err := t.exec("DELETE FROM incidents WHERE id = ?", id); err != nil {
			return false, err
		}
		p.Incidents++
		if p.Alerts+p.Events+p.Pages-removed > pruneStep { // enough for one transaction
			return true, nil
		}
	}
	return len(ids) > 0, nil
}

// remove removes some of the rows whose IDs the query returns, adds to n how
// many, and tells whether there may be more.
func (t *Tx) remove(n *int, table, query string, arg any) (more bool, err error) {
	ids, err := collect(t, func(r scanner, id *any) error { return r.Scan(id) }, query+fmt.Sprintf(" ORDER BY id LIMIT %d", pruneStep), arg)
	if err != nil {
		return false, err
	}
	_, err = among(ids, "DELETE FROM "+table+" WHERE id IN (%s)", func(query string, values []any) ([]struct{}, error) {
		return nil, t.exec(query, values...)
	})
	*n += len(ids)
	return len(ids) == pruneStep, err
}
