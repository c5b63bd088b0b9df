// Package silence says when nobody is to be paged for an alert: silences that
// people make, once or recurring, and how they are written. It is pure: it
// keeps nothing and reads no clock.
package silence

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// Bounds of a silence.
const (
	MaxMatchers = 64
	MaxMatcher  = 4 << 10 // bytes, of one as text
	MaxComment  = 4 << 10 // bytes
	MaxCreator  = 200     // bytes
	MaxSpan     = 10 * 365 * 24 * time.Hour
	maxLabels   = 64
)

// Silence keeps alerts that its matchers all match from paging, from StartsAt
// up to, not with, EndsAt. In JSON its matchers are texts.
type Silence struct {
	ID         string // a UUID
	Matchers   labels.Matchers
	StartsAt   time.Time
	EndsAt     time.Time
	Recurrence *Recurrence // nil: all of the time between
	CreatedBy  string
	Comment    string
	UpdatedAt  time.Time
	Labels     map[string]string // kept for whoever sent them
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
// it surely does: its end, or the end of the span of its recurrence.
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

// Next returns when it begins to silence the next time after an instant; ok
// is false when it never does.
func (s Silence) Next(at time.Time) (from time.Time, ok bool) {
	if s.Recurrence == nil {
		return s.StartsAt, s.StartsAt.After(at)
	}
	if s.StartsAt.After(at) {
		if _, ok := s.Covers(s.StartsAt); ok {
			return s.StartsAt, true
		}
		at = s.StartsAt
	}
	spans, err := s.Recurrence.compile()
	if err != nil {
		return time.Time{}, false
	}
	from, ok = spans.next(at)
	return from, ok && from.Before(s.EndsAt)
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
	case s.CreatedBy == "" || len(s.CreatedBy) > MaxCreator || !storable(s.CreatedBy):
		return fmt.Errorf("who made it must be named, in at most %d bytes of UTF-8", MaxCreator)
	case len(s.Comment) > MaxComment || !storable(s.Comment):
		return fmt.Errorf("the comment must be UTF-8 of at most %d bytes", MaxComment)
	}
	if err := validateMatchers(s.Matchers); err != nil {
		return err
	}
	if err := validateLabels(s.Labels); err != nil {
		return err
	}
	if s.Recurrence != nil {
		return s.Recurrence.Validate()
	}
	return nil
}

func validateLabels(set map[string]string) error {
	if len(set) > maxLabels {
		return fmt.Errorf("%d annotations, %d are allowed", len(set), maxLabels)
	}
	for name, value := range set {
		if len(name) > MaxMatcher || len(value) > MaxMatcher || !storable(name) || !storable(value) {
			return fmt.Errorf("the annotation %q must be UTF-8 of at most %d bytes", shorten(name), MaxMatcher)
		}
	}
	return nil
}
