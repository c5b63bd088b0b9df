package silence

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Recurrence is when, between its start and its end, a silence silences:
// from each time of a cron specification on, for a while.
type Recurrence struct {
	Cron     string        `json:"cron"`     // five fields: minute, hour, day of month, month, weekday
	Duration time.Duration `json:"duration"` // of each span; a minute to 31 days
	Timezone string        `json:"timezone"` // IANA name; "" is UTC
}

// Validate says what is wrong with a recurrence.
func (r Recurrence) Validate() error {
	if r.Duration < time.Minute || r.Duration > 31*24*time.Hour {
		return fmt.Errorf("each span takes %s: from a minute to 31 days are allowed", r.Duration)
	}
	if _, _, err := r.parse(); err != nil {
		return err
	}
	return nil
}

func (r Recurrence) parse() (*cron.SpecSchedule, *time.Location, error) {
	loc, err := time.LoadLocation(r.Timezone)
	if err != nil || r.Timezone == "Local" {
		return nil, nil, fmt.Errorf("time zone %q is unknown", r.Timezone)
	}
	if strings.HasPrefix(r.Cron, "TZ=") || strings.HasPrefix(r.Cron, "CRON_TZ=") || strings.HasPrefix(r.Cron, "@every") {
		return nil, nil, errors.New("the recurrence must be five fields of cron: minute, hour, day of month, month, weekday")
	}
	parsed, err := cron.ParseStandard(r.Cron)
	if err != nil {
		return nil, nil, fmt.Errorf("the recurrence is no cron specification: %w", err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, nil, errors.New("the recurrence is no cron specification of days and times")
	}
	spec.Location = time.UTC
	return spec, loc, nil
}

// covers tells whether an instant is in a span, and when that span ends;
// spans that overlap are one. Times of day are readings of the zone's clock:
// a reading that daylight saving skips begins when the clock has jumped.
func (r Recurrence) covers(at time.Time) (until time.Time, ok bool) {
	spec, loc, err := r.parse()
	if err != nil {
		return time.Time{}, false
	}
	// Readings are compared as if they were UTC, a day further back than the
	// span is long: no change of a clock is larger.
	reading := asRead(at.Add(-r.Duration-24*time.Hour), loc)
	for range maxSpans {
		reading = spec.Next(reading)
		if reading.IsZero() {
			break
		}
		begin := time.Date(reading.Year(), reading.Month(), reading.Day(), reading.Hour(), reading.Minute(), 0, 0, loc)
		limit := at
		if ok {
			limit = until
		}
		if begin.After(limit) {
			if reading.Sub(asRead(limit, loc)) > 24*time.Hour || !begin.Before(limit.Add(24*time.Hour)) {
				break
			}
			continue
		}
		if end := begin.Add(r.Duration); end.After(at) && (!ok || end.After(until)) {
			until, ok = end, true
		}
	}
	return until, ok
}

// maxSpans bounds how many spans are looked at: a span may begin each minute
// and last 31 days, and then it never ends.
const maxSpans = 60 * 24 * 40

// asRead returns what the zone's clock shows at an instant, as a time in UTC.
func asRead(at time.Time, loc *time.Location) time.Time {
	l := at.In(loc)
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), 0, time.UTC)
}
