package slo

import (
	"fmt"
	"math/big"
)

// objective checks the share of events that must succeed. Whether every tier
// can fire is looked at when the tiers are known.
func (c *checker) objective() {
	const field = "spec.objective"
	text := string(c.in.Spec.Objective)
	if text == "" {
		c.missing(field, "the share of events that must succeed, in percent, such as 99.9")
		return
	}
	objective, err := ParseDecimal(text)
	if err != nil {
		c.add(field, fmt.Sprintf("%q is not a decimal number", clip(text)), "percent, with at most 10 decimal places and without a sign, such as 99.95")
		return
	}
	switch value := objective.Rat(); {
	case value.Sign() <= 0:
		c.add(field, fmt.Sprintf("%s is not above 0", text), "percent of events that must succeed, such as 99.9")
	case value.Cmp(big.NewRat(100, 1)) >= 0:
		c.add(field, fmt.Sprintf("%s leaves no error budget", text), "below 100, such as 99.99: with no budget nothing can burn it")
	default:
		c.out.Objective = objective
	}
}

// canFire says whether a tier can fire: not when it would need more failed
// events than there are. Where that is not so it returns the share it would
// need, in percent.
func (c *checker) canFire(t Tier) (percent string, ok bool) {
	if c.out.Objective.value == nil || t.Outage || t.Factor == nil {
		return "", true
	}
	if factor, _ := t.Factor.Float64(); factor*(1-c.out.Objective.approximate()/100) < 0.99 {
		return "", true // far from it: exact numbers need not be asked
	}
	threshold, _ := t.Thresholds(c.out)
	if threshold.Cmp(big.NewRat(1, 1)) < 0 {
		return "", true
	}
	return threshold.Mul(threshold, big.NewRat(100, 1)).FloatString(1), false
}

// presetCanFire refuses an objective so low, or a window so short, that a tier
// of the preset makes no sense.
func (c *checker) presetCanFire(preset Preset, tiers []Tier) {
	for _, t := range tiers {
		if percent, ok := c.canFire(t); !ok {
			c.add("spec.objective",
				fmt.Sprintf("%s is too low: tier %s could never fire, it needs more than %s%% of events to fail", c.out.Objective, t.Name, percent),
				fmt.Sprintf("an objective above %s", lowest(t).FloatString(2)))
		}
		if length := c.out.Window.Duration(); length != 0 && t.Long > length {
			hint := "alerts with tiers of your own, or preset: none"
			if length >= minScaled {
				hint = "alerts: {preset: scaled}, which has shorter tiers, or tiers of your own"
			}
			c.add("spec.window", fmt.Sprintf("%s is shorter than what tier %s of the preset %s looks back over", c.out.Window, t.Name, preset), hint)
		}
	}
}

// lowest returns the objective, in percent, above which a tier can fire,
// rounded up to two places.
func lowest(t Tier) *big.Rat {
	share := new(big.Rat).Sub(big.NewRat(1, 1), new(big.Rat).Inv(t.Factor))
	hundredths := new(big.Rat).Mul(share, big.NewRat(10000, 1))
	up := new(big.Int).Add(hundredths.Num(), new(big.Int).Sub(hundredths.Denom(), big.NewInt(1)))
	return new(big.Rat).SetFrac(up.Quo(up, hundredths.Denom()), big.NewInt(100))
}
