package incident

import (
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// mute sees whether anybody is to be paged for an incident at an instant: not
// while every alert of it that is not resolved is muted. It sets inc.Muted to
// the reason, "" when somebody is to be paged, and returns until when that
// holds at the latest; the zero time is until something changes.
func (e *Engine) mute(_ Tx, inc *alert.Incident, at time.Time) (until time.Time, err error) {
	inc.Muted = ""
	var reason string
	for _, a := range inc.Alerts {
		if a.State == alert.Resolved {
			continue
		}
		why, end, ok := e.c.Responders.Muted(at, a.Labels)
		if !ok {
			return time.Time{}, nil
		}
		if reason == "" {
			reason = why
		}
		if until.IsZero() || !end.IsZero() && end.Before(until) {
			until = end
		}
	}
	inc.Muted = reason
	return until, nil
}
