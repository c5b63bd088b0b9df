package lint

import (
	"context"
	"strings"
)

func groups() Check {
	return Check{
		Name: "groups", Severity: Error,
		Finds: "group_by of a label that no series of the total has, or of so many values that there are more than 100 budgets.",
		Why:   "Without the label there is one group for all; with very many, each has little traffic and alerts of its own.",
		ask: func(ctx context.Context, s *subject) error {
			d, ok := s.side("total", "histogram", "gauge")
			if !ok || len(s.slo.GroupBy) == 0 || d.selector() == nil {
				return nil
			}
			selector := s.seriesOf(d, d.selector())
			there, err := s.exists(ctx, selector)
			if err != nil || !there {
				return err
			}
			for _, label := range s.slo.GroupBy {
				values, err := s.values(ctx, label, selector)
				if err != nil {
					return err
				}
				if len(values) == 0 {
					s.add("spec.group_by", "a label that it has, or no group_by", "no series of %s has the label %q", d.what, label)
				}
			}
			const many = 100
			n, ok, err := s.number(ctx, "count(count by (%s) (%s))", strings.Join(s.slo.GroupBy, ", "), selector)
			if err == nil && ok && n > many {
				s.addAs(Warning, "spec.group_by", "group by what is few and stays", "there are %.0f groups, with a budget each", n)
			}
			return err
		},
	}
}
