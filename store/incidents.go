package store

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// incidentFields are the columns of an incident but its ID.
const incidentFields = `key, service, slo, title, level, status, stale, since, opened_at, acked_at, acked_by,
	resolved_at, resolved_by, round, next_page_at, policy, step, cycle, muted, snoozed_until, assigned, responders,
	reopened, merged_into, drill`

const incidentColumns = "id, " + incidentFields

func scanIncident(r scanner, i *alert.Incident) error {
	return r.Scan(&i.ID, &i.Key, &i.Service, &i.SLO, &i.Title, &i.Level, &i.Status, truth{&i.Stale}, instant{&i.Since},
		instant{&i.OpenedAt}, instant{&i.AckedAt}, &i.AckedBy, instant{&i.ResolvedAt}, &i.ResolvedBy, &i.Round,
		instant{&i.NextPageAt}, &i.Policy, &i.Step, &i.Cycle, &i.Muted, instant{&i.SnoozedUntil}, names{&i.Assigned},
		names{&i.Responders}, &i.Reopened, &i.MergedInto, truth{&i.Drill})
}

// incidentValues are the columns of incidentFields.
func incidentValues(i alert.Incident) []any {
	return []any{
		i.Key, i.Service, i.SLO, i.Title, int64(i.Level), string(i.Status), bit(i.Stale), millis(i.Since),
		millis(i.OpenedAt), millis(i.AckedAt), i.AckedBy, millis(i.ResolvedAt), i.ResolvedBy, i.Round,
		millis(i.NextPageAt), i.Policy, i.Step, i.Cycle, i.Muted, millis(i.SnoozedUntil), joined(i.Assigned),
		joined(i.Responders), i.Reopened, i.MergedInto, bit(i.Drill),
	}
}

// places returns n question marks for values.
// assignments returns "a = ?, b = ?" for the columns "a, b".
func assignments(columns string) string { return strings.ReplaceAll(columns, ",", " = ?,") + " = ?" }

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// truth scans 0 or 1 into a bool.
type truth struct{ to *bool }

// Scan reads an integer; 0 is false.
func (b truth) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("truth is a %T", v)
	}
	*b.to = n != 0
	return nil
}

// names scans a list of names as joined writes it.
type names struct{ to *[]string }

// Scan decodes JSON; "" is none.
func (n names) Scan(v any) error {
	if v == "" {
		return nil
	}
	return document{n.to}.Scan(v)
}

// joined returns names as JSON, "" for none.
func joined(names []string) string {
	if len(names) == 0 {
		return ""
	}
	text, _ := asJSON(names) // strings always are
	return text
}

// Incident returns the incident with its alerts, and whether there is one.
func (t *Tx) Incident(id int64) (alert.Incident, bool, error) {
	found, err := collect(t, scanIncident, "SELECT "+incidentColumns+" FROM incidents WHERE id = ?", id)
	if err != nil || len(found) == 0 {
		return alert.Incident{}, false, err
	}
	found, err = t.withAlerts(found)
	if err != nil {
		return alert.Incident{}, false, err
	}
	return found[0], true, nil
}

// ListIncidents returns up to limit incidents with their alerts, newest
// first; without all, only those that are not resolved.
func (t *Tx) ListIncidents(all bool, limit int) ([]alert.Incident, error) {
	return t.IncidentsBefore(all, 0, limit)
}

// IncidentsBefore returns up to limit incidents whose ID is below before,
// newest first, with their alerts; without all, only those that are not
// resolved. A before of 0 is above all.
func (t *Tx) IncidentsBefore(all bool, before int64, limit int) ([]alert.Incident, error) {
	where := "WHERE status <> 'resolved' AND "
	if all {
		where = "WHERE "
	}
	if before <= 0 {
		before = math.MaxInt64
	}
	found, err := collect(t, scanIncident, "SELECT "+incidentColumns+" FROM incidents "+where+"id < ? ORDER BY id DESC LIMIT ?", before, limit)
	if err != nil {
		return nil, err
	}
	return t.withAlerts(found)
}

// IncidentsByID returns those that there are, without alerts.
func (t *Tx) IncidentsByID(ids []int64) ([]alert.Incident, error) {
	return among(ids, "SELECT "+incidentColumns+" FROM incidents WHERE id IN (%s)",
		func(query string, values []any) ([]alert.Incident, error) {
			return collect(t, scanIncident, query, values...)
		})
}

// IncidentsWithAlerts returns those that there are, with their alerts.
func (t *Tx) IncidentsWithAlerts(ids []int64) ([]alert.Incident, error) {
	found, err := t.IncidentsByID(ids)
	if err != nil {
		return nil, err
	}
	return t.withAlerts(found)
}

// UnresolvedIncidents returns the incidents of the keys that are not
// resolved, without alerts: at most one a key.
func (t *Tx) UnresolvedIncidents(keys []string) ([]alert.Incident, error) {
	return among(keys, "SELECT "+incidentColumns+" FROM incidents WHERE status <> 'resolved' AND key IN (%s)",
		func(query string, values []any) ([]alert.Incident, error) {
			return collect(t, scanIncident, query, values...)
		})
}

// DueIncidents returns up to limit incidents whose next page is due at or
// before at, most urgent first, with their alerts.
func (t *Tx) DueIncidents(at time.Time, limit int) ([]alert.Incident, error) {
	found, err := collect(t, scanIncident, "SELECT "+incidentColumns+` FROM incidents
		WHERE next_page_at > 0 AND next_page_at <= ? ORDER BY level, next_page_at, id LIMIT ?`, millis(at), limit)
	if err != nil {
		return nil, err
	}
	return t.withAlerts(found)
}

// AddIncident keeps a new incident, without its alerts, and returns its ID.
func (t *Tx) AddIncident(inc alert.Incident) (int64, error) {
	id, err := t.insertID("incidents", incidentFields, incidentValues(inc))
	if err != nil {
		return 0, fmt.Errorf("add incident %q: %w", inc.Key, err)
	}
	return id, nil
}

// SaveIncident keeps all of the incident but its alerts.
func (t *Tx) SaveIncident(inc alert.Incident) error {
	err := t.exec("UPDATE incidents SET "+assignments(incidentFields)+" WHERE id = ?", append(incidentValues(inc), inc.ID)...)
	if err != nil {
		return fmt.Errorf("save incident %d: %w", inc.ID, err)
	}
	return nil
}

// CountIncidents returns how many unresolved incidents there are of each level,
// without drills.
func (t *Tx) CountIncidents() (map[alert.Level]int, error) {
	counts := map[alert.Level]int{}
	_, err := collect(t, func(r scanner, l *alert.Level) error {
		var n int
		err := r.Scan(l, &n)
		counts[*l] = n
		return err
	}, "SELECT level, COUNT(*) FROM incidents WHERE status <> 'resolved' AND drill = 0 GROUP BY level")
	return counts, err
}

// NextDue returns the earliest time at which an incident's page, an alert's
// end or a failover is due, the zero time when none is.
func (t *Tx) NextDue() (time.Time, error) {
	due, err := collect(t, scanTime, `SELECT MIN(next_page_at) FROM incidents WHERE next_page_at > 0
		UNION ALL SELECT MIN(ends_at) FROM alerts WHERE state = 'firing'
		UNION ALL SELECT MIN(failover_at) FROM pages WHERE failover_at > 0 AND state = 'queued'`)
	var next time.Time
	for _, at := range due {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, err
}
