package lint

import (
	"context"

	"github.com/midwatch-slo/midwatch/rules/explain"
)

func traffic() Check {
	return Check{
		Name: "traffic", Severity: Warning,
		Finds: "An objective that is finer than its traffic: at the last day's, fewer than ten events may fail in the budget's window, or less than one.",
		Why:   "A single failure spends a tenth of the budget or more. The number says little of how users fare.",
		ask: func(ctx context.Context, s *subject) error {
			rate, group, err := s.quietest(ctx)
			if err != nil || rate == 0 {
				return err
			}
			share, _ := s.slo.ErrorBudget().Float64()
			events := rate * s.slo.Window.Duration().Seconds()
			const few = 10
			if allowed := share * events; allowed < few {
				s.add("spec.objective", "a lower objective, a longer window, or fewer groups", "%s%s has %s events in %s, of which %s may fail",
					s.slo.ID(), of(group), explain.Count(events), s.slo.Window, explain.Count(allowed))
			}
			return nil
		},
	}
}
