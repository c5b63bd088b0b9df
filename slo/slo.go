// Package slo holds service level objectives as Midwatch sees them, and reads
// them from the YAML that people write. It knows neither rules nor where they
// are evaluated.
package slo

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
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
	Owner, Team string            // who answers for it; labels of its alerts where they are set
	Links       []Link            // for the page and the dashboards
	Labels      map[string]string // metadata.labels: on its alerts, not on event series
	Annotations map[string]string // metadata.annotations: on its alerts
	Critical    bool              // a core path: its fast tier is P1, else P2
	Objective   Decimal           // percent, above 0 and below 100
	Window      Window            // of the error budget
	GroupBy     []string          // labels with an error budget for each of their values, sorted
	Scope       Scope             // ScopeCluster when it is not given
	Runbook     string            // URL, may be ""
	Logs        string            // LogQL stream selector, may be ""
	SLI         SLI
	Slices      *Slices // nil: the budget counts events
	Exclusions  []Exclusion
	Alerts      Policy
	File        string // as the caller named it
	Line        int    // of metadata.name, from 1
}

// Link is a page that helps who is paged.
type Link struct {
	Title string `yaml:"title"`
	URL   string `yaml:"url"`
}

// Scope says over what an SLO has its budget.
type Scope string

// The scopes: each cluster for itself, all clusters together, or both.
const (
	ScopeCluster Scope = "cluster"
	ScopeFleet   Scope = "fleet"
	ScopeBoth    Scope = "both"
)

// Slices count time instead of events: a slice of time is good or bad as a
// whole (OpenSLO's budgeting method Timeslices), or counts with its ratio
// (RatioTimeslices).
type Slices struct {
	Length time.Duration // of a slice: whole minutes, 1m to 1h
	// Target is the share of good events, in percent, from which on a slice is
	// good. Zero: each slice counts with its own error ratio.
	Target Decimal
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

// ParseDecimal reads digits with at most ten decimal places, such as 99.95.
func ParseDecimal(text string) (Decimal, error) {
	whole, fraction, hasPoint := strings.Cut(text, ".")
	if len(whole) < 1 || len(whole) > 6 || !digits(whole) || len(fraction) > 10 || !digits(fraction) || hasPoint && fraction == "" {
		return Decimal{}, fmt.Errorf("%q is not a decimal number with at most 10 decimal places", text)
	}
	var number, scale int64 = 0, 1 // at most 16 digits
	for _, digit := range whole + fraction {
		number = 10*number + int64(digit-'0')
	}
	for range fraction {
		scale *= 10
	}
	return Decimal{text: text, value: big.NewRat(number, scale)}, nil
}

func digits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
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

// approximate returns the value with the precision of a float, more cheaply
// than Float64.
func (d Decimal) approximate() float64 {
	f, err := strconv.ParseFloat(d.text, 64)
	if err != nil {
		return 0 // of the zero Decimal
	}
	return f
}

func mustDecimal(text string) Decimal {
	d, err := ParseDecimal(text)
	if err != nil {
		panic(err) // a constant of this package
	}
	return d
}
