package store

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Enqueue adds pages that may be sent from due on. A page whose key is known
// already is ignored.
func (t *Tx) Enqueue(due time.Time, pages ...page.Page) error {
	for _, p := range pages {
		err := t.exec(`INSERT INTO pages (key, incident_id, kind, round, level, username, full_name, channel, address, timezone,
			at, state, attempt, due_at, leased_until, settled_at, reason)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0, ?, 0, 0, '') ON CONFLICT (key) DO NOTHING`,
			p.Key, p.Incident.ID, string(p.Kind), p.Round, int64(p.Incident.Level), p.To.User, p.To.FullName, p.To.Channel, p.To.Address,
			p.To.Timezone, millis(p.At), millis(due))
		if err != nil {
			return fmt.Errorf("enqueue page %s: %w", p.Key, err)
		}
	}
	return nil
}

// Update brings forward to due the waiting update of the same incident to the
// same address, or else enqueues the page.
func (t *Tx) Update(due time.Time, p page.Page) error {
	waiting, ok, err := first(t, scanID, `SELECT id FROM pages WHERE incident_id = ? AND state = 'queued' AND leased_until = 0
		AND kind = 'updated' AND channel = ? AND address = ? LIMIT 1`, p.Incident.ID, p.To.Channel, p.To.Address)
	if err != nil {
		return err
	}
	if !ok {
		return t.Enqueue(due, p)
	}
	return t.exec("UPDATE pages SET due_at = ? WHERE id = ? AND due_at > ?", millis(due), waiting, millis(due))
}

// DueChannels returns the channels that have a page to claim at at.
func (t *Tx) DueChannels(at time.Time) ([]string, error) {
	return collect(t, scanString, `SELECT DISTINCT channel FROM pages
		WHERE state = 'queued' AND due_at <= ? AND leased_until <= ? ORDER BY channel`, millis(at), millis(at))
}

// Claim returns up to limit pages of the channel that are due, most urgent
// first, and keeps them from being claimed again before until.
func (t *Tx) Claim(channel string, at, until time.Time, limit int) ([]page.Page, error) {
	pages, err := collect(t, scanPage, `SELECT key, incident_id, kind, round, level, username, full_name, channel, address, timezone, at, attempt
		FROM pages WHERE state = 'queued' AND channel = ? AND due_at <= ? AND leased_until <= ?
		ORDER BY level, due_at, id LIMIT ?`, channel, millis(at), millis(at), limit)
	if err != nil {
		return nil, err
	}
	for i := range pages {
		pages[i].Attempt++
		err := t.exec("UPDATE pages SET leased_until = ?, attempt = ? WHERE key = ?", millis(until), pages[i].Attempt, pages[i].Key)
		if err != nil {
			return nil, fmt.Errorf("claim page %s: %w", pages[i].Key, err)
		}
	}
	return pages, nil
}

func scanPage(r scanner, p *page.Page) error {
	return r.Scan(&p.Key, &p.Incident.ID, &p.Kind, &p.Round, &p.Incident.Level, &p.To.User, &p.To.FullName, &p.To.Channel,
		&p.To.Address, &p.To.Timezone, instant{&p.At}, &p.Attempt)
}

// MarkSent ends the life of a page that a provider accepted.
func (t *Tx) MarkSent(key string, at time.Time) error { return t.settle(key, "sent", at, "") }

// MarkDead ends the life of a page that no provider will take.
func (t *Tx) MarkDead(key string, at time.Time, reason string) error {
	return t.settle(key, "dead", at, reason)
}

// MarkDropped ends the life of a page that nobody needs any more.
func (t *Tx) MarkDropped(key string, at time.Time, reason string) error {
	return t.settle(key, "dropped", at, reason)
}

func (t *Tx) settle(key, state string, at time.Time, reason string) error {
	err := t.exec("UPDATE pages SET state = ?, settled_at = ?, leased_until = 0, reason = ? WHERE key = ? AND state = 'queued'",
		state, millis(at), reason, key)
	if err != nil {
		return fmt.Errorf("mark page %s %s: %w", key, state, err)
	}
	return nil
}

// Retry makes a claimed page due again at due.
func (t *Tx) Retry(key string, due time.Time, reason string) error {
	err := t.exec("UPDATE pages SET due_at = ?, leased_until = 0, reason = ? WHERE key = ? AND state = 'queued'", millis(due), reason, key)
	if err != nil {
		return fmt.Errorf("retry page %s: %w", key, err)
	}
	return nil
}

// PutOff makes a claimed page one that is caused and due at until.
func (t *Tx) PutOff(key string, until time.Time, reason string) error {
	err := t.exec("UPDATE pages SET at = ?, due_at = ?, leased_until = 0, reason = ? WHERE key = ? AND state = 'queued'",
		millis(until), millis(until), reason, key)
	if err != nil {
		return fmt.Errorf("put page %s off: %w", key, err)
	}
	return nil
}

// Supersede drops the pages of the incident that are queued and claimed by
// nobody.
func (t *Tx) Supersede(incident int64, at time.Time, reason string) error {
	err := t.exec(`UPDATE pages SET state = 'dropped', settled_at = ?, reason = ?
		WHERE incident_id = ? AND state = 'queued' AND leased_until <= ?`, millis(at), reason, incident, millis(at))
	if err != nil {
		return fmt.Errorf("supersede pages of incident %d: %w", incident, err)
	}
	return nil
}

// Told returns whom pages of the incident reached, except those that told of
// its end, in the order the pages were enqueued.
func (t *Tx) Told(incident int64) ([]page.Contact, error) {
	return collect(t, func(r scanner, c *page.Contact) error {
		return r.Scan(&c.User, &c.FullName, &c.Channel, &c.Address, &c.Timezone)
	}, `SELECT username, full_name, channel, address, timezone FROM pages
		WHERE incident_id = ? AND state = 'sent' AND kind <> 'resolved' ORDER BY id`, incident)
}

// Reached returns whether a page of the incident, other than of its end, and
// of the level or one that outranks it reached anybody.
func (t *Tx) Reached(incident int64, level alert.Level) (bool, error) {
	_, ok, err := first(t, scanID, `SELECT id FROM pages
		WHERE incident_id = ? AND state = 'sent' AND kind <> 'resolved' AND level <= ? LIMIT 1`, incident, int64(level))
	return ok, err
}

// NextPage returns when the next queued page can be claimed, the zero time
// when there is none.
func (t *Tx) NextPage() (time.Time, error) {
	at, _, err := first(t, scanTime, `SELECT MIN(CASE WHEN leased_until > due_at THEN leased_until ELSE due_at END)
		FROM pages WHERE state = 'queued'`)
	return at, err
}

// CountPages returns how many pages are queued and when the oldest was caused.
func (t *Tx) CountPages() (queued int, oldest time.Time, err error) {
	oldest, _, err = first(t, func(r scanner, at *time.Time) error {
		return r.Scan(&queued, instant{at})
	}, "SELECT COUNT(*), MIN(at) FROM pages WHERE state = 'queued'")
	return queued, oldest, err
}
