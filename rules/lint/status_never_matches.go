package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

func statusNeverMatches() Check {
	return Check{
		Name: "status-never-matches", Severity: Error,
		Finds: "A matcher of an HTTP status that no status from 100 to 599 passes, such as code=~\"5.\".",
		Why:   "The side counts nothing: there are no errors however many fail, or nothing is good.",
		one: func(s *subject) {
			s.eachMatcher(func(d side, m *labels.Matcher) {
				if isStatus(m.Name) && digitsOnly(m.Value) && len(statuses(m)) == 0 {
					s.add(d.field, "a status has three digits: 5.. matches all that begin with 5", "%s matches no HTTP status", m)
				}
			})
		},
	}
}

// isStatus says whether a label holds HTTP statuses, by its name.
func isStatus(label string) bool {
	return slices.Contains([]string{"code", "status", "status_code", "http_status", "http_status_code", "http_response_status_code", "response_code"}, label)
}

// digitsOnly says whether a pattern is about numbers: names of statuses such
// as Unavailable, and classes such as 5xx, are something else.
func digitsOnly(pattern string) bool {
	bare := strings.NewReplacer(`\d`, "", `\D`, "").Replace(pattern)
	return strings.ContainsAny(pattern, "0123456789") && !strings.ContainsFunc(bare, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
}

// statuses returns the HTTP statuses that pass a matcher.
func statuses(m *labels.Matcher) (out []string) {
	for status := 100; status < 600; status++ {
		if text := strconv.Itoa(status); m.Matches(text) {
			out = append(out, text)
		}
	}
	return out
}
