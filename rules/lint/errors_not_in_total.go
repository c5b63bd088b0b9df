package lint

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

func errorsNotInTotal() Check {
	return Check{
		Name: "errors-not-in-total", Severity: Error,
		Finds: "A selector of errors (or good) that can select what the total does not: a matcher of the total is missing from it, or says something else.",
		Why:   "The ratio is then that of different things, and may pass 1. Errors of other applications burn this budget.",
		one: func(s *subject) {
			part, ok := s.side("errors", "good")
			total, also := s.side("total")
			if !ok || !also || part.sole() == nil || total.sole() == nil {
				return
			}
			severity := Error
			if name(part.sole()) != name(total.sole()) {
				severity = Warning // another metric need not have the label
			}
			for _, m := range matchers(total.sole()) {
				s.notInTotal(part, m, severity)
			}
		},
	}
}

// notInTotal finds a matcher of the total that a part of it does not keep.
func (s *subject) notInTotal(part side, m *labels.Matcher, severity Severity) {
	own := matchers(part.sole())
	i := slices.IndexFunc(own, func(o *labels.Matcher) bool { return o.Name == m.Name })
	switch {
	case i < 0:
		s.addAs(severity, part.field, "add it, or take it from the total", "%s has no matcher of %q, and total has %s", part.what, m.Name, m)
	case contradicts(own[i], m):
		s.addAs(Error, part.field, "make them the same", "%s has %s, and total has %s: nothing is counted by both", part.what, own[i], m)
	}
}

// contradicts says whether no value passes both matchers, as far as one of
// them names its values.
func contradicts(a, b *labels.Matcher) bool {
	for _, pair := range [][2]*labels.Matcher{{a, b}, {b, a}} {
		if values := named(pair[0]); len(values) > 0 && !slices.ContainsFunc(values, pair[1].Matches) {
			return true
		}
	}
	return false
}

// named returns the values that a matcher names, none where they cannot be
// told.
func named(m *labels.Matcher) []string {
	switch m.Type {
	case labels.MatchEqual:
		return []string{m.Value}
	case labels.MatchRegexp:
		return m.SetMatches()
	default:
		return nil
	}
}
