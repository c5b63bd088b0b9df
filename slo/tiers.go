package slo

import (
	"fmt"
	"math/big"
	"slices"
	"time"
)

// ownTiers reads the tiers of an SLO that has its own.
func (c *checker) ownTiers(in []TierText) []Tier {
	const field = "spec.alerts.tiers"
	switch {
	case len(in) == 0:
		c.add(field, "no tier", "preset: none is for an SLO without tiers")
	case len(in) > maxTiers:
		c.add(field, fmt.Sprintf("more than %d tiers", maxTiers), "")
		return nil
	}
	var out []Tier
	for i, text := range in {
		at := fmt.Sprintf("%s.%d", field, i)
		tier := c.tier(at, text)
		if tier.Long == 0 || tier.Short == 0 {
			continue
		}
		tier.Name = nameOf(tier.Long, tier.Short)
		if slices.ContainsFunc(out, func(other Tier) bool { return other.Name == tier.Name }) || c.isOutage(tier) {
			c.add(at, "another tier has the windows "+FormatDuration(tier.Long)+" and "+FormatDuration(tier.Short)+" too", "of the two, the one that burns slower fires first: keep it")
		}
		out = append(out, tier)
	}
	return out
}

// nameOf returns the name of a tier of one's own. It is not that of the outage
// tier, which other SLOs may have: its thresholds are others.
func nameOf(long, short time.Duration) string {
	name := FormatDuration(long) + FormatDuration(short)
	if name == OutageTier().Name {
		return FormatDuration(long) + "-" + FormatDuration(short)
	}
	return name
}

// isOutage says whether a tier has the windows of the outage tier, and the SLO
// has that one too.
func (c *checker) isOutage(t Tier) bool {
	return c.in.Spec.Alerts.Outage && t.Long == outageLong && t.Short == outageShort
}

// tier reads one tier.
func (c *checker) tier(field string, in TierText) Tier {
	out := Tier{}
	out.Long, out.Short = c.tierWindows(field, in)
	out.Factor = c.factor(field, in, out.Long)
	out.Severity = c.severity(field+".severity", in.Severity, "")
	out.Critical = out.Severity
	if in.Critical != "" {
		out.Critical = c.severity(field+".critical", in.Critical, out.Severity)
	}
	if slices.Index(severities, out.Critical) < slices.Index(severities, out.Severity) {
		c.add(field+".critical", fmt.Sprintf("%s is less than %s", out.Critical, out.Severity), "a core path is at least as urgent as others")
	}
	if in.For != "" {
		out.For = c.duration(field+".for", in.For, time.Second, 0, maxFor, "how long both windows must hold, such as 2m")
	}
	return out
}

// tierWindows reads the long and the short window of a tier.
func (c *checker) tierWindows(field string, in TierText) (long, short time.Duration) {
	length := c.out.Window.Duration()
	if in.Long == "" {
		c.missing(field+".long", "the window over which the budget burns, such as 1h")
	} else {
		long = c.duration(field+".long", in.Long, time.Minute, 2*time.Minute, maxWindow, "such as 1h")
	}
	if in.Short == "" {
		c.missing(field+".short", "the window that says that it still burns, such as 5m: as a rule a twelfth of long")
	} else {
		short = c.duration(field+".short", in.Short, time.Minute, time.Minute, maxWindow, "such as 5m")
	}
	if long != 0 && length != 0 && long > length {
		c.add(field+".long", fmt.Sprintf("%s is longer than the window of the budget, %s", FormatDuration(long), FormatDuration(length)), "at most that")
	}
	if long != 0 && short != 0 && short >= long {
		c.add(field+".short", fmt.Sprintf("%s is not shorter than long, %s", FormatDuration(short), FormatDuration(long)), "as a rule a twelfth of long")
	}
	return long, short
}

// factor reads the burn rate of a tier, or computes it from the share of the
// budget that is spent over its long window.
func (c *checker) factor(field string, in TierText, long time.Duration) *big.Rat {
	var name string
	var factor *big.Rat
	switch {
	case in.BurnRate != "" && in.BudgetPercent != "":
		c.add(field+".budget_percent", "burn_rate and budget_percent are both given", "keep one: each follows from the other")
		return nil
	case in.BurnRate != "":
		name = field + ".burn_rate"
		factor = c.decimal(name, in.BurnRate, 999_999, "how many times faster than in its window the budget burns, such as 14.4").value
	case in.BudgetPercent != "":
		name = field + ".budget_percent"
		share := c.percent(name, in.BudgetPercent, "percent of the budget that is spent over the long window, such as 2")
		if share.value == nil || long == 0 || c.out.Window == (Window{}) {
			return nil
		}
		factor = burnRate(new(big.Rat).Quo(share.value, big.NewRat(100, 1)), c.out.Window, long)
	default:
		c.missing(field+".burn_rate", "how fast the budget burns, such as 14.4, or budget_percent: how much of it is spent over long, such as 2")
		return nil
	}
	if factor == nil {
		return nil
	}
	if percent, ok := c.canFire(Tier{Factor: factor}); !ok {
		most := new(big.Rat).Inv(c.out.ErrorBudget())
		c.add(name, fmt.Sprintf("this tier could never fire: with objective %s it needs more than %s%% of events to fail", c.out.Objective, percent),
			fmt.Sprintf("a burn rate below %s", most.FloatString(1)))
	}
	return new(big.Rat).Set(factor)
}

// burnRate returns the burn rate that spends a share of the budget of a window
// within a part of it.
func burnRate(share *big.Rat, w Window, part time.Duration) *big.Rat {
	return new(big.Rat).Mul(share, big.NewRat(int64(w.Duration()/time.Second), int64(part/time.Second)))
}

// minScaled is the shortest window that the preset scaled has tiers for: below
// it, two would have the same.
const minScaled = 2 * day

// ScaledTiers returns the tiers of WorkbookTiers for a budget's window of at
// least two days: each spends the share of the budget that its model spends of
// a 30-day one, over a window that is as large a part of the budget's, rounded
// to a multiple of 5m and at least 15m. The short window is a twelfth of it,
// in whole minutes and at least 5m.
func ScaledTiers(w Window) []Tier {
	tiers := WorkbookTiers()
	for i, percent := range []int64{2, 5, 10, 10} {
		t := &tiers[i]
		t.Long = max(15*time.Minute, scale(t.Long, w.Duration(), 30*day).Round(5*time.Minute))
		t.Short = max(5*time.Minute, (t.Long / 12).Round(time.Minute))
		t.Name = FormatDuration(t.Long) + FormatDuration(t.Short)
		t.Factor = burnRate(big.NewRat(percent, 100), w, t.Long)
	}
	return tiers
}

// scale returns d as large a part of length as it is of model.
func scale(d, length, model time.Duration) time.Duration {
	minutes := int64(d/time.Minute) * int64(length/time.Minute)
	return time.Duration(minutes*60/int64(model/time.Minute)) * time.Second
}
