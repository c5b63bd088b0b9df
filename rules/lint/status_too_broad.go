package lint

import (
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

func statusTooBroad() Check {
	return Check{
		Name: "status-too-broad", Severity: Info,
		Finds: "Errors whose HTTP status may be below 500, such as code!~\"2..\": redirects, answers from a cache, and what clients do wrong.",
		Why:   "Somebody who scans for pages that are not there then wakes the person on call.",
		one: func(s *subject) {
			part, ok := s.side("errors")
			if !ok {
				return
			}
			for _, vs := range part.selectors() {
				for _, m := range matchers(vs) {
					if isStatus(m.Name) && digitsOnly(m.Value) {
						s.broad(part, m)
					}
				}
			}
		},
	}
}

func (s *subject) broad(part side, m *labels.Matcher) {
	begins := func(digit string) bool {
		return slices.ContainsFunc(statuses(m), func(text string) bool { return strings.HasPrefix(text, digit) })
	}
	switch {
	case begins("3") && begins("1"):
		s.addAs(Warning, part.field, m.Name+"=~\"5..\" counts what the service does wrong", "%s counts redirects (3xx) and 1xx as errors", m)
	case begins("3"):
		s.addAs(Warning, part.field, m.Name+"=~\"5..\" counts what the service does wrong", "%s counts redirects (3xx) as errors", m)
	case begins("4") && m.Type != labels.MatchEqual && !slices.Equal(statuses(m), named(m)):
		s.add(part.field, "leave them out, or name those that are the service's, such as 429", "%s counts what clients do wrong (4xx) as errors", m)
	}
}
