package alert

import (
	"slices"
	"time"
)

// Status is where an incident is in its life.
type Status string

// The life of an incident.
const (
	Open         Status = "open"         // somebody is being paged
	Acknowledged Status = "acknowledged" // somebody looks after it
	Closed       Status = "resolved"     // all its alerts resolved, or somebody said so
)

// Incident is what people are told of: the alerts of one thing that fails,
// over all clusters.
type Incident struct {
	ID         int64     `json:"id"`
	Key        string    `json:"key"`     // what its alerts have in common, such as payment-service/payment-availability
	Service    string    `json:"service"` // "" when its alerts name none
	SLO        string    `json:"slo"`     // "" when it is not about an SLO
	Title      string    `json:"title"`   // the symptom, short
	Level      Level     `json:"level"`   // the highest that its alerts have had
	Status     Status    `json:"status"`
	Stale      bool      `json:"stale"` // an alert of it expired: its sender fell silent
	Since      time.Time `json:"since"` // the earliest start of its alerts
	OpenedAt   time.Time `json:"opened_at"`
	AckedAt    time.Time `json:"acked_at,omitzero"`
	AckedBy    string    `json:"acked_by,omitempty"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	ResolvedBy string    `json:"resolved_by,omitempty"` // "" when its alerts resolved
	Round      int       `json:"round"`                 // how many rounds of pages it has had
	NextPageAt time.Time `json:"next_page_at,omitzero"` // when the next round is due; zero when none is

	Policy string `json:"policy,omitempty"` // name of the escalation policy that looks after it, since it opened
	Step   int    `json:"step"`             // of the policy: the one that is due next, from 0
	Cycle  int    `json:"cycle"`            // how often the policy began again

	Muted        string    `json:"muted,omitempty"`        // why nobody is paged for it now, such as a silence; "" when somebody is
	SnoozedUntil time.Time `json:"snoozed_until,omitzero"` // nobody is paged for it before
	Assigned     []string  `json:"assigned,omitempty"`     // users who are paged instead of the policy's
	Responders   []string  `json:"responders,omitempty"`   // users who are paged besides
	Reopened     int       `json:"reopened,omitempty"`     // how often it fired again soon after it was resolved
	MergedInto   int64     `json:"merged_into,omitempty"`  // the incident that took its alerts; 0 when none did
	Drill        bool      `json:"drill,omitempty"`        // an exercise: nothing is wrong

	Alerts     []Alert `json:"alerts"`
	AlertCount int     `json:"alert_count,omitempty"` // all of them, where Alerts is cut; 0 where it is not
}

// Clusters returns the names of the clusters that its alerts name, sorted.
func (i Incident) Clusters() []string {
	var names []string
	for _, a := range i.Alerts {
		if c := a.Label(LabelCluster); c != "" {
			names = append(names, c)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// EventKind is what happened to an incident.
type EventKind string

// The kinds of events in an incident's story.
const (
	EventOpened       EventKind = "opened"
	EventAlert        EventKind = "alert"    // an alert joined, resolved or expired
	EventRaised       EventKind = "raised"   // its level rose
	EventEvidence     EventKind = "evidence" // evidence was found, or could not be
	EventPaged        EventKind = "paged"    // a page was accepted by a provider
	EventPageFailed   EventKind = "page_failed"
	EventAcknowledged EventKind = "acknowledged"
	EventStale        EventKind = "stale"
	EventReopened     EventKind = "reopened"
	EventMuted        EventKind = "muted"     // nobody is paged for a while, or somebody is again
	EventEscalated    EventKind = "escalated" // on to the next step of its policy
	EventAssigned     EventKind = "assigned"  // reassigned, or a responder added
	EventSnoozed      EventKind = "snoozed"
	EventNote         EventKind = "note"
	EventMerged       EventKind = "merged"
	EventResolved     EventKind = "resolved"
)

// Event is one line of an incident's story.
type Event struct {
	At    time.Time `json:"at"`
	Kind  EventKind `json:"kind"`
	Actor string    `json:"actor,omitempty"` // who did it; "" for Midwatch itself
	Text  string    `json:"text"`
}
