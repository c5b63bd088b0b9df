package incident

import (
	"context"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
)

// Store keeps incidents, alerts and pages.
type Store interface {
	// Update runs f in a transaction and returns once it is committed and on
	// disk, or has had no effect at all. Others' updates may share the
	// transaction. f must be quick and call nobody.
	Update(ctx context.Context, f func(Tx) error) error
	// UpdateLater is Update for what can wait a moment: Update goes first.
	UpdateLater(ctx context.Context, f func(Tx) error) error
	// View runs f on one consistent state.
	View(ctx context.Context, f func(Tx) error) error
}

// Tx is the store within one transaction.
type Tx interface {
	Alerts
	Muting
	Incidents
	Stories
	Outbox
	Deliveries
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

// Muting is what keeps alerts from paging, and what was heard of clusters.
type Muting interface {
	// IncidentAlerts returns up to limit alerts of the incident in a state
	// whose IDs are above after, by ID.
	IncidentAlerts(incident int64, state alert.State, after int64, limit int) ([]alert.Alert, error)
	// EachLiveAlert shows every alert that fires, and every expired one of an
	// incident that is not resolved, until visit returns an error. visit must
	// not change alerts.
	EachLiveAlert(visit func(alert.Alert) error) error

	// Silences returns those that end after an instant, newest first.
	Silences(after time.Time) ([]silence.Silence, error)
	Silence(id string) (silence.Silence, bool, error)
	// SaveSilence keeps a silence, in the place of one with its ID.
	SaveSilence(s silence.Silence) error
	// DeleteSilences forgets those that ended at or before an instant.
	DeleteSilences(ended time.Time) error
	// CountSilences returns how many end after an instant.
	CountSilences(after time.Time) (int, error)

	// AddInhibitor keeps that an alert inhibits those of a key while it fires;
	// target tells that the rule could inhibit the alert itself.
	AddInhibitor(key string, a alert.Alert, target bool) error
	DropInhibitors(alerts []int64) error
	ClearInhibitors() error
	// Inhibitor returns the fingerprint of an alert that inhibits those of a
	// key, and whether there is one: it fires, its incident is not resolved, its
	// level is not below least, and with onlySource it is no target itself.
	Inhibitor(key string, least alert.Level, onlySource bool) (model.Fingerprint, bool, error)
	// WakeMuted makes the next page of open incidents that are muted due at an
	// instant, and returns how many there are.
	WakeMuted(at time.Time) (int, error)

	// ResolvedIncidents returns, without alerts, the last incident of each of
	// the keys that its alerts resolved after an instant.
	ResolvedIncidents(keys []string, after time.Time) ([]alert.Incident, error)
	// CountEvents returns how many events of a kind the incident's story has
	// since an instant.
	CountEvents(incident int64, kind alert.EventKind, since time.Time) (int, error)
	// ToldResolved returns whom pages told that the incident is over, without
	// those to whom another page of it is on its way.
	ToldResolved(incident int64) ([]page.Contact, error)
	// LastSaid returns the kind of the last page of the incident that was sent,
	// "" when there is none. Updates of messages do not count.
	LastSaid(incident int64) (page.Kind, error)
	// SaveRecovery keeps until when an incident whose alerts are all resolved
	// must stay quiet to be resolved.
	SaveRecovery(incident int64, until time.Time) error
	DropRecovery(incident int64) error
	Recovery(incident int64) (until time.Time, recovers bool, err error)
	// DueRecoveries returns up to limit incidents that stayed quiet until at.
	DueRecoveries(at time.Time, limit int) ([]int64, error)
	NextRecovery() (time.Time, error)

	// Beat keeps that a cluster was heard at an instant, unless it was later.
	Beat(cluster string, at time.Time) error
	Beats() (map[string]time.Time, error)

	// AddIncidents is AddIncident for many, and returns their IDs in their order.
	AddIncidents(incidents []alert.Incident) ([]int64, error)
	// AddStories adds one event to the story of an incident for each pair of the
	// two lists.
	AddStories(incidents []int64, events []alert.Event) error

	// Mark returns a single value by its name, "" when there is none.
	Mark(name string) (string, error)
	SetMark(name, value string) error
}
