package store

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// AddIncidents is AddIncident for many, and returns their IDs in their order.
func (t *Tx) AddIncidents(incidents []alert.Incident) ([]int64, error) {
	rows := make([][]any, len(incidents))
	for i, inc := range incidents {
		rows[i] = incidentValues(inc)
	}
	ids, err := t.insertManyIDs("incidents", incidentFields, rows)
	if err != nil {
		return nil, fmt.Errorf("add %d incidents: %w", len(incidents), err)
	}
	return ids, nil
}

// AddStories adds one event to the story of an incident for each pair of the
// two lists, in their order.
func (t *Tx) AddStories(incidents []int64, events []alert.Event) error {
	rows := make([][]any, len(events))
	for i, e := range events {
		rows[i] = []any{incidents[i], millis(e.At), string(e.Kind), e.Actor, e.Text}
	}
	if err := t.insertMany("events", "incident_id, at, kind, actor, text", "", rows); err != nil {
		return fmt.Errorf("add %d events: %w", len(events), err)
	}
	return nil
}

// Settle puts the first pages of the incidents that wait off until settles,
// each at most until its latest time: an alert joined.
func (t *Tx) Settle(incidents []int64, settles time.Time) error {
	_, err := among(incidents, `UPDATE pages SET settles_at = ?,
		due_at = CASE WHEN due_at < latest_at AND ? < latest_at THEN ? ELSE latest_at END
		WHERE incident_id IN (%s) AND state = 'queued' AND attempt = 0 AND latest_at > 0 AND kind <> 'updated'`,
		func(query string, values []any) ([]struct{}, error) {
			at := millis(settles)
			return nil, t.exec(query, append([]any{at, at, at}, values...)...)
		})
	return err
}

// Messaged returns those of the incidents of which a page was sent, or tried.
func (t *Tx) Messaged(incidents []int64) ([]int64, error) {
	return among(incidents, "SELECT DISTINCT incident_id FROM pages WHERE incident_id IN (%s) AND (state = 'sent' OR state = 'queued' AND attempt > 0)",
		func(query string, values []any) ([]int64, error) { return collect(t, scanID, query, values...) })
}

// outdated is what settles_at holds of a page that was composed before its
// incident changed.
const outdated = -1

// Joined has the messages of the incidents brought up to date: those that have
// a waiting update by that one, at due or, when it has waited since before,
// at its latest time; the others by one that is due at due and at latest at
// the latest. Pages that were composed, and are not sent yet, are Outdated.
func (t *Tx) Joined(incidents []int64, due, latest time.Time) error {
	at, last := millis(due), millis(latest)
	for _, of := range []struct {
		query string
		args  []any
	}{
		{`UPDATE pages SET due_at = CASE WHEN ? < latest_at THEN ? ELSE latest_at END
			WHERE incident_id IN (%s) AND latest_at > 0 AND attempt = 0 AND ` + waitingUpdate, []any{at, at}},
		{"UPDATE pages SET settles_at = ? WHERE incident_id IN (%s) AND state = 'queued' AND attempt > 0", []any{outdated}},
		{`INSERT INTO pages (key, incident_id, kind, round, level, username, full_name, channel, address, timezone, language,
				at, state, due_at, settles_at, latest_at, lane, attempt, leased_until, settled_at, reason)
			SELECT CAST(i.id AS TEXT) || '-' || CAST(i.opened_at AS TEXT) || '/updated/' || CAST(? AS TEXT) || '/' || r.channel || '/' || r.address,
				r.incident_id, 'updated', i.round, i.level, r.username, r.full_name, r.channel, r.address, r.timezone, r.language,
				CAST(? AS BIGINT), 'queued', CAST(? AS BIGINT), 0, CAST(? AS BIGINT), r.channel || '/9', 0, 0, 0, ''
			FROM page_refs r JOIN incidents i ON i.id = r.incident_id
			WHERE r.incident_id IN (%s) AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.incident_id = r.incident_id AND p.channel = r.channel
				AND p.address = r.address AND p.kind = 'updated' AND p.state = 'queued' AND p.leased_until = 0)
			ON CONFLICT (key) DO NOTHING`, []any{strconv.FormatInt(at, 10), at, at, last}},
	} {
		_, err := among(incidents, of.query, func(query string, values []any) ([]struct{}, error) {
			return nil, t.exec(query, append(slices.Clone(of.args), values...)...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Outdated tells whether the page's incident changed after it was composed.
func (t *Tx) Outdated(key string) (bool, error) {
	at, _, err := first(t, scanID, "SELECT settles_at FROM pages WHERE key = ?", key)
	return at == outdated, err
}
