package store

import "time"

// DueChannels returns the channels that have a page to claim at at.
func (t *Tx) DueChannels(at time.Time) ([]string, error) {
	return collect(t, scanString, "SELECT DISTINCT channel FROM pages WHERE state = 'queued' AND due_at <= ? ORDER BY channel", millis(at))
}

// NextPage returns when the next queued page can be claimed, the zero time
// when there is none.
func (t *Tx) NextPage() (time.Time, error) {
	at, _, err := first(t, scanTime, "SELECT MIN(due_at) FROM pages WHERE state = 'queued'")
	return at, err
}

// Retry makes a claimed page due again at due.
func (t *Tx) Retry(key string, due time.Time, reason string) error {
	return t.Reschedule(key, due, false, 0, reason)
}
