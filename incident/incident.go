// Package incident turns alerts into incidents and sees to it that somebody
// is told of each: it groups alerts, follows an incident through its life,
// decides who is paged when, and delivers every page once.
//
// What it answers is on disk first, and what it sends is in the outbox first:
// a crash loses nothing, and can repeat at most the pages whose sending it
// interrupts. It does not know who is on call, how a channel works or how an
// SLO stands: whoever builds an Engine passes that in.
package incident

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Errors of the engine's methods, which wrap them.
var (
	ErrNotFound = errors.New("no such incident")
	ErrResolved = errors.New("the incident is resolved already")
	ErrActor    = errors.New("whoever acts must be named, in at most 200 bytes of UTF-8")
	ErrInvalid  = errors.New("it cannot be done so")
)

// Responders says who is to be told of an incident. Its answers come from
// memory: it is asked inside transactions.
type Responders interface {
	// Route says how alerts with these labels are looked after.
	Route(labels model.LabelSet) Route
	// Step returns the step of the incident's policy that begins at its Step
	// and Cycle at an instant, without steps that have nobody.
	Step(at time.Time, inc alert.Incident) Step
	// Ways returns every way to reach a user at a level, best first: the pages
	// of the user's own rules for the level, then all other contacts.
	Ways(user string, level alert.Level) []Notice
	// WorkingTime returns at when it is within the working hours of who is on
	// call for the incident, else when they next begin.
	WorkingTime(at time.Time, inc alert.Incident) time.Time
	// Muted says why nobody is to be paged for an alert with these labels at an
	// instant, by maintenance windows and time intervals of the configuration,
	// and until when; ok is false when somebody is.
	Muted(at time.Time, labels model.LabelSet) (why string, until time.Time, ok bool)
}

// Route is how alerts are looked after.
type Route struct {
	Policy  string   // name of the escalation policy
	GroupBy []string // labels whose values tell incidents apart; none: service and slo, else the alert's name
}

// Step is one step of an escalation policy.
type Step struct {
	Notices []Notice      // whom to page; none only when the policy has nobody at all
	Wait    time.Duration // after which the next step is due unless somebody acknowledges; 0: nothing follows
	Step    int           // of the incident, for the next one
	Cycle   int           // of the incident, for the next one
	Skipped []string      // steps that had nobody on call, as a reader knows them
	Name    string        // of this step, for the story, such as "step 2: payments-second"

	AckTimeout time.Duration // after an acknowledgement escalation resumes; 0: never
}

// Notice is a page to come.
type Notice struct {
	To    page.Contact
	After time.Duration // unless acknowledged before; 0 at once
}

// Sender sends a page through the channel that its contact names. It must be
// safe for concurrent use and heed its context. Its error may be a
// *page.SendError, which says whether to try again.
type Sender interface {
	// Send returns a reference to the message when the channel can change it
	// later: the incident's next page to the same address has it as Ref.
	Send(ctx context.Context, p page.Page) (ref string, err error)
	// Edits tells whether the channel can change a message that it has sent.
	Edits(channel string) bool
}

// Evidence finds out why an incident may have happened. When ctx ends it
// returns what it has, and names the sources that it still waits for.
type Evidence interface {
	Collect(ctx context.Context, inc alert.Incident) []page.Evidence
}

// Facts knows the SLO that an incident is about, and how it stands.
type Facts interface {
	SLO(ctx context.Context, inc alert.Incident) page.SLO
}

// Config is what an Engine is made of. Store, Responders, Sender and Logger
// are required.
type Config struct {
	Store      Store
	Responders Responders
	Sender     Sender
	Evidence   Evidence // nil: pages carry none
	Facts      Facts    // nil: pages say nothing of the SLO

	HasEvidence func(alert.Incident) bool // whether there is anywhere to look for evidence; nil: always. From memory, as HasFacts
	HasFacts    func(alert.Incident) bool // whether its SLO is known; nil: always

	Normalize func(alert.Alert) alert.Alert // of each alert before all else; nil: as it is
	Link      func(incident int64) string   // to the incident's page; nil: none
	AckLink   func(page.Page) string        // by which its reader can acknowledge without a token; nil: none

	ReopenWithin time.Duration // how soon after its alerts resolved it an incident opens again, instead of another; 0 is 10 min, below 0 never
	Inhibit      []InhibitRule // which alerts keep which from paging; DefaultInhibitions has some
	Watch        []Watch       // clusters that must be heard all the time

	EvidenceWait time.Duration // how long the first page waits for evidence at most; 0 is 3 s, below 0 not at all
	EvidenceTime time.Duration // how long evidence that was late is looked for after the page; 0 is 30 s
	SendTimeout  time.Duration // of one try; 0 is 20 s
	StopTimeout  time.Duration // how long Run waits for sends in flight when it ends; 0 is 10 s
	Poll         time.Duration // how often it looks for what other replicas caused; 0 is 15 s
	Retry        RetryPolicy

	PerChannel     func(channel string) int // sends at once through a channel; nil, and below 1, are 8
	PagesPerMinute int                      // to one address; what is more is bundled; 0 is 10, below 0 bundles nothing, nor P3s

	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept and shown nowhere
}

func (c *Config) defaults() error {
	if c.Store == nil || c.Responders == nil || c.Sender == nil || c.Logger == nil {
		return errors.New("incident engine: store, responders, sender and logger are required")
	}
	if c.Normalize == nil {
		c.Normalize = func(a alert.Alert) alert.Alert { return a }
	}
	always := func(alert.Incident) bool { return true }
	if c.HasEvidence == nil {
		c.HasEvidence = always
	}
	if c.HasFacts == nil {
		c.HasFacts = always
	}
	if c.Link == nil {
		c.Link = func(int64) string { return "" }
	}
	if c.AckLink == nil {
		c.AckLink = func(page.Page) string { return "" }
	}
	if c.PerChannel == nil {
		c.PerChannel = func(string) int { return 0 }
	}
	setDefault(&c.ReopenWithin, 10*time.Minute)
	setDefault(&c.EvidenceWait, 3*time.Second)
	setDefault(&c.EvidenceTime, 30*time.Second)
	setDefault(&c.SendTimeout, 20*time.Second)
	setDefault(&c.StopTimeout, 10*time.Second)
	setDefault(&c.Poll, poll)
	setDefault(&c.PagesPerMinute, 10)
	c.Retry.defaults()
	return nil
}

// slotsOf returns how many sends at once a channel has.
func (c *Config) slotsOf(channel string) int {
	if n := c.PerChannel(channel); n > 0 {
		return n
	}
	return 8
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Engine receives alerts and pages people. Its methods are safe for
// concurrent use.
type Engine struct {
	c         Config
	metrics   *metrics
	slots     slots
	unsettled unsettled
	readers   chan struct{} // holds one for each List and Get under way

	quiet quieting
	vigil *vigil
	pulse pulse

	escalate chan struct{} // wakes the escalation
	deliver  chan struct{} // wakes the delivery
	changed  chan struct{} // wakes the survey

	detectives detectives
	work       sync.WaitGroup
}

// New returns an engine that receives alerts at once, and pages people while
// Run runs.
func New(c Config) (*Engine, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("incident engine: %w", err)
	}
	e := &Engine{
		c: c, metrics: m,
		slots:    newSlots(c.slotsOf),
		readers:  make(chan struct{}, maxReaders),
		escalate: make(chan struct{}, 1),
		deliver:  make(chan struct{}, 1),
		changed:  make(chan struct{}, 1),
		vigil:    newVigil(),
	}
	if err := e.setRules(c.Inhibit, c.Watch); err != nil {
		return nil, fmt.Errorf("incident engine: %w", err)
	}
	return e, nil
}

// now is cut to what the store keeps.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is about to wake already
	}
}

// maxReaders is how many may read lists and stories at once. The store serves
// some more, so that paging never waits for readers.
const maxReaders = 2

// read views the store for somebody who is curious.
func (e *Engine) read(ctx context.Context, f func(Tx) error) error {
	select {
	case e.readers <- struct{}{}:
		defer func() { <-e.readers }()
		return e.c.Store.View(ctx, f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxList is how many incidents a list has at most.
const maxList = 1000

// List returns the incidents that are not resolved, or all of them (the
// newest 1,000), newest first.
func (e *Engine) List(ctx context.Context, all bool) ([]alert.Incident, error) {
	return e.ListBefore(ctx, all, 0, maxList)
}

// ListBefore returns up to limit incidents, at most 1,000, whose ID is below
// before, newest first; without all, only those that are not resolved. A
// before of 0 is above all.
func (e *Engine) ListBefore(ctx context.Context, all bool, before int64, limit int) (list []alert.Incident, err error) {
	err = e.read(ctx, func(tx Tx) error {
		list, err = tx.IncidentsBefore(all, before, min(max(limit, 1), maxList))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	return list, nil
}

func get(tx Tx, id int64) (alert.Incident, error) {
	inc, ok, err := tx.Incident(id)
	if err == nil && !ok {
		err = ErrNotFound
	}
	return inc, err
}
