package rules

import (
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// calendars returns the groups that record the windows of calendar budgets.
func (c *compiler) calendars(_ []slo.SLO) []rulefmt.RuleGroup { return nil }

// calendarBurns returns, for each distinct calendar, the burn rate so far and
// the share of the unit's budget that is spent.
func (c *compiler) calendarBurns(_ []slo.SLO) (burns, spent []parser.Expr) { return nil, nil }
