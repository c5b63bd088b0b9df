package store

import (
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// maxFigures bounds what is read for a report.
const maxFigures = 100_000

// OpenedBetween returns the incidents that were opened from an instant until
// before another, in that order, without alerts and without drills: at most
// 100,000.
func (t *Tx) OpenedBetween(from, until time.Time) ([]alert.Incident, error) {
	return collect(t, scanIncident, "SELECT "+incidentColumns+` FROM incidents
		WHERE opened_at >= ? AND opened_at < ? AND drill = 0 ORDER BY opened_at, id LIMIT ?`, millis(from), millis(until), maxFigures)
}

// SentPage is a page that a provider accepted.
type SentPage struct {
	User, FullName string
	Channel        string
	At             time.Time // when it was accepted
	Level          alert.Level
}

// SentBetween returns the pages that were accepted from an instant until
// before another, in that order: at most 100,000. Silent updates of earlier
// messages, reports and drills are none; a bundle is one.
func (t *Tx) SentBetween(from, until time.Time) ([]SentPage, error) {
	return collect(t, func(r scanner, p *SentPage) error {
		return r.Scan(&p.User, &p.FullName, &p.Channel, instant{&p.At}, &p.Level)
	}, `SELECT username, full_name, channel, settled_at, level FROM pages
		WHERE state = 'sent' AND settled_at >= ? AND settled_at < ? AND bundle = '' AND kind NOT IN ('updated', 'report')
		AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.id = pages.incident_id AND drill = 1)
		ORDER BY settled_at, id LIMIT ?`, millis(from), millis(until), maxFigures)
}

// SLOKey names an SLO.
type SLOKey struct{ Service, SLO string }

// SLOsBetween returns the SLOs that incidents were about which were open at
// some time from an instant until before another.
func (t *Tx) SLOsBetween(from, until time.Time) ([]SLOKey, error) {
	return collect(t, func(r scanner, k *SLOKey) error {
		return r.Scan(&k.Service, &k.SLO)
	}, `SELECT DISTINCT service, slo FROM incidents WHERE opened_at < ? AND (resolved_at = 0 OR resolved_at >= ?) AND slo <> '' AND drill = 0
		ORDER BY service, slo`, millis(until), millis(from))
}
