package slo

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

const streamsHint = `a LogQL stream selector, such as {namespace="prod", app="shop"}`

// streams checks that a text looks like a LogQL stream selector, which has the
// syntax of a PromQL selector without a metric name.
func (c *checker) streams(field, text string) {
	c.out.Logs = text
	if text == "" || isPlainStreams(text) {
		return
	}
	rest, ok := c.streamSelector(field, text)
	if ok && rest != "" {
		c.add(field, fmt.Sprintf("%q is not a stream selector", clip(text)), streamsHint+", without a filter or a pipe")
	}
}

// streamSelector checks the stream selector that a LogQL query begins with and
// returns what follows it.
func (c *checker) streamSelector(field, text string) (rest string, ok bool) {
	if len(text) > maxExpression {
		c.add(field, fmt.Sprintf("longer than %d bytes", maxExpression), "")
		return "", false
	}
	end := closing(text)
	if end < 0 {
		c.add(field, fmt.Sprintf("%q is not a stream selector", clip(text)), streamsHint)
		return "", false
	}
	expr := c.parse(field, text[:end+1], streamsHint)
	if expr == nil {
		return "", false
	}
	vs, isSelector := expr.(*parser.VectorSelector)
	if !isSelector || metricName(vs) != "" {
		c.add(field, fmt.Sprintf("%q is not a stream selector", clip(text)), streamsHint)
		return "", false
	}
	return strings.TrimSpace(text[end+1:]), true
}

// closing returns where the brace that a text begins with is closed, -1 where
// it is not.
func closing(text string) int {
	if !strings.HasPrefix(text, "{") {
		return -1
	}
	for i := 1; i < len(text); {
		if text[i] == '}' {
			return i
		}
		n := token(text[i:])
		if n == 0 {
			return -1
		}
		i += n
	}
	return -1
}

// token returns the length of a quoted text that s begins with, 0 where it has
// no end, or 1 for anything else.
func token(s string) int {
	quote := s[0]
	if quote != '"' && quote != '`' {
		return 1
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return i + 1
		case s[i] == '\\' && quote == '"':
			i++
		}
	}
	return 0
}

// logEvents checks LogQL queries whose lines are events.
func (c *checker) logEvents(in EventsText) *LogEvents {
	const field = "spec.sli.logs"
	out := &LogEvents{Errors: strings.TrimSpace(in.Errors), Good: strings.TrimSpace(in.Good), Total: strings.TrimSpace(in.Total)}
	c.either(field, out.Errors, out.Good, `errors: '{app="shop"} |= "error"'`)
	if out.Total == "" {
		c.missing(field+".total", `the lines that are events, such as total: '{app="shop"}'`)
	}
	c.logQuery(field+".errors", out.Errors)
	c.logQuery(field+".good", out.Good)
	c.logQuery(field+".total", out.Total)
	return out
}

// lineFilters are what a LogQL pipeline may begin a stage with.
var lineFilters = []string{"|=", "|~", "|>", "!=", "!~", "!>", "|"}

// stagePattern is the word that a stage after | begins with.
var stagePattern = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*|\()`)

// logQuery checks a LogQL log query: a stream selector and filters, parsers
// and formats of its lines, without a function over time. Whether Loki knows
// the parts is Loki's to say.
func (c *checker) logQuery(field, text string) {
	if text == "" {
		return
	}
	if !strings.HasPrefix(text, "{") {
		c.add(field, fmt.Sprintf("%q does not begin with a stream selector", clip(text)), `a log query without functions, such as {app="shop"} |= "error": Midwatch counts its lines`)
		return
	}
	rest, ok := c.streamSelector(field, text)
	if !ok || rest == "" {
		return
	}
	if problem := pipelineProblem(rest); problem != "" {
		c.add(field, problem, `filters and parsers, such as {app="shop"} | json | status >= 500`)
	}
}

// pipelineProblem says what is wrong with the stages of a log query, "" when
// nothing is that can be seen without Loki.
func pipelineProblem(rest string) string {
	if !slices.ContainsFunc(lineFilters, func(f string) bool { return strings.HasPrefix(rest, f) }) {
		return fmt.Sprintf("%q is neither a filter nor a pipe", clip(rest))
	}
	depth := 0
	for i := 0; i < len(rest); {
		switch rest[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '[', ']':
			return "a range: give the lines alone, Midwatch counts them over time"
		case '|':
			if problem := stageProblem(rest[i+1:]); problem != "" {
				return problem
			}
		}
		n := token(rest[i:])
		if n == 0 {
			return "a text without its closing quote"
		}
		if depth < 0 {
			break
		}
		i += n
	}
	if depth != 0 {
		return "brackets that do not match"
	}
	return ""
}

// stageProblem says what is wrong with what follows a |.
func stageProblem(after string) string {
	if strings.HasPrefix(after, "=") || strings.HasPrefix(after, "~") || strings.HasPrefix(after, ">") {
		return ""
	}
	m := stagePattern.FindStringSubmatch(after)
	switch {
	case m == nil:
		return "nothing after |"
	case m[1] == "unwrap":
		return "unwrap: lines are counted, not values in them"
	default:
		return ""
	}
}
