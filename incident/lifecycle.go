package incident

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// verdict is what an alert that arrives means for what is known.
type verdict int

const (
	ignore  verdict = iota // nothing new, and nothing to keep
	refresh                // nothing new but that it lives on
	update                 // it still fires, and says more or other than before
	refire                 // it fires again after it expired or resolved
	settle                 // it resolved
	begin                  // it fires and no incident has it: one must
)

// echoTime is how long after a resolution the other half of a pair of
// Prometheus may still say that the alert fires.
const echoTime = 5 * time.Minute

// judge says what a means, given the alert of the same labels in the latest
// incident that had one, and that incident; known is false when there is none.
//
// Only an alert that says itself that it is over resolves. One that fires
// after its incident was resolved begins another, except when it started
// before: of two Prometheus that watch the same, one may be late to see that
// it is over, and when somebody resolved the incident by hand, senders repeat
// an alert for as long as it fires.
func judge(a, latest alert.Alert, inc alert.Incident, known bool) verdict {
	over := a.State == alert.Resolved
	switch {
	case !known && over:
		return ignore
	case !known:
		return begin
	case over:
		return judgeEnd(a, latest)
	case echoes(a, latest):
		return ignore
	case inc.Status == alert.Closed:
		if inc.ResolvedBy != "" && !a.StartsAt.After(inc.ResolvedAt) {
			return refresh
		}
		return begin
	case latest.State != alert.Firing:
		return refire
	case differs(a, latest):
		return update
	}
	return refresh
}

// echoes tells whether an alert that fires is what was resolved a moment ago,
// as somebody else still sees it: what fires anew has started after the end.
func echoes(a, latest alert.Alert) bool {
	return latest.State == alert.Resolved && !a.StartsAt.After(latest.EndsAt) && a.UpdatedAt.Sub(latest.UpdatedAt) < echoTime
}

// judgeEnd judges an alert that says that it is over. An end before the start
// of what fires now is old news that was overtaken.
func judgeEnd(a, latest alert.Alert) verdict {
	if latest.State == alert.Resolved || a.EndsAt.Before(latest.StartsAt) {
		return ignore
	}
	return settle
}

func differs(a, latest alert.Alert) bool {
	return !a.StartsAt.Equal(latest.StartsAt) || a.GeneratorURL != latest.GeneratorURL || !a.Annotations.Equal(latest.Annotations)
}

// newIncident returns the incident that begins with a.
func newIncident(g group, a alert.Alert, at time.Time) alert.Incident {
	return alert.Incident{
		Key:      g.key,
		Policy:   g.policy,
		Service:  a.Label(alert.LabelService),
		SLO:      a.Label(alert.LabelSLO),
		Title:    titleOf(a),
		Level:    a.Level(),
		Status:   alert.Open,
		Since:    a.StartsAt,
		OpenedAt: at,
	}
}

// raise makes an incident as urgent as level. An acknowledgement was of
// something less urgent: it is void.
func raise(inc *alert.Incident, level alert.Level, at time.Time) alert.Event {
	text := fmt.Sprintf("rises from %s to %s", inc.Level, level)
	if inc.Status == alert.Acknowledged {
		text += fmt.Sprintf(": the acknowledgement by %s was of %s", inc.AckedBy, inc.Level)
		inc.Status, inc.AckedAt, inc.AckedBy = alert.Open, time.Time{}, ""
	}
	inc.Level = level
	return alert.Event{At: at, Kind: alert.EventRaised, Text: text}
}

// acknowledge notes who looks after the incident and stops its escalation.
func acknowledge(tx Tx, inc *alert.Incident, actor string, at time.Time) error {
	switch inc.Status {
	case alert.Closed:
		return ErrResolved
	case alert.Acknowledged:
		return nil
	case alert.Open:
	}
	inc.Status, inc.AckedAt, inc.AckedBy, inc.NextPageAt = alert.Acknowledged, at, actor, time.Time{}
	return tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventAcknowledged, Actor: actor, Text: "acknowledged"})
}

// closeIncident ends an incident, by somebody's word or, when by is "",
// because its alerts resolved, and tells those who were paged.
func (e *Engine) closeIncident(tx Tx, inc *alert.Incident, by string, at time.Time) error {
	text := "resolved"
	if by == "" {
		text = "resolved: all its alerts are"
	}
	inc.Status, inc.ResolvedAt, inc.ResolvedBy = alert.Closed, at, by
	inc.Stale, inc.Muted, inc.NextPageAt = false, "", time.Time{}
	if err := tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventResolved, Actor: by, Text: text}); err != nil {
		return err
	}
	if err := tx.Supersede(inc.ID, at, "resolved before it was sent"); err != nil {
		return err
	}
	if by != "" { // its alerts may fire on, and inhibit nobody any more
		if _, err := tx.WakeMuted(at); err != nil {
			return err
		}
	}
	return e.tellResolved(tx, *inc, at)
}
