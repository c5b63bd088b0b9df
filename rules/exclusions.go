package rules

import (
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// excluded returns a scalar that is 1 while any moment from t - lag - span to
// t - lag is excluded for an SLO, else 0; nil when it has no exclusions.
func (c *compiler) excluded(_ slo.SLO, _, _ time.Duration) parser.Expr { return nil }

// exclusions returns the group that records which SLOs are excluded now.
func (c *compiler) exclusions(_ []slo.SLO) []rulefmt.RuleGroup { return nil }
