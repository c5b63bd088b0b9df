package federation_test

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// FuzzAnswers gives federation and one Prometheus any query at any time.
func FuzzAnswers(f *testing.F) {
	w := randomWorld(f, 2)
	for i, q := range listedQueries(f) {
		f.Add(q.text, int64(i)*7001, int64(i%7), []int64{0, 1000, 777, 60_000}[i%4])
	}
	f.Fuzz(func(t *testing.T, query string, start, steps, step int64) {
		if len(query) > 500 || !cheap(w.parser, query) {
			return
		}
		when := window{start: at(millis(start % randomSpan.Milliseconds()))}
		when.end = when.start
		if step > 0 && step < time.Hour.Milliseconds() && steps >= 0 && !isRangeType(w.parser, query) {
			when.step = millis(step)
			when.end = when.start.Add(time.Duration(steps%16) * when.step)
		}
		w.compare(t, query, when)
	})
}

// cheap tells whether a query's subqueries have at most 2000 steps in all.
func cheap(p parser.Parser, query string) bool {
	expr, err := p.ParseExpr(query)
	if err != nil {
		return true
	}
	ok := true
	parser.Inspect(expr, func(node parser.Node, above []parser.Node) error {
		steps := time.Duration(1)
		for _, n := range append(above, node) {
			if sub, is := n.(*parser.SubqueryExpr); is {
				step := sub.Step
				if step == 0 {
					step = time.Minute
				}
				steps *= 1 + sub.Range/step
			}
			ok = ok && steps > 0 && steps < 2000
		}
		return nil
	})
	return ok
}
