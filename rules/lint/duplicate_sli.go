package lint

import (
	"fmt"
	"strings"
)

func duplicateSLI() Check {
	return Check{
		Name: "duplicate-sli", Severity: Warning,
		Finds: "Two SLOs that count the same, by the same groups.",
		Why:   "One failure pages twice. With the same objective and window they are one SLO under two names.",
		all: func(_ *linter, subjects []*subject) {
			first := map[string]*subject{}
			for _, s := range subjects {
				key := s.counts()
				if key == "" {
					continue
				}
				other, known := first[key]
				if !known {
					first[key] = s
					continue
				}
				severity, what := Info, "counts the same as"
				if other.slo.Objective.String() == s.slo.Objective.String() && other.slo.Window.String() == s.slo.Window.String() {
					severity, what = Warning, "is the same as"
				}
				s.addAs(severity, "spec.sli", "keep one, or give one of them no alerts", "it %s %s (%s:%d)", what, other.slo.ID(), other.slo.File, other.slo.Line)
			}
		},
	}
}

// counts returns text that is the same for SLOs that count the same, "" for
// what has no expressions.
func (s *subject) counts() string {
	if len(s.sides) == 0 {
		return ""
	}
	parts := []string{strings.Join(s.slo.GroupBy, ","), fmt.Sprint(s.slo.Slices != nil)}
	for _, d := range s.sides {
		parts = append(parts, d.field, canonical(d))
	}
	if l := s.slo.SLI.Latency; l != nil {
		parts = append(parts, l.Threshold.String())
	}
	if g := s.slo.SLI.Gauge; g != nil {
		parts = append(parts, g.Op+g.Threshold)
	}
	return strings.Join(parts, "\x00")
}
