package lint

import (
	"context"

	"github.com/midwatch-slo/midwatch/rules/explain"
)

func errorsExceedTotal() Check {
	return Check{
		Name: "errors-exceed-total", Severity: Error,
		Finds: "More errors, or more good events, than events in all over the last day.",
		Why:   "One is not a part of the other: the ratio says nothing, and passes 1.",
		ask: func(ctx context.Context, s *subject) error {
			part, ok := s.side("errors", "good")
			total, also := s.side("total")
			if !ok || !also || s.counterText(part) == "" || s.counterText(total) == "" {
				return nil
			}
			const slack = 1.01 // scrapes of the two are not of one instant
			all, any, err := s.number(ctx, "sum(increase(%s[%s]))", s.counterText(total), span(recently))
			if err != nil || !any {
				return err
			}
			some, any, err := s.number(ctx, "sum(increase(%s[%s]))", s.counterText(part), span(recently))
			if err == nil && any && some > slack*all+1 {
				s.add(part.field, "make it a part of the total, by the same matchers", "in the last day there were %s of %s and %s in total", explain.Count(some), part.what, explain.Count(all))
			}
			return err
		},
	}
}
