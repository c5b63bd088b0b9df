package lint

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

func groupOfOne() Check {
	return Check{
		Name: "group-of-one", Severity: Warning,
		Finds: "group_by of a label that the total's selector fixes to one value.",
		Why:   "There is one group, and its label is on all series and alerts for nothing.",
		one: func(s *subject) {
			total, ok := s.side("total", "histogram", "gauge")
			if !ok || total.selector() == nil {
				return
			}
			for _, m := range matchers(total.selector()) {
				if m.Type == labels.MatchEqual && m.Value != "" && slices.Contains(s.slo.GroupBy, m.Name) {
					s.add("spec.group_by", "leave it out of group_by, or take the matcher away", "there is one group only: %s has %s", total.what, m)
				}
			}
		},
	}
}
