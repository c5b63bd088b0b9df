package federation

import (
	"slices"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// resolve puts durations in the place of duration expressions, such as that
// of x[2 * 5m], so that planning sees how far a query reads. The engine does
// so first of all too; where that fails it is left to the engine to say.
func (q *asked) resolve(p parser.Parser) {
	nodes := timed(q.expr)
	if !slices.ContainsFunc(nodes, calculated) {
		return
	}
	again, err := p.ParseExpr(q.text)
	if err != nil {
		return
	}
	if again, err = promql.PreprocessExpr(again, q.start, q.end, q.step); err != nil {
		return
	}
	resolved := timed(again)
	for i, node := range nodes {
		switch n := node.(type) {
		case *parser.VectorSelector:
			n.OriginalOffset, n.OriginalOffsetExpr = resolved[i].(*parser.VectorSelector).OriginalOffset, nil
		case *parser.MatrixSelector:
			n.Range, n.RangeExpr = resolved[i].(*parser.MatrixSelector).Range, nil
		case *parser.SubqueryExpr:
			of := resolved[i].(*parser.SubqueryExpr)
			n.Range, n.Step, n.OriginalOffset = of.Range, of.Step, of.OriginalOffset
			n.RangeExpr, n.StepExpr, n.OriginalOffsetExpr = nil, nil, nil
		}
	}
}

// timed returns the nodes of an expression that have durations, in order.
func timed(expr parser.Expr) (out []parser.Node) {
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n.(type) {
		case *parser.VectorSelector, *parser.MatrixSelector, *parser.SubqueryExpr:
			out = append(out, n)
		}
		return nil
	})
	return out
}

// calculated tells whether a duration of a node is an expression.
func calculated(node parser.Node) bool {
	switch n := node.(type) {
	case *parser.VectorSelector:
		return n.OriginalOffsetExpr != nil
	case *parser.MatrixSelector:
		return n.RangeExpr != nil
	case *parser.SubqueryExpr:
		return n.RangeExpr != nil || n.StepExpr != nil || n.OriginalOffsetExpr != nil
	}
	return false
}
