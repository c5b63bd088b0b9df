package web

import (
	"context"
	"errors"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
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
