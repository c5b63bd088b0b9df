package lint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
)

// recently is how far back a check looks for series that come and go.
const recently = 24 * time.Hour

// query asks the server within the deadline.
func (s *subject) query(ctx context.Context, format string, args ...any) (model.Vector, error) {
	ctx, cancel := context.WithTimeout(ctx, s.linter.o.Timeout)
	defer cancel()
	return s.linter.o.Server.Query(ctx, fmt.Sprintf(format, args...), s.linter.o.Now)
}

// number asks for one number; ok is false when there is none.
func (s *subject) number(ctx context.Context, format string, args ...any) (n float64, ok bool, err error) {
	v, err := s.query(ctx, format, args...)
	if err != nil || len(v) == 0 {
		return 0, false, err
	}
	return float64(v[0].Value), true, nil
}

// values asks for the values that a label had recently.
func (s *subject) values(ctx context.Context, label, selector string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.linter.o.Timeout)
	defer cancel()
	return s.linter.o.Server.LabelValues(ctx, label, selector, s.linter.o.Now.Add(-recently))
}

func (s *subject) typeOf(ctx context.Context, metric string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.linter.o.Timeout)
	defer cancel()
	return s.linter.o.Server.Type(ctx, metric)
}

// exists asks whether there was a series of a selector recently.
func (s *subject) exists(ctx context.Context, selector string) (bool, error) {
	n, ok, err := s.number(ctx, "count(count_over_time(%s[%s]))", selector, span(recently))
	return ok && n > 0, err
}

// counterText returns the selector of the events of a side, in the form that
// a range can follow; "" where it is no selector of counters.
func (s *subject) counterText(d side) string {
	vs := d.selector()
	switch {
	case vs == nil:
		return ""
	case d.raw:
		return vs.String()
	case d.what == "histogram" && !s.slo.SLI.Latency.Native:
		return withName(vs, name(vs)+"_count")
	default:
		return ""
	}
}

// withName returns a selector's text with another metric.
func withName(vs *parser.VectorSelector, metric string) string {
	out := parser.VectorSelector{Name: metric, LabelMatchers: matchers(vs)}
	return out.String()
}

// totalRate asks for the events a second of each group, over a day or over
// the last hour, whichever is more: what has been there for an hour shows
// little over a day. It says whether that can be told.
func (s *subject) totalRate(ctx context.Context) (model.Vector, bool, error) {
	day, ok := s.rateOver(recently)
	if !ok {
		return nil, false, nil
	}
	hour, _ := s.rateOver(time.Hour)
	v, err := s.query(ctx, "(%s >= %s) or %s or %s", day, hour, hour, day)
	return v, err == nil && len(v) > 0, err
}

// rateOver returns the expression of the events a second of each group, and
// whether there is one.
func (s *subject) rateOver(d time.Duration) (string, bool) {
	total, ok := s.side("total", "histogram")
	if !ok {
		return "", false
	}
	by := strings.Join(s.slo.GroupBy, ", ")
	switch text := s.counterText(total); {
	case text != "":
		return fmt.Sprintf("sum by (%s) (rate(%s[%s]))", by, text, span(d)), true
	case total.what == "histogram":
		return fmt.Sprintf("sum by (%s) (histogram_count(rate(%s[%s])))", by, total.text, span(d)), true
	case s.slo.SLI.PromQL != nil && s.slo.SLI.PromQL.Unit == slo.PerSecond:
		return fmt.Sprintf("sum by (%s) (%s)", by, strings.ReplaceAll(total.text, window, span(d))), true
	}
	return "", false
}

// quietest returns the events a second of the group with the least traffic of
// those that have any; 0 when none has, when it is not known, and where time is
// measured and not events.
func (s *subject) quietest(ctx context.Context) (rate float64, group string, err error) {
	if explain.TimeBased(s.slo) {
		return 0, "", nil
	}
	rates, ok, err := s.totalRate(ctx)
	if err != nil || !ok {
		return 0, "", err
	}
	for _, sample := range rates {
		if r := float64(sample.Value); r > 0 && (rate == 0 || r < rate) {
			rate, group = r, sample.Metric.String()
		}
	}
	if group == "{}" {
		group = ""
	}
	return rate, group, nil
}

// of says which group, if there are any.
func of(group string) string {
	if group == "" {
		return ""
	}
	return " of " + group
}

// nearestText returns the text that is most like one, "" when none is.
func nearestText(to string, from []string) string {
	best, least := "", len(to)/2+2
	for _, text := range from {
		if d := distance(strings.ToLower(to), strings.ToLower(text)); d < least {
			best, least = text, d
		}
	}
	return best
}

// distance is how many letters must change (Levenshtein).
func distance(a, b string) int {
	const most = 200
	if len(a) > most || len(b) > most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// some returns the first texts, and says that there are more.
func some(texts []string) string {
	const most = 6
	texts = slices.Sorted(slices.Values(texts))
	if len(texts) > most {
		return strings.Join(texts[:most], ", ") + fmt.Sprintf(" and %d others", len(texts)-most)
	}
	return strings.Join(texts, ", ")
}
