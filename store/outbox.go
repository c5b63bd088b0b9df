package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// A queued page is due at due_at: while it is claimed, that is when the claim
// ends, and leased_until is not 0. A lane holds the pages of one channel and
// level; updates of messages, which nobody waits for, have one of their own.

const queuedColumns = `key, incident_id, kind, round, level, username, full_name, channel, address, timezone, language, at, state,
	attempt, due_at, leased_until, tried_at, settled_at, latest_at, settles_at`

func laneOf(p page.Page) string {
	if p.Kind == page.Updated {
		return lane(p.To.Channel, updates)
	}
	return lane(p.To.Channel, p.Incident.Level)
}

// updates is the level of updates in the name of their lane.
const updates alert.Level = 9

func lane(channel string, level alert.Level) string { return channel + "/" + strconv.Itoa(int(level)) }

// Enqueue adds pages that may be sent from due on. A page whose key is known
// already is ignored.
func (t *Tx) Enqueue(due time.Time, pages ...page.Page) error {
	return t.enqueue(due, time.Time{}, time.Time{}, pages)
}

// Await adds pages that are due at due. Settle puts them off, at most until
// latest. Those that are due at latest wait for Release, which may bring them
// forward to settles.
func (t *Tx) Await(due, settles, latest time.Time, pages ...page.Page) error {
	return t.enqueue(due, settles, latest, pages)
}

func (t *Tx) enqueue(due, settles, latest time.Time, pages []page.Page) error {
	rows := make([][]any, len(pages))
	for i, p := range pages {
		rows[i] = []any{
			p.Key, p.Incident.ID, string(p.Kind), p.Round, int64(p.Incident.Level), p.To.User, p.To.FullName, p.To.Channel,
			p.To.Address, p.To.Timezone, p.To.Language, millis(p.At), string(page.Queued), millis(due), millis(settles),
			millis(latest), laneOf(p), 0, 0, 0, "",
		}
	}
	err := t.insertMany("pages", `key, incident_id, kind, round, level, username, full_name, channel, address, timezone, language,
		at, state, due_at, settles_at, latest_at, lane, attempt, leased_until, settled_at, reason`, "ON CONFLICT (key) DO NOTHING", rows)
	if err != nil {
		return fmt.Errorf("enqueue pages: %w", err)
	}
	return nil
}

// Update brings forward to due the waiting update of the same incident to the
// same address, or else enqueues the page.
func (t *Tx) Update(due time.Time, p page.Page) error {
	waiting, ok, err := first(t, scanID, "SELECT id FROM pages WHERE incident_id = ? AND channel = ? AND address = ? AND "+waitingUpdate+" LIMIT 1",
		p.Incident.ID, p.To.Channel, p.To.Address)
	if err != nil {
		return err
	}
	if !ok {
		return t.Enqueue(due, p)
	}
	return t.exec("UPDATE pages SET due_at = ?, latest_at = 0 WHERE id = ? AND due_at > ?", millis(due), waiting, millis(due))
}

const waitingUpdate = "kind = 'updated' AND state = 'queued' AND leased_until = 0"

const untried = "incident_id = ? AND state = 'queued' AND attempt = 0 AND latest_at > 0"

// Release makes the incident's pages that wait due at at, or when they have
// settled: all that they wait for is known.
func (t *Tx) Release(incident int64, at time.Time) error {
	return t.exec(`UPDATE pages SET due_at = CASE WHEN settles_at > ? THEN settles_at ELSE ? END
		WHERE due_at >= latest_at AND latest_at > ? AND settles_at < latest_at AND kind <> 'updated' AND `+untried,
		millis(at), millis(at), millis(at), incident)
}

// lanes names every lane with a queued page, and when the first in it is due:
// it reads as many rows as there are lanes.
const lanes = `WITH RECURSIVE lanes (lane) AS (
	SELECT MIN(lane) FROM pages WHERE state = 'queued'
	UNION ALL
	SELECT (SELECT MIN(p.lane) FROM pages p WHERE p.state = 'queued' AND p.lane > lanes.lane) FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT lane, (SELECT MIN(p.due_at) FROM pages p WHERE p.state = 'queued' AND p.lane = lanes.lane) FROM lanes WHERE lane IS NOT NULL`

// DuePages returns when the next page of each channel that has one can be
// claimed.
func (t *Tx) DuePages() (map[string]time.Time, error) {
	due := map[string]time.Time{}
	_, err := collect(t, func(r scanner, at *time.Time) error {
		var lane string
		if err := r.Scan(&lane, instant{at}); err != nil {
			return err
		}
		channel := lane[:strings.LastIndexByte(lane, '/')]
		if first, ok := due[channel]; !ok || at.Before(first) {
			due[channel] = *at
		}
		return nil
	}, lanes)
	return due, err
}

// Claim returns up to limit pages of the channel that are due, most urgent
// first, and keeps them from being claimed again before until.
func (t *Tx) Claim(channel string, at, until time.Time, limit int) ([]page.Page, error) {
	var pages []page.Page
	for _, level := range []alert.Level{0, alert.P1, alert.P2, alert.P3, alert.Info, updates} {
		if len(pages) == limit {
			break
		}
		some, err := collect(t, scanPage, "SELECT "+queuedColumns+` FROM pages
			WHERE state = 'queued' AND lane = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?`,
			lane(channel, level), millis(at), limit-len(pages))
		if err != nil {
			return nil, err
		}
		pages = append(pages, some...)
	}
	rows := make([][]any, len(pages))
	for i := range pages {
		pages[i].Attempt++
		rows[i] = []any{millis(until), millis(until), t.replica, pages[i].Attempt, millis(at), pages[i].Key}
	}
	err := t.execMany(`UPDATE pages SET due_at = ?, leased_until = ?, leased_by = ?, attempt = ?,
		tried_at = CASE WHEN tried_at = 0 THEN ? ELSE tried_at END WHERE key = ?`, rows)
	if err != nil {
		return nil, fmt.Errorf("claim pages of %s: %w", channel, err)
	}
	return pages, nil
}

func scanPage(r scanner, p *page.Page) error {
	var rec page.Record
	err := scanRecord(r, &rec)
	*p = rec.Page
	return err
}

func scanRecord(r scanner, p *page.Record) error {
	var leased, tried, latest, settles int64
	err := r.Scan(&p.Key, &p.Incident.ID, &p.Kind, &p.Round, &p.Incident.Level, &p.To.User, &p.To.FullName, &p.To.Channel,
		&p.To.Address, &p.To.Timezone, &p.To.Language, instant{&p.At}, &p.State, &p.Attempt, instant{&p.Due}, &leased, &tried,
		instant{&p.SettledAt}, &latest, &settles)
	p.Claimed = leased > 0
	return err
}

// Defer makes pages due at due that nobody has tried to send, claimed or not.
func (t *Tx) Defer(keys []string, due time.Time) error {
	_, err := among(keys, `UPDATE pages SET due_at = ?, attempt = CASE WHEN leased_until > 0 THEN attempt - 1 ELSE attempt END,
		leased_until = 0, tried_at = 0 WHERE state = 'queued' AND key IN (%s)`,
		func(query string, values []any) ([]struct{}, error) {
			return nil, t.exec(query, append([]any{millis(due)}, values...)...)
		})
	return err
}

// Compose keeps what claimed pages say, for further tries.
func (t *Tx) Compose(pages ...page.Page) error {
	rows := make([][]any, len(pages))
	for i, p := range pages {
		text, err := asJSON(p)
		if err != nil {
			return fmt.Errorf("keep page %s: %w", p.Key, err)
		}
		rows[i] = []any{text, p.Key}
	}
	return t.execMany("UPDATE pages SET composed = ? WHERE key = ? AND state = 'queued'", rows)
}

// Composed returns what those of the pages say that were composed, by key.
func (t *Tx) Composed(keys []string) (map[string]page.Page, error) {
	all, err := among(keys, "SELECT composed FROM pages WHERE composed IS NOT NULL AND key IN (%s)",
		func(query string, values []any) ([]page.Page, error) {
			return collect(t, func(r scanner, p *page.Page) error { return r.Scan(document{p}) }, query, values...)
		})
	found := make(map[string]page.Page, len(all))
	for _, p := range all {
		found[p.Key] = p
	}
	return found, err
}

// DueTo returns up to limit pages to the address that are due and claimed by
// nobody, most urgent first.
func (t *Tx) DueTo(channel, address string, at time.Time, limit int) ([]page.Page, error) {
	return collect(t, scanPage, "SELECT "+queuedColumns+` FROM pages WHERE state = 'queued' AND channel = ? AND address = ?
		AND due_at <= ? ORDER BY level, due_at, id LIMIT ?`, channel, address, millis(at), limit)
}

// Recent returns how many messages the address was sent since an instant, or
// is being sent but for those of the keys, and when the first and the last of
// those that were sent were. Updates of messages, and drills, do not count.
func (t *Tx) Recent(channel, address string, since time.Time, but []string) (n int, first, last time.Time, err error) {
	skip := map[string]bool{}
	for _, key := range but {
		skip[key] = true
	}
	recent, err := collect(t, scanRecord, "SELECT "+queuedColumns+` FROM pages WHERE channel = ? AND address = ? AND state = 'sent'
		AND settled_at > ? AND bundle = '' AND kind <> 'updated'`+noDrill, channel, address, millis(since))
	if err != nil {
		return 0, first, last, err
	}
	claimed, err := collect(t, scanRecord, "SELECT "+queuedColumns+` FROM pages WHERE channel = ? AND address = ? AND state = 'queued'
		AND leased_until > 0 AND kind <> 'updated'`+noDrill, channel, address)
	recent = append(recent, claimed...)
	for _, r := range recent {
		if skip[r.Key] {
			continue
		}
		n++
		if r.State != page.Sent {
			continue
		}
		if first.IsZero() || r.SettledAt.Before(first) {
			first = r.SettledAt
		}
		if r.SettledAt.After(last) {
			last = r.SettledAt
		}
	}
	return n, first, last, err
}

const noDrill = " AND incident_id NOT IN (SELECT incident_id FROM drills)"

// Bundle enqueues a page, claimed until until, that stands for the members.
func (t *Tx) Bundle(bundle page.Page, at, until time.Time, members []string) error {
	if err := t.Enqueue(until, bundle); err != nil {
		return err
	}
	if err := t.exec("UPDATE pages SET leased_until = ?, leased_by = ?, attempt = 1, tried_at = ? WHERE key = ?",
		millis(until), t.replica, millis(at), bundle.Key); err != nil {
		return err
	}
	_, err := among(members, "UPDATE pages SET state = 'bundled', bundle = ?, leased_until = 0 WHERE state = 'queued' AND key IN (%s)",
		func(query string, values []any) ([]struct{}, error) {
			return nil, t.exec(query, append([]any{bundle.Key}, values...)...)
		})
	return err
}

// Members returns the pages that a bundle stands for while it is queued.
func (t *Tx) Members(bundle string) ([]page.Page, error) {
	return collect(t, scanPage, "SELECT "+queuedColumns+" FROM pages WHERE state = 'bundled' AND bundle = ? ORDER BY level, id", bundle)
}

// MarkSent ends the life of a page that a provider accepted, and of those that
// it stands for.
func (t *Tx) MarkSent(key string, at time.Time) error { return t.settle(key, page.Sent, at, "") }

// MarkDead ends the life of a page that no provider will take, and of those
// that it stands for.
func (t *Tx) MarkDead(key string, at time.Time, reason string) error {
	return t.settle(key, page.Dead, at, reason)
}

// MarkDropped ends the life of a page that nobody needs any more, and of those
// that it stands for.
func (t *Tx) MarkDropped(key string, at time.Time, reason string) error {
	return t.settle(key, page.Dropped, at, reason)
}

func (t *Tx) settle(key string, state page.State, at time.Time, reason string) error {
	err := t.exec(`UPDATE pages SET state = ?, settled_at = ?, leased_until = 0, composed = NULL, reason = ?
		WHERE key = ? AND state IN ('queued', 'bundled') OR bundle = ? AND state = 'bundled'`,
		string(state), millis(at), reason, key, key)
	if err != nil {
		return fmt.Errorf("mark page %s %s: %w", key, state, err)
	}
	return nil
}

// Reschedule makes a claimed page due again at due. held says that the provider
// named the time. When the page is not sent patience after its first try, a
// failover is due.
func (t *Tx) Reschedule(key string, due time.Time, held bool, patience time.Duration, reason string) error {
	err := t.exec(`UPDATE pages SET due_at = ?, leased_until = 0, held = ?, reason = ?,
		failover_at = CASE WHEN failover_at = 0 THEN tried_at + ? ELSE failover_at END WHERE key = ? AND state = 'queued'`,
		millis(due), bit(held), reason, patience.Milliseconds(), key)
	if err != nil {
		return fmt.Errorf("retry page %s: %w", key, err)
	}
	return nil
}

// PutOff makes a claimed page one that is caused and due at until, and says
// then what is true then.
func (t *Tx) PutOff(key string, until time.Time, reason string) error {
	err := t.exec(`UPDATE pages SET at = ?, due_at = ?, leased_until = 0, tried_at = 0, failover_at = 0, composed = NULL, reason = ?
		WHERE key = ? AND state = 'queued'`, millis(until), millis(until), reason, key)
	if err != nil {
		return fmt.Errorf("put page %s off: %w", key, err)
	}
	return nil
}

// Waiting returns the pages that tell of the incident and are queued and
// claimed by nobody at at.
func (t *Tx) Waiting(incident int64, at time.Time) ([]page.Record, error) {
	return collect(t, scanHeld, "SELECT "+queuedColumns+", held FROM pages WHERE incident_id = ? AND state = 'queued' AND kind NOT IN ('bundle', 'updated')"+
		" AND (leased_until = 0 OR due_at <= ?) ORDER BY id", incident, millis(at))
}

// Hold keeps the page, enqueued just now, for a provider that wants to be left
// alone until due. Before that a failover is due.
func (t *Tx) Hold(key string, due, failover time.Time) error {
	return t.exec(`UPDATE pages SET due_at = ?, latest_at = 0, held = 1, failover_at = ?
		WHERE key = ? AND state = 'queued' AND attempt = 0 AND due_at < ?`, millis(due), millis(failover), key, millis(due))
}

// Supersede drops the pages of the incident that are queued and claimed by
// nobody.
func (t *Tx) Supersede(incident int64, at time.Time, reason string) error {
	err := t.exec(`UPDATE pages SET state = 'dropped', settled_at = ?, composed = NULL, reason = ? WHERE incident_id = ?
		AND state = 'queued' AND kind NOT IN ('bundle', 'updated') AND (leased_until = 0 OR due_at <= ?)`,
		millis(at), reason, incident, millis(at))
	if err != nil {
		return fmt.Errorf("supersede pages of incident %d: %w", incident, err)
	}
	return nil
}

// CountPages returns how many pages are queued and when the oldest was caused.
func (t *Tx) CountPages() (queued int, oldest time.Time, err error) {
	oldest, _, err = first(t, func(r scanner, at *time.Time) error {
		return r.Scan(&queued, instant{at})
	}, "SELECT COUNT(*), MIN(at) FROM pages WHERE state = 'queued'")
	return queued, oldest, err
}
