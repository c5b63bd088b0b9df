package rules

import (
	"maps"
	"math/big"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// memo keeps parts of parameters that many SLOs have in common: those of one
// objective and one policy. Expressions are never changed once they are made,
// so that several rules can hold one. The zero memo is empty.
type memo struct {
	objectives map[string][2]parser.Expr
	policies   map[string]parser.Expr
	key        []byte
}

// objective returns the parameters objective and error_budget.
func (m *memo) objective(s slo.SLO) [2]parser.Expr {
	key := s.Objective.String()
	if known, ok := m.objectives[key]; ok {
		return known
	}
	budget := s.ErrorBudget()
	made := [2]parser.Expr{
		constant(new(big.Rat).Sub(big.NewRat(1, 1), budget), "parameter", parameterObjective),
		constant(budget, "parameter", parameterBudget),
	}
	if m.objectives == nil {
		m.objectives = map[string][2]parser.Expr{}
	}
	m.objectives[key] = made
	return made
}

// thresholds returns what the function of that name does.
func (m *memo) thresholds(s slo.SLO) parser.Expr {
	m.key = policyKey(m.key[:0], s)
	if known, ok := m.policies[string(m.key)]; ok {
		return known
	}
	made := thresholds(s)
	if m.policies == nil {
		m.policies = map[string]parser.Expr{}
	}
	m.policies[string(m.key)] = made
	return made
}

// policyKey appends all that the thresholds of an SLO depend on.
func policyKey(b []byte, s slo.SLO) []byte {
	text := func(t string) { b = append(append(strconv.AppendInt(b, int64(len(t)), 10), ':'), t...) }
	text(s.Objective.String())
	text(string(s.Scope))
	b = strconv.AppendBool(b, s.Critical)
	for _, t := range s.Alerts.Tiers {
		text(t.Name)
		text(t.SeverityOf(s))
		b = append(strconv.AppendInt(b, int64(t.For), 10), ' ')
		b = append(strconv.AppendBool(b, t.Outage), ' ')
		if t.Factor != nil {
			b = t.Factor.Num().Append(b, 10)
			b = t.Factor.Denom().Append(append(b, '/'), 10)
		}
		b = append(b, ' ')
	}
	for _, extra := range []map[string]string{s.Alerts.Page.Labels, s.Alerts.Ticket.Labels} {
		b = append(b, ';')
		for _, name := range slices.Sorted(maps.Keys(extra)) {
			text(name)
			text(extra[name])
		}
	}
	return b
}
