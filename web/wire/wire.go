// Package wire holds what Midwatch's own HTTP API says, as its server writes
// it and its client reads it. It is types only: neither of the two is here.
package wire

import (
	"encoding/json"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
)

// The values of Envelope.Status.
const (
	Success = "success"
	Failure = "error"
)

// ViaHeader is the header by which the command line says that it is one:
// "cli". The audit notes it; nothing else depends on it.
const ViaHeader = "Midwatch-Via"

// The values of Envelope.ErrorType. Those that Prometheus has mean what they
// mean there.
const (
	BadData      = "bad_data"
	NotFound     = "not_found"
	Timeout      = "timeout"
	Canceled     = "canceled"
	Unavailable  = "unavailable"
	Internal     = "internal"
	Unauthorized = "unauthorized"
	Forbidden    = "forbidden"
	Conflict     = "conflict"
)

// Envelope is around every answer, as in Prometheus' API: data on success,
// else the kind of error and a sentence for a person.
type Envelope struct {
	Status    string          `json:"status"`
	Data      json.RawMessage `json:"data,omitempty"`
	ErrorType string          `json:"errorType,omitempty"`
	Error     string          `json:"error,omitempty"`
}

// Act is the body of a request to do something about an incident; it may be
// missing where it is not said what it must hold.
type Act struct {
	By    string    `json:"by,omitempty"`    // who acts, where the token has no name of its own
	Until time.Time `json:"until,omitzero"`  // to snooze: until when; or For
	For   string    `json:"for,omitempty"`   // to snooze: how long, such as 30m
	Users []string  `json:"users,omitempty"` // to reassign, or to add as responders
	Text  string    `json:"text,omitempty"`  // of a note
	Into  int64     `json:"into,omitempty"`  // to merge: the incident that takes its alerts
}

// Story is an incident and all that is known of it.
type Story struct {
	Incident alert.Incident  `json:"incident"`
	Events   []alert.Event   `json:"events"` // oldest first
	Evidence []page.Evidence `json:"evidence"`
	SLO      page.SLO        `json:"slo"`
}

// Watch is who is on call by one schedule, now and next.
type Watch struct {
	Schedule string `json:"schedule"`
	Now      Shift  `json:"now"`
	Next     Shift  `json:"next,omitzero"` // zero when the schedule does not say
}

// Taken is what became of a webhook that told of alerts.
type Taken struct {
	Alerts  int    `json:"alerts"`
	Missing int    `json:"missing,omitempty"` // that the sender left out
	Ignored string `json:"ignored,omitempty"` // why it means no alert
}

// Silence is a silence and what it does now. In JSON it is one object.
type Silence struct {
	silence.Silence
	State     silence.State
	Silencing bool      // now: a recurring one does so in its spans alone
	Until     time.Time // until when it surely does; zero when it does not
	Next      time.Time // when it will, where it does not; zero when never
}

// standing is what a Silence has besides the silence.
type standing struct {
	State     silence.State `json:"state"`
	Silencing bool          `json:"silencing"`
	Until     time.Time     `json:"until,omitzero"`
	Next      time.Time     `json:"next,omitzero"`
}

// MarshalJSON writes the fields of both beside each other.
func (s Silence) MarshalJSON() ([]byte, error) {
	own, err := json.Marshal(s.Silence)
	if err != nil {
		return nil, err
	}
	more, err := json.Marshal(standing{s.State, s.Silencing, s.Until, s.Next})
	if err != nil {
		return nil, err
	}
	return append(append(own[:len(own)-1], ','), more[1:]...), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Silence) UnmarshalJSON(b []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	var st standing
	if err := json.Unmarshal(b, &st); err != nil {
		return err
	}
	for _, name := range []string{"state", "silencing", "until", "next"} {
		delete(fields, name)
	}
	own, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	s.State, s.Silencing, s.Until, s.Next = st.State, st.Silencing, st.Until, st.Next
	return json.Unmarshal(own, &s.Silence)
}

// Rota is who is on call by one schedule over a span of time.
type Rota struct {
	Schedule string  `json:"schedule"`
	Timezone string  `json:"timezone,omitempty"` // IANA name of the schedule's; "" is UTC
	Shifts   []Shift `json:"shifts"`             // in order and without holes: gaps are shifts without a user
}

// User is somebody who can be on call.
type User struct {
	Name     string `json:"name"` // in the on-call files
	FullName string `json:"full_name,omitempty"`
}

// Override puts a person on call in a schedule for a while, whatever the files
// say.
type Override struct {
	ID        int64     `json:"id,omitempty"` // 0 before it is kept
	Schedule  string    `json:"schedule"`
	User      string    `json:"user"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	Reason    string    `json:"reason,omitempty"`
	CreatedBy string    `json:"created_by,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// Deed is one line of the audit: what somebody did.
type Deed struct {
	ID     int64     `json:"id"` // the later, the higher
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Via    string    `json:"via,omitempty"` // ui, api, chat, file or cli
	Action string    `json:"action"`        // such as acknowledge
	Target string    `json:"target,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// DrillRequest asks for a drill: a page, marked as an exercise, to whoever is
// on call by a schedule, or to one person. One of the two is named.
type DrillRequest struct {
	By       string `json:"by,omitempty"`
	Schedule string `json:"schedule,omitempty"`
	User     string `json:"user,omitempty"`
	Level    string `json:"level,omitempty"` // P1 to P3; "" is P2
}

// Drill is an exercise and how it went.
type Drill struct {
	Incident    int64     `json:"incident"`
	StartedAt   time.Time `json:"started_at"`
	StartedBy   string    `json:"started_by,omitempty"`
	To          string    `json:"to"` // the schedule or the user
	Users       []string  `json:"users,omitempty"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"` // when a provider took the first page; zero until then
	AckedAt     time.Time `json:"acked_at,omitzero"`     // zero until somebody acknowledges
	AckedBy     string    `json:"acked_by,omitempty"`
	Problem     string    `json:"problem,omitempty"` // why a page did not go out, as far as is known
}

// Channel is how the delivery by one channel goes.
type Channel struct {
	Name      string    `json:"name"`
	Queued    int       `json:"queued"`               // pages that wait
	Oldest    time.Time `json:"oldest,omitzero"`      // when the oldest of them was caused; zero when none waits
	SentAt    time.Time `json:"sent_at,omitzero"`     // when a provider last took a page; zero when unknown
	FailedAt  time.Time `json:"failed_at,omitzero"`   // when one was last not taken; zero when unknown
	LastError string    `json:"last_error,omitempty"` // of that failure
	Problem   string    `json:"problem,omitempty"`    // why the channel is out of order; "" when it is not
}

// Delivery is how pages go out, and which did not.
type Delivery struct {
	Channels []Channel     `json:"channels"`
	Dead     []page.Record `json:"dead"` // pages that no provider took, newest first
}

// Heartbeat is when a cluster's watchdog was last heard.
type Heartbeat struct {
	Cluster string    `json:"cluster"`
	At      time.Time `json:"at"`
}

// Shift is one person's turn. A shift without a user is a gap: nobody is on
// call.
type Shift struct {
	User     string    `json:"user"`
	FullName string    `json:"full_name,omitempty"`
	From     time.Time `json:"from,omitzero"`
	Until    time.Time `json:"until,omitzero"` // zero when it has no end
	Override bool      `json:"override,omitempty"`
	Layer    string    `json:"layer,omitempty"`
	Reason   string    `json:"reason,omitempty"` // of an override, when whoever made it gave one
}
