package lint

import (
	"context"
	"time"
)

func retention() Check {
	return Check{
		Name: "retention", Severity: Warning,
		Finds: "A Prometheus that keeps samples for less than the budget's window.",
		Why:   "What is older counts as free of errors: the budget looks better than it is.",
		ask: func(ctx context.Context, s *subject) error {
			asked, cancel := context.WithTimeout(ctx, s.linter.o.Timeout)
			defer cancel()
			kept, err := s.linter.o.Server.Retention(asked)
			if err != nil {
				return err
			}
			need := s.slo.Window.Duration()
			if unit, _ := s.slo.Window.Calendar(); unit != "" {
				need += need / 30 // the longest month has a day more
			}
			if kept > 0 && kept < need {
				s.add("spec.window", "--storage.tsdb.retention.time of "+span(need.Round(24*time.Hour))+" or more, or a shorter window", "the window is %s, and samples are kept for %s", s.slo.Window, span(kept))
			}
			return nil
		},
	}
}
