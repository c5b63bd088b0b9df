package lint

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
)

func leMissing() Check {
	return Check{
		Name: "le-missing", Severity: Error,
		Finds: "A latency threshold at which the classic histogram has no bucket.",
		Why:   "There is nothing to count: how many were faster is known at the bounds of buckets alone.",
		ask: func(ctx context.Context, s *subject) error {
			l := s.slo.SLI.Latency
			d, ok := s.side("histogram")
			if !ok || l == nil || l.Native || d.selector() == nil {
				return nil
			}
			texts, err := s.values(ctx, "le", s.seriesOf(d, d.selector()))
			if err != nil {
				return err
			}
			bounds := numbers(texts)
			threshold := l.Threshold.Float64()
			if len(bounds) == 0 || slices.Contains(bounds, threshold) {
				return nil
			}
			s.add("spec.sli.latency.threshold", neighbours(bounds, threshold)+"; there are "+joined(bounds), "%s has no bucket le=%q", name(d.selector()), l.Threshold)
			return nil
		},
	}
}

// neighbours names the bounds next to a threshold.
func neighbours(bounds []float64, threshold float64) string {
	i, _ := slices.BinarySearch(bounds, threshold)
	switch i {
	case 0:
		return fmt.Sprintf("the nearest is %g", bounds[0])
	case len(bounds):
		return fmt.Sprintf("the nearest is %g", bounds[i-1])
	}
	return fmt.Sprintf("the nearest are %g and %g", bounds[i-1], bounds[i])
}

// numbers returns what are finite numbers among texts, sorted.
func numbers(texts []string) (out []float64) {
	for _, text := range texts {
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func joined(bounds []float64) string {
	const most = 20
	text := ""
	for i, b := range bounds {
		if i == most {
			return text + " …"
		}
		if i > 0 {
			text += ", "
		}
		text += strconv.FormatFloat(b, 'g', -1, 64)
	}
	return text
}
