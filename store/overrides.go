package store

import (
	"errors"
	"fmt"
	"time"
)

// Override is a change of a schedule that was made at run time: from From
// until Until the user takes it over.
type Override struct {
	ID        int64     `json:"id"`
	Schedule  string    `json:"schedule"`
	User      string    `json:"user"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"` // after From
	Reason    string    `json:"reason,omitempty"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

// ErrNoOverride is an override that there is not, or not any more.
var ErrNoOverride = errors.New("no such override")

// AddOverride keeps a new override and returns its ID.
func (t *Tx) AddOverride(o Override) (int64, error) {
	if !o.From.Before(o.Until) {
		return 0, fmt.Errorf("add override of %s: it ends at %s, before it begins", o.Schedule, o.Until)
	}
	id, _, err := first(t, scanID, `INSERT INTO overrides (schedule, username, from_at, until_at, reason, created_by, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		o.Schedule, o.User, millis(o.From), millis(o.Until), o.Reason, o.CreatedBy, millis(o.CreatedAt))
	if err != nil {
		return 0, fmt.Errorf("add override of %s: %w", o.Schedule, err)
	}
	return id, nil
}

const overrideColumns = "id, schedule, username, from_at, until_at, reason, created_by, created_at"

func scanOverride(r scanner, o *Override) error {
	return r.Scan(&o.ID, &o.Schedule, &o.User, instant{&o.From}, instant{&o.Until}, &o.Reason, &o.CreatedBy, instant{&o.CreatedAt})
}

// EndOverride ends an override at an instant and returns it as it was. One
// that has not begun by then is removed. The error is ErrNoOverride (wrapped)
// when there is none, or it has ended before.
func (t *Tx) EndOverride(id int64, at time.Time) (Override, error) {
	o, ok, err := first(t, scanOverride, "SELECT "+overrideColumns+" FROM overrides WHERE id = ? AND until_at > ?", id, millis(at))
	switch {
	case err == nil && !ok:
		err = ErrNoOverride
	case err == nil && o.From.Before(at):
		err = t.exec("UPDATE overrides SET until_at = ? WHERE id = ?", millis(at), id)
	case err == nil:
		err = t.exec("DELETE FROM overrides WHERE id = ?", id)
	}
	if err != nil {
		return Override{}, fmt.Errorf("end override %d: %w", id, err)
	}
	return o, nil
}

// Overrides returns those that end after an instant, in the order they were
// made: where two overlap, the later counts.
func (t *Tx) Overrides(after time.Time) ([]Override, error) {
	return collect(t, scanOverride, "SELECT "+overrideColumns+" FROM overrides WHERE until_at > ? ORDER BY id", millis(after))
}
