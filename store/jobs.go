package store

import (
	"fmt"
	"time"
)

// Once tells whether a job that is to run for an instant has not run yet for
// that or a later one, and notes that now it has: of several replicas one is
// told so. It is for an Update, in which the job may do its work as well.
func (t *Tx) Once(job string, at time.Time) (bool, error) {
	ran, ok, err := first(t, scanTime, "SELECT at FROM jobs WHERE name = ?", job)
	if err != nil {
		return false, fmt.Errorf("see whether %s has run: %w", job, err)
	}
	if ok && ran.UnixMilli() >= at.UnixMilli() {
		return false, nil
	}
	err = t.exec("INSERT INTO jobs (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at", job, millis(at))
	if err != nil {
		return false, fmt.Errorf("note that %s runs: %w", job, err)
	}
	return true, nil
}

// Replica is a process that shares the database.
type Replica struct {
	ID        string    `json:"id"` // host/process/something random
	StartedAt time.Time `json:"started_at"`
	BeatAt    time.Time `json:"beat_at"` // when it last showed that it lives, by the database's clock
}

// Replicas returns the processes that share the database, none for SQLite.
// One that has not shown for ten seconds that it lives is left out.
func (t *Tx) Replicas() ([]Replica, error) {
	return collect(t, func(r scanner, p *Replica) error {
		return r.Scan(&p.ID, instant{&p.StartedAt}, instant{&p.BeatAt})
	}, "SELECT id, started_at, beat_at FROM replicas ORDER BY started_at, id")
}

// First tells whether this process is, of those that share the database, the
// one that has lived the longest; with SQLite there is no other.
func (t *Tx) First() (bool, error) {
	if t.replica == "" {
		return true, nil
	}
	all, err := t.Replicas()
	if err != nil {
		return false, fmt.Errorf("see which replica is the first: %w", err)
	}
	return len(all) > 0 && all[0].ID == t.replica, nil
}
