package lint

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

func labelValueMissing() Check {
	return Check{
		Name: "label-value-missing", Severity: Warning,
		Finds: "A matcher that none of the values passes that the label had in the last day, such as app=\"shpo\".",
		Why:   "It is misspelt, or what it names is gone: the side counts nothing.",
		ask: func(ctx context.Context, s *subject) error {
			for _, d := range s.sides {
				for _, vs := range d.selectors() {
					if err := s.valuesOf(ctx, d, vs); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

func (s *subject) valuesOf(ctx context.Context, d side, vs *parser.VectorSelector) error {
	metric := s.metricOf(d, vs)
	if metric == "" {
		return nil
	}
	for _, m := range matchers(vs) {
		if m.Name == "le" || m.Matches("") || d.what == "errors" && isStatus(m.Name) {
			continue // nothing need have failed yet
		}
		values, err := s.values(ctx, m.Name, metric)
		if err != nil {
			return err
		}
		if len(values) > 0 && !slices.ContainsFunc(values, m.Matches) {
			s.add(d.field, didYouMean(m, values), "no series of %s has %s", metric, m)
		}
	}
	return nil
}

func didYouMean(m *labels.Matcher, values []string) string {
	if m.Type == labels.MatchEqual {
		if like := nearestText(m.Value, values); like != "" {
			return fmt.Sprintf("did you mean %q? %s has the values %s", like, m.Name, some(values))
		}
	}
	return fmt.Sprintf("%s has the values %s", m.Name, some(values))
}

// metricOf returns the metric whose series a selector of a side has: a
// classic histogram's are named after its parts.
func (s *subject) metricOf(d side, vs *parser.VectorSelector) string {
	metric := name(vs)
	if d.what == "histogram" && metric != "" && !s.slo.SLI.Latency.Native {
		metric += "_bucket"
	}
	return metric
}

// seriesOf returns the selector of the series of a side as text.
func (s *subject) seriesOf(d side, vs *parser.VectorSelector) string {
	if d.what == "histogram" {
		return withName(vs, s.metricOf(d, vs))
	}
	bare := parser.VectorSelector{Name: vs.Name, LabelMatchers: vs.LabelMatchers}
	return bare.String()
}
