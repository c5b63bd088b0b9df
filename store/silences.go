package store

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/silence"
)

const silenceColumns = "id, matchers, starts_at, ends_at, recurrence, created_by, comment, updated_at, annotations"

func scanSilence(r scanner, s *silence.Silence) error {
	return r.Scan(&s.ID, document{&s.Matchers}, instant{&s.StartsAt}, instant{&s.EndsAt}, document{&s.Recurrence},
		&s.CreatedBy, &s.Comment, instant{&s.UpdatedAt}, document{&s.Labels})
}

// Silences returns those that end after an instant, newest first.
func (t *Tx) Silences(after time.Time) ([]silence.Silence, error) {
	return collect(t, scanSilence, "SELECT "+silenceColumns+` FROM silences
		WHERE ends_at > ? ORDER BY updated_at DESC, id`, millis(after))
}

// Silence returns the silence, and whether there is one.
func (t *Tx) Silence(id string) (silence.Silence, bool, error) {
	return first(t, scanSilence, "SELECT "+silenceColumns+" FROM silences WHERE id = ?", id)
}

// SaveSilence keeps a silence, in the place of one with its ID.
func (t *Tx) SaveSilence(s silence.Silence) error {
	matchers, err := asJSON(s.Matchers)
	if err != nil {
		return fmt.Errorf("save silence %s: %w", s.ID, err)
	}
	recurrence, err := asJSON(s.Recurrence)
	if err != nil {
		return fmt.Errorf("save silence %s: %w", s.ID, err)
	}
	annotations, err := asJSON(s.Labels)
	if err != nil {
		return fmt.Errorf("save silence %s: %w", s.ID, err)
	}
	err = t.exec(`INSERT INTO silences (id, matchers, starts_at, ends_at, recurrence, created_by, comment, updated_at, annotations)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET matchers = excluded.matchers, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
			recurrence = excluded.recurrence, created_by = excluded.created_by, comment = excluded.comment,
			updated_at = excluded.updated_at, annotations = excluded.annotations`,
		s.ID, matchers, millis(s.StartsAt), millis(s.EndsAt), recurrence, s.CreatedBy, s.Comment, millis(s.UpdatedAt), annotations)
	if err != nil {
		return fmt.Errorf("save silence %s: %w", s.ID, err)
	}
	return nil
}

// DeleteSilences forgets those that ended at or before an instant.
func (t *Tx) DeleteSilences(ended time.Time) error {
	return t.exec("DELETE FROM silences WHERE ends_at <= ?", millis(ended))
}

// CountSilences returns how many end after an instant.
func (t *Tx) CountSilences(after time.Time) (int, error) {
	n, _, err := first(t, scanID, "SELECT COUNT(*) FROM silences WHERE ends_at > ?", millis(after))
	return int(n), err
}

// Mark returns a single value by its name, "" when there is none.
func (t *Tx) Mark(name string) (string, error) {
	value, _, err := first(t, scanString, "SELECT value FROM marks WHERE name = ?", name)
	return value, err
}

// SetMark keeps a single value by its name.
func (t *Tx) SetMark(name, value string) error {
	return t.exec("INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
}
