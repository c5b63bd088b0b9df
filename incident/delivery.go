package incident

import (
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Incidents are all incidents.
type Incidents interface {
	// Incident returns the incident with its alerts, and whether there is one.
	Incident(id int64) (alert.Incident, bool, error)
	// IncidentsBefore returns up to limit incidents with their alerts whose ID
	// is below before, newest first; without all, only those that are not
	// resolved. A before of 0 is above all.
	IncidentsBefore(all bool, before int64, limit int) ([]alert.Incident, error)
	// IncidentsByID returns those that there are, without alerts.
	IncidentsByID(ids []int64) ([]alert.Incident, error)
	// IncidentsWithAlerts returns those that there are, with their alerts.
	IncidentsWithAlerts(ids []int64) ([]alert.Incident, error)
	// UnresolvedIncidents returns the incidents of the keys that are not
	// resolved, without alerts: at most one a key.
	UnresolvedIncidents(keys []string) ([]alert.Incident, error)
	// MergeTargets returns, of each of the keys whose incident was merged into
	// one that is not resolved, that one, without alerts.
	MergeTargets(keys []string) (map[string]alert.Incident, error)
	// DueIncidents returns up to limit incidents whose next page is due at or
	// before at, most urgent first, with their alerts.
	DueIncidents(at time.Time, limit int) ([]alert.Incident, error)
	// AddIncident keeps a new incident, without its alerts, and returns its ID.
	AddIncident(inc alert.Incident) (int64, error)
	// SaveIncident keeps all of the incident but its alerts.
	SaveIncident(inc alert.Incident) error
	// MoveAlerts makes all alerts of one incident another's.
	MoveAlerts(from, into int64) error
	// CountIncidents returns how many unresolved incidents there are of each
	// level, without drills.
	CountIncidents() (map[alert.Level]int, error)
	// NextDue returns the earliest time at which an incident's page, an alert's
	// end or a failover is due, the zero time when none is.
	NextDue() (time.Time, error)
	// AddDrill notes that the incident is an exercise that somebody began.
	AddDrill(incident int64, by string, at time.Time) error
	// Drills returns up to limit drills, the newest first.
	Drills(limit int) ([]page.Drill, error)
}

// Stories are what happened to incidents, and what was found out of them.
type Stories interface {
	AddEvents(incident int64, events ...alert.Event) error
	Events(incident int64) ([]alert.Event, error) // in the order they were added
	SaveEvidence(incident int64, found []page.Evidence) error
	Evidence(incident int64) (found []page.Evidence, looked bool, err error)
	SaveFacts(incident int64, facts page.SLO) error
	// Findings returns the evidence and the facts that are kept of incidents.
	Findings(incidents []int64) (map[int64][]page.Evidence, map[int64]page.SLO, error)
	// Gather asks for evidence and facts of the incident to be looked for at
	// at; Gathered notes that they are kept.
	Gather(incident int64, at time.Time) error
	Gathered(incident int64) error
	// ClaimGathers returns up to limit incidents of which evidence and facts
	// are to be looked for, most urgent first, with their alerts, and keeps
	// them from being claimed again before until.
	ClaimGathers(at, until time.Time, limit int) ([]alert.Incident, error)
	// NextGather returns when the next incident can be claimed by ClaimGathers,
	// the zero time when there is none.
	NextGather() (time.Time, error)
	// Audit keeps who did what by which way.
	Audit(at time.Time, actor, via, action, target, detail string) error
}

// Outbox holds pages until a provider accepts them. Of the incident of a page
// it knows the ID and, at Enqueue, the level.
type Outbox interface {
	// Enqueue adds pages that may be sent from due on. A page whose key is
	// known already is ignored.
	Enqueue(due time.Time, pages ...page.Page) error
	// Await adds pages that are due at due. Settle puts them off, at most until
	// latest. Those that are due at latest wait for Release, which may bring
	// them forward to settles.
	Await(due, settles, latest time.Time, pages ...page.Page) error
	// Settle puts the first pages of the incidents that wait off until settles,
	// each at most until its latest time: an alert joined.
	Settle(incidents []int64, settles time.Time) error
	// Messaged returns those of the incidents of which a page was sent, or tried.
	Messaged(incidents []int64) ([]int64, error)
	// Joined has the messages of the incidents brought up to date: by the update
	// that waits, then at due or at its own latest time, or by another one. Pages
	// that were composed, and are not sent yet, are then Outdated.
	Joined(incidents []int64, due, latest time.Time) error
	Outdated(key string) (bool, error)
	Release(incident int64, at time.Time) error
	// Update brings forward to due the waiting update of the same incident to
	// the same address, or else enqueues the page.
	Update(due time.Time, p page.Page) error
	// DuePages returns when the next page of each channel that has one can be
	// claimed.
	DuePages() (map[string]time.Time, error)
	// Claim returns up to limit pages of the channel that are due, most urgent
	// first, and keeps them from being claimed again before until.
	Claim(channel string, at, until time.Time, limit int) ([]page.Page, error)
	// Compose keeps what claimed pages say, for further tries; Composed returns
	// what those of the pages say that were composed, by key.
	Compose(pages ...page.Page) error
	Composed(keys []string) (map[string]page.Page, error)
	// MarkSent, MarkDead and MarkDropped end the life of a page, and of those
	// that it stands for.
	MarkSent(key string, at time.Time) error
	MarkDead(key string, at time.Time, reason string) error
	MarkDropped(key string, at time.Time, reason string) error
	// Reschedule makes a claimed page due again at due. held says that the
	// provider named the time. When the page is not sent patience after its
	// first try, a failover is due.
	Reschedule(key string, due time.Time, held bool, patience time.Duration, reason string) error
	// PutOff makes a claimed page one that is caused and due at until, and says
	// then what is true then.
	PutOff(key string, until time.Time, reason string) error
	// Defer makes pages due at due that nobody has tried to send, claimed or not.
	Defer(keys []string, due time.Time) error
	// Supersede drops the pages of the incident that are queued and claimed by
	// nobody.
	Supersede(incident int64, at time.Time, reason string) error
	// CountPages returns how many pages are queued and when the oldest was caused.
	CountPages() (queued int, oldest time.Time, err error)
}

// Deliveries are what became of pages, and what providers ask for.
type Deliveries interface {
	// Told returns whom pages of the incident reached, except those that told
	// of its end, in the order the pages were enqueued.
	Told(incident int64) ([]page.Contact, error)
	// Reached returns whether one of those pages was of the level, or of one
	// that outranks it.
	Reached(incident int64, level alert.Level) (bool, error)
	// RoundPages returns the pages of a round of the incident to a user, in
	// the order they were enqueued.
	RoundPages(incident int64, round int, user string) ([]page.Record, error)
	// RoundLives returns whether a page of a round of the incident reached
	// anybody, or may yet.
	RoundLives(incident int64, round int) (bool, error)
	// BringForward makes a page due at due that was due later and that nobody
	// has tried to send.
	BringForward(key string, due time.Time) error
	// Waiting returns the pages that tell of the incident and are queued and
	// claimed by nobody at at.
	Waiting(incident int64, at time.Time) ([]page.Record, error)
	// Hold keeps a page, enqueued just now, for a provider that wants to be
	// left alone until due. Before that a failover is due.
	Hold(key string, due, failover time.Time) error
	// Failovers returns up to limit queued pages that did not go through for
	// so long that another contact should get one; FailedOver notes that one
	// did.
	Failovers(at time.Time, limit int) ([]page.Page, error)
	FailedOver(key string) error
	// DeadPages returns up to limit pages that no provider took, the newest
	// first, with the reason.
	DeadPages(limit int) ([]page.Record, error)

	// DueTo returns up to limit pages to the address that are due and claimed
	// by nobody, most urgent first.
	DueTo(channel, address string, at time.Time, limit int) ([]page.Page, error)
	// Recent returns how many messages the address was sent since an instant,
	// or is being sent but for those of the keys, and when the first and the
	// last of those that were sent were. Updates of messages do not count.
	Recent(channel, address string, since time.Time, but []string) (n int, first, last time.Time, err error)
	// Bundle enqueues a page, claimed until until, that stands for the members.
	Bundle(bundle page.Page, at, until time.Time, members []string) error
	// Members returns the pages that a bundle stands for while it is queued.
	Members(bundle string) ([]page.Page, error)

	// SaveRef keeps the provider's reference to the messages of the page's
	// thread; Posts returns the messages about the incidents that can be
	// changed.
	SaveRef(p page.Page, ref string) error
	Posts(incidents []int64) (map[page.Thread]page.Post, error)
}
