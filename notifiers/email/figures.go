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
			BurnRate: figure(s.BurnRate, "×"), ErrorRatio: percent(s.ErrorRatio), BudgetLeft: percent(s.BudgetLeft),
			Burns: s.BurnRate > 1, Overspent: s.BudgetLeft < 0,
		}
	}
	return rows
}

// percent writes a ratio in percent.
func percent(ratio float64) string { return figure(ratio*100, "%") }

// figure writes a number with as many digits as mean something, "?" when it
// is unknown.
func figure(v float64, unit string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "?"
	}
	digits := 3
	switch size := math.Abs(v); {
	case size >= 9.95 || v == 0:
		digits = 0
	case size >= 0.995:
		digits = 1
	case size >= 0.0995:
		digits = 2
	}
	text := strconv.FormatFloat(v, 'f', digits, 64) + unit
	if minus, ok := strings.CutPrefix(text, "-"); ok {
		return "−" + minus
	}
	return text
}
