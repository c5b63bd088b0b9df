package loki

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/loki/v3/pkg/loghttp"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/correlate"
)

// Bounds of what is written into a query.
const (
	maxClusters = 100
	maxLiteral  = 600 // bytes of a template whose lines Loki is asked to count
	minFilter   = 4   // bytes of a substring that is worth filtering by
)

// window is a span of time [from, to), whole seconds long.
type window struct{ from, to time.Time }

func (w window) length() time.Duration { return w.to.Sub(w.from) }

// before returns the same length of time before the window.
func (w window) before() window { return window{w.from.Add(-w.length()), w.from} }

// window returns the time to look at: from some time before the incident's
// alerts began, since failures begin before their alerts do, until now; whole
// minutes, for the reader. Of an incident older than the longest window it is
// what is newest.
func (c *Config) window(inc alert.Incident, now time.Time) window {
	length := now.Sub(inc.Since.Add(-c.Lead))
	length = min(max(length.Round(time.Minute), c.MinWindow), c.MaxWindow)
	return window{now.Add(-length), now}
}

// matchers returns what selects the incident's streams: the SLO's selector,
// or the service's name, in the incident's clusters. Streams without the
// cluster label are selected too.
func (c *Config) matchers(inc alert.Incident, selector string) ([]*labels.Matcher, error) {
	ms, err := c.serviceMatchers(inc, selector)
	if err != nil {
		return nil, err
	}
	clusters := inc.Clusters()
	if len(clusters) == 0 || len(clusters) > maxClusters {
		return ms, nil
	}
	m, err := oneOf(c.ClusterLabel, append(clusters, ""))
	if err != nil {
		return nil, err
	}
	return append(ms, m), nil
}

func (c *Config) serviceMatchers(inc alert.Incident, selector string) ([]*labels.Matcher, error) {
	if selector != "" {
		ms, err := syntax.ParseMatchers(selector, true)
		if err != nil {
			return nil, fmt.Errorf("logs: %q is no stream selector: %w", selector, err)
		}
		return ms, nil
	}
	if inc.Service == "" {
		return nil, errNoSelector
	}
	m, err := labels.NewMatcher(labels.MatchEqual, c.ServiceLabel, inc.Service)
	return []*labels.Matcher{m}, err
}

// oneOf matches a label that has one of these values exactly.
func oneOf(name string, values []string) (*labels.Matcher, error) {
	if len(values) == 1 {
		return labels.NewMatcher(labels.MatchEqual, name, values[0])
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return labels.NewMatcher(labels.MatchRegexp, name, strings.Join(quoted, "|"))
}

// narrow leaves the empty cluster out of the matchers when every stream has
// the label, so that people read a simpler query.
func (c *Config) narrow(ms []*labels.Matcher, inc alert.Incident, streams []loghttp.LabelSet) ([]*labels.Matcher, error) {
	clusters := inc.Clusters()
	without := slices.ContainsFunc(streams, func(s loghttp.LabelSet) bool { return s[c.ClusterLabel] == "" })
	if len(clusters) == 0 || len(clusters) > maxClusters || without {
		return ms, nil
	}
	m, err := oneOf(c.ClusterLabel, clusters)
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(ms[:len(ms)-1]), m), nil
}

// errorQueries returns the log queries that select the error lines of some
// streams: by their level label, and of streams that have none by the words
// in their lines. There is none when every stream is of another level.
func (c *Config) errorQueries(ms []*labels.Matcher, streams []loghttp.LabelSet) ([]string, error) {
	levels := map[string]bool{}
	labelled, unlabelled := false, false
	for _, s := range streams {
		level := s[c.LevelLabel]
		labelled, unlabelled = labelled || level != "", unlabelled || level == ""
		if c.isError(level) {
			levels[level] = true
		}
	}
	var queries []string
	if len(levels) > 0 {
		m, err := oneOf(c.LevelLabel, slices.Sorted(maps.Keys(levels)))
		if err != nil {
			return nil, err
		}
		queries = append(queries, syntax.MatchersString(append(slices.Clone(ms), m)))
	}
	if unlabelled {
		rest := slices.Clone(ms)
		if labelled {
			rest = append(rest, labels.MustNewMatcher(labels.MatchEqual, c.LevelLabel, ""))
		}
		queries = append(queries, syntax.MatchersString(rest)+" |~ "+strconv.Quote(c.levelWords()))
	}
	return queries, nil
}

func (c *Config) isError(level string) bool {
	return slices.ContainsFunc(c.ErrorLevels, func(l string) bool { return strings.EqualFold(l, level) })
}

func (c *Config) levelWords() string {
	quoted := make([]string, len(c.ErrorLevels))
	for i, l := range c.ErrorLevels {
		quoted[i] = regexp.QuoteMeta(l)
	}
	return `(?i)\b(?:` + strings.Join(quoted, "|") + `)\b`
}

// countQuery returns the metric query that counts the lines of a pattern in
// a window that ends at the query's time, and whether there is one.
func countQuery(query string, p correlate.Pattern, length time.Duration) (string, bool) {
	if len(p.Template) > maxLiteral {
		return "", false
	}
	expression := strconv.Quote(correlate.Expression(p.Template))
	if word := longestWord(p.Template); len(word) >= minFilter {
		query += " |= " + strconv.Quote(word)
	}
	switch r := p.Sample; {
	case r.Format == correlate.Text:
		query += " |~ " + expression
	case r.MessageKey == "":
		return "", false
	default:
		message, ok := extracted(r.Format, "mw_message", r.MessageKey)
		code, codeOK := extracted(r.Format, "mw_code", r.CodeKey)
		if !ok || (r.Code != "" && !codeOK) {
			return "", false
		}
		// A line that does not parse gets an __error__, which would fail the query.
		query += fmt.Sprintf(` | %s %s`, r.Format, message.expression())
		if r.Code != "" {
			query += ", " + code.expression() + ` | ` + code.label + "=" + strconv.Quote(r.Code)
		}
		query += ` | __error__="" | ` + message.label + "=~" + expression
	}
	return fmt.Sprintf("sum(count_over_time(%s [%ds]))", query, int(length/time.Second)), true
}

// extraction is a label that a parser stage of LogQL sets from a path.
type extraction struct{ label, path string }

func (x extraction) expression() string { return x.label + "=" + strconv.Quote(x.path) }

// extracted returns how a key of a line becomes a label. That of logfmt keeps
// its name: in metric queries, Loki 3.7 finds nothing under another one.
func extracted(f correlate.Format, label, key string) (extraction, bool) {
	if f == correlate.JSON {
		return extraction{label, "[" + strconv.Quote(key) + "]"}, true
	}
	return extraction{key, key}, labelName.MatchString(key)
}

// longestWord returns the longest part of a template that stands in the line
// as it stands in the message, however the line is escaped.
func longestWord(template string) string {
	longest := ""
	for part := range strings.SplitSeq(template, correlate.Hole) {
		for _, word := range strings.FieldsFunc(part, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.:", r)
		}) {
			if len(word) > len(longest) {
				longest = word
			}
		}
	}
	return longest
}
