package rules

import (
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// survey notes what all rules must know of the SLOs.
func (c *compiler) survey(slos []slo.SLO) {
	c.slos = len(slos)
	c.carried = carriedBy(slos)
	c.recorded = c.windows(slos)
	c.fastWindows = map[time.Duration]bool{edge: true}
	for _, w := range c.recorded {
		c.fastWindows[w.length] = w.fast
	}
	for _, s := range slos {
		unit, _ := s.Window.Calendar()
		c.calendarSLOs = c.calendarSLOs || unit != ""
		c.excludes = c.excludes || len(s.Exclusions) > 0
		c.ownCaution = c.ownCaution || hasOwnCaution(s)
		for _, t := range s.Alerts.Tiers {
			c.holds = c.holds || t.For > 0
		}
		if s.Scope == slo.ScopeFleet || s.Scope == slo.ScopeBoth {
			c.scope = clusterScope
		}
	}
}

// fixed adds the rules that compute every SLO at once.
func (c *compiler) fixed(slos []slo.SLO) {
	f := c.file(prefix + "windows.yaml")
	f.Groups = append(f.Groups, c.exclusions(slos)...)
	f.Groups = append(f.Groups, c.fast(slos), c.slow(slos))
	f.Groups = append(f.Groups, c.calendars(slos)...)
	for _, w := range c.recorded {
		if c.isPeriod(w) {
			f.Groups = append(f.Groups, c.period(w))
		}
	}
	f.Groups = append(f.Groups, c.budgets(slos), c.health())
	c.fleet(slos)
}

// isPeriod says whether a window is only that of a budget.
func (c *compiler) isPeriod(w window) bool {
	return len(w.needs.tiers) == 0 && w.needs.periods[w.length] && !w.fast && !c.isTile(w)
}

// isTile says whether some other window is laid out of one.
func (c *compiler) isTile(w window) bool {
	return slices.ContainsFunc(c.recorded, func(other window) bool {
		return slices.ContainsFunc(other.parts, func(p part) bool { return p.length == w.length })
	})
}

// fast returns the windows of the tiers that are short or page, their ratios
// and alerts, in one group so that the alerts see windows of the same
// evaluation.
func (c *compiler) fast(slos []slo.SLO) rulefmt.RuleGroup {
	rules := c.each(func(w window) bool { return w.fast }, c.record2)
	tiers := slices.DeleteFunc(tiersOf(c.alerting(slos)), func(t tierUse) bool { return !t.fast })
	rules = append(rules, c.burns(tiers)...)
	rules = append(rules, c.alerts(tiers)...)
	rules = append(rules, c.ratio(edge))
	rules = append(rules, c.each(func(w window) bool { return w.prompt }, c.ratios)...)
	rules = append(rules, c.record("slo:current_burn_rate:ratio", onIdentity(parser.DIV, c.ratioOver(edge), parameter(parameterBudget)), nil))
	return c.group("windows", c.o.Interval, rules...)
}

// slow returns the windows of the tiers that wake nobody.
func (c *compiler) slow(slos []slo.SLO) rulefmt.RuleGroup {
	slowly := func(w window) bool { return !w.fast && !c.isPeriod(w) }
	rules := c.each(slowly, c.record2)
	rules = append(rules, c.each(func(w window) bool { return w.shown && !w.prompt && !c.isPeriod(w) }, c.ratios)...)
	tiers := slices.DeleteFunc(tiersOf(c.alerting(slos)), func(t tierUse) bool { return t.fast })
	rules = append(rules, c.burns(tiers)...)
	return c.group("windows-slow", slow, append(rules, c.alerts(tiers)...)...)
}

// each returns rules of the recorded windows that are wanted.
func (c *compiler) each(wanted func(window) bool, rules func(window) []rulefmt.Rule) []rulefmt.Rule {
	var out []rulefmt.Rule
	for _, w := range c.recorded {
		if wanted(w) {
			out = append(out, rules(w)...)
		}
	}
	return out
}

func (c *compiler) ratios(w window) []rulefmt.Rule { return []rulefmt.Rule{c.ratio(w.length)} }

// record2 returns the rules of errors and total over a window.
func (c *compiler) record2(w window) []rulefmt.Rule {
	if c.scope == fleetScope {
		return c.summed(w.length)
	}
	return c.window(w)
}

// period returns the group of a window that is a budget's alone.
func (c *compiler) period(w window) rulefmt.RuleGroup {
	return c.group("period-"+span(w.length), slow, append(c.record2(w), c.ratio(w.length))...)
}

// alerting returns the SLOs that alert where the rules are evaluated.
func (c *compiler) alerting(slos []slo.SLO) []slo.SLO {
	return slices.DeleteFunc(slices.Clone(slos), func(s slo.SLO) bool {
		return c.scope != fleetScope && s.Scope == slo.ScopeFleet
	})
}
