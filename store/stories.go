package store

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// AddEvents adds to the incident's story.
func (t *Tx) AddEvents(incident int64, events ...alert.Event) error {
	for _, e := range events {
		err := t.exec("INSERT INTO events (incident_id, at, kind, actor, text) VALUES (?, ?, ?, ?, ?)",
			incident, millis(e.At), string(e.Kind), e.Actor, e.Text)
		if err != nil {
			return fmt.Errorf("add event to incident %d: %w", incident, err)
		}
	}
	return nil
}

// Events returns the incident's story in the order it was added.
func (t *Tx) Events(incident int64) ([]alert.Event, error) {
	return collect(t, func(r scanner, e *alert.Event) error {
		return r.Scan(instant{&e.At}, &e.Kind, &e.Actor, &e.Text)
	}, "SELECT at, kind, actor, text FROM events WHERE incident_id = ? ORDER BY id", incident)
}

// SaveEvidence keeps what was found of the incident, in the place of what was
// found before.
func (t *Tx) SaveEvidence(incident int64, found []page.Evidence) error {
	if found == nil {
		found = []page.Evidence{} // looked for, and nothing found
	}
	text, err := asJSON(found)
	if err != nil {
		return fmt.Errorf("save evidence of incident %d: %w", incident, err)
	}
	return t.exec("UPDATE incidents SET evidence = ? WHERE id = ?", text, incident)
}

// Evidence returns what was found of the incident, and whether anybody looked.
func (t *Tx) Evidence(incident int64) (found []page.Evidence, looked bool, err error) {
	return first(t, func(r scanner, found *[]page.Evidence) error {
		return r.Scan(document{found})
	}, "SELECT evidence FROM incidents WHERE id = ? AND evidence IS NOT NULL", incident)
}

// SaveFacts keeps how the SLO of the incident stands.
func (t *Tx) SaveFacts(incident int64, facts page.SLO) error {
	text, err := asJSON(facts)
	if err != nil {
		return fmt.Errorf("save facts of incident %d: %w", incident, err)
	}
	return t.exec("UPDATE incidents SET facts = ? WHERE id = ?", text, incident)
}

// Findings returns the evidence and the facts that are kept of incidents.
func (t *Tx) Findings(incidents []int64) (map[int64][]page.Evidence, map[int64]page.SLO, error) {
	evidence, facts := map[int64][]page.Evidence{}, map[int64]page.SLO{}
	_, err := among(incidents, "SELECT id, evidence, facts FROM incidents WHERE (evidence IS NOT NULL OR facts IS NOT NULL) AND id IN (%s)",
		func(query string, values []any) ([]int64, error) {
			return collect(t, func(r scanner, id *int64) error {
				var found []page.Evidence
				var slo page.SLO
				err := r.Scan(id, document{&found}, document{&slo})
				evidence[*id], facts[*id] = found, slo
				return err
			}, query, values...)
		})
	return evidence, facts, err
}

// Gather asks for evidence and facts of the incident to be looked for at at.
func (t *Tx) Gather(incident int64, at time.Time) error {
	return t.exec("UPDATE incidents SET gather_at = ? WHERE id = ?", millis(at), incident)
}

// Gathered notes that what was asked for by Gather is kept.
func (t *Tx) Gathered(incident int64) error {
	return t.exec("UPDATE incidents SET gather_at = 0 WHERE id = ?", incident)
}

// ClaimGathers returns up to limit incidents of which evidence and facts are
// to be looked for, most urgent first, with their alerts, and keeps them from
// being claimed again before until.
func (t *Tx) ClaimGathers(at, until time.Time, limit int) ([]alert.Incident, error) {
	found, err := collect(t, scanIncident, "SELECT "+incidentColumns+` FROM incidents
		WHERE gather_at > 0 AND gather_at <= ? ORDER BY level, id LIMIT ?`, millis(at), limit)
	if err != nil {
		return nil, err
	}
	for _, inc := range found {
		if err := t.Gather(inc.ID, until); err != nil {
			return nil, err
		}
	}
	return t.withAlerts(found)
}

// NextGather returns when the next incident can be claimed by ClaimGathers,
// the zero time when there is none.
func (t *Tx) NextGather() (time.Time, error) {
	at, _, err := first(t, scanTime, "SELECT MIN(gather_at) FROM incidents WHERE gather_at > 0")
	return at, err
}

// MoveAlerts makes all alerts of one incident another's.
func (t *Tx) MoveAlerts(from, into int64) error {
	return t.exec("UPDATE alerts SET incident_id = ? WHERE incident_id = ?", into, from)
}

// MergeTargets returns, of each of the keys whose incident was merged into one
// that is not resolved, that one, without alerts.
func (t *Tx) MergeTargets(keys []string) (map[string]alert.Incident, error) {
	targets := map[string]alert.Incident{}
	_, err := among(keys, `WITH RECURSIVE heirs (key, id) AS (
			SELECT key, merged_into FROM incidents WHERE merged_into > 0 AND key IN (%s)
			UNION SELECT heirs.key, i.merged_into FROM heirs JOIN incidents i ON i.id = heirs.id WHERE i.merged_into > 0
		) SELECT heirs.key, incidents.id FROM heirs JOIN incidents ON incidents.id = heirs.id
		WHERE incidents.status <> 'resolved' ORDER BY incidents.id`,
		func(query string, values []any) ([]int64, error) {
			return collect(t, func(r scanner, id *int64) error {
				var key string
				err := r.Scan(&key, id)
				targets[key] = alert.Incident{ID: *id}
				return err
			}, query, values...)
		})
	if err != nil || len(targets) == 0 {
		return nil, err
	}
	ids := make([]int64, 0, len(targets))
	for _, inc := range targets {
		ids = append(ids, inc.ID)
	}
	found, err := t.IncidentsByID(ids)
	for key, target := range targets {
		for _, inc := range found {
			if inc.ID == target.ID {
				targets[key] = inc
			}
		}
	}
	return targets, err
}
