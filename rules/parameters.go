package rules

import (
	"math/big"
	"strconv"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// parameterSeries holds what differs between SLOs, by the label parameter.
const parameterSeries = "slo:parameter:value"

// The values of the label parameter.
const (
	parameterObjective = "objective"    // 0 to 1
	parameterBudget    = "error_budget" // 1 - objective
	parameterPeriod    = "period_days"
	parameterThreshold = "threshold" // of failed events, with labels tier and severity
)

// parameters returns the one rule that records all parameters of an SLO.
func (c *compiler) parameters(s slo.SLO) rulefmt.Rule {
	budget := s.ErrorBudget()
	parts := []parser.Expr{
		constant(new(big.Rat).Sub(big.NewRat(1, 1), budget), "parameter", parameterObjective),
		constant(budget, "parameter", parameterBudget),
		constant(big.NewRat(int64(int(s.Window.Duration()/day)), 1), "parameter", parameterPeriod),
	}
	for _, t := range slo.WorkbookTiers() {
		parts = append(parts, constant(first(t.Thresholds(s)), "parameter", parameterThreshold, "severity", t.SeverityOf(s), "tier", t.Name))
	}
	return c.record(parameterSeries, chain(parser.LOR, parts...), map[string]string{"slo": s.Name, "service": s.Service})
}

// constant returns a series of a constant with labels, given as names and
// values.
func constant(v *big.Rat, labels ...string) parser.Expr {
	e := call("vector", num(exact(v)))
	for i := 0; i < len(labels); i += 2 {
		e = call("label_replace", e, str(labels[i]), str(labels[i+1]), str(""), str(""))
	}
	return e
}

// exact returns the float whose shortest decimal form is that of v, so that
// it prints as a person would write it.
func exact(v *big.Rat) float64 {
	places, finite := v.FloatPrec()
	if !finite {
		f, _ := v.Float64()
		return f
	}
	f, _ := strconv.ParseFloat(v.FloatString(places), 64)
	return f
}

// parameter returns one parameter of every SLO, one series each whatever
// else has the same name.
func parameter(name string) parser.Expr {
	return maxBy(identity(), series(parameterSeries, eq("parameter", name), ne("slo", "")))
}

// threshold returns what a tier fires above, for the SLOs where it has that
// severity.
func threshold(tier, severity string) parser.Expr {
	return maxBy(identity(), series(parameterSeries,
		eq("parameter", parameterThreshold), eq("severity", severity), ne("slo", ""), eq("tier", tier)))
}

func first(a, _ *big.Rat) *big.Rat { return a }
