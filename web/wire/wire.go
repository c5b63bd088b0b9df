// Package wire holds what Midwatch's own HTTP API says, as its server writes
// it and its client reads it. It is types only: neither of the two is here.
package wire

import (
	"encoding/json"
	"math"
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
	SLO      SLO             `json:"slo"`
}

// SLO is a page.SLO whose numbers may be unknown.
type SLO struct {
	Description string     `json:"description,omitempty"`
	Objective   string     `json:"objective,omitempty"` // percent, as its author wrote it
	Window      string     `json:"window,omitempty"`
	Runbook     string     `json:"runbook,omitempty"`
	Standings   []Standing `json:"standings,omitempty"`
}

// Standing is a page.Standing whose numbers may be unknown.
type Standing struct {
	Cluster    string `json:"cluster"`
	ErrorRatio Number `json:"error_ratio"` // of the last 5 minutes, 0 to 1
	BurnRate   Number `json:"burn_rate"`   // of the last 5 minutes
	BudgetLeft Number `json:"budget_left"` // of the window; 1 is all, below 0 is overspent
}

// NewSLO returns s as the API says it.
func NewSLO(s page.SLO) SLO {
	out := SLO{Description: s.Description, Objective: s.Objective, Window: s.Window, Runbook: s.Runbook}
	for _, st := range s.Standings {
		out.Standings = append(out.Standings, Standing{
			Cluster:    st.Cluster,
			ErrorRatio: Number(st.ErrorRatio),
			BurnRate:   Number(st.BurnRate),
			BudgetLeft: Number(st.BudgetLeft),
		})
	}
	return out
}

// Number is a float that JSON writes as null where it is not finite, and
// reads from null as NaN: unknown is not zero.
type Number float64

// MarshalJSON writes the number, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads a number, or null.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
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
