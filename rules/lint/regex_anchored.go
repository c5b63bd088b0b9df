package lint

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

func regexAnchored() Check {
	return Check{
		Name: "regex-anchored", Severity: Warning,
		Finds: "A regular expression of one plain text, such as status=~\"5\", or one with ^ or $.",
		Why:   "PromQL's regular expressions match whole values: \"5\" matches the value 5 alone and not 503, and ^ and $ are there already.",
		one: func(s *subject) {
			s.eachMatcher(func(d side, m *labels.Matcher) {
				if m.Type != labels.MatchRegexp && m.Type != labels.MatchNotRegexp {
					return
				}
				switch {
				case strings.HasPrefix(m.Value, "^") || strings.HasSuffix(m.Value, "$") && !strings.HasSuffix(m.Value, `\$`):
					s.addAs(Info, d.field, "leave them out", "%s: a regular expression matches the whole value without ^ and $", m)
				case m.Value != "" && !strings.ContainsAny(m.Value, `.*+?()|[]{}\`):
					s.add(d.field, "write = for this value, or say what may follow, such as "+m.Value+".*", "%s matches the value %q alone, and nothing that merely contains it", m, m.Value)
				}
			})
		},
	}
}
