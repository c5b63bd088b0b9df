package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

const alertColumns = "id, incident_id, labels, annotations, generator_url, state, starts_at, ends_at, updated_at"

func scanAlert(r scanner, a *alert.Alert) error {
	return r.Scan(&a.ID, &a.IncidentID, labels{&a.Labels}, labels{&a.Annotations}, &a.GeneratorURL, &a.State,
		instant{&a.StartsAt}, instant{&a.EndsAt}, instant{&a.UpdatedAt})
}

// LatestAlerts returns, for every label set known that has one of the
// fingerprints, its alert in the latest incident.
func (t *Tx) LatestAlerts(fingerprints []model.Fingerprint) ([]alert.Alert, error) {
	fps := make([]int64, len(fingerprints))
	for i, fp := range fingerprints {
		fps[i] = signed(fp)
	}
	return among(fps, "SELECT "+alertColumns+" FROM alerts WHERE latest = 1 AND fingerprint IN (%s)",
		func(query string, values []any) ([]alert.Alert, error) {
			return collect(t, scanAlert, query, values...)
		})
}

// AddAlerts keeps new alerts as the latest of their label sets and sets their
// IDs.
func (t *Tx) AddAlerts(alerts []*alert.Alert) error {
	for part := range slices.Chunk(alerts, chunk) {
		texts, prints := make([]string, len(part)), make([]int64, len(part))
		for i, a := range part {
			texts[i], prints[i] = labelsJSON(a.Labels), signed(a.Fingerprint())
		}
		if err := t.outdate(texts, prints); err != nil {
			return err
		}
		if err := t.insertAlerts(part, texts, prints); err != nil {
			return fmt.Errorf("add alerts: %w", err)
		}
	}
	return nil
}

// outdate makes earlier alerts of the same label sets no longer the latest.
func (t *Tx) outdate(texts []string, prints []int64) error {
	type known struct {
		id   int64
		text string
	}
	latest, err := among(prints, "SELECT id, labels FROM alerts WHERE latest = 1 AND fingerprint IN (%s)",
		func(query string, values []any) ([]known, error) {
			return collect(t, func(r scanner, k *known) error { return r.Scan(&k.id, &k.text) }, query, values...)
		})
	if err != nil {
		return err
	}
	var ids []int64
	for _, k := range latest {
		if slices.Contains(texts, k.text) {
			ids = append(ids, k.id)
		}
	}
	_, err = among(ids, "UPDATE alerts SET latest = 0 WHERE id IN (%s)", func(query string, values []any) ([]struct{}, error) {
		return nil, t.exec(query, values...)
	})
	return err
}

func (t *Tx) insertAlerts(alerts []*alert.Alert, labels []string, prints []int64) error {
	rows := make([][]any, len(alerts))
	for i, a := range alerts {
		rows[i] = []any{
			a.IncidentID, prints[i], 1, labels[i], labelsJSON(a.Annotations), a.GeneratorURL, string(a.State),
			millis(a.StartsAt), millis(a.EndsAt), millis(a.UpdatedAt),
		}
	}
	ids, err := t.insertManyIDs("alerts",
		"incident_id, fingerprint, latest, labels, annotations, generator_url, state, starts_at, ends_at, updated_at", rows)
	for i, id := range ids {
		alerts[i].ID = id
	}
	return err
}

// labelsJSON returns labels as encoding/json writes them, by which label sets
// are compared in the store.
func labelsJSON(set model.LabelSet) string {
	if set == nil {
		return "null"
	}
	names := make([]string, 0, len(set))
	size := 2
	for name, value := range set {
		names = append(names, string(name))
		size += len(name) + len(value) + 6
	}
	slices.Sort(names)
	b := append(make([]byte, 0, size), '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSON(b, name), ':')
		b = appendJSON(b, string(set[model.LabelName(name)]))
	}
	return string(append(b, '}'))
}

// appendJSON appends a text as encoding/json writes it.
func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a text always has a form in JSON
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// signed keeps all 64 bits of a fingerprint in what databases call an integer.
func signed(fp model.Fingerprint) int64 { return int64(fp) } //nolint:gosec // All 64 bits are kept.

// SaveAlerts keeps all of the alerts but their labels and incidents, by ID.
func (t *Tx) SaveAlerts(alerts []*alert.Alert) error {
	for _, a := range alerts {
		err := t.exec("UPDATE alerts SET annotations = ?, generator_url = ?, state = ?, starts_at = ?, ends_at = ?, updated_at = ? WHERE id = ?",
			labelsJSON(a.Annotations), a.GeneratorURL, string(a.State), millis(a.StartsAt), millis(a.EndsAt), millis(a.UpdatedAt), a.ID)
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

// IncidentAlerts returns up to limit alerts of the incident in a state whose
// IDs are above after, by ID.
func (t *Tx) IncidentAlerts(incident int64, state alert.State, after int64, limit int) ([]alert.Alert, error) {
	return collect(t, scanAlert, "SELECT "+alertColumns+` FROM alerts
		WHERE incident_id = ? AND state = ? AND id > ? ORDER BY id LIMIT ?`, incident, string(state), after, limit)
}

// EachLiveAlert shows every alert that fires, and every expired one of an
// incident that is not resolved, until visit returns an error. visit must not
// change alerts.
func (t *Tx) EachLiveAlert(visit func(alert.Alert) error) error {
	const part = 500
	var last alert.Alert
	for {
		some, err := collect(t, scanAlert, "SELECT "+alertColumns+` FROM alerts
			WHERE state = 'firing' AND ends_at >= ? AND (ends_at > ? OR id > ?) ORDER BY ends_at, id LIMIT ?`,
			millis(last.EndsAt), millis(last.EndsAt), last.ID, part)
		if err = show(some, err, visit); err != nil {
			return err
		}
		if len(some) < part {
			break
		}
		last = some[len(some)-1]
	}
	for after := int64(0); ; {
		some, err := collect(t, scanAlert, "SELECT "+alertColumns+` FROM alerts WHERE state = 'expired' AND id > ?
			AND incident_id IN (SELECT id FROM incidents WHERE status <> 'resolved') ORDER BY id LIMIT ?`, after, part)
		if err = show(some, err, visit); err != nil || len(some) < part {
			return err
		}
		after = some[len(some)-1].ID
	}
}

func show(alerts []alert.Alert, err error, visit func(alert.Alert) error) error {
	for _, a := range alerts {
		if err == nil {
			err = visit(a)
		}
	}
	return err
}

// Bounds of the alerts that come with incidents.
const (
	maxAlerts     = 1_000  // of one
	maxAlertsList = 20_000 // of all incidents of a list
	minAlertsList = 20     // of each incident of a list
)

// withAlerts adds their alerts to the incidents, in the order they came. Of an
// incident that has too many it adds those that fire first, then those that
// expired, the newest first, and how many there are.
func (t *Tx) withAlerts(incidents []alert.Incident) ([]alert.Incident, error) {
	limit := min(maxAlerts, max(minAlertsList, maxAlertsList/max(1, len(incidents))))
	at := make(map[int64]int, len(incidents))
	ids := make([]int64, len(incidents))
	for i, inc := range incidents {
		at[inc.ID], ids[i] = i, inc.ID
	}
	large, err := t.largerThan(limit, ids)
	if err != nil {
		return nil, err
	}
	for id, count := range large {
		inc := &incidents[at[id]]
		inc.AlertCount = count
		if inc.Alerts, err = t.foremostAlerts(id, limit); err != nil {
			return nil, err
		}
	}
	small := slices.DeleteFunc(ids, func(id int64) bool { return large[id] > 0 })
	alerts, err := among(small, "SELECT "+alertColumns+" FROM alerts WHERE incident_id IN (%s) ORDER BY id",
		func(query string, values []any) ([]alert.Alert, error) {
			return collect(t, scanAlert, query, values...)
		})
	for _, a := range alerts {
		inc := &incidents[at[a.IncidentID]]
		inc.Alerts = append(inc.Alerts, a)
	}
	return incidents, err
}

// largerThan returns how many alerts those of the incidents have that have
// more than limit.
func (t *Tx) largerThan(limit int, incidents []int64) (map[int64]int, error) {
	large := map[int64]int{}
	_, err := among(incidents, "SELECT incident_id, COUNT(*) FROM alerts WHERE incident_id IN (%s) GROUP BY incident_id HAVING COUNT(*) > "+
		strconv.Itoa(limit), func(query string, values []any) ([]struct{}, error) {
		return collect(t, func(r scanner, _ *struct{}) error {
			var (
				id int64
				n  int
			)
			err := r.Scan(&id, &n)
			large[id] = n
			return err
		}, query, values...)
	})
	return large, err
}

// foremostAlerts returns up to limit alerts of the incident by ID: the newest
// that fire, then the newest that expired, then the newest that resolved.
func (t *Tx) foremostAlerts(incident int64, limit int) ([]alert.Alert, error) {
	all := make([]alert.Alert, 0, limit)
	for _, state := range []alert.State{alert.Firing, alert.Expired, alert.Resolved} {
		some, err := collect(t, scanAlert, "SELECT "+alertColumns+` FROM alerts
			WHERE incident_id = ? AND state = ? ORDER BY id DESC LIMIT ?`, incident, string(state), limit-len(all))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b alert.Alert) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}
