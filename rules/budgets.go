package rules

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// leastTraffic is the total, in events a second, from which on a ratio is
// that of events: less is none, and its ratio is 0.
const leastTraffic = 1e-12

// ratio returns the rule of the error ratio over a recorded window.
func (c *compiler) ratio(d time.Duration) rulefmt.Rule {
	return c.record("slo:sli_error:ratio_rate"+span(d), c.ratioOver(d), nil)
}

// ratioOver returns errors over total, 0 where there is no traffic.
func (c *compiler) ratioOver(d time.Duration) parser.Expr {
	return div(c.all(metric(errorsSide, d)), call("clamp_min", c.all(metric(totalSide, d)), num(leastTraffic)))
}

// periods returns the distinct rolling windows of budgets, shortest first.
func periods(slos []slo.SLO) []time.Duration {
	var out []time.Duration
	for _, s := range slos {
		if unit, _ := s.Window.Calendar(); unit == "" {
			out = append(out, s.Window.Duration())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

const (
	periodBurnSeries = "slo:period_burn_rate:ratio"
	remainingSeries  = "slo:period_error_budget_remaining:ratio"
)

// budgets returns what was promised and what is left of it, under the names
// that dashboards read, and the alerts of budgets that are spent.
func (c *compiler) budgets(slos []slo.SLO) rulefmt.RuleGroup {
	var rules []rulefmt.Rule
	if c.scope != fleetScope {
		rules = append(rules,
			c.record("slo:objective:ratio", parameter(parameterObjective), nil),
			c.record("slo:error_budget:ratio", parameter(parameterBudget), nil),
			c.record("slo:time_period:days", parameter(parameterPeriod), nil))
	}
	burns, spent := c.periodBurns(slos)
	if len(burns) > 0 {
		left := parser.Expr(c.identified(periodBurnSeries))
		if c.calendarSLOs {
			left = chain(parser.LOR, spent...)
		}
		rules = append(rules,
			c.record(periodBurnSeries, chain(parser.LOR, burns...), nil),
			c.record(remainingSeries, sub(num(1), left), nil))
	}
	return c.group("budgets", slow, append(rules, c.spent(slos)...)...)
}

// periodBurns returns the burn rates over the windows of budgets, and what
// share of each is spent.
func (c *compiler) periodBurns(slos []slo.SLO) (burns, spent []parser.Expr) {
	rolling := periods(slos)
	for _, d := range rolling {
		budget := parameter(parameterBudget)
		if len(rolling) > 1 || c.calendarSLOs {
			budget = onIdentity(parser.LAND, budget, c.lasting(d))
		}
		burns = append(burns, onIdentity(parser.DIV, c.ratioOver(d), budget))
	}
	spent = slices.Clone(burns)
	if c.calendarSLOs {
		more, gone := c.calendarBurns(slos)
		burns, spent = append(burns, more...), append(spent, gone...)
	}
	return burns, spent
}

// spent returns the alerts of budgets of which a part is spent, one for each
// distinct part and severity.
func (c *compiler) spent(slos []slo.SLO) []rulefmt.Rule {
	var all []slo.BudgetSpent
	for _, s := range slos {
		for _, b := range s.Alerts.BudgetSpent {
			same := func(o slo.BudgetSpent) bool {
				return o.Percent.String() == b.Percent.String() && o.Severity == b.Severity
			}
			if !slices.ContainsFunc(all, same) {
				all = append(all, b)
			}
		}
	}
	slices.SortFunc(all, func(a, b slo.BudgetSpent) int {
		return cmp.Or(a.Percent.Rat().Cmp(b.Percent.Rat()), cmp.Compare(a.Percent.String(), b.Percent.String()), cmp.Compare(a.Severity, b.Severity))
	})
	var rules []rulefmt.Rule
	for _, b := range all {
		const name = "SLOErrorBudgetSpent"
		percent := b.Percent.String()
		one := parameters(parameterSpent)
		one.LabelMatchers = append(one.LabelMatchers, eq("percent", percent), eq("severity", b.Severity))
		if c.scope == clusterScope {
			one.LabelMatchers = append(one.LabelMatchers, eq("scope", ""))
		}
		share := call("round", sub(num(1), c.identified(remainingSeries)), num(1e-9))
		r := rulefmt.Rule{
			Alert: name, Expr: c.print(name, c.held(c.carrying(share, one))),
			Labels: map[string]string{"severity": b.Severity, "percent": percent},
			Annotations: c.annotations(b.Severity,
				"{{ $labels.service }} has spent {{ $value | humanizePercentage }} of the error budget of {{ $labels.slo }}",
				fmt.Sprintf("%s%% of the events that may fail in the budget's window have failed.", percent)),
		}
		rules = append(rules, c.scope.mark(r))
	}
	return rules
}
