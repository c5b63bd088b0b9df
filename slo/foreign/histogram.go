package foreign

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// Histogram returns the classic histogram that two selectors are of, one of a
// bucket and one of all observations, which is the count or the bucket +Inf,
// and the upper bound of the bucket as it is written. ok is false where they
// are not of one histogram, or where they have other matchers.
func Histogram(bucket, all string) (histogram, le string, ok bool) {
	fast, ok1 := partOf(bucket)
	whole, ok2 := partOf(all)
	if !ok1 || !ok2 || fast.histogram != whole.histogram || fast.suffix != "_bucket" {
		return "", "", false
	}
	if whole.suffix != "_count" && (whole.suffix != "_bucket" || whole.le != "+Inf") {
		return "", "", false
	}
	if _, err := slo.ParseDecimal(fast.le); err != nil {
		return "", "", false
	}
	return fast.histogram, fast.le, true
}

// part is a selector of a part of a histogram.
type part struct {
	histogram string // a selector of it all
	suffix    string // of the metric's name
	le        string // that is matched, "" for none
}

func partOf(text string) (out part, ok bool) {
	if len(text) > maxQuery {
		return out, false
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return out, false
	}
	vs, ok := expr.(*parser.VectorSelector)
	if !ok || vs.OriginalOffset != 0 || vs.OriginalOffsetExpr != nil || vs.Timestamp != nil || vs.StartOrEnd != 0 {
		return out, false
	}
	metric := name(vs)
	for _, suffix := range []string{"_bucket", "_count"} {
		if strings.HasSuffix(metric, suffix) {
			out.suffix = suffix
		}
	}
	base := strings.TrimSuffix(metric, out.suffix)
	if out.suffix == "" || base == "" {
		return out, false
	}
	var rest []*labels.Matcher
	for _, m := range vs.LabelMatchers {
		switch {
		case m.Name == labels.BucketLabel && m.Type == labels.MatchEqual && out.le == "":
			out.le = m.Value
		case m.Name == labels.BucketLabel:
			return out, false
		case m.Name != model.MetricNameLabel:
			rest = append(rest, m)
		}
	}
	bare := parser.VectorSelector{Name: base, LabelMatchers: rest}
	out.histogram = bare.String()
	return out, true
}
