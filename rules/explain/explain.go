// Package explain says what an SLO means in numbers: what is counted, what
// its error budget is, and what would page after how long at which error
// rate. It reckons from the SLO and the rules that package rules makes of it;
// it evaluates none. What the clusters say now, it asks of whom it is given.
package explain

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// Options say how the rules will be evaluated, and when it is asked.
type Options struct {
	Pace
	Now time.Time // for calendar windows and exclusions; required
}

// Explanation is everything about one SLO.
type Explanation struct {
	Service     string        `json:"service"`
	Name        string        `json:"slo"`
	Description string        `json:"description,omitempty"`
	Place       string        `json:"place"` // file:line
	Critical    bool          `json:"critical"`
	Kind        string        `json:"kind"` // of its SLI, such as events or latency
	Counts      []Counted     `json:"counts"`
	GroupBy     []string      `json:"group_by,omitempty"`
	Scope       string        `json:"scope"`
	CountsTime  bool          `json:"counts_time"` // a second is an event
	Components  []Component   `json:"components,omitempty"`
	Records     []Record      `json:"records"`
	Objective   string        `json:"objective_percent"`
	Budget      Budget        `json:"error_budget"`
	Calendar    *Unit         `json:"calendar,omitempty"`
	Exclusions  []Exclusion   `json:"exclusions,omitempty"`
	LowTraffic  *LowTraffic   `json:"low_traffic,omitempty"`
	Tiers       []Tier        `json:"tiers"`
	BudgetSpent []BudgetSpent `json:"budget_spent,omitempty"`
	NoData      *NoData       `json:"no_data,omitempty"`
	Outcomes    []Outcome     `json:"outcomes"`
	Pace        PaceOf        `json:"pace"`
	Current     *Current      `json:"current,omitempty"`
}

// Counted is one side of what is counted, as it is written.
type Counted struct {
	What string `json:"what"`
	Expr string `json:"expr"`
}

// Record is one recorded series of the SLO and its formula.
type Record struct {
	Name  string `json:"record"`
	Expr  string `json:"expr"`
	Every Span   `json:"every_seconds"`
}

// Component is a part of a composite.
type Component struct {
	SLO    string `json:"slo"`
	Weight string `json:"weight"`
	Share  string `json:"share_percent"` // of the error ratio when all of it fails
	Known  bool   `json:"known"`         // its SLO is among those that were read
}

// Budget is the share of events that may fail, in every way of saying it.
type Budget struct {
	Share   string   `json:"share"`   // exactly, such as 0.001
	Percent string   `json:"percent"` // the same, such as 0.1
	Window  string   `json:"window"`  // such as 30d or month
	Length  Span     `json:"window_seconds"`
	Outage  Span     `json:"outage_seconds"`   // of a total outage that spends it
	Events  *float64 `json:"events,omitempty"` // that may fail per window, when traffic is known
}

// Unit is a calendar's unit that holds the instant of asking.
type Unit struct {
	Unit string    `json:"unit"`
	Zone string    `json:"timezone"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// LowTraffic says what counts where there is little traffic.
type LowTraffic struct {
	MinFailures int     `json:"min_failures"`
	Confidence  string  `json:"confidence_percent"`
	Z           float64 `json:"z"`
}

// Tier is one pair of windows.
type Tier struct {
	Tier           string   `json:"tier"`
	Severity       string   `json:"severity"`
	Long           Span     `json:"long_seconds"`
	Short          Span     `json:"short_seconds"`
	BurnRate       string   `json:"burn_rate,omitempty"` // none for a total outage
	Threshold      string   `json:"threshold"`
	ThresholdShort string   `json:"threshold_short"`
	BudgetSpent    string   `json:"budget_spent_percent,omitempty"` // when it fires after the whole of its long window
	For            Span     `json:"for_seconds"`
	Every          Span     `json:"evaluated_every_seconds"`
	FewestEvents   float64  `json:"fewest_events"`           // in its long window, so that it can fire at all
	ChanceBelow    *float64 `json:"chance_below,omitempty"`  // events in its long window; none: always
	ChanceRate     *float64 `json:"chance_below_per_second"` // the same as events a second
}

// BudgetSpent alerts at a share of the budget.
type BudgetSpent struct {
	Percent  string `json:"percent"`
	Severity string `json:"severity"`
	Outage   Span   `json:"outage_seconds"` // of a total outage that spends so much
}

// NoData alerts when what is counted is gone.
type NoData struct {
	After    Span   `json:"after_seconds"`
	Severity string `json:"severity"`
}

// PaceOf is the Pace that outcomes are reckoned with.
type PaceOf struct {
	Scrape   Span    `json:"scrape_seconds"`
	Interval Span    `json:"interval_seconds"`
	Traffic  float64 `json:"traffic_per_second,omitempty"`
}

// Of explains an SLO. all are the SLOs that were read with it, among them
// those that it may be composed of. It fails where the SLO cannot be
// compiled.
func Of(s slo.SLO, all []slo.SLO, o Options) (Explanation, error) {
	o.defaults()
	e := Explanation{
		Service: s.Service, Name: s.Name, Description: s.Description, Place: fmt.Sprintf("%s:%d", s.File, s.Line),
		Critical: s.Critical, CountsTime: TimeBased(s), GroupBy: s.GroupBy, Scope: string(s.Scope), Objective: s.Objective.String(),
		Pace: PaceOf{Scrape: Span(o.Scrape), Interval: Span(o.Interval), Traffic: o.Traffic},
	}
	if e.Scope == "" {
		e.Scope = string(slo.ScopeCluster)
	}
	e.Kind, e.Counts = counted(s.SLI)
	e.Components = components(s, all)
	var err error
	if e.Records, err = records(s, all, o); err != nil {
		return e, err
	}
	e.Budget = budget(s, o.Traffic)
	e.Calendar = unit(s.Window, o.Now)
	if e.Exclusions, err = exclusions(s.Exclusions, o.Now); err != nil {
		return e, fmt.Errorf("explain %s: %w", s.ID(), err)
	}
	e.policy(s, o)
	for _, ratio := range Ratios(s) {
		e.Outcomes = append(e.Outcomes, At(s, ratio, o.Pace))
	}
	return e, nil
}

// counted returns the kind of an SLI and its sides as they are written.
func counted(sli slo.SLI) (kind string, sides []Counted) {
	add := func(what, expr string) {
		if expr != "" {
			sides = append(sides, Counted{What: what, Expr: expr})
		}
	}
	switch {
	case sli.Events != nil:
		kind = "events"
		add("errors", sli.Events.Errors)
		add("good", sli.Events.Good)
		add("total", sli.Events.Total)
	case sli.Latency != nil:
		kind = "latency"
		histogram := "classic"
		if sli.Latency.Native {
			histogram = "native"
		}
		add(histogram+" histogram", sli.Latency.Histogram)
		add("good", fmt.Sprintf("what takes no longer than %s", sli.Latency.Threshold))
	case sli.Gauge != nil:
		kind = "gauge"
		add("gauge", sli.Gauge.Expr)
		add("good", strings.TrimSpace("each scrape that is "+gaugeTest(*sli.Gauge)))
	case sli.PromQL != nil:
		kind = "promql"
		add("errors", sli.PromQL.Errors)
		add("good", sli.PromQL.Good)
		add("total", sli.PromQL.Total)
	case sli.Ratio != nil:
		kind = "ratio"
		add("errors", sli.Ratio.Errors)
		add("good", sli.Ratio.Good)
		add("total", sli.Ratio.Total)
	case sli.Logs != nil:
		kind = "logs"
		add("errors", sli.Logs.Errors)
		add("good", sli.Logs.Good)
		add("total", sli.Logs.Total)
	case len(sli.Composite) > 0:
		kind = "composite"
	}
	return kind, sides
}

func gaugeTest(g slo.Gauge) string {
	if g.Op == "" {
		return "1"
	}
	return g.Op + " " + g.Threshold
}

func components(s slo.SLO, all []slo.SLO) (out []Component) {
	sum := new(big.Rat)
	for _, c := range s.SLI.Composite {
		sum.Add(sum, c.Weight.Rat())
	}
	for _, c := range s.SLI.Composite {
		id := c.Service + "/" + c.Name
		part := Component{SLO: id, Weight: c.Weight.String(), Known: slices.ContainsFunc(all, func(o slo.SLO) bool { return o.ID() == id })}
		if sum.Sign() > 0 {
			part.Share = strings.TrimSuffix(Percent(new(big.Rat).Quo(c.Weight.Rat(), sum)), "%")
		}
		out = append(out, part)
	}
	return out
}

// records returns the recorded event series of an SLO with their formulas.
func records(s slo.SLO, all []slo.SLO, o Options) ([]Record, error) {
	with := []slo.SLO{s}
	for _, c := range s.SLI.Composite {
		i := slices.IndexFunc(all, func(other slo.SLO) bool { return other.ID() == c.Service+"/"+c.Name })
		if i >= 0 && !slices.ContainsFunc(with, func(w slo.SLO) bool { return w.ID() == all[i].ID() }) {
			with = append(with, all[i])
		}
	}
	set, err := rules.Compile(with, rules.Options{Interval: o.Interval, ScrapeInterval: o.Scrape})
	if err != nil {
		return nil, err
	}
	var out []Record
	for _, g := range set.Groups() {
		for _, r := range g.Rules {
			if r.Record != "" && r.Labels["slo"] == s.Name && r.Labels["service"] == s.Service && r.Record != "slo:parameter:value" {
				out = append(out, Record{Name: r.Record, Expr: r.Expr, Every: Span(g.Interval)})
			}
		}
	}
	return out, nil
}

// shares returns the error ratios of a composite of which one component fails.
func shares(s slo.SLO) (out []float64) {
	sum := new(big.Rat)
	for _, c := range s.SLI.Composite {
		sum.Add(sum, c.Weight.Rat())
	}
	for _, c := range s.SLI.Composite {
		out = append(out, float(new(big.Rat).Quo(c.Weight.Rat(), sum)))
	}
	return out
}

func budget(s slo.SLO, traffic float64) Budget {
	share := s.ErrorBudget()
	b := Budget{
		Share: Decimal(share), Percent: strings.TrimSuffix(Percent(share), "%"), Window: s.Window.String(), Length: Span(s.Window.Duration()),
		Outage: Span(float(share) * float64(s.Window.Duration())),
	}
	if traffic > 0 {
		events := traffic * s.Window.Duration().Seconds() * float(share)
		b.Events = &events
	}
	return b
}

func unit(w slo.Window, now time.Time) *Unit {
	calendar, zone := w.Calendar()
	if calendar == "" {
		return nil
	}
	from, to := w.Bounds(now)
	return &Unit{Unit: string(calendar), Zone: zone.String(), From: from, To: to}
}

// policy explains what alerts.
func (e *Explanation) policy(s slo.SLO, o Options) {
	p := s.Alerts
	if m, z := conditions(p); m > 0 || z > 0 {
		e.LowTraffic = &LowTraffic{MinFailures: p.MinFailures, Confidence: p.Confidence.String(), Z: z}
	}
	e.Tiers = []Tier{}
	for _, t := range p.Tiers {
		e.Tiers = append(e.Tiers, tier(s, t, o.Pace))
	}
	for _, b := range p.BudgetSpent {
		part := new(big.Rat).Quo(b.Percent.Rat(), big.NewRat(100, 1))
		outage := part.Mul(part, s.ErrorBudget())
		e.BudgetSpent = append(e.BudgetSpent, BudgetSpent{
			Percent: b.Percent.String(), Severity: b.Severity,
			Outage: Span(float(outage) * float64(s.Window.Duration())),
		})
	}
	if p.NoData != nil {
		e.NoData = &NoData{After: Span(p.NoData.After), Severity: p.NoData.Severity}
	}
}

func tier(s slo.SLO, t slo.Tier, p Pace) Tier {
	long, short := t.Thresholds(s)
	out := Tier{
		Tier: t.Name, Severity: t.SeverityOf(s), Long: Span(t.Long), Short: Span(t.Short),
		Threshold: Decimal(long), ThresholdShort: Decimal(short), For: Span(t.For), Every: Span(Every(s, t, p)),
		FewestEvents: FewestEvents(s, t),
	}
	if !t.Outage && t.Factor != nil {
		out.BurnRate = Decimal(t.Factor)
		out.BudgetSpent = strings.TrimSuffix(Percent(t.Share(s.Window)), "%")
	}
	if below := ChanceDecides(s, t); !math.IsInf(below, 1) {
		rate := below / t.Long.Seconds()
		out.ChanceBelow, out.ChanceRate = &below, &rate
	}
	return out
}

// Ratios returns the error ratios worth a look for an SLO, from 1 down to its
// error budget: round ones, the thresholds of its tiers, and those of a
// composite of which one component fails.
func Ratios(s slo.SLO) []float64 {
	least := float(s.ErrorBudget())
	ratios := append([]float64{least}, shares(s)...)
	for _, t := range s.Alerts.Tiers {
		long, short := thresholds(s, t)
		ratios = append(ratios, long, short)
		least = min(least, long, short)
	}
	for decade := int64(1); ; decade *= 10 {
		var last float64
		for _, of := range []int64{1, 2, 5} {
			last = float(big.NewRat(1, of*decade)) // 1, 0.5, 0.2, 0.1 …
			if last >= least {
				ratios = append(ratios, last)
			}
		}
		if last < least || decade > 1e12 {
			break
		}
	}
	ratios = slices.DeleteFunc(ratios, func(r float64) bool { return r > 1 })
	slices.Sort(ratios)
	ratios = slices.CompactFunc(ratios, func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*a })
	slices.Reverse(ratios)
	return ratios
}
