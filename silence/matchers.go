package silence

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// ParseMatchers reads matchers as Alertmanager writes them, one a text:
// service="payment-service", cluster=~"beijing|hangzhou". Values without
// quotes are read too. It says which one is wrong.
func ParseMatchers(texts []string) (labels.Matchers, error) {
	if len(texts) > MaxMatchers {
		return nil, fmt.Errorf("%d matchers, %d are allowed", len(texts), MaxMatchers)
	}
	var ms labels.Matchers
	for _, text := range texts {
		m, err := ParseMatcher(text)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
}

// ParseMatcher reads one matcher: a label's name in quotes or not, one of =,
// !=, =~ and !~, and a value.
func ParseMatcher(text string) (*labels.Matcher, error) {
	if len(text) > MaxMatcher || !storable(text) {
		return nil, fmt.Errorf("the matcher %q is no UTF-8 of at most %d bytes", shorten(text), MaxMatcher)
	}
	m, err := parse.Matcher(text)
	if err != nil {
		// Values that need quotes were written without, before label names
		// could be any UTF-8.
		if m, err = labels.ParseMatcher(text); err != nil {
			return nil, fmt.Errorf("%q is no matcher such as service=\"payment\": %w", shorten(text), err)
		}
	}
	return m, validateMatcher(m)
}

// Texts returns matchers as ParseMatchers reads them.
func Texts(ms labels.Matchers) []string {
	texts := make([]string, 0, len(ms))
	for _, m := range ms {
		texts = append(texts, m.String())
	}
	return texts
}

// Exact returns matchers that match alerts with exactly these values of the
// labels.
func Exact(set model.LabelSet) labels.Matchers {
	var ms labels.Matchers
	for name, value := range set {
		ms = append(ms, &labels.Matcher{Type: labels.MatchEqual, Name: string(name), Value: string(value)})
	}
	sort.Sort(ms)
	return ms
}

func validateMatchers(ms labels.Matchers) error {
	all := true
	for _, m := range ms {
		if err := validateMatcher(m); err != nil {
			return err
		}
		all = all && m.Matches("")
	}
	if all {
		return errors.New("at least one matcher must not match the empty string, or it silences everything")
	}
	return nil
}

func validateMatcher(m *labels.Matcher) error {
	switch {
	case !model.UTF8Validation.IsValidLabelName(m.Name) || strings.ContainsRune(m.Name, 0):
		return fmt.Errorf("%q is no label name", shorten(m.Name))
	case !storable(m.Value):
		return fmt.Errorf("the value that %q is compared with is no UTF-8, or holds a NUL", shorten(m.Name))
	case len(m.Name)+len(m.Value) > MaxMatcher:
		return fmt.Errorf("the matcher of %q is longer than %d bytes", shorten(m.Name), MaxMatcher)
	}
	return nil
}

// storable tells whether a database keeps s as text.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// shorten cuts a text from outside for an error.
func shorten(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	n := limit
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
