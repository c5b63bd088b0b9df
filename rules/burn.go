package rules

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// burnSeries is there while an error budget burns as fast as a tier says, and
// more events failed than chance explains. Its value is the error ratio over
// the tier's long window.
const burnSeries = "slo:burn:ratio"

// candidateSeries is there while the error ratio over a tier's long window is
// above what the tier says. Its value is that ratio. What else a tier asks is
// computed of these few alone, not of every SLO.
const candidateSeries = "slo:burn_candidate:ratio"

// tierUse is a tier and how SLOs have it.
type tierUse struct {
	slo.Tier
	fast    bool // evaluated as often as events
	slow    bool // some SLO's burn rate is below 1
	levels  []level
	factors map[string]bool
}

// level is how an alert of a tier differs between SLOs.
type level struct {
	severity string
	hold     time.Duration
}

// tiersOf returns the tiers of SLOs, without those of an outage, fastest
// first.
func tiersOf(slos []slo.SLO) []tierUse {
	uses := map[string]*tierUse{}
	for _, s := range slos {
		for _, t := range s.Alerts.Tiers {
			if t.Outage {
				continue
			}
			u := uses[t.Name]
			if u == nil {
				u = &tierUse{Tier: t, factors: map[string]bool{}}
				uses[t.Name] = u
			}
			u.fast = u.fast || isFast(t, s)
			u.slow = u.slow || t.Factor.Cmp(big.NewRat(1, 1)) < 0
			u.factors[t.Factor.RatString()] = true
			if l := (level{t.SeverityOf(s), t.For}); !slices.Contains(u.levels, l) {
				u.levels = append(u.levels, l)
			}
		}
	}
	var out []tierUse
	for _, u := range uses {
		slices.SortFunc(u.levels, func(a, b level) int {
			return cmp.Or(cmp.Compare(a.severity, b.severity), cmp.Compare(a.hold, b.hold))
		})
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b tierUse) int {
		return cmp.Or(cmp.Compare(a.Long, b.Long), cmp.Compare(a.Short, b.Short))
	})
	return out
}

// burns returns the rules that record where tiers may burn, and where they do.
func (c *compiler) burns(tiers []tierUse) []rulefmt.Rule {
	var out []rulefmt.Rule
	for _, t := range tiers {
		tier := map[string]string{"tier": t.Name}
		out = append(out,
			c.record(candidateSeries, onIdentity(parser.GTR, c.busyRatio(t.Long), c.threshold(t.Name)), tier),
			c.record(burnSeries, c.burn(t), tier))
	}
	return out
}

// burn returns the candidates of a tier that still burn, by more than chance.
func (c *compiler) burn(t tierUse) parser.Expr {
	candidates := c.identified(candidateSeries)
	candidates.LabelMatchers = append(candidates.LabelMatchers, eq("tier", t.Name))
	of := func(e parser.Expr) parser.Expr { return onIdentity(parser.LAND, e, candidates) }
	threshold := maxBy(identity(), of(c.thresholds(t.Name)))
	budget := maxBy(identity(), of(parameters(parameterBudget)))
	if t.slow { // chance is that of the threshold, where it is below the budget
		budget = either(onIdentity(parser.LSS, threshold, budget), budget)
	}
	still := above(of(c.all(metric(errorsSide, t.Short))), onIdentity(parser.MUL, of(c.all(metric(totalSide, t.Short))), threshold))
	total := of(c.all(metric(totalSide, t.Long)))
	failed := ignoringTier(parser.MUL, candidates, total)
	return ignoringTier(parser.LAND, ignoringTier(parser.LAND, candidates, still), c.caution(failed, total, t.Long, budget))
}

// ignoringTier joins what burns with windows, which have no tier.
func ignoringTier(op parser.ItemType, burning, windows parser.Expr) parser.Expr {
	b := binary(op, burning, windows).(*parser.BinaryExpr)
	b.VectorMatching.MatchingLabels = []string{"tier"}
	return b
}

// caution returns something for each SLO of which so many events failed over
// a window that it is neither a few nor chance. With as many failures as the
// budget allows expected, lambda, their number is about normal with variance
// lambda (Poisson), so that
//
//	failures > min_failures - 1/2 + lambda + z * sqrt(lambda)
//
// is less likely than the confidence leaves. The right side is the square of
// sqrt(lambda) + z/2, and a constant. The half is for rates, by which the
// failures of the last minutes are a few percent too many.
func (c *compiler) caution(failed, total parser.Expr, d time.Duration, budget parser.Expr) parser.Expr {
	seconds := num(d.Seconds())
	failures := mul(failed, seconds)
	expected := mul(onIdentity(parser.MUL, total, budget), seconds)
	const almost = 0.5
	z := quantile(slo.DefaultConfidence())
	usual := above(failures, offsetBy(square(add(call("sqrt", expected), num(rounded(z/2)))), rounded(slo.DefaultMinFailures-almost-z*z/4)))
	if !c.ownCaution {
		return usual
	}
	own := parameter(parameterConfidence)
	root := onIdentity(parser.ADD, call("sqrt", expected), div(own, num(2)))
	least := onIdentity(parser.ADD, onIdentity(parser.SUB, square(root), div(square(own), num(4))), parameter(parameterFailures))
	return either(onIdentity(parser.LUNLESS, usual, own), above(failures, sub(least, num(almost))))
}

func square(e parser.Expr) parser.Expr { return binary(parser.POW, e, num(2)) }

// offsetBy adds a constant, or subtracts its opposite.
func offsetBy(e parser.Expr, v float64) parser.Expr {
	if v < 0 {
		return sub(e, num(-v))
	}
	return add(e, num(v))
}

// rounded keeps six places.
func rounded(v float64) float64 {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'f', 6, 64), 64) // it is a number
	return f
}

// threshold returns what a tier fires above, of every SLO that has it.
func (c *compiler) threshold(tier string) parser.Expr {
	return maxBy(identity(), c.thresholds(tier))
}

func (c *compiler) thresholds(tier string) parser.Expr {
	vs := parameters(parameterThreshold)
	vs.LabelMatchers = append(vs.LabelMatchers, eq("tier", tier))
	if c.scope == clusterScope {
		vs.LabelMatchers = append(vs.LabelMatchers, eq("scope", ""))
	}
	return vs
}

// busyRatio returns errors over total where there is traffic.
func (c *compiler) busyRatio(d time.Duration) parser.Expr {
	return div(c.all(metric(errorsSide, d)), above(c.all(metric(totalSide, d)), num(0)))
}

// alerts returns the alerts of tiers, one for each severity and time to hold.
func (c *compiler) alerts(tiers []tierUse) []rulefmt.Rule {
	var rules []rulefmt.Rule
	for _, t := range tiers {
		for _, l := range t.levels {
			rules = append(rules, c.alert(t, l))
		}
	}
	return rules
}

// alert returns the rule of a tier for all SLOs that have it at one severity.
func (c *compiler) alert(t tierUse, l level) rulefmt.Rule {
	burn := c.identified(burnSeries)
	burn.LabelMatchers = append(burn.LabelMatchers, eq("tier", t.Name))
	one := parameters(parameterThreshold)
	one.LabelMatchers = append(one.LabelMatchers, eq("severity", l.severity), eq("tier", t.Name))
	if c.holds {
		period := ""
		if l.hold > 0 {
			period = span(l.hold)
		}
		one.LabelMatchers = append(one.LabelMatchers, eq("period", period))
	}
	pace := "as its tier says"
	if len(t.factors) == 1 {
		factor, _ := t.Factor.Float64()
		pace = fmt.Sprintf("more than %.4g times as fast as the objective allows", factor)
	}
	if t.Outage {
		pace = "in a total outage: next to everything fails"
	}
	r := rulefmt.Rule{
		Alert:  "SLOErrorBudgetBurn",
		Expr:   c.print("SLOErrorBudgetBurn "+t.Name, c.held(c.carrying(burn, one))),
		For:    model.Duration(l.hold),
		Labels: map[string]string{"severity": l.severity, "tier": t.Name},
	}
	r.Annotations = c.annotations(l.severity,
		fmt.Sprintf("{{ $labels.service }} burns the error budget of {{ $labels.slo }}: {{ $value | humanizePercentage }} of events failed over %s", span(t.Long)),
		fmt.Sprintf("Over %s and over %s, the error budget burns %s.", span(t.Long), span(t.Short), pace))
	return c.scope.mark(r)
}

// held leaves out the SLOs that are excluded now.
func (c *compiler) held(e parser.Expr) parser.Expr {
	if !c.excludes {
		return e
	}
	return onIdentity(parser.LUNLESS, e, equals(series("slo:excluded:bool", ofService()), num(1)))
}
