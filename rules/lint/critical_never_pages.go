package lint

import (
	"slices"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
)

func criticalNeverPages() Check {
	return Check{
		Name: "critical-never-pages", Severity: Warning,
		Finds: "A critical SLO whose tiers are all below P2.",
		Why:   "It says that it is a core path, and wakes nobody whatever happens to it.",
		one: func(s *subject) {
			pages := func(t slo.Tier) bool { return explain.Wakes(t.SeverityOf(s.slo)) }
			if s.slo.Critical && len(s.slo.Alerts.Tiers) > 0 && !slices.ContainsFunc(s.slo.Alerts.Tiers, pages) {
				s.add("spec.critical", "critical: P1 on the fastest tier, or critical: false", "it is critical, and no tier has severity P1 or P2")
			}
		},
	}
}
