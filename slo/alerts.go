package slo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Limits of policies.
const (
	maxTiers       = 10
	maxSpent       = 10
	maxSpentShare  = 1000 // percent
	maxMinFailures = 1_000_000
	maxNoDataAfter = 7 * day
	maxFor         = day
)

// What a policy says that leaves it out.
const (
	defaultNoDataAfter = 10 * time.Minute
	defaultSeverity    = "P3" // of budget_spent and no_data
)

// severities are the levels, the least urgent first.
var severities = []string{"Info", "P3", "P2", "P1"}

const severityHint = "P1 (escalate at once), P2 (wake), P3 (the same day) or Info (the weekly review)"

// alerts checks what an SLO alerts on, and fills in what it leaves out.
func (c *checker) alerts() {
	var in AlertsText
	if c.in.Spec.Alerts != nil {
		in = *c.in.Spec.Alerts
	}
	c.tiers(in)
	c.budgetSpent(in.BudgetSpent)
	c.noData(in.NoData)
	c.lowTraffic(in.LowTraffic)
	c.out.Alerts.Page = c.extra("spec.alerts.page", in.Page)
	c.out.Alerts.Ticket = c.extra("spec.alerts.ticket", in.Ticket)
}

// tiers settles the tiers: those of a preset, or the SLO's own.
func (c *checker) tiers(in AlertsText) {
	p := &c.out.Alerts
	if in.Tiers != nil {
		if in.Preset != "" {
			c.add("spec.alerts.preset", "preset and tiers are both given", "keep one: tiers are instead of a preset's")
		}
		p.Tiers = c.ownTiers(in.Tiers)
	} else {
		p.Preset, p.Tiers = c.preset(in.Preset)
		c.presetCanFire(p.Preset, p.Tiers)
	}
	if in.Outage {
		p.Tiers = append(p.Tiers, OutageTier())
	}
	slices.SortStableFunc(p.Tiers, func(a, b Tier) int {
		return cmp.Or(cmp.Compare(a.Long, b.Long), cmp.Compare(a.Short, b.Short))
	})
}

// preset returns a preset and its tiers.
func (c *checker) preset(text string) (Preset, []Tier) {
	switch preset := Preset(text); preset {
	case "", PresetWorkbook:
		return PresetWorkbook, WorkbookTiers()
	case PresetScaled:
		if c.out.Window.Duration() < minScaled {
			if c.out.Window != (Window{}) {
				c.add("spec.alerts.preset", "the preset scaled has no tiers for a window under "+FormatDuration(minScaled), "tiers of your own")
			}
			return preset, nil
		}
		return preset, ScaledTiers(c.out.Window)
	case PresetNone:
		return preset, nil
	default:
		c.add("spec.alerts.preset", fmt.Sprintf("preset %q is not known", clip(text)), "workbook, scaled or none")
		return PresetWorkbook, nil
	}
}

// severity checks a level, which may be left out where there is another to
// stand for it.
func (c *checker) severity(field, text, otherwise string) string {
	switch {
	case text == "" && otherwise == "":
		c.missing(field, severityHint)
	case text == "":
		return otherwise
	case !slices.Contains(severities, text):
		c.add(field, fmt.Sprintf("severity %q is not known", clip(text)), severityHint)
		return otherwise
	}
	return text
}

// budgetSpent checks at which shares of the budget spent there is an alert.
func (c *checker) budgetSpent(in []BudgetSpentText) {
	const field = "spec.alerts.budget_spent"
	if len(in) > maxSpent {
		c.add(field, fmt.Sprintf("more than %d thresholds", maxSpent), "")
		return
	}
	var out []BudgetSpent
	for i, text := range in {
		at := fmt.Sprintf("%s.%d", field, i)
		spent := BudgetSpent{Severity: c.severity(at+".severity", text.Severity, defaultSeverity)}
		if text.Percent == "" {
			c.missing(at+".percent", "percent of the budget, such as 50")
			continue
		}
		if spent.Percent = c.decimal(at, text.Percent, maxSpentShare, "percent of the budget, such as 50"); spent.Percent.value == nil {
			continue
		}
		if slices.ContainsFunc(out, func(other BudgetSpent) bool { return other.Percent.value.Cmp(spent.Percent.value) == 0 }) {
			c.add(at, fmt.Sprintf("%s%% is given twice", text.Percent), "remove one")
		}
		out = append(out, spent)
	}
	slices.SortFunc(out, func(a, b BudgetSpent) int { return a.Percent.value.Cmp(b.Percent.value) })
	c.out.Alerts.BudgetSpent = out
}

// noData checks whether and when series that are gone are an alert.
func (c *checker) noData(in *NoDataText) {
	const field = "spec.alerts.no_data"
	if in == nil {
		return
	}
	out := &NoData{After: defaultNoDataAfter, Severity: c.severity(field+".severity", in.Severity, defaultSeverity)}
	if in.After != "" {
		out.After = c.duration(field+".after", in.After, time.Minute, time.Minute, maxNoDataAfter, "such as 10m")
	}
	c.out.Alerts.NoData = out
}

// lowTraffic checks what counts where there is little traffic.
func (c *checker) lowTraffic(in *LowTrafficText) {
	const field = "spec.alerts.low_traffic"
	p := &c.out.Alerts
	p.MinFailures, p.Confidence = DefaultMinFailures, DefaultConfidence()
	if in == nil {
		return
	}
	if in.MinFailures != nil {
		p.MinFailures = *in.MinFailures
		if p.MinFailures < 0 || p.MinFailures > maxMinFailures {
			c.add(field+".min_failures", fmt.Sprintf("not between 0 and %d", maxMinFailures), "how many events at least must have failed; 0 asks for none")
		}
	}
	if in.Confidence != "" {
		p.Confidence = c.confidence(field+".confidence", in.Confidence)
	}
}

// confidence reads a confidence in percent: 0, or at least 50 and below 100.
func (c *checker) confidence(field string, text Number) Decimal {
	const hint = "percent, at least 50 and at most 99.9999, such as 99.9; 0 does not ask whether failures are chance"
	d, err := ParseDecimal(string(text))
	if err != nil {
		c.add(field, fmt.Sprintf("%q is not a decimal number", clip(string(text))), hint)
		return Decimal{}
	}
	least, most := mustDecimal("50"), mustDecimal("99.9999")
	if d.value.Sign() != 0 && (d.value.Cmp(least.value) < 0 || d.value.Cmp(most.value) > 0) {
		c.add(field, fmt.Sprintf("%s is neither 0 nor between 50 and 99.9999", text), hint)
	}
	return d
}

// extra checks what some alerts carry besides.
func (c *checker) extra(field string, in *ExtraText) Extra {
	if in == nil {
		return Extra{}
	}
	c.labelSet(field+".labels", in.Labels)
	for _, name := range slices.Sorted(maps.Keys(in.Labels)) {
		if c.isOwnLabel(name) {
			c.add(field+".labels."+name, fmt.Sprintf("all alerts of this SLO have the label %q", clip(name)), "remove it here, or from what all alerts have")
		}
	}
	c.annotationSet(field+".annotations", in.Annotations)
	for _, name := range slices.Sorted(maps.Keys(in.Annotations)) {
		if _, twice := c.out.Annotations[name]; twice {
			c.add(field+".annotations."+name, fmt.Sprintf("all alerts of this SLO have the annotation %q", clip(name)), "remove it here, or from metadata.annotations")
		}
	}
	return Extra{Labels: in.Labels, Annotations: in.Annotations}
}
