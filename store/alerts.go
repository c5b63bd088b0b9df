package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

const alertColumns = "id, incident_id, labels, annotations, generator_url, state, starts_at, ends_at, updated_at"

func scanAlert(r scanner, a *alert.Alert) error {
	return r.Scan(&a.ID, &a.IncidentID, document{&a.Labels}, document{&a.Annotations}, &a.GeneratorURL, &a.State,
		instant{&a.StartsAt}, instant{&a.EndsAt}, instant{&a.UpdatedAt})
}

// LatestAlerts returns, for every label set known that has one of the
// fingerprints, its alert in the latest incident.
func (t *Tx) LatestAlerts(fingerprints []model.Fingerprint) ([]alert.Alert, error) {
	signed := make([]int64, len(fingerprints))
	for i, fp := range fingerprints {
		signed[i] = int64(fp) //nolint:gosec // All 64 bits are kept.
	}
	return among(signed, "SELECT "+alertColumns+" FROM alerts WHERE latest = 1 AND fingerprint IN (%s)",
		func(query string, values []any) ([]alert.Alert, error) {
			return collect(t, scanAlert, query, values...)
		})
}

// AddAlerts keeps new alerts as the latest of their label sets and sets their
// IDs.
func (t *Tx) AddAlerts(alerts []*alert.Alert) error {
	for _, a := range alerts {
		if err := t.addAlert(a); err != nil {
			return fmt.Errorf("add alert %s: %w", a.Labels, err)
		}
	}
	return nil
}

func (t *Tx) addAlert(a *alert.Alert) error {
	labels, err := json.Marshal(a.Labels)
	if err != nil {
		return err
	}
	annotations, err := asJSON(a.Annotations)
	if err != nil {
		return err
	}
	fp := int64(a.Fingerprint()) //nolint:gosec // All 64 bits are kept.
	if err := t.exec("UPDATE alerts SET latest = 0 WHERE latest = 1 AND fingerprint = ? AND labels = ?", fp, string(labels)); err != nil {
		return err
	}
	a.ID, _, err = first(t, scanID, `INSERT INTO alerts
		(incident_id, fingerprint, latest, labels, annotations, generator_url, state, starts_at, ends_at, updated_at)
		VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		a.IncidentID, fp, string(labels), annotations, a.GeneratorURL, string(a.State),
		millis(a.StartsAt), millis(a.EndsAt), millis(a.UpdatedAt))
	return err
}

// SaveAlerts keeps all of the alerts but their labels and incidents, by ID.
func (t *Tx) SaveAlerts(alerts []*alert.Alert) error {
	for _, a := range alerts {
		annotations, err := asJSON(a.Annotations)
		if err != nil {
			return fmt.Errorf("save alert %s: %w", a.Labels, err)
		}
		err = t.exec("UPDATE alerts SET annotations = ?, generator_url = ?, state = ?, starts_at = ?, ends_at = ?, updated_at = ? WHERE id = ?",
			annotations, a.GeneratorURL, string(a.State), millis(a.StartsAt), millis(a.EndsAt), millis(a.UpdatedAt), a.ID)
		if err != nil {
			return fmt.Errorf("save alert %s: %w", a.Labels, err)
		}
	}
	return nil
}

// RefreshAlerts sets when the alerts end, and were received.
func (t *Tx) RefreshAlerts(ids []int64, endsAt, updatedAt time.Time) error {
	_, err := among(ids, "UPDATE alerts SET ends_at = ?, updated_at = ? WHERE id IN (%s)",
		func(query string, values []any) ([]struct{}, error) {
			return nil, t.exec(query, append([]any{millis(endsAt), millis(updatedAt)}, values...)...)
		})
	return err
}

// OverdueAlerts returns up to limit firing alerts that end at or before at.
func (t *Tx) OverdueAlerts(at time.Time, limit int) ([]alert.Alert, error) {
	return collect(t, scanAlert, "SELECT "+alertColumns+` FROM alerts
		WHERE state = 'firing' AND ends_at <= ? ORDER BY ends_at, id LIMIT ?`, millis(at), limit)
}

// CountAlerts returns how many alerts of the incident are in each state.
func (t *Tx) CountAlerts(incident int64) (map[alert.State]int, error) {
	counts := map[alert.State]int{}
	_, err := collect(t, func(r scanner, s *alert.State) error {
		var n int
		err := r.Scan(s, &n)
		counts[*s] = n
		return err
	}, "SELECT state, COUNT(*) FROM alerts WHERE incident_id = ? GROUP BY state", incident)
	return counts, err
}
