package store

import (
	"fmt"
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

// SettleAll is Settle for many incidents.
func (t *Tx) SettleAll(incidents []int64, settles time.Time) error {
	_, err := among(incidents, `UPDATE pages SET settles_at = ?,
		due_at = CASE WHEN due_at < latest_at AND ? < latest_at THEN ? ELSE latest_at END
		WHERE incident_id IN (%s) AND state = 'queued' AND attempt = 0 AND latest_at > 0`,
		func(query string, values []any) ([]struct{}, error) {
			at := millis(settles)
			return nil, t.exec(query, append([]any{at, at, at}, values...)...)
		})
	return err
}

// Messaged returns those of the incidents of which a page was sent.
func (t *Tx) Messaged(incidents []int64) ([]int64, error) {
	return among(incidents, "SELECT DISTINCT incident_id FROM pages WHERE incident_id IN (%s) AND state = 'sent'",
		func(query string, values []any) ([]int64, error) { return collect(t, scanID, query, values...) })
}
