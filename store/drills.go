package store

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/page"
)

// AddDrill notes that the incident is an exercise that somebody began.
func (t *Tx) AddDrill(incident int64, by string, at time.Time) error {
	if err := t.exec("INSERT INTO drills (incident_id, actor, at) VALUES (?, ?, ?)", incident, by, millis(at)); err != nil {
		return fmt.Errorf("add drill %d: %w", incident, err)
	}
	return nil
}

// Drills returns up to limit drills, the newest first.
func (t *Tx) Drills(limit int) ([]page.Drill, error) {
	return collect(t, func(r scanner, d *page.Drill) error {
		err := r.Scan(&d.Incident, &d.By, instant{&d.At}, instant{&d.AckedAt}, instant{&d.DeliveredAt})
		if !d.DeliveredAt.IsZero() {
			d.Delivery = d.DeliveredAt.Sub(d.At)
		}
		if !d.AckedAt.IsZero() {
			d.Acknowledged = d.AckedAt.Sub(d.At)
		}
		return err
	}, `SELECT d.incident_id, d.actor, d.at, i.acked_at,
		(SELECT MIN(p.settled_at) FROM pages p WHERE p.incident_id = d.incident_id AND p.state = 'sent')
		FROM drills d JOIN incidents i ON i.id = d.incident_id ORDER BY d.incident_id DESC LIMIT ?`, limit)
}
