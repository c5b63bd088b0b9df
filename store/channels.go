package store

import (
	"time"
)

// ChannelState is how the delivery by one channel goes.
type ChannelState struct {
	Name      string
	Queued    int       // pages that wait
	Oldest    time.Time // when the oldest of them was caused; zero when none waits
	SentAt    time.Time // when a provider last took a page; zero when none did since
	FailedAt  time.Time // when a page was last given up; zero when none was since
	LastError string    // of the page that was given up last, or waits to be tried again
	Problem   string    // always "" here: whether a channel is out of order is for others to say
}

// ChannelStates returns how delivery goes by the channels that have pages, of
// what was settled since an instant.
func (t *Tx) ChannelStates(since time.Time) (map[string]ChannelState, error) {
	states := map[string]ChannelState{}
	_, err := collect(t, func(r scanner, one *ChannelState) error {
		if err := r.Scan(&one.Name, &one.Queued, instant{&one.Oldest}); err != nil {
			return err
		}
		states[one.Name] = *one
		return nil
	}, "SELECT channel, COUNT(*), MIN(at) FROM pages WHERE state = 'queued' GROUP BY channel")
	if err != nil {
		return nil, err
	}
	_, err = collect(t, func(r scanner, one *ChannelState) error {
		var state, reason string
		var at time.Time
		if err := r.Scan(&one.Name, &state, instant{&at}, &reason); err != nil {
			return err
		}
		merged := states[one.Name]
		merged.Name = one.Name
		switch state {
		case "sent":
			merged.SentAt = at
		case "dead":
			merged.FailedAt, merged.LastError = at, reason
		default:
			if merged.LastError == "" {
				merged.LastError = reason
			}
		}
		states[one.Name] = merged
		return nil
	}, `SELECT channel, state, MAX(settled_at), MAX(reason) FROM pages
		WHERE (state IN ('sent', 'dead') AND settled_at >= ?) OR (state = 'queued' AND reason <> '')
		GROUP BY channel, state ORDER BY channel, state`, millis(since))
	return states, err
}
