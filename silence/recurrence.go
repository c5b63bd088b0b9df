package silence

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/robfig/cron/v3"
)

// Bounds of a recurrence.
const (
	MinDuration = time.Minute
	MaxDuration = 31 * 24 * time.Hour
	maxCron     = 256 // bytes
	maxTimezone = 64  // bytes
)

// Recurrence is when, between its start and its end, a silence silences:
// from each time of a cron specification on, for a while. Compile makes it
// quick to ask.
type Recurrence struct {
	Cron     string        // five fields: minute, hour, day of month, month, weekday
	Duration time.Duration // of each span; a minute to 31 days, not shortened by a change of the clock
	Timezone string        // IANA name; "" is UTC

	compiled *spans
}

// recurrenceJSON is a recurrence in JSON, with a duration as people write it.
type recurrenceJSON struct {
	Cron     string `json:"cron"`
	Duration string `json:"duration"` // such as 2h or 1d12h
	Timezone string `json:"timezone,omitempty"`
}

// MarshalJSON writes the duration as Prometheus does: 2h, 1d12h.
func (r Recurrence) MarshalJSON() ([]byte, error) {
	return json.Marshal(recurrenceJSON{r.Cron, model.Duration(r.Duration).String(), r.Timezone})
}

// UnmarshalJSON reads a recurrence and compiles it. One that is not valid is
// read all the same: Validate says what is wrong with it.
func (r *Recurrence) UnmarshalJSON(b []byte) error {
	var j recurrenceJSON
	if err := unmarshalStrict(b, &j); err != nil {
		return err
	}
	d, err := model.ParseDuration(j.Duration)
	if err != nil {
		return fmt.Errorf("the duration %q is none, such as 2h or 30m", shorten(j.Duration))
	}
	*r = Recurrence{Cron: j.Cron, Duration: time.Duration(d), Timezone: j.Timezone}
	r.compiled, _ = r.compile() // an error is Validate's to tell
	return nil
}

// Validate says what is wrong with a recurrence.
func (r Recurrence) Validate() error {
	_, err := r.compile()
	return err
}

// Compile reads the specification once, so that asking a silence of it reads
// it no more. Its error is that of Validate.
func (r *Recurrence) Compile() (err error) {
	r.compiled, err = r.compile()
	return err
}

func (r Recurrence) compile() (*spans, error) {
	if r.Duration < MinDuration || r.Duration > MaxDuration {
		return nil, fmt.Errorf("each span takes %s: from a minute to 31 days are allowed", r.Duration)
	}
	loc, err := location(r.Timezone)
	if err != nil {
		return nil, err
	}
	spec, err := parseCron(r.Cron)
	if err != nil {
		return nil, err
	}
	return &spans{spec: spec, duration: r.Duration, loc: loc}, nil
}

func location(name string) (*time.Location, error) {
	if len(name) > maxTimezone || name == "Local" {
		return nil, fmt.Errorf("time zone %q is unknown", shorten(name))
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is unknown", shorten(name))
	}
	return loc, nil
}

// parseCron reads five fields. The specification's own zone is UTC: it is
// asked of readings of a clock, never of instants.
func parseCron(text string) (*cron.SpecSchedule, error) {
	if len(text) > maxCron || len(strings.Fields(text)) != 5 || strings.Contains(text, "TZ=") || strings.HasPrefix(text, "@") {
		return nil, errors.New("the recurrence must be five fields of cron: minute, hour, day of month, month, weekday")
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("the recurrence is no cron specification: %w", err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, errors.New("the recurrence is no cron specification of days and times")
	}
	spec.Location = time.UTC
	if following(spec, time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("the recurrence %q never comes", shorten(text))
	}
	return spec, nil
}

// covers tells whether an instant is in a span, and until when it surely
// lasts; see spans.cover. A recurrence that is not valid covers nothing.
func (r Recurrence) covers(at time.Time) (until time.Time, ok bool) {
	s := r.compiled
	if s == nil {
		var err error
		if s, err = r.compile(); err != nil {
			return time.Time{}, false
		}
	}
	return s.cover(at)
}
