package rules

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// scope says of which series rules are: of a cluster, or of the fleet that is
// the sum of its clusters. Those of the fleet have a label scope.
type scope string

const (
	everyScope   scope = "" // a cluster's, where no SLO is the fleet's
	clusterScope scope = "cluster"
	fleetScope         = "fleet"
)

// matchers choose the series of a scope.
func (s scope) matchers() []*labels.Matcher {
	switch s {
	case clusterScope:
		return []*labels.Matcher{eq("scope", "")}
	case fleetScope:
		return []*labels.Matcher{eq("scope", fleetScope)}
	default:
		return nil
	}
}

// mark sets the label of a fleet's rule.
func (s scope) mark(r rulefmt.Rule) rulefmt.Rule {
	if s == fleetScope {
		set := map[string]string{"scope": fleetScope}
		maps.Copy(set, r.Labels)
		r.Labels = set
	}
	return r
}

// group returns a group of rules over all SLOs.
func (c *compiler) group(name string, every time.Duration, rules ...rulefmt.Rule) rulefmt.RuleGroup {
	if c.scope == fleetScope {
		name = "fleet-" + name
		for i, r := range rules {
			rules[i] = c.scope.mark(r)
		}
	}
	return group(name, every, rules...)
}

// fleet adds the file of the rules that see all clusters' series as one: each
// window is the sum of the clusters' own, and what follows from windows
// follows from the sums.
func (c *compiler) fleet(slos []slo.SLO) {
	ours := slices.DeleteFunc(slices.Clone(slos), func(s slo.SLO) bool {
		return s.Scope != slo.ScopeFleet && s.Scope != slo.ScopeBoth
	})
	if len(ours) == 0 {
		return
	}
	f := c.file("fleet/" + prefix + "fleet.yaml")
	v := *c
	v.scope = fleetScope
	v.calendarSLOs, v.excludes = false, false
	v.survey(ours)
	v.scope = fleetScope
	v.recorded = slices.DeleteFunc(v.recorded, func(w window) bool { return !w.shown })
	v.groupSets = groupSets(ours)
	f.Groups = append(f.Groups, v.fleetShort(ours))
	fast := v.fast(ours)
	fast.Rules = append(v.summed(edge), fast.Rules...)
	f.Groups = append(f.Groups, v.marked(fast), v.slow(ours))
	f.Groups = append(f.Groups, v.calendars(ours)...)
	for _, w := range v.recorded {
		if v.isPeriod(w) {
			f.Groups = append(f.Groups, v.period(w))
		}
	}
	f.Groups = append(f.Groups, v.budgets(ours))
	f.Groups = slices.DeleteFunc(f.Groups, func(g rulefmt.RuleGroup) bool { return len(g.Rules) == 0 })
	c.errs, c.seen = v.errs, v.seen
}

func (c *compiler) marked(g rulefmt.RuleGroup) rulefmt.RuleGroup {
	for i, r := range g.Rules {
		g.Rules[i] = c.scope.mark(r)
	}
	return g
}

// fleetParameter is the parameter of an SLO that is the fleet's, and groups
// by these labels.
func fleetParameter(groups []string) string {
	if len(groups) == 0 {
		return parameterFleet
	}
	return parameterFleet + ":" + strings.Join(groups, ",")
}

// groupSets returns the distinct sets of labels that SLOs group by.
func groupSets(slos []slo.SLO) [][]string {
	sets := map[string][]string{}
	for _, s := range slos {
		sets[fleetParameter(s.GroupBy)] = s.GroupBy
	}
	var out [][]string
	for _, key := range slices.Sorted(maps.Keys(sets)) {
		out = append(out, sets[key])
	}
	return out
}

// summed returns the rules of a window of the fleet. Errors of a cluster count
// where its total is there too.
func (c *compiler) summed(d time.Duration) []rulefmt.Rule {
	return c.summedAs(func(side string) string { return metric(side, d) })
}

// summedAs returns the rules of errors and total under the names of their
// sides.
func (c *compiler) summedAs(named func(side string) string) []rulefmt.Rule {
	var failed, total []parser.Expr
	for _, groups := range c.groupSets {
		by := append(identity(), groups...)
		ours := parameter(fleetParameter(groups))
		side := func(name string) *parser.VectorSelector {
			return series(named(name), append(clusterScope.matchers(), ofService())...)
		}
		failed = append(failed, sumBy(by, onIdentity(parser.LAND, both(side(errorsSide), side(totalSide)), ours)))
		total = append(total, sumBy(by, onIdentity(parser.LAND, side(totalSide), ours)))
	}
	return []rulefmt.Rule{
		c.record(named(errorsSide), chain(parser.LOR, failed...), nil),
		c.record(named(totalSide), chain(parser.LOR, total...), nil),
	}
}
