package store

import (
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// telling are the kinds of pages that tell somebody of an incident before its
// end.
const telling = "kind NOT IN ('resolved', 'updated', 'bundle', 'report')"

// Told returns whom pages of the incident reached, except those that told of
// its end, in the order the pages were enqueued.
func (t *Tx) Told(incident int64) ([]page.Contact, error) {
	return collect(t, func(r scanner, c *page.Contact) error {
		return r.Scan(&c.User, &c.FullName, &c.Channel, &c.Address, &c.Timezone, &c.Language)
	}, "SELECT username, full_name, channel, address, timezone, language FROM pages WHERE incident_id = ? AND state = 'sent' AND "+
		telling+" ORDER BY id", incident)
}

// Reached returns whether a page of the incident, other than of its end, and
// of the level or one that outranks it reached anybody.
func (t *Tx) Reached(incident int64, level alert.Level) (bool, error) {
	_, ok, err := first(t, scanID, "SELECT id FROM pages WHERE incident_id = ? AND state = 'sent' AND level <= ? AND "+telling+" LIMIT 1",
		incident, int64(level))
	return ok, err
}

// RoundPages returns the pages of a round of the incident to a user, in the
// order they were enqueued.
func (t *Tx) RoundPages(incident int64, round int, user string) ([]page.Record, error) {
	return collect(t, scanHeld, "SELECT "+queuedColumns+", held FROM pages WHERE incident_id = ? AND round = ? AND username = ? AND "+
		"kind NOT IN ('updated', 'bundle') ORDER BY id", incident, round, user)
}

// RoundLives returns whether a page of a round of the incident reached anybody,
// or may yet.
func (t *Tx) RoundLives(incident int64, round int) (bool, error) {
	_, ok, err := first(t, scanID, "SELECT id FROM pages WHERE incident_id = ? AND round = ? AND state IN ('queued', 'bundled', 'sent') AND "+
		telling+" LIMIT 1", incident, round)
	return ok, err
}

// scanHeld reads, after a record, whether its provider said when to come back.
func scanHeld(r scanner, rec *page.Record) error {
	return scanRecord(trailing{r, truth{&rec.Held}}, rec)
}

// BringForward makes a page due at due that was due later and that nobody has
// tried to send.
func (t *Tx) BringForward(key string, due time.Time) error {
	return t.exec("UPDATE pages SET due_at = ?, latest_at = 0 WHERE key = ? AND state = 'queued' AND attempt = 0 AND due_at > ?",
		millis(due), key, millis(due))
}

// Failovers returns up to limit queued pages that did not go through for so
// long that another contact should get one.
func (t *Tx) Failovers(at time.Time, limit int) ([]page.Page, error) {
	return collect(t, scanPage, "SELECT "+queuedColumns+` FROM pages
		WHERE state = 'queued' AND failover_at > 0 AND failover_at <= ? ORDER BY failover_at, id LIMIT ?`, millis(at), limit)
}

// FailedOver notes that another contact got the page.
func (t *Tx) FailedOver(key string) error {
	return t.exec("UPDATE pages SET failover_at = -1 WHERE key = ?", key)
}

// DeadPages returns up to limit pages that no provider took, the newest first,
// with the reason.
func (t *Tx) DeadPages(limit int) ([]page.Record, error) {
	return collect(t, func(r scanner, rec *page.Record) error {
		return scanRecord(trailing{r, &rec.Reason}, rec)
	}, "SELECT "+queuedColumns+", reason FROM pages WHERE state = 'dead' AND kind <> 'bundle' ORDER BY id DESC LIMIT ?", limit)
}

// trailing scans one column more than it is asked for.
type trailing struct {
	scanner
	last any
}

// Scan reads all of a row.
func (t trailing) Scan(dest ...any) error { return t.scanner.Scan(append(dest, t.last)...) }

// SaveRef keeps the provider's reference to the messages of the page's thread.
func (t *Tx) SaveRef(p page.Page, ref string) error {
	return t.exec(`INSERT INTO page_refs (incident_id, channel, address, ref, username, full_name, timezone, language) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (incident_id, channel, address) DO UPDATE SET ref = excluded.ref`,
		p.Incident.ID, p.To.Channel, p.To.Address, ref, p.To.User, p.To.FullName, p.To.Timezone, p.To.Language)
}

// Posts returns the messages about the incidents that can be changed.
func (t *Tx) Posts(incidents []int64) (map[page.Thread]page.Post, error) {
	messages := map[page.Thread]page.Post{}
	_, err := among(incidents, `SELECT incident_id, channel, address, ref, username, full_name, timezone, language
		FROM page_refs WHERE incident_id IN (%s)`,
		func(query string, values []any) ([]page.Thread, error) {
			return collect(t, func(r scanner, of *page.Thread) error {
				m := page.Post{}
				err := r.Scan(&of.Incident, &of.Channel, &of.Address, &m.Ref, &m.To.User, &m.To.FullName, &m.To.Timezone, &m.To.Language)
				m.To.Channel, m.To.Address = of.Channel, of.Address
				messages[*of] = m
				return err
			}, query, values...)
		})
	return messages, err
}
