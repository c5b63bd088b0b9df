package lint

func noAlerts() Check {
	return Check{
		Name: "no-alerts", Severity: Warning,
		Finds: "An SLO that alerts on nothing: no tier, no share of the budget, no missing data.",
		Why:   "Its budget can be gone for weeks before somebody looks at a dashboard.",
		one: func(s *subject) {
			p := s.slo.Alerts
			if len(p.Tiers)+len(p.BudgetSpent) == 0 && p.NoData == nil {
				s.add("spec.alerts", "a preset, or budget_spent: [100] with severity Info for a trend alone", "nobody is told when this budget burns, nor when it is gone")
			}
		},
	}
}
