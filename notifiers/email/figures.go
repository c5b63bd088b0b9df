package email

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

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
			BurnRate: times(s.BurnRate), ErrorRatio: percent(s.ErrorRatio), BudgetLeft: percent(s.BudgetLeft),
			Burns: s.BurnRate > 1, Overspent: s.BudgetLeft < 0,
		}
	}
	return rows
}

// times writes a burn rate.
func times(v float64) string {
	if math.Abs(v) < 9.95 {
		return figure(v, 1, "×")
	}
	return figure(v, 0, "×")
}

// percent writes a ratio in percent, with two digits that mean something.
func percent(ratio float64) string {
	v := ratio * 100
	switch size := math.Abs(v); {
	case size >= 9.95 || v == 0:
		return figure(v, 0, "%")
	case size >= 0.995:
		return figure(v, 1, "%")
	case size >= 0.0995:
		return figure(v, 2, "%")
	}
	return figure(v, 3, "%")
}

// figure writes a number, "?" when it is unknown.
func figure(v float64, digits int, unit string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "?"
	}
	text := strconv.FormatFloat(v, 'f', digits, 64) + unit
	if minus, ok := strings.CutPrefix(text, "-"); ok {
		return "−" + minus
	}
	return text
}
