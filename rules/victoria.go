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
		out[i].Rules = c.withoutCandidates(out[i].Rules)
		for j := range out[i].Rules {
			r := &out[i].Rules[j]
			switch {
			case nativeHistogram.MatchString(r.Expr):
				return nil, fmt.Errorf("%s reads a native histogram, which VictoriaMetrics does not have", sloOf(out[i]))
			case r.Alert == failingAlert:
				r.Expr = victoriaFailing
			case r.Labels[contentLabel] == takenContent:
				r.Expr = c.keeping(*r)
			case offsetOfPast.MatchString(r.Expr):
				r.Expr = c.bracketed(r.Record+r.Alert, r.Expr)
			}
		}
	}
	return out, errors.Join(c.errs...)
}

// withoutCandidates returns rules that look for what burns in one step: what a
// rule records, vmalert's next one does not see until the next evaluation.
func (c *compiler) withoutCandidates(rules []rulefmt.Rule) []rulefmt.Rule {
	out := make([]rulefmt.Rule, 0, len(rules))
	candidates := map[string]string{} // by tier
	for _, r := range rules {
		if r.Record == candidateSeries {
			candidates[r.Labels["tier"]] = r.Expr
			continue
		}
		if text := candidates[r.Labels["tier"]]; text != "" && r.Record == burnSeries {
			r.Expr = c.inlined(r, text)
		}
		out = append(out, r)
	}
	return out
}

// inlined returns the expression of a burn with the candidates in the place of
// their series; what is computed of the candidates alone is then of all.
func (c *compiler) inlined(r rulefmt.Rule, candidates string) string {
	burn, err := newParser().ParseExpr(r.Expr)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", r.Record, err))
		return r.Expr
	}
	whole, err := newParser().ParseExpr(candidates)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", candidateSeries, err))
		return r.Expr
	}
	return c.print(r.Record, replaced(burn, func(e parser.Expr) parser.Expr {
		if b, ok := e.(*parser.BinaryExpr); ok && b.Op == parser.LAND && isCandidates(b.RHS) {
			return b.LHS
		}
		if isCandidates(e) {
			return operand(whole)
		}
		return e
	}))
}

func isCandidates(e parser.Expr) bool {
	vs, ok := e.(*parser.VectorSelector)
	return ok && vs.Name == candidateSeries
}

// replaced returns an expression of which every part, from the top, is what
// the function makes of it.
func replaced(e parser.Expr, by func(parser.Expr) parser.Expr) parser.Expr {
	e = by(e)
	switch e := e.(type) {
	case *parser.BinaryExpr:
		e.LHS, e.RHS = replaced(e.LHS, by), replaced(e.RHS, by)
	case *parser.ParenExpr:
		e.Expr = replaced(e.Expr, by)
	case *parser.AggregateExpr:
		e.Expr = replaced(e.Expr, by)
	case *parser.Call:
		for i := range e.Args {
			e.Args[i] = replaced(e.Args[i], by)
		}
	}
	return e
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
