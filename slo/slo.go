// Package slo holds service level objectives as Midwatch sees them, and reads
// them from the YAML that people write. It knows neither rules nor where they
// are evaluated.
package slo

import (
	"fmt"
	"math/big"
	"regexp"
	"time"

	"github.com/prometheus/common/model"
)

// APIVersion and Kind mark the files of the native format.
const (
	APIVersion = "midwatch.dev/v1"
	Kind       = "ServiceLevelObjective"
)

// SLO is one service level objective.
type SLO struct {
	Name        string // unique with Service
	Service     string
	Description string
	Labels      map[string]string // metadata.labels: for people and routing, not on series
	Critical    bool              // a core path: its fast tier is P1, else P2
	Objective   Decimal           // percent, above 0 and below 100
	Window      Window            // of the error budget
	GroupBy     []string          // labels with an error budget for each of their values, sorted
	Runbook     string            // URL, may be ""
	Logs        string            // LogQL stream selector, may be ""
	SLI         SLI
	File        string // as the caller named it
	Line        int    // of metadata.name, from 1
}

// SLI says what is counted.
type SLI struct {
	Events Events
}

// Events are PromQL vector selectors of counters. Exactly one of Errors and
// Good is set.
type Events struct {
	Errors, Good, Total string
}

// ID returns "service/name", unique over all SLOs of a Load.
func (s SLO) ID() string { return s.Service + "/" + s.Name }

// ErrorBudget returns the share of events that may fail, exactly: above 0 and
// below 1.
func (s SLO) ErrorBudget() *big.Rat {
	share := new(big.Rat).Quo(s.Objective.Rat(), big.NewRat(100, 1))
	return share.Sub(big.NewRat(1, 1), share)
}

// Decimal is a number exactly as its author wrote it. The zero Decimal is 0.
type Decimal struct {
	text  string
	value *big.Rat
}

var decimalPattern = regexp.MustCompile(`^[0-9]{1,6}(\.[0-9]{1,10})?$`)

// ParseDecimal reads digits with at most ten decimal places, such as 99.95.
func ParseDecimal(text string) (Decimal, error) {
	if !decimalPattern.MatchString(text) {
		return Decimal{}, fmt.Errorf("%q is not a decimal number with at most 10 decimal places", text)
	}
	value, ok := new(big.Rat).SetString(text)
	if !ok {
		return Decimal{}, fmt.Errorf("%q is not a number", text)
	}
	return Decimal{text: text, value: value}, nil
}

// String returns what the author wrote.
func (d Decimal) String() string {
	if d.value == nil {
		return "0"
	}
	return d.text
}

// Rat returns the exact value, for the caller to change.
func (d Decimal) Rat() *big.Rat {
	if d.value == nil {
		return new(big.Rat)
	}
	return new(big.Rat).Set(d.value)
}

// Float64 returns the nearest float.
func (d Decimal) Float64() float64 {
	f, _ := d.Rat().Float64()
	return f
}

// Window is the rolling time that an error budget is for, in whole days. The
// zero Window has no days.
type Window struct {
	days int
}

// The shortest and the longest window that can be compiled, in days.
const (
	minWindowDays = 1
	maxWindowDays = 90
)

const day = 24 * time.Hour

// ParseWindow reads a duration in Prometheus' notation, such as 30d or 4w: 1
// to 90 whole days.
func ParseWindow(text string) (Window, error) {
	d, err := model.ParseDuration(text)
	if err != nil {
		return Window{}, fmt.Errorf("%q is not a duration", text)
	}
	switch days := time.Duration(d) / day; {
	case time.Duration(d)%day != 0:
		return Window{}, fmt.Errorf("%s is not a whole number of days", text)
	case days < minWindowDays || days > maxWindowDays:
		return Window{}, fmt.Errorf("%s is not between %dd and %dd", text, minWindowDays, maxWindowDays)
	default:
		return Window{days: int(days)}, nil
	}
}

// String returns the window in days, such as "30d", also where it was written
// in weeks.
func (w Window) String() string { return fmt.Sprintf("%dd", w.days) }

// Days returns how many days the window has.
func (w Window) Days() int { return w.days }

// Duration returns the length of the window.
func (w Window) Duration() time.Duration { return time.Duration(w.days) * day }
