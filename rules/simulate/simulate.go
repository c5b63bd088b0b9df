// Package simulate tells which alerts SLOs would have sent over a time that is
// past, which incidents they would have missed, and how their budgets would
// have stood. It judges what package replay evaluates; it neither reads files
// nor sends anything.
package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/slo"
)

// Config says what to simulate.
type Config struct {
	// SLOs are all that the rules are compiled of.
	SLOs []slo.SLO
	// Only says which SLOs are told of, by ID; nil: all.
	Only     func(id string) bool
	Options  rules.Options
	Source   replay.Source
	From, To time.Time
	// Spent is the share of the budget above which a time of errors is an
	// incident; 0.02 when it is not given.
	Spent float64
	// Incidents are those that there were. Nil: they are looked for.
	Incidents []Known
	Progress  func(replay.Progress)
	Span      time.Duration // as replay.Config has it
	Workers   int
}

// Known is an incident that somebody knows of.
type Known struct {
	Name     string
	SLO      string // ID; "" for all
	From, To time.Time
}

// Report is what a simulation tells.
type Report struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	SLOs     []SLO     `json:"slos"`
	Warnings []string  `json:"warnings"`
}

// SLO is what there is to tell of an SLO, or of one group of it.
type SLO struct {
	Service   string            `json:"service"`
	Name      string            `json:"slo"`
	Labels    map[string]string `json:"labels,omitempty"` // of the group
	Objective float64           `json:"objective"`        // percent
	Window    string            `json:"window"`
	// History is when what it counts begins; nil when nothing was counted.
	History *time.Time `json:"history,omitempty"`
	// Needed is since when there would have to be history for all windows to
	// be full at the beginning.
	Needed    time.Time  `json:"history_needed"`
	Alerts    []Alert    `json:"alerts"`
	Incidents []Incident `json:"incidents"`
	Budget    Budget     `json:"budget"`
	Excluded  []Span     `json:"excluded,omitempty"`
	Ratio     []Point    `json:"error_ratio"` // of each five minutes, 0 to 1
	Events    float64    `json:"events"`      // from From to To
	Errors    float64    `json:"errors"`
}

// ID returns "service/name".
func (s SLO) ID() string { return s.Service + "/" + s.Name }

// Short tells whether the windows are not full at the beginning.
func (s SLO) Short() bool {
	return s.History != nil && s.History.Sub(s.Needed) > 15*time.Minute
}

// Span is a time.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Point is a value at a time.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// Alert is a time in which an alert fires.
type Alert struct {
	Name     string     `json:"alert"`
	Severity string     `json:"severity"`
	Tier     string     `json:"tier,omitempty"`
	Percent  string     `json:"percent,omitempty"` // of the budget that is spent
	From     time.Time  `json:"from"`
	To       *time.Time `json:"to,omitempty"` // nil while it fires still
	// False tells of an alert about a burn that there was no incident within
	// its long window.
	False bool `json:"false"`
}

// Wakes tells whether somebody is woken.
func (a Alert) Wakes() bool { return a.Severity == "P1" || a.Severity == "P2" }

// end returns when it ends, or another time where it lasts.
func (a Alert) end(last time.Time) time.Time {
	if a.To == nil {
		return last
	}
	return *a.To
}

// Incident is a time in which too many events failed.
type Incident struct {
	Name string    `json:"name,omitempty"` // as it is known
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Spent is the share of the budget that it took, 1 for all of it, and
	// Worst the largest error ratio over five minutes.
	Spent float64 `json:"spent"`
	Worst float64 `json:"worst_ratio"`
	// First is the index of the first alert that fired in it; nil when none
	// did and it was missed. After is how long that took; 0 where it fired
	// already when the incident began.
	First *int         `json:"first_alert,omitempty"`
	After explain.Span `json:"after_seconds"`
	// Woken is the index of the first alert that wakes somebody.
	Woken *int `json:"first_page,omitempty"`
}

// Missed tells whether no alert fired during it.
func (i Incident) Missed() bool { return i.First == nil }

// Budget is what is left of a budget over time: 1 for all of it, below 0 when
// it is overspent.
type Budget struct {
	Begin  float64 `json:"begin"`
	End    float64 `json:"end"`
	Lowest Point   `json:"lowest"`
	Points []Point `json:"points"` // each ten minutes
}

func (c *Config) defaults() error {
	c.Spent = cmp.Or(c.Spent, 0.02)
	if c.Only == nil {
		c.Only = func(string) bool { return true }
	}
	if c.Progress == nil {
		c.Progress = func(replay.Progress) {}
	}
	switch {
	case !c.From.Before(c.To):
		return fmt.Errorf("it begins at %s, which is not before it ends at %s", c.From.Format(time.RFC3339), c.To.Format(time.RFC3339))
	case c.Spent <= 0:
		return errors.New("the share of the budget that makes an incident is not above 0")
	default:
		return nil
	}
}

// The series that a simulation looks at.
const (
	errorsSeries   = "slo:sli_errors:rate5m"
	totalSeries    = "slo:sli_total:rate5m"
	budgetSeries   = "slo:period_error_budget_remaining:ratio"
	excludedSeries = "slo:excluded:bool"
)

// Run simulates.
func Run(ctx context.Context, c Config) (Report, error) {
	if err := c.defaults(); err != nil {
		return Report{}, fmt.Errorf("simulate: %w", err)
	}
	set, err := rules.Compile(c.SLOs, c.Options)
	if err != nil {
		return Report{}, err
	}
	g := newGatherer(c)
	result, err := replay.Run(ctx, replay.Config{
		Groups: evaluated(set), Source: c.Source, From: c.From, To: c.To, Span: c.Span, Workers: c.Workers,
		Alerts: aboutSLOs,
		Wanted: func(name string) bool {
			return name == errorsSeries || name == totalSeries || name == budgetSeries || name == excludedSeries
		},
		Record: g.record,
		Progress: func(p replay.Progress) {
			g.settle()
			c.Progress(p)
		},
	})
	if err != nil {
		return Report{}, err
	}
	return g.report(result), nil
}

// evaluated returns the groups that a Prometheus evaluates: not those of
// Loki's ruler.
func evaluated(set rules.Set) (groups []rulefmt.RuleGroup) {
	for _, f := range set.Files {
		if !strings.HasPrefix(f.Name, "loki/") {
			groups = append(groups, f.Groups...)
		}
	}
	return groups
}

// aboutSLOs tells alerts about SLOs from those about the rules themselves.
func aboutSLOs(r rulefmt.Rule) bool {
	return !slices.Contains([]string{"Watchdog", "SLOParametersMissing", "SLORuleEvaluationFailing"}, r.Alert)
}

// alertOf returns a firing as an alert.
func alertOf(f replay.Firing) Alert {
	a := Alert{
		Name: f.Labels.Get(model.AlertNameLabel), Severity: f.Labels.Get("severity"),
		Tier: f.Labels.Get("tier"), Percent: f.Labels.Get("percent"), From: f.From,
	}
	if !f.To.IsZero() {
		a.To = &f.To
	}
	return a
}

// about tells whether an alert is about the SLO, and the group, of a series.
func about(alert, series labels.Labels) bool {
	same := alert.Get("scope") == series.Get("scope")
	series.Range(func(l labels.Label) {
		same = same && (l.Name == model.MetricNameLabel || alert.Get(l.Name) == l.Value)
	})
	return same
}
