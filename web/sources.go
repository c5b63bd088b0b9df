package web

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// Errors that sources return, wrapped or not, so that a client is told what
// went wrong. Any other error is logged and answered as an internal one.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict says that the thing exists but is no longer in a state for
	// what was asked, such as acknowledging a resolved incident.
	ErrConflict = errors.New("conflict")
)

// RefusedError says why what was asked cannot be: its reason is shown to who
// asked, so it holds nothing of the insides. It is answered as a bad request.
type RefusedError struct{ Reason string }

// Error returns the reason.
func (e *RefusedError) Error() string { return e.Reason }

// Receiver takes alerts in. Receive returns after they are committed.
type Receiver interface {
	Receive(ctx context.Context, alerts []alert.Alert) error
}

// Incidents knows all incidents and acts on them. An id that no incident has
// is ErrNotFound.
type Incidents interface {
	List(ctx context.Context, all bool) ([]alert.Incident, error) // newest first; all includes resolved ones
	Story(ctx context.Context, id int64) (Story, error)
	Acknowledge(ctx context.Context, id int64, actor string) (alert.Incident, error)
	Resolve(ctx context.Context, id int64, actor string) (alert.Incident, error)
}

// Desk does with incidents what is left besides acknowledging and resolving.
// Its errors are as those of Incidents.
type Desk interface {
	Escalate(ctx context.Context, id int64, actor string) (alert.Incident, error) // on to the next step now
	Snooze(ctx context.Context, id int64, until time.Time, actor string) (alert.Incident, error)
	Reassign(ctx context.Context, id int64, users []string, actor string) (alert.Incident, error)
	AddResponders(ctx context.Context, id int64, users []string, actor string) (alert.Incident, error)
	Note(ctx context.Context, id int64, text, actor string) (alert.Incident, error)
	Merge(ctx context.Context, from, into int64, actor string) (alert.Incident, error) // from is closed, its alerts move
}

// Alerts knows the alerts that fire or have expired.
type Alerts interface {
	Alerts(ctx context.Context) ([]AlertStatus, error)
}

// AlertStatus is an alert and why nobody is paged for it.
type AlertStatus struct {
	alert.Alert
	SilencedBy  []string       // IDs of silences
	InhibitedBy []string       // fingerprints of alerts
	MutedBy     []string       // names of maintenance windows and time intervals
	Policy      string         // that looks after it; Alertmanager's API calls it a receiver
	Group       model.LabelSet // what its incident's alerts have in common; nil: their service and slo, else their name
}

// Silences knows silences. An ID that no silence has is ErrNotFound.
type Silences interface {
	Silences(ctx context.Context) ([]silence.Silence, error) // those that ended a while ago among them
	Silence(ctx context.Context, id string) (silence.Silence, error)
	// SaveSilence keeps a valid silence, a new one when its ID is "", else in
	// the place of that with the ID, as Alertmanager does, and returns the ID.
	SaveSilence(ctx context.Context, s silence.Silence, actor string) (id string, err error)
	ExpireSilence(ctx context.Context, id, actor string) error
}

// Rotas knows who is on call over a span of time, by each schedule, and who
// there is.
type Rotas interface {
	Rotas(from, to time.Time) []wire.Rota
	Users() []wire.User
}

// Calendars writes who is on call as iCalendar files (RFC 5545) that phones
// subscribe to. A name that there is not is ErrNotFound.
type Calendars interface {
	ScheduleCalendar(name string, at time.Time) ([]byte, error)
	UserCalendar(name string, at time.Time) ([]byte, error)
}

// Overrides knows who is on call instead of whom the files say. An override
// of a schedule or user that there is not is a RefusedError.
type Overrides interface {
	Overrides(ctx context.Context) ([]wire.Override, error) // those that are not over, the next first
	AddOverride(ctx context.Context, o wire.Override, actor string) (wire.Override, error)
	EndOverride(ctx context.Context, id int64, actor string) error // now; one that has not begun is gone
}

// Audit knows who did what.
type Audit interface {
	// Deeds returns up to limit lines, newest first: those with an ID below
	// before, or the newest when that is 0.
	Deeds(ctx context.Context, before int64, limit int) ([]wire.Deed, error)
}

// Drills pages people to see whether pages reach them.
type Drills interface {
	Drills(ctx context.Context) ([]wire.Drill, error) // newest first
	StartDrill(ctx context.Context, what wire.DrillRequest, actor string) (wire.Drill, error)
}

// Delivery knows how pages go out, and which did not.
type Delivery interface {
	Delivery(ctx context.Context) (wire.Delivery, error)
}

// Heartbeats knows when each cluster's watchdog was last heard.
type Heartbeats interface {
	Beats(ctx context.Context) (map[string]time.Time, error)
}

// Story is an incident and all that is known of it.
type Story struct {
	Incident alert.Incident
	Events   []alert.Event // oldest first
	Evidence []page.Evidence
	SLO      page.SLO
}

// Board says how every SLO stands. Board answers with what it has when ctx
// ends, and says in the warnings what is missing.
type Board interface {
	Board(ctx context.Context) (Standings, error)
}

// Standings is how the SLOs stand at an instant.
type Standings struct {
	At       time.Time // of the figures; zero when unknown
	SLOs     []SLO
	Warnings []string // such as a cluster that does not answer; one sentence each
}

// SLO is one row of the board.
type SLO struct {
	Service     string
	Name        string
	Description string
	Objective   string // percent, as its author wrote it
	Window      string // such as 30d
	Runbook     string
	Critical    bool
	Standings   []page.Standing // by cluster; NaN is unknown
	Trend       []float64       // budget left over the last 30 days, evenly spaced, oldest first; NaN is unknown; may be empty
}

// OnCall says who is on call by each schedule.
type OnCall interface {
	Watches(at time.Time) []wire.Watch
}
