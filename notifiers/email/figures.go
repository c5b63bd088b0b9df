package email

import (
	"cmp"
	"slices"

	"github.com/midwatch-slo/midwatch/page"
)

// cluster is how the SLO stands in one cluster, as a row of the mail's table.
type cluster struct {
	Name, BurnRate, ErrorRatio, BudgetLeft string
	Burns                                  bool // faster than the budget allows
	Overspent                              bool
}

// clusters returns the rows, worst first.
func clusters(standings []page.Standing) []cluster {
	worstFirst := slices.Clone(standings)
	slices.SortStableFunc(worstFirst, func(a, b page.Standing) int { return cmp.Compare(b.BurnRate, a.BurnRate) })
	rows := make([]cluster, len(worstFirst))
	for i, s := range worstFirst {
		rows[i] = cluster{
			Name:     oneLine(s.Cluster, maxName),
			BurnRate: page.Rate(s.BurnRate), ErrorRatio: page.Percent(s.ErrorRatio), BudgetLeft: page.Percent(s.BudgetLeft),
			Burns: s.BurnRate > 1, Overspent: s.BudgetLeft < 0,
		}
	}
	return rows
}
