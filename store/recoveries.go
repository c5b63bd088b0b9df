package store

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// ResolvedIncidents returns, without alerts, the last incident of each of the
// keys that its alerts resolved after an instant.
func (t *Tx) ResolvedIncidents(keys []string, after time.Time) ([]alert.Incident, error) {
	found, err := among(keys, "SELECT "+incidentColumns+` FROM incidents
		WHERE status = 'resolved' AND resolved_by = '' AND resolved_at > ? AND key IN (%s) ORDER BY id`,
		func(query string, values []any) ([]alert.Incident, error) {
			return collect(t, scanIncident, query, append([]any{millis(after)}, values...)...)
		})
	if err != nil {
		return nil, err
	}
	last := map[string]int{}
	var list []alert.Incident
	for _, inc := range found {
		if i, ok := last[inc.Key]; ok {
			list[i] = inc
			continue
		}
		last[inc.Key] = len(list)
		list = append(list, inc)
	}
	return list, nil
}

// CountEvents returns how many events of a kind the incident's story has
// since an instant.
func (t *Tx) CountEvents(incident int64, kind alert.EventKind, since time.Time) (int, error) {
	n, _, err := first(t, scanID, "SELECT COUNT(*) FROM events WHERE incident_id = ? AND kind = ? AND at >= ?",
		incident, string(kind), millis(since))
	return int(n), err
}

// ToldResolved returns whom pages told that the incident is over, without
// those to whom another page of it is on its way.
func (t *Tx) ToldResolved(incident int64) ([]page.Contact, error) {
	return collect(t, func(r scanner, c *page.Contact) error {
		return r.Scan(&c.User, &c.FullName, &c.Channel, &c.Address, &c.Timezone, &c.Language)
	}, `SELECT DISTINCT p.username, p.full_name, p.channel, p.address, p.timezone, p.language FROM pages p
		WHERE p.incident_id = ? AND p.state = 'sent' AND p.kind = 'resolved' AND NOT EXISTS (
			SELECT 1 FROM pages q WHERE q.incident_id = p.incident_id AND q.username = p.username
				AND q.state = 'queued' AND q.kind NOT IN ('resolved', 'updated'))
		ORDER BY p.username, p.channel, p.address`, incident)
}

// LastSaid returns the kind of the last page of the incident that was sent, ""
// when there is none. Updates of messages do not count.
func (t *Tx) LastSaid(incident int64) (page.Kind, error) {
	kind, _, err := first(t, scanString, `SELECT kind FROM pages
		WHERE incident_id = ? AND state = 'sent' AND kind <> 'updated' ORDER BY settled_at DESC, id DESC LIMIT 1`, incident)
	return page.Kind(kind), err
}

// WakeMuted makes the open incidents for which nobody is paged, because they
// are muted, due at an instant: they may not be muted any more. It returns how
// many there are.
func (t *Tx) WakeMuted(at time.Time) (int, error) {
	ids, err := collect(t, scanID, `UPDATE incidents SET next_page_at = ?
		WHERE muted <> '' AND status = 'open' AND snoozed_until <= ? RETURNING id`, millis(at), millis(at))
	return len(ids), err
}

// SaveRecovery keeps until when an incident whose alerts are all resolved
// must stay quiet to be resolved.
func (t *Tx) SaveRecovery(incident int64, until time.Time) error {
	err := t.exec("INSERT INTO recoveries (incident_id, until) VALUES (?, ?) ON CONFLICT (incident_id) DO UPDATE SET until = excluded.until",
		incident, millis(until))
	if err != nil {
		return fmt.Errorf("save recovery of incident %d: %w", incident, err)
	}
	return nil
}

// DropRecovery forgets that an incident recovers.
func (t *Tx) DropRecovery(incident int64) error {
	return t.exec("DELETE FROM recoveries WHERE incident_id = ?", incident)
}

// Recovery returns until when an incident must stay quiet, and whether it
// recovers.
func (t *Tx) Recovery(incident int64) (until time.Time, ok bool, err error) {
	return first(t, scanTime, "SELECT until FROM recoveries WHERE incident_id = ?", incident)
}

// DueRecoveries returns up to limit incidents that stayed quiet until at.
func (t *Tx) DueRecoveries(at time.Time, limit int) ([]int64, error) {
	return collect(t, scanID, "SELECT incident_id FROM recoveries WHERE until <= ? ORDER BY until LIMIT ?", millis(at), limit)
}

// NextRecovery returns when the next incident may have stayed quiet, the zero
// time when none recovers.
func (t *Tx) NextRecovery() (time.Time, error) {
	at, _, err := first(t, scanTime, "SELECT MIN(until) FROM recoveries")
	return at, err
}
