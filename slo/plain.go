package slo

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// isPlainSelector says whether a text is a selector as nearly all are: a
// counter's name and, in braces, matchers with values in double quotes without
// escapes. It is for speed alone: what it takes Prometheus' parser takes too,
// and what it does not take may still be a selector.
func isPlainSelector(text string) bool {
	if len(text) > maxExpression || !utf8.ValidString(text) {
		return false
	}
	name := strings.IndexFunc(text, func(r rune) bool { return !isNameRune(r) && r != ':' })
	if name < 0 {
		name = len(text)
	}
	if name == 0 || isDigit(text[0]) || !isCounter(text[:name]) {
		return false
	}
	rest := text[name:]
	if rest == "" {
		return true
	}
	if rest[0] != '{' || rest[len(rest)-1] != '}' {
		return false
	}
	_, ok := matchers(rest[1 : len(rest)-1])
	return ok
}

// isPlainStreams is isPlainSelector for a stream selector of LogQL.
func isPlainStreams(text string) bool {
	if len(text) > maxExpression || len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' || !utf8.ValidString(text) {
		return false
	}
	some, ok := matchers(text[1 : len(text)-1])
	return ok && some
}

// matchers reads matchers that are separated by commas, and says whether one
// of them asks for a text.
func matchers(text string) (some, ok bool) {
	for text != "" {
		text = strings.TrimLeft(text, " ")
		name := strings.IndexFunc(text, func(r rune) bool { return !isNameRune(r) })
		if name <= 0 || isDigit(text[0]) || text[:name] == "__name__" {
			return some, false
		}
		operator := operatorOf(text[name:])
		value, rest, ok := quoted(text[name+len(operator):])
		if operator == "" || !ok || strings.HasSuffix(operator, "~") && !isRegexp(value) {
			return some, false
		}
		some = some || operator == "=" && value != ""
		if rest == "" {
			return some, true
		}
		if rest[0] != ',' || len(rest) == 1 {
			return some, false
		}
		text = rest[1:]
	}
	return some, false
}

// operatorOf returns the operator of a matcher that a text begins with.
func operatorOf(text string) string {
	for _, operator := range []string{"=~", "!~", "!=", "="} {
		if strings.HasPrefix(text, operator) {
			return operator
		}
	}
	return ""
}

// quoted returns the text in double quotes that another begins with.
func quoted(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		return "", "", false
	}
	value, rest, ok = strings.Cut(text[1:], `"`)
	return value, rest, ok && !strings.ContainsAny(value, "\\\n")
}

func isRegexp(text string) bool {
	_, err := syntax.Parse("^(?s:"+text+")$", syntax.Perl)
	return err == nil
}

// isCounter says whether a metric's name ends as those of counters do, which
// no word of Prometheus' language does.
func isCounter(name string) bool {
	return strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_count")
}

func isNameRune(r rune) bool {
	return r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
