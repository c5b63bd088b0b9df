package store

import (
	"fmt"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// AddInhibitor keeps that an alert inhibits those of a key while it fires;
// target tells that the rule could inhibit the alert itself.
func (t *Tx) AddInhibitor(key string, a alert.Alert, target bool) error {
	both := 0
	if target {
		both = 1
	}
	t.inhibited = nil
	err := t.exec("INSERT INTO inhibitors (key, alert_id, target, level) VALUES (?, ?, ?, ?) ON CONFLICT (key, alert_id) DO NOTHING",
		key, a.ID, both, int64(a.Level()))
	if err != nil {
		return fmt.Errorf("add inhibitor %d: %w", a.ID, err)
	}
	return nil
}

// DropInhibitors forgets that the alerts inhibit others.
func (t *Tx) DropInhibitors(alerts []int64) error {
	_, err := among(alerts, "DELETE FROM inhibitors WHERE alert_id IN (%s)", func(query string, values []any) ([]struct{}, error) {
		return nil, t.exec(query, values...)
	})
	return err
}

// ClearInhibitors forgets all of them.
func (t *Tx) ClearInhibitors() error { return t.exec("DELETE FROM inhibitors") }

// Inhibitor returns the fingerprint of an alert that inhibits those of a key,
// and whether there is one: it fires, its incident is not resolved, its level
// is not below least, and with onlySource it is no target of the same rule.
func (t *Tx) Inhibitor(key string, least alert.Level, onlySource bool) (model.Fingerprint, bool, error) {
	if some, err := t.anyInhibitor(); err != nil || !some {
		return 0, false, err
	}
	mostTarget := 1
	if onlySource {
		mostTarget = 0
	}
	// One question after the other, so that it is inhibitors of the key whose
	// alerts are looked at, and not all alerts that fire.
	id, ok, err := first(t, scanID, `SELECT fingerprint FROM (
			SELECT alert_id, (SELECT CASE WHEN a.state = 'firing' AND
				(SELECT i.status FROM incidents i WHERE i.id = a.incident_id) <> 'resolved' THEN a.fingerprint END
				FROM alerts a WHERE a.id = h.alert_id) AS fingerprint
			FROM inhibitors h WHERE h.key = ? AND h.target <= ? AND h.level <= ?
		) AS found WHERE fingerprint IS NOT NULL ORDER BY alert_id DESC LIMIT 1`, key, mostTarget, int64(least))
	return model.Fingerprint(id), ok, err //nolint:gosec // All 64 bits were kept.
}

// anyInhibitor tells whether there is an inhibitor at all. Mostly there is
// none, and a storm asks a thousand times.
func (t *Tx) anyInhibitor() (bool, error) {
	if t.inhibited == nil {
		_, some, err := first(t, scanID, "SELECT 1 FROM inhibitors LIMIT 1")
		if err != nil {
			return false, err
		}
		t.inhibited = &some
	}
	return *t.inhibited, nil
}
