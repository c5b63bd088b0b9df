package rules

import (
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// health returns the alerts about the rules themselves and what they are
// given.
func (c *compiler) health() rulefmt.RuleGroup {
	const patience = 5 * time.Minute
	missing := onIdentity(parser.LUNLESS, maxBy(identity(), c.identified(metric(totalSide, edge))), parameter(parameterBudget))
	failures := series("prometheus_rule_evaluation_failures_total",
		labels.MustNewMatcher(labels.MatchRegexp, "rule_group", ".*;"+prefix+".+"))
	failing := above(sumBy([]string{"rule_group"}, call("increase", over(failures, patience))), num(0))
	return group("health", time.Minute,
		c.healthAlert("SLOParametersMissing", missing, patience,
			"{{ $labels.service }}: {{ $labels.slo }} is recorded but cannot alert",
			"Its events are recorded, but its objective and thresholds are not: no burn of its error budget will be noticed. Compile and load its rules again."),
		c.impossible(patience),
		c.healthAlert("SLORuleEvaluationFailing", failing, patience,
			"SLO rules fail: {{ $labels.rule_group }}",
			"Rules of this group have failed for five minutes: burns of error budgets may go unnoticed. The log of Prometheus names the rule and the reason."),
		c.watchdog())
}

// impossible returns the alert of SLOs of which more events failed than there
// were, or less than none, beyond what rates of counters that are scraped at
// different moments differ by.
func (c *compiler) impossible(patience time.Duration) rulefmt.Rule {
	ratio := c.identified("slo:sli_error:ratio_rate" + span(edge))
	e := either(above(ratio, num(1.01)), binary(parser.LSS, ratio, num(-0.05)))
	r := c.healthAlert("SLOImpossibleData", c.held(e), patience,
		"{{ $labels.service }}: {{ $value | humanizePercentage }} of the events of {{ $labels.slo }} failed",
		"More events failed than there were, or less than none: errors (or good events) are not a part of the total that the SLO names, and its error budget says nothing.")
	r.Labels["severity"] = "P3"
	return r
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
