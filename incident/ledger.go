package incident

import (
	"context"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Store keeps incidents, alerts and pages.
type Store interface {
	// Update runs f in a transaction and returns once it is committed and on
	// disk, or has had no effect at all. Others' updates may share the
	// transaction. f must be quick and call nobody.
	Update(ctx context.Context, f func(Tx) error) error
	// View runs f on one consistent state.
	View(ctx context.Context, f func(Tx) error) error
}

// Tx is the store within one transaction.
type Tx interface {
	Alerts
	Incidents
	Outbox
}

// Alerts are the alerts of all incidents. One label set has one alert in each
// incident that it was part of.
type Alerts interface {
	// LatestAlerts returns, for every label set known that has one of the
	// fingerprints, its alert in the latest incident. Label sets may share a
	// fingerprint.
	LatestAlerts(fingerprints []model.Fingerprint) ([]alert.Alert, error)
	// AddAlerts keeps new alerts of the incident that each names, as the
	// latest of their label sets, and sets their IDs.
	AddAlerts(alerts []*alert.Alert) error
	// SaveAlerts keeps all of the alerts but their labels and incidents, by ID.
	SaveAlerts(alerts []*alert.Alert) error
	// RefreshAlerts sets when the alerts end, and were received.
	RefreshAlerts(ids []int64, endsAt, updatedAt time.Time) error
	// OverdueAlerts returns up to limit firing alerts that end at or before at.
	OverdueAlerts(at time.Time, limit int) ([]alert.Alert, error)
	// CountAlerts returns how many alerts of the incident are in each state.
	CountAlerts(incident int64) (map[alert.State]int, error)
}

// Incidents are incidents, their stories and what was found out of them.
type Incidents interface {
	// Incident returns the incident with its alerts, and whether there is one.
	Incident(id int64) (alert.Incident, bool, error)
	// ListIncidents returns up to limit incidents with their alerts, newest
	// first; without all, only those that are not resolved.
	ListIncidents(all bool, limit int) ([]alert.Incident, error)
	// IncidentsByID returns those that there are, without alerts.
	IncidentsByID(ids []int64) ([]alert.Incident, error)
	// UnresolvedIncidents returns the incidents of the keys that are not
	// resolved, without alerts: at most one a key.
	UnresolvedIncidents(keys []string) ([]alert.Incident, error)
	// DueIncidents returns up to limit incidents whose next page is due at or
	// before at, most urgent first, with their alerts.
	DueIncidents(at time.Time, limit int) ([]alert.Incident, error)
	// AddIncident keeps a new incident, without its alerts, and returns its ID.
	AddIncident(inc alert.Incident) (int64, error)
	// SaveIncident keeps all of the incident but its alerts.
	SaveIncident(inc alert.Incident) error
	// CountIncidents returns how many unresolved incidents there are of each level.
	CountIncidents() (map[alert.Level]int, error)
	// NextDue returns the earliest time at which an incident's page or an
	// alert's end is due, the zero time when none is.
	NextDue() (time.Time, error)

	AddEvents(incident int64, events ...alert.Event) error
	Events(incident int64) ([]alert.Event, error) // in the order they were added
	SaveEvidence(incident int64, found []page.Evidence) error
	Evidence(incident int64) (found []page.Evidence, looked bool, err error)
}

// Outbox holds pages until a provider accepts them. Of the incident of a page
// it knows the ID and, at Enqueue, the level.
type Outbox interface {
	// Enqueue adds pages that may be sent from due on. A page whose key is
	// known already is ignored.
	Enqueue(due time.Time, pages ...page.Page) error
	// Update brings forward to due the waiting update of the same incident to
	// the same address, or else enqueues the page.
	Update(due time.Time, p page.Page) error
	// DueChannels returns the channels that have a page to claim at at.
	DueChannels(at time.Time) ([]string, error)
	// Claim returns up to limit pages of the channel that are due, most urgent
	// first, and keeps them from being claimed again before until.
	Claim(channel string, at, until time.Time, limit int) ([]page.Page, error)
	// MarkSent, MarkDead and MarkDropped end the life of a page.
	MarkSent(key string, at time.Time) error
	MarkDead(key string, at time.Time, reason string) error
	MarkDropped(key string, at time.Time, reason string) error
	// Retry makes a claimed page due again at due.
	Retry(key string, due time.Time, reason string) error
	// PutOff makes a claimed page one that is caused and due at until.
	PutOff(key string, until time.Time, reason string) error
	// Supersede drops the pages of the incident that are queued and claimed by
	// nobody.
	Supersede(incident int64, at time.Time, reason string) error
	// Told returns whom pages of the incident reached, except those that told
	// of its end, in the order the pages were enqueued.
	Told(incident int64) ([]page.Contact, error)
	// Reached returns whether one of those pages was of the level, or of one
	// that outranks it.
	Reached(incident int64, level alert.Level) (bool, error)
	// NextPage returns when the next queued page can be claimed, the zero time
	// when there is none.
	NextPage() (time.Time, error)
	// CountPages returns how many pages are queued and when the oldest was caused.
	CountPages() (queued int, oldest time.Time, err error)
}
