package lint

import (
	"context"

	"github.com/midwatch-slo/midwatch/rules/explain"
)

func tierNeverFires() Check {
	return Check{
		Name: "tier-never-fires", Severity: Warning,
		Finds: "A tier whose long window, at the last day's traffic, holds too few events to ever pass the conditions of low traffic.",
		Why:   "Even when everything fails, nobody is told by this tier.",
		ask: func(ctx context.Context, s *subject) error {
			rate, group, err := s.quietest(ctx)
			if err != nil || rate == 0 {
				return err
			}
			for _, t := range s.slo.Alerts.Tiers {
				events, fewest := rate*t.Long.Seconds(), explain.FewestEvents(s.slo, t)
				if events < fewest {
					s.add("spec.alerts", "fewer min_failures under alerts.low_traffic, or probes that add traffic", "tier %s can never fire%s: %s has %s events, and it takes %s failures",
						t.Name, of(group), span(t.Long), explain.Count(events), explain.Count(fewest))
				}
			}
			return nil
		},
	}
}
