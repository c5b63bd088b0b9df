package rules

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// plainSelector reads a selector as nearly all are: the name of a counter or
// a histogram and, in braces, matchers with values in double quotes without
// escapes. It is for speed alone: what it does not read, Prometheus' parser
// may. Its matchers are for printing, not to match with.
func plainSelector(text string) (*parser.VectorSelector, bool) {
	name, rest := word(text, true)
	if !plainName(name) || !utf8.ValidString(text) {
		return nil, false
	}
	vs := &parser.VectorSelector{Name: name}
	if rest != "" {
		inner, ok := strings.CutPrefix(rest, "{")
		if !ok {
			return nil, false
		}
		if inner, ok = strings.CutSuffix(inner, "}"); !ok {
			return nil, false
		}
		if vs.LabelMatchers, ok = plainMatchers(inner); !ok {
			return nil, false
		}
	}
	vs.LabelMatchers = append(vs.LabelMatchers, eq(model.MetricNameLabel, name))
	return vs, true
}

// plainName says whether a metric's name ends as no word of Prometheus'
// language does.
func plainName(name string) bool {
	return slices.ContainsFunc([]string{"_total", "_seconds", "_bytes"}, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// plainMatchers reads matchers that are separated by commas.
func plainMatchers(text string) ([]*labels.Matcher, bool) {
	var out []*labels.Matcher
	for {
		m, rest, ok := plainMatcher(text)
		if !ok {
			return nil, false
		}
		out = append(out, m)
		if rest == "" {
			return out, true
		}
		if rest, ok = strings.CutPrefix(rest, ","); !ok {
			return nil, false
		}
		text = strings.TrimPrefix(rest, " ")
	}
}

func plainMatcher(text string) (m *labels.Matcher, rest string, ok bool) {
	name, rest := word(text, false)
	if name == "" || name == model.MetricNameLabel {
		return nil, "", false
	}
	m = &labels.Matcher{Name: name, Type: labels.MatchEqual}
	for _, t := range []labels.MatchType{labels.MatchNotEqual, labels.MatchRegexp, labels.MatchNotRegexp, labels.MatchEqual} {
		if value, found := strings.CutPrefix(rest, t.String()+`"`); found {
			m.Type = t
			m.Value, rest, ok = strings.Cut(value, `"`)
			return m, rest, ok && !strings.ContainsAny(m.Value, "\\\n")
		}
	}
	return nil, "", false
}

// word returns the name that a text begins with, "" where there is none.
func word(text string, colons bool) (name, rest string) {
	end := 0
	for end < len(text) {
		c := text[end]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (end == 0 || c < '0' || c > '9') && (!colons || c != ':') {
			break
		}
		end++
	}
	return text[:end], text[end:]
}
