package lint

import "strings"

func latencyUnit() Check {
	return Check{
		Name: "latency-unit", Severity: Warning,
		Finds: "A latency threshold in another unit than its histogram's: 300 for one in seconds, 0.3 for one in milliseconds.",
		Why:   "300 seconds are never passed, so nothing is ever slow; 0.3 milliseconds always are.",
		one: func(s *subject) {
			l := s.slo.SLI.Latency
			if l == nil {
				return
			}
			d, ok := s.side("histogram")
			if !ok || d.selector() == nil {
				return
			}
			const field = "spec.sli.latency.threshold"
			switch metric, threshold := name(d.selector()), l.Threshold.Float64(); {
			case strings.Contains(metric, "_milliseconds") || strings.HasSuffix(metric, "_ms"):
				if threshold < 1 {
					s.add(field, "milliseconds, such as 300", "%s ms is less than anything takes: %s is in milliseconds", l.Threshold, metric)
				}
			case strings.Contains(metric, "_seconds") && threshold >= 50:
				s.add(field, "seconds, such as 0.3, or a duration, such as 300ms", "%s s is long: %s is in seconds", l.Threshold, metric)
			}
		},
	}
}
