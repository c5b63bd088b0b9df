package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/midwatch-slo/midwatch/slo"
)

// Period is a time from an instant until another, which is no part of it.
type Period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Exclusion is a time that does not count.
type Exclusion struct {
	Name string   `json:"name"`
	When string   `json:"when"` // as it is written
	Now  bool     `json:"now"`
	Next []Period `json:"next"` // up to three that end after now
}

// upcoming is how many of an exclusion's periods are told.
const upcoming = 3

func exclusions(given []slo.Exclusion, now time.Time) (out []Exclusion, err error) {
	for _, x := range given {
		next, err := Periods(x, now, upcoming)
		if err != nil {
			return nil, err
		}
		out = append(out, Exclusion{
			Name: x.Name, When: written(x), Next: next,
			Now: slices.ContainsFunc(next, func(p Period) bool { return !p.From.After(now) && p.To.After(now) }),
		})
	}
	return out, nil
}

func written(x slo.Exclusion) string {
	if x.Cron == "" {
		return "once"
	}
	return fmt.Sprintf("%s (%s) for %s", x.Cron, zone(x), length(x.Duration))
}

func zone(x slo.Exclusion) *time.Location {
	if x.Zone == nil {
		return time.UTC
	}
	return x.Zone
}

// Periods returns the first n periods of an exclusion that end after an
// instant. A cron expression that never comes has none.
func Periods(x slo.Exclusion, after time.Time, n int) ([]Period, error) {
	if x.Cron == "" {
		if !x.To.After(after) {
			return nil, nil
		}
		return []Period{{From: x.From, To: x.To}}, nil
	}
	schedule, err := cron.ParseStandard(x.Cron)
	if err != nil {
		return nil, fmt.Errorf("exclusion %q: %w", x.Name, err)
	}
	var out []Period
	for at := after.Add(-x.Duration).In(zone(x)); len(out) < n; {
		at = schedule.Next(at)
		if at.IsZero() { // not in the next five years
			return out, nil
		}
		out = append(out, Period{From: at, To: at.Add(x.Duration)})
	}
	return out, nil
}
