package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// The series that Sloth's Grafana dashboards read, but for the ratios, which
// have a window each, and slothInfo, by which they list what there is.
var slothMetadata = []string{
	"slo:objective:ratio", "slo:error_budget:ratio", "slo:time_period:days", "slo:current_burn_rate:ratio",
	"slo:period_burn_rate:ratio", "slo:period_error_budget_remaining:ratio",
}

const (
	ratioPrefix = "slo:sli_error:ratio_rate"
	slothInfo   = "sloth_slo_info"
)

// ForSloth returns the set with Sloth's labels on the series that its
// dashboards read, besides our own: sloth_id, sloth_service and sloth_slo on
// ratios and metadata, sloth_window on ratios, and on alerts these and
// sloth_severity (page or ticket). It adds the series sloth_slo_info. No rule
// of ours reads any of these, so nothing else changes.
func (s Set) ForSloth() (out Set, err error) {
	out.Files = slices.Clone(s.Files)
	for i, f := range out.Files {
		if out.Files[i], err = f.forSloth(); err != nil {
			return Set{}, err
		}
	}
	return out, nil
}

func (f File) forSloth() (File, error) {
	if f.Logs() {
		return f, nil
	}
	c := compiler{}
	f.Groups = slices.Clone(f.Groups)
	for i := range f.Groups {
		c.slothGroup(&f.Groups[i])
	}
	if len(c.errs) > 0 {
		return f, fmt.Errorf("add the labels of sloth: %w", c.errs[0])
	}
	return f, nil
}

func (c *compiler) slothGroup(g *rulefmt.RuleGroup) {
	g.Rules = slices.Clone(g.Rules)
	for i := range g.Rules {
		c.slothRule(&g.Rules[i])
	}
	objective := slices.IndexFunc(g.Rules, func(r rulefmt.Rule) bool { return r.Record == "slo:objective:ratio" })
	if objective >= 0 {
		g.Rules = slices.Insert(g.Rules, objective+1, c.slothInfo())
	}
}

func (c *compiler) slothRule(r *rulefmt.Rule) {
	window, isRatio := strings.CutPrefix(r.Record, ratioPrefix)
	switch {
	case r.Alert != "" && strings.HasPrefix(r.Alert, "SLOErrorBudget"):
		r.Labels = maps.Clone(r.Labels)
		maps.Copy(r.Labels, map[string]string{
			"sloth_id":      "{{ $labels.service }}-{{ $labels.slo }}",
			"sloth_service": "{{ $labels.service }}", "sloth_slo": "{{ $labels.slo }}",
			"sloth_severity": slothSeverity(r.Labels["severity"]),
		})
	case isRatio || slices.Contains(slothMetadata, r.Record):
		e, err := newParser().ParseExpr(r.Expr)
		if err != nil {
			c.errs = append(c.errs, fmt.Errorf("%s: %w", r.Record, err))
			return
		}
		r.Expr = c.print(r.Record, slothLabels(e))
		if isRatio {
			r.Labels = maps.Clone(r.Labels)
			if r.Labels == nil {
				r.Labels = map[string]string{}
			}
			r.Labels["sloth_window"] = window
		}
	}
}

// slothSeverity is what Sloth calls a level: it knows two.
func slothSeverity(level string) string {
	if level == "P1" || level == "P2" {
		return "page"
	}
	return "ticket"
}

// slothLabels adds the labels by which Sloth's dashboards choose an SLO. The
// ID is that of Sloth itself: service and name with a hyphen between them.
func slothLabels(e parser.Expr) parser.Expr {
	join := func(e parser.Expr, label, separator string, from ...string) parser.Expr {
		args := []parser.Expr{e, str(label), str(separator)}
		for _, f := range from {
			args = append(args, str(f))
		}
		return call("label_join", args...)
	}
	e = join(e, "sloth_id", "-", "service", "slo")
	e = join(e, "sloth_service", "", "service")
	return join(e, "sloth_slo", "", "slo")
}

// slothInfo returns the rule of the series with an SLO's objective, in
// percent, as a label.
func (c *compiler) slothInfo() rulefmt.Rule {
	percent := call("round", mul(num(100), parameter(parameterObjective)), num(1e-10))
	e := &parser.AggregateExpr{Op: parser.COUNT_VALUES, Param: str("sloth_objective"), Expr: percent, Grouping: identity()}
	return c.record(slothInfo, slothLabels(e), map[string]string{
		"sloth_mode": "midwatch", "sloth_spec": "midwatch.dev/v1", "sloth_version": "midwatch",
	})
}
