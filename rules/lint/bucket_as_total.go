package lint

import (
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

func bucketAsTotal() Check {
	return Check{
		Name: "bucket-as-total", Severity: Error,
		Finds: "A side that counts _bucket series without a matcher of le.",
		Why:   "Buckets are cumulative: an event is in every bucket above it, and so is counted many times.",
		one: func(s *subject) {
			for _, d := range s.sides {
				for _, vs := range d.selectors() {
					bare, is := strings.CutSuffix(name(vs), "_bucket")
					if !is || slices.ContainsFunc(matchers(vs), isBucket) || len(d.calls("histogram_quantile")) > 0 {
						continue
					}
					s.add(d.field, "count "+bare+"_count, or use sli.latency", "%s sums all buckets of %s: each event is counted many times", d.what, bare)
				}
			}
		},
	}
}

func isBucket(m *labels.Matcher) bool { return m.Name == "le" }
