package lint

import (
	"maps"
	"slices"
)

func mixedWindows() Check {
	return Check{
		Name: "mixed-windows", Severity: Info,
		Finds: "SLOs with windows of nearly the same length, such as 28d and 30d.",
		Why:   "Their budgets cannot be compared, and each window costs rules of its own.",
		all: func(_ *linter, subjects []*subject) {
			count := map[string]int{}
			for _, s := range subjects {
				if unit, _ := s.slo.Window.Calendar(); unit == "" {
					count[s.slo.Window.String()]++
				}
			}
			lengths := slices.Sorted(maps.Keys(count))
			for _, s := range subjects {
				own := s.slo.Window.String()
				for _, other := range lengths {
					if other != own && count[own] > 0 && near(own, other) && (count[own] < count[other] || count[own] == count[other] && own < other) {
						s.add("spec.window", "the same window for all", "its window is %s, and that of %d others is %s", own, count[other], other)
					}
				}
			}
		},
	}
}

// near says whether two windows are both about a week, a month or a quarter.
func near(a, b string) bool {
	for _, alike := range [][]string{{"7d", "8d"}, {"14d", "15d"}, {"28d", "30d", "31d"}, {"84d", "90d", "91d", "92d"}} {
		if slices.Contains(alike, a) && slices.Contains(alike, b) {
			return true
		}
	}
	return false
}
