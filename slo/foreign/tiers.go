package foreign

import (
	"math/big"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/slo"
)

// Default gives an SLO tiers of which the tool that its file is for has some
// as well: those of the preset, where all of them can fire and are wanted, else
// those of it that can and are. A tier cannot fire whose burn rate is more
// than even a total outage has; the tool has a rule of it for nothing.
func (e *Entry) Default(preset slo.Preset, wanted func(slo.Tier) bool) {
	window, err := slo.ParseWindow(e.Document.Spec.Window.Rolling)
	objective, err2 := slo.ParseDecimal(string(e.Document.Spec.Objective))
	tiers := slo.WorkbookTiers()
	if preset == slo.PresetScaled && err == nil {
		tiers = slo.ScaledTiers(window)
	}
	var keep []slo.TierText
	for i, t := range tiers {
		if wanted(t) && (err2 != nil || canFire(t.Factor, objective)) {
			keep = append(keep, tierText(preset, i, t))
		}
	}
	switch {
	case len(keep) == 0:
		e.Alerts().Preset = string(slo.PresetNone)
	case len(keep) < len(tiers):
		e.Alerts().Tiers = keep
	case preset != slo.PresetWorkbook:
		e.Alerts().Preset = string(preset)
	}
}

// tierText writes a tier of a preset. That of a scaled one is written by the
// share of the budget that it spends, which is exact.
func tierText(preset slo.Preset, i int, t slo.Tier) slo.TierText {
	out := slo.TierText{Long: slo.FormatDuration(t.Long), Short: slo.FormatDuration(t.Short), Severity: t.Severity}
	if t.Critical != t.Severity {
		out.Critical = t.Critical
	}
	if preset == slo.PresetScaled {
		out.BudgetPercent = []slo.Number{"2", "5", "10", "10"}[i]
	} else {
		out.BurnRate = slo.Number(strings.TrimSuffix(t.Factor.FloatString(1), ".0"))
	}
	return out
}

// canFire says whether a burn rate is one that the errors of an SLO with an
// objective, in percent, can reach.
func canFire(factor *big.Rat, objective slo.Decimal) bool {
	budget := objective.Rat()
	budget.Sub(big.NewRat(100, 1), budget)
	return budget.Mul(budget, factor).Cmp(big.NewRat(100, 1)) < 0
}

// CanFire says whether a tier that spends so many percent of the budget over
// a part of the window can fire.
func (e *Entry) CanFire(percent slo.Number, part string) bool {
	window, err := slo.ParseWindow(e.Document.Spec.Window.Rolling)
	long, err2 := model.ParseDuration(part)
	objective, err3 := slo.ParseDecimal(string(e.Document.Spec.Objective))
	share, err4 := slo.ParseDecimal(string(percent))
	if err != nil || err2 != nil || err3 != nil || err4 != nil || long <= 0 {
		return true // what is wrong is said elsewhere
	}
	factor := share.Rat()
	factor.Mul(factor, big.NewRat(int64(window.Duration()/time.Second), 100*int64(time.Duration(long)/time.Second)))
	return canFire(factor, objective)
}
