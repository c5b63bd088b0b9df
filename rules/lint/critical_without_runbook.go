package lint

func criticalWithoutRunbook() Check {
	return Check{
		Name: "critical-without-runbook", Severity: Warning,
		Finds: "A critical SLO without a runbook, or without logs.",
		Why:   "Its page comes at three in the morning, and says neither what to do nor what was logged.",
		one: func(s *subject) {
			if !s.slo.Critical {
				return
			}
			if s.slo.Runbook == "" {
				s.add("spec.runbook", "the URL of a page that says what to do", "a page of this critical SLO says nothing of what to do")
			}
			if s.slo.Logs == "" && len(s.slo.SLI.Composite) == 0 && s.slo.SLI.Logs == nil {
				s.addAs(Info, "spec.logs", `a LogQL stream selector, such as {namespace="prod", app="shop"}`, "a page of this critical SLO comes without what was logged")
			}
		},
	}
}
