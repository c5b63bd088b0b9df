package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// fixed adds the rules that compute every SLO at once.
func (c *compiler) fixed(slos []slo.SLO) {
	f := c.file(prefix + "windows.yaml")
	f.Groups = append(f.Groups, c.fast(), c.slow())
	var periods []int
	for _, s := range slos {
		periods = append(periods, int(s.Window.Duration()/day))
	}
	slices.Sort(periods)
	periods = slices.Compact(periods)
	for _, days := range periods {
		if !isTierWindow(c.o, period(days).length) {
			f.Groups = append(f.Groups, c.period(days))
		}
	}
	f.Groups = append(f.Groups, c.budgets(periods), c.health())
}

// fast returns the windows of the tiers that page, their ratios and alerts,
// in one group so that the alerts see windows of the same evaluation.
func (c *compiler) fast() rulefmt.RuleGroup {
	var rules []rulefmt.Rule
	for _, w := range fastWindows(c.o) {
		rules = append(rules, c.window(w)...)
	}
	rules = append(rules, c.alertsWithin(6*hour)...)
	rules = append(rules, c.ratio(edge))
	for _, w := range fastWindows(c.o) {
		rules = append(rules, c.ratio(w.length))
	}
	rules = append(rules, c.record("slo:current_burn_rate:ratio", onIdentity(parser.DIV, ratio(edge), parameter(parameterBudget)), nil))
	return group("windows", c.o.Interval, rules...)
}

// slow returns the windows of the tiers that wake nobody.
func (c *compiler) slow() rulefmt.RuleGroup {
	var rules []rulefmt.Rule
	for _, w := range slowWindows(c.o) {
		rules = append(rules, c.window(w)...)
	}
	for _, w := range slowWindows(c.o) {
		rules = append(rules, c.ratio(w.length))
	}
	return group("windows-slow", slow, append(rules, c.alertsBeyond(6*hour)...)...)
}

// ratio returns the rule of the error ratio over a recorded window.
func (c *compiler) ratio(d time.Duration) rulefmt.Rule {
	return c.record("slo:sli_error:ratio_rate"+span(d), ratio(d), nil)
}

// ratio returns errors over total, 0 where there is no traffic.
func ratio(d time.Duration) parser.Expr {
	total := all(metric(totalSide, d))
	return either(busyRatio(d), equals(total, num(0)))
}

// busyRatio returns errors over total where there is traffic.
func busyRatio(d time.Duration) parser.Expr {
	return div(all(metric(errorsSide, d)), above(all(metric(totalSide, d)), num(0)))
}

// period returns the group of the SLOs whose budget is for that many days.
func (c *compiler) period(days int) rulefmt.RuleGroup {
	w := period(days)
	return group("period-"+span(w.length), slow,
		c.record(metric(errorsSide, w.length), onIdentity(parser.LAND, c.tiled(errorsSide, w), lasting(days)), nil),
		c.record(metric(totalSide, w.length), onIdentity(parser.LAND, c.tiled(totalSide, w), lasting(days)), nil),
		c.ratio(w.length))
}

// lasting returns the SLOs whose budget is for that many days.
func lasting(days int) parser.Expr {
	return equals(parameter(parameterPeriod), num(float64(days)))
}

// budgets returns what was promised and what is left of it, under the names
// that dashboards read.
func (c *compiler) budgets(periods []int) rulefmt.RuleGroup {
	rules := []rulefmt.Rule{
		c.record("slo:objective:ratio", parameter(parameterObjective), nil),
		c.record("slo:error_budget:ratio", parameter(parameterBudget), nil),
		c.record("slo:time_period:days", parameter(parameterPeriod), nil),
	}
	var burns []parser.Expr
	for _, days := range periods {
		budget := onIdentity(parser.LAND, parameter(parameterBudget), lasting(days))
		burns = append(burns, onIdentity(parser.DIV, ratio(period(days).length), budget))
	}
	if len(burns) > 0 {
		burn := chain(parser.LOR, burns...)
		rules = append(rules,
			c.record("slo:period_burn_rate:ratio", burn, nil),
			c.record("slo:period_error_budget_remaining:ratio", sub(num(1), burn), nil))
	}
	return group("budgets", slow, rules...)
}

// isTierWindow says whether every SLO's events are recorded over d anyway.
func isTierWindow(o Options, d time.Duration) bool {
	return slices.ContainsFunc(slowWindows(o), func(w window) bool { return w.length == d })
}

// alertsWithin returns the alerts of the tiers whose long window is at most
// d, alertsBeyond those of the others.
func (c *compiler) alertsWithin(d time.Duration) []rulefmt.Rule {
	return c.alerts(func(t slo.Tier) bool { return t.Long <= d })
}

func (c *compiler) alertsBeyond(d time.Duration) []rulefmt.Rule {
	return c.alerts(func(t slo.Tier) bool { return t.Long > d })
}

func (c *compiler) alerts(want func(slo.Tier) bool) []rulefmt.Rule {
	var rules []rulefmt.Rule
	for _, t := range slo.WorkbookTiers() {
		if !want(t) {
			continue
		}
		rules = append(rules, c.alert(t, t.Critical))
		if t.Severity != t.Critical {
			rules = append(rules, c.alert(t, t.Severity))
		}
	}
	return rules
}

// alert returns the rule of a tier at one severity, for all SLOs that have
// the tier at that severity.
func (c *compiler) alert(t slo.Tier, severity string) rulefmt.Rule {
	exceeds := func(d time.Duration) parser.Expr {
		return onIdentity(parser.GTR, busyRatio(d), threshold(t.Name, severity))
	}
	factor := exact(t.Factor)
	return rulefmt.Rule{
		Alert:  "SLOErrorBudgetBurn",
		Expr:   c.print("SLOErrorBudgetBurn "+t.Name, both(exceeds(t.Long), exceeds(t.Short))),
		Labels: map[string]string{"severity": severity, "tier": t.Name},
		Annotations: map[string]string{
			"summary":     fmt.Sprintf("{{ $labels.service }} burns the error budget of {{ $labels.slo }}: {{ $value | humanizePercentage }} of events failed over %s", span(t.Long)),
			"description": fmt.Sprintf("Over %s and over %s, the error budget burns more than %g times as fast as the objective allows.", span(t.Long), span(t.Short), factor),
		},
	}
}

// health returns the alerts about the rules themselves.
func (c *compiler) health() rulefmt.RuleGroup {
	const patience = 5 * time.Minute
	missing := onIdentity(parser.LUNLESS, maxBy(identity(), all(metric(totalSide, edge))), parameter(parameterBudget))
	failures := series("prometheus_rule_evaluation_failures_total",
		labels.MustNewMatcher(labels.MatchRegexp, "rule_group", ".*;"+prefix+".+"))
	failing := above(sumBy([]string{"rule_group"}, call("increase", over(failures, patience))), num(0))
	return group("health", time.Minute,
		c.healthAlert("SLOParametersMissing", missing, patience,
			"{{ $labels.service }}: {{ $labels.slo }} is recorded but cannot alert",
			"Its events are recorded, but its objective and thresholds are not: no burn of its error budget will be noticed. Compile and load its rules again."),
		c.healthAlert("SLORuleEvaluationFailing", failing, patience,
			"SLO rules fail: {{ $labels.rule_group }}",
			"Rules of this group have failed for five minutes: burns of error budgets may go unnoticed. The log of Prometheus names the rule and the reason."),
		c.watchdog())
}

// watchdog returns the alert that always fires: that it keeps coming shows
// that this Prometheus evaluates rules and reaches Midwatch, and its absence
// pages. It has the name that the field gives such alerts.
func (c *compiler) watchdog() rulefmt.Rule {
	return rulefmt.Rule{
		Alert: "Watchdog", Expr: c.print("Watchdog", call("vector", num(1))),
		Labels: map[string]string{"severity": "Info"},
		Annotations: map[string]string{
			"summary":     "This cluster can alert.",
			"description": "Always fires: where it stops coming, rules are not evaluated or alerts do not arrive.",
		},
	}
}

// healthAlert returns an alert at P2 about the rules themselves.
func (c *compiler) healthAlert(name string, e parser.Expr, patience time.Duration, summary, description string) rulefmt.Rule {
	return rulefmt.Rule{
		Alert: name, Expr: c.print(name, e), For: model.Duration(patience),
		Labels:      map[string]string{"severity": "P2"},
		Annotations: map[string]string{"summary": summary, "description": description},
	}
}
