package rules

import (
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// The shares of failed events of a total outage are those of the tier, but
// "over the long window" the newest rates may be half a minute old: what the
// short window has failed in the long one for sure is counted at once.

// outageOf returns the outage tier of an SLO, if it has it.
func outageOf(s slo.SLO) (slo.Tier, bool) {
	i := slices.IndexFunc(s.Alerts.Tiers, func(t slo.Tier) bool { return t.Outage })
	if i < 0 {
		return slo.Tier{}, false
	}
	return s.Alerts.Tiers[i], true
}

// outage returns the rules of a total outage of one SLO, for the group that
// evaluates its short windows. In one group, the alert sees rates of the same
// moment: so it comes at the latest one evaluation after the short window is
// full of failures, 75 s after the onset at 15 s scrapes.
func (c *compiler) outage(s slo.SLO) []rulefmt.Rule {
	t, _ := outageOf(s)
	who := []*labels.Matcher{eq("service", s.Service), eq("slo", s.Name)}
	rules := c.outageRules(t, []level{{t.SeverityOf(s), t.For}})
	return c.only(rules, who)
}

// outageRules returns the burn of the outage tier, and its alerts.
func (c *compiler) outageRules(t slo.Tier, levels []level) []rulefmt.Rule {
	long, short := t.Thresholds(slo.SLO{})
	side := func(name string, d time.Duration) parser.Expr { return c.all(metric(name, d)) }
	part := float64(t.Short) / float64(t.Long)
	// At least the failures of the short window are in the long one.
	known := mul(side(errorsSide, t.Short), num(rounded(part)))
	failed := either(binary(parser.GTE, side(errorsSide, t.Long), known), known)
	over := above(div(failed, above(side(totalSide, t.Long), num(0))), num(exact(long)))
	now := above(side(errorsSide, t.Short), mul(side(totalSide, t.Short), num(exact(short))))
	enough := c.caution(failed, side(totalSide, t.Long), t.Long, parameter(parameterBudget))
	burn := c.record(burnSeries, chain(parser.LAND, over, now, enough), map[string]string{"tier": t.Name})
	return append([]rulefmt.Rule{burn}, c.alerts([]tierUse{{Tier: t, levels: levels}})...)
}

// only limits rules over all SLOs to one.
func (c *compiler) only(rules []rulefmt.Rule, who []*labels.Matcher) []rulefmt.Rule {
	for i, r := range rules {
		e, err := newParser().ParseExpr(r.Expr)
		if err != nil {
			c.errs = append(c.errs, err)
			continue
		}
		parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
			if vs, ok := n.(*parser.VectorSelector); ok {
				vs.LabelMatchers = append(slices.DeleteFunc(vs.LabelMatchers, func(m *labels.Matcher) bool {
					return m.Name == "slo" || m.Name == "service"
				}), who...)
			}
			return nil
		})
		rules[i].Expr = c.print(r.Record+r.Alert, e)
	}
	return rules
}

// fleetShort returns the group of the short windows of the fleet, with its
// total outages.
func (c *compiler) fleetShort(slos []slo.SLO) rulefmt.RuleGroup {
	var windows []time.Duration
	var levels []level
	var tier slo.Tier
	for _, s := range slos {
		for _, t := range s.Alerts.Tiers {
			for _, d := range []time.Duration{t.Short, t.Long} {
				if d < edge && !slices.Contains(windows, d) {
					windows = append(windows, d)
				}
			}
		}
		t, ok := outageOf(s)
		if l := (level{t.SeverityOf(s), t.For}); ok && !slices.Contains(levels, l) {
			tier, levels = t, append(levels, l)
		}
	}
	slices.Sort(windows)
	var rules []rulefmt.Rule
	for _, d := range windows {
		rules = append(rules, c.summed(d)...)
	}
	if len(levels) > 0 {
		rules = append(rules, c.outageRules(tier, levels)...)
	}
	return c.group("short", min(shortest, c.o.Interval), rules...)
}
