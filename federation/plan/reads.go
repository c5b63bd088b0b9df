package plan

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Reads returns the matchers of every selector of the query. Where none of
// them has series, the query has none either; it returns false where it could
// fail or warn all the same.
func (q *Query) Reads() ([][]*labels.Matcher, bool) {
	var all [][]*labels.Matcher
	parser.Inspect(q.sent, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			all = append(all, v.LabelMatchers)
		}
		return nil
	})
	return all, !noisy(q.sent)
}
