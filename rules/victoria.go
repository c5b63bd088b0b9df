package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// failingAlert is the alert whose metric every evaluator calls otherwise.
const failingAlert = "SLORuleEvaluationFailing"

// victoriaFailing fires while vmalert fails to evaluate rules of ours: by
// counters, or by the gauges that it had until 1.87.
const victoriaFailing = `label_replace(
  (
      sum by (group) (increase({__name__=~"vmalert_(recording|alerting)_rules_errors_total",group=~"midwatch-.+"}[5m]))
    or
      sum by (group) ({__name__=~"vmalert_(recording|alerting)_rules_error",group=~"midwatch-.+"})
  )
>
  0,
  "rule_group",
  "$1",
  "group",
  "(.*)"
)`

// nativeHistogram finds the functions that read native histograms.
var nativeHistogram = regexp.MustCompile(`\bhistogram_(count|sum|avg|fraction|stddev|stdvar)\(`)

// offsetOfPast finds subqueries of a selector with an offset, which MetricsQL
// reads in parentheses alone.
var offsetOfPast = regexp.MustCompile(`offset [0-9a-z]+\[`)

// victoria returns groups as vmalert evaluates them. It reads rule files of
// Prometheus; what differs is the name of its own metrics, how offsets are
// written, and that it has neither query_offset nor native histograms.
func victoria(groups []rulefmt.RuleGroup) ([]rulefmt.RuleGroup, error) {
	c := compiler{}
	out := slices.Clone(groups)
	for i := range out {
		out[i].QueryOffset = nil
		out[i].Rules = slices.Clone(out[i].Rules)
		for j := range out[i].Rules {
			r := &out[i].Rules[j]
			switch {
			case nativeHistogram.MatchString(r.Expr):
				return nil, fmt.Errorf("%s reads a native histogram, which VictoriaMetrics does not have", sloOf(out[i]))
			case r.Alert == failingAlert:
				r.Expr = victoriaFailing
			case offsetOfPast.MatchString(r.Expr):
				r.Expr = c.bracketed(r.Record+r.Alert, r.Expr)
			}
		}
	}
	return out, errors.Join(c.errs...)
}

// bracketed returns an expression with parentheses around selectors that
// subqueries are of.
func (c *compiler) bracketed(name, text string) string {
	e, err := newParser().ParseExpr(text)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", name, err))
		return text
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if past, ok := n.(*parser.SubqueryExpr); ok {
			if vs, ok := past.Expr.(*parser.VectorSelector); ok {
				past.Expr = &parser.ParenExpr{Expr: vs}
			}
		}
		return nil
	})
	return c.print(name, e)
}
