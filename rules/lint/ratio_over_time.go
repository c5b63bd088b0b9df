package lint

func ratioOverTime() Check {
	return Check{
		Name: "ratio-over-time", Severity: Warning,
		Finds: "A ratio SLI without total whose expression divides rates of counters.",
		Why:   "All time weighs the same then: one failure in a quiet night burns as much of the budget as thousands at the peak. The counters are there, so events can be counted.",
		one: func(s *subject) {
			if s.slo.SLI.Ratio == nil || s.slo.SLI.Ratio.Total != "" {
				return
			}
			for _, d := range s.sides {
				if len(d.calls("rate", "increase")) > 0 {
					s.add(d.field, "use sli.promql or sli.events with errors and total, or give the ratio a total", "the ratio is averaged over time, though its events could be counted")
				}
			}
		},
	}
}
