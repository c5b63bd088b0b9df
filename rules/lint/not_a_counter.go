package lint

import (
	"slices"
	"strings"
)

func notACounter() Check {
	return Check{
		Name: "not-a-counter", Severity: Warning,
		Finds: "A metric whose name is not that of a counter (_total, _count or _bucket) where events are counted: a gauge, a sum of sizes, or a recorded rate.",
		Why:   "The rate of a gauge is noise: each time it falls, it looks like a restart.",
		one: func(s *subject) {
			for _, d := range s.sides {
				vs := d.selector()
				if !d.raw || vs == nil {
					continue
				}
				switch metric := name(vs); {
				case strings.HasSuffix(metric, "_sum"):
					s.add(d.field, "count "+strings.TrimSuffix(metric, "_sum")+"_count", "%s adds up sizes, it does not count events", metric)
				case strings.Contains(metric, ":"):
					s.add(d.field, "count what it is recorded from, or use sli.ratio", "%s is a recorded series, and its rate is that of a rate", metric)
				case !slices.ContainsFunc([]string{"_total", "_count", "_bucket"}, func(end string) bool { return strings.HasSuffix(metric, end) }):
					s.add(d.field, "count a counter; a gauge over time is sli.gauge", "%s does not have the name of a counter", metric)
				}
			}
		},
	}
}
