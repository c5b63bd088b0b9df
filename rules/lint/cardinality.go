package lint

import (
	"context"

	"github.com/midwatch-slo/midwatch/rules/explain"
)

// tooMany is how many series a side may not select.
const tooMany = 10_000

func cardinality() Check {
	return Check{
		Name: "cardinality", Severity: Warning,
		Finds: "A side that selects more than 10,000 series.",
		Why:   "All of them are read twice each evaluation. It is that many pods and paths, or a selector that is too wide.",
		ask: func(ctx context.Context, s *subject) error {
			for _, d := range s.sides {
				if d.selector() == nil {
					continue
				}
				n, ok, err := s.number(ctx, "count(%s)", s.seriesOf(d, d.selector()))
				if err != nil {
					return err
				}
				if ok && n > tooMany {
					s.add(d.field, "more matchers, or a recording rule that sums away pods and paths", "%s selects %s series", d.what, explain.Count(n))
				}
			}
			return nil
		},
	}
}
