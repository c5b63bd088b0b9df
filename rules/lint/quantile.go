package lint

func quantile() Check {
	return Check{
		Name: "quantile", Severity: Warning,
		Finds: "histogram_quantile in a gauge or a ratio.",
		Why:   "A percentile does not say how many were slow: a quiet minute weighs as much as a busy one, and it never sees what is slower than the last bucket. A latency SLI counts the requests themselves.",
		one: func(s *subject) {
			for _, d := range s.sides {
				if len(d.calls("histogram_quantile", "quantile_over_time")) > 0 {
					s.add(d.field, "use sli.latency with the histogram and a threshold", "%s is a percentile: it counts time, not requests", d.what)
				}
			}
		},
	}
}
