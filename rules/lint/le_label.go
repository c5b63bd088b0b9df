package lint

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

func leLabel() Check {
	return Check{
		Name: "le-label", Severity: Warning,
		Finds: "A matcher of le, the label of a classic histogram's buckets, in an events SLI.",
		Why:   "Prometheus 3 writes le=\"1.0\" where Prometheus 2 wrote le=\"1\", and a bucket that is not there counts nothing. A latency SLI knows both.",
		one: func(s *subject) {
			if s.slo.SLI.Events == nil {
				return
			}
			s.eachMatcher(func(d side, m *labels.Matcher) {
				switch {
				case m.Name != "le" || m.Value == "+Inf":
				case m.Type == labels.MatchEqual && !strings.Contains(m.Value, "."):
					s.addAs(Error, d.field, "use sli.latency with threshold: "+m.Value, "%s: Prometheus 3 has this bucket as le=%q", m, m.Value+".0")
				default:
					s.add(d.field, "use sli.latency with a threshold", "%s picks a bucket by the text of its bound", m)
				}
			})
		},
	}
}
