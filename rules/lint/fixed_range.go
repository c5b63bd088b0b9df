package lint

import (
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

func fixedRange() Check {
	return Check{
		Name: "fixed-range", Severity: Error,
		Finds: "A range that is not $window in an expression over $window, such as rate(x[5m]) / rate(y[$window]).",
		Why:   "That part is always of the last five minutes, whatever the window of the alert and of the budget.",
		one: func(s *subject) {
			if s.slo.SLI.PromQL == nil && s.slo.SLI.Ratio == nil {
				return
			}
			for _, d := range s.sides {
				ranges := d.ranges()
				for _, length := range ranges {
					if length == windowLength {
						continue
					}
					if s.slo.SLI.PromQL != nil || len(ranges) > 1 {
						s.add(d.field, "write [$window]", "%s has the range [%s], which is the same for every window", d.what, span(length))
					}
				}
			}
		},
	}
}

// ranges returns the ranges of selectors and subqueries, those that stand for
// $window among them.
func (d side) ranges() (out []time.Duration) {
	if d.expr == nil {
		return nil
	}
	parser.Inspect(d.expr, func(n parser.Node, _ []parser.Node) error {
		switch x := n.(type) {
		case *parser.MatrixSelector:
			out = append(out, x.Range)
		case *parser.SubqueryExpr:
			out = append(out, x.Range)
		}
		return nil
	})
	return out
}
