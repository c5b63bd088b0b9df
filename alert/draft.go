package alert

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Draft is an alert as a sender's own format describes it, before it is
// completed and validated.
type Draft struct {
	Labels       map[string]string
	Annotations  map[string]string
	StartsAt     time.Time // zero when the sender does not say
	EndsAt       time.Time // zero when the sender does not say
	GeneratorURL string
}

// Alert completes and validates a draft as Parse does. When it is refused the
// alert has the labels that were read.
func (d Draft) Alert(now time.Time) (Alert, error) {
	now = now.UTC().Truncate(time.Millisecond)
	a := Alert{
		Labels:       labelSet(d.Labels),
		Annotations:  labelSet(d.Annotations),
		StartsAt:     meant(d.StartsAt),
		EndsAt:       meant(d.EndsAt),
		GeneratorURL: followable(d.GeneratorURL),
		UpdatedAt:    now,
	}
	a.complete(now)
	return a, a.validate()
}

// meant returns a time cut to milliseconds, and no time for any up to the
// Unix epoch: that is how the zero times of several languages are written.
func meant(at time.Time) time.Time {
	if at.UnixMilli() <= 0 {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Millisecond)
}

// ReadJSON reads a body that must be JSON, of at most limit bytes, UTF-8 and
// nested at most deepest deep. It does not parse it. The error is ErrTooLarge,
// ErrMalformed or that of reading (wrapped).
func ReadJSON(r io.Reader, limit int64, deepest int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read body: %w", err)
	case int64(len(body)) > limit:
		return nil, fmt.Errorf("read body: more than %d bytes: %w", limit, ErrTooLarge)
	case !utf8.Valid(body):
		return nil, fmt.Errorf("read body: not in UTF-8: %w", ErrMalformed)
	case depth(body) > deepest:
		return nil, fmt.Errorf("read body: nested deeper than %d: %w", deepest, ErrMalformed)
	}
	return body, nil
}
