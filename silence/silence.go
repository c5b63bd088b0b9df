// Package silence says when nobody is to be paged for an alert: silences that
// people make, once or recurring. It is pure: it keeps nothing and reads no
// clock.
package silence

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// Bounds of a silence.
const (
	MaxMatchers = 64
	MaxComment  = 4 << 10 // bytes
	MaxCreator  = 200     // bytes
	MaxSpan     = 10 * 365 * 24 * time.Hour
)

// Silence keeps alerts that its matchers all match from paging, from StartsAt
// up to, not with, EndsAt.
type Silence struct {
	ID         string            `json:"id"` // a UUID
	Matchers   labels.Matchers   `json:"-"`
	StartsAt   time.Time         `json:"starts_at"`
	EndsAt     time.Time         `json:"ends_at"`
	Recurrence *Recurrence       `json:"recurrence,omitempty"` // nil: all of the time between
	CreatedBy  string            `json:"created_by"`
	Comment    string            `json:"comment"`
	UpdatedAt  time.Time         `json:"updated_at"`
	Labels     map[string]string `json:"annotations,omitempty"` // kept for whoever sent them
}

// State is where a silence is in its life, in Alertmanager's words.
type State string

// The states of a silence.
const (
	Pending State = "pending"
	Active  State = "active"
	Expired State = "expired"
)

// State returns the state at an instant. A recurring silence is active
// between its start and its end, also between its spans.
func (s Silence) State(at time.Time) State {
	switch {
	case at.Before(s.StartsAt):
		return Pending
	case at.Before(s.EndsAt):
		return Active
	}
	return Expired
}

// Matches tells whether alerts with these labels are meant.
func (s Silence) Matches(of model.LabelSet) bool { return s.Matchers.Matches(of) }

// Covers tells whether an instant is one in which it silences, and until when
// at the latest.
func (s Silence) Covers(at time.Time) (until time.Time, ok bool) {
	switch {
	case s.State(at) != Active:
		return time.Time{}, false
	case s.Recurrence == nil:
		return s.EndsAt, true
	}
	until, ok = s.Recurrence.covers(at)
	if ok && until.After(s.EndsAt) {
		until = s.EndsAt
	}
	return until, ok
}

// Validate says what is wrong with a silence, as Alertmanager does.
func (s Silence) Validate() error {
	switch {
	case len(s.Matchers) == 0:
		return errors.New("at least one matcher is required")
	case len(s.Matchers) > MaxMatchers:
		return fmt.Errorf("%d matchers, %d are allowed", len(s.Matchers), MaxMatchers)
	case s.StartsAt.IsZero() || s.EndsAt.IsZero():
		return errors.New("its start and its end are required")
	case !s.EndsAt.After(s.StartsAt):
		return errors.New("its end must be after its start")
	case s.EndsAt.Sub(s.StartsAt) > MaxSpan:
		return errors.New("it is longer than ten years")
	case s.CreatedBy == "" || len(s.CreatedBy) > MaxCreator || !utf8.ValidString(s.CreatedBy):
		return fmt.Errorf("who made it must be named, in at most %d bytes of UTF-8", MaxCreator)
	case len(s.Comment) > MaxComment || !utf8.ValidString(s.Comment):
		return fmt.Errorf("the comment must be UTF-8 of at most %d bytes", MaxComment)
	}
	all := true
	for _, m := range s.Matchers {
		all = all && m.Matches("")
	}
	if all {
		return errors.New("at least one matcher must not match the empty string, or it silences everything")
	}
	if s.Recurrence != nil {
		return s.Recurrence.Validate()
	}
	return nil
}
