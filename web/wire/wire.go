// Package wire holds what Midwatch's own HTTP API says, as its server writes
// it and its client reads it. It is types only: neither of the two is here.
package wire

import (
	"encoding/json"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// The values of Envelope.Status.
const (
	Success = "success"
	Failure = "error"
)

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

// Act is the body of a request to acknowledge or resolve; it may be missing.
type Act struct {
	By string `json:"by,omitempty"` // who acts, where the token has no name of its own
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

// Shift is one person's turn. A shift without a user is a gap: nobody is on
// call.
type Shift struct {
	User     string    `json:"user"`
	FullName string    `json:"full_name,omitempty"`
	From     time.Time `json:"from,omitzero"`
	Until    time.Time `json:"until,omitzero"` // zero when it has no end
	Override bool      `json:"override,omitempty"`
}
