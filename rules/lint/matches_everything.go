package lint

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

func matchesEverything() Check {
	return Check{
		Name: "matches-everything", Severity: Warning,
		Finds: "A matcher that every series passes, such as app=~\".*\", or none, such as app!~\".*\".",
		Why:   "It looks like a condition and is none: series without the label pass it too.",
		one: func(s *subject) {
			s.eachMatcher(func(d side, m *labels.Matcher) {
				all := slices.Contains([]string{".*", "(.*)", "^.*$", "^.*", ".*$", ".*|.+"}, m.Value)
				switch {
				case all && m.Type == labels.MatchRegexp:
					s.add(d.field, "leave it out, or write =~\".+\" where the label must be there", "%s matches every series, also those without the label", m)
				case all && m.Type == labels.MatchNotRegexp:
					s.addAs(Error, d.field, "leave it out", "%s matches no series", m)
				}
			})
		},
	}
}
