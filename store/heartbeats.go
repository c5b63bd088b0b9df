package store

import (
	"fmt"
	"time"
)

// Beat keeps that a cluster was heard at an instant, unless it was heard
// later.
func (t *Tx) Beat(cluster string, at time.Time) error {
	err := t.exec(`INSERT INTO heartbeats (cluster, at) VALUES (?, ?)
		ON CONFLICT (cluster) DO UPDATE SET at = excluded.at WHERE heartbeats.at < excluded.at`, cluster, millis(at))
	if err != nil {
		return fmt.Errorf("keep heartbeat of %s: %w", cluster, err)
	}
	return nil
}

// Beats returns when each cluster was last heard.
func (t *Tx) Beats() (map[string]time.Time, error) {
	beats := map[string]time.Time{}
	_, err := collect(t, func(r scanner, _ *struct{}) error {
		var (
			cluster string
			at      time.Time
		)
		err := r.Scan(&cluster, instant{&at})
		beats[cluster] = at
		return err
	}, "SELECT cluster, at FROM heartbeats")
	return beats, err
}
