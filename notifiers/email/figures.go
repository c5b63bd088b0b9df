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

func worstFirst(standings []page.Standing) []page.Standing {
	rows := slices.Clone(standings)
	slices.SortStableFunc(rows, func(a, b page.Standing) int { return cmp.Compare(b.BurnRate, a.BurnRate) })
	return rows
}

// clusters returns the rows, worst first.
func clusters(standings []page.Standing) []cluster {
	rows := make([]cluster, len(standings))
	for i, s := range worstFirst(standings) {
		rows[i] = cluster{
			Name:     oneLine(s.Cluster, maxName),
			BurnRate: page.Rate(s.BurnRate), ErrorRatio: page.Percent(s.ErrorRatio), BudgetLeft: page.Percent(s.BudgetLeft),
			Burns: s.BurnRate > 1, Overspent: s.BudgetLeft < 0,
		}
	}
	return rows
}
