// Package promresult compares results of queries as Prometheus' API answers
// them: what tests and benchmarks of federation hold beside each other.
package promresult

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Differ tells how two results of a query differ, "" when they do not. They
// are decoded JSON, and are sorted in place: series may come in any order but
// where the query asks for one. Numbers may differ by 10^-12 of the larger.
func Differ(query string, got, want any) string {
	if !strings.HasPrefix(query, "sort") {
		sortByMetric(got)
		sortByMetric(want)
	}
	return differ("", got, want)
}

func sortByMetric(result any) {
	list, _ := result.([]any)
	key := func(v any) string {
		series, _ := v.(map[string]any)
		text, _ := json.Marshal(series["metric"])
		return string(text)
	}
	slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(key(a), key(b)) })
}

func differ(where string, got, want any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			break
		}
		for name, v := range w {
			if d := differ(where+"."+name, g[name], v); d != "" {
				return d
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		for i, v := range w {
			if d := differ(fmt.Sprintf("%s[%d]", where, i), g[i], v); d != "" {
				return d
			}
		}
		return ""
	case string:
		if g, ok := got.(string); ok && (g == w || near(g, w)) {
			return ""
		}
	default:
		if got == want {
			return ""
		}
	}
	return fmt.Sprintf("%s: got %.300v, want %.300v", where, got, want)
}

func near(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && Near(x, y)
}

// Near tells whether two numbers are the same, NaN and infinite ones too, or
// finite and equal within 10^-12 of the larger: what sums in another order
// may be.
func Near(a, b float64) bool {
	if a == b || math.IsNaN(a) && math.IsNaN(b) {
		return true
	}
	larger := max(math.Abs(a), math.Abs(b))
	return !math.IsInf(larger, 0) && math.Abs(a-b) <= 1e-12*larger
}
