package plan

import (
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// send returns what cluster i evaluates for a local expression, or nil if it
// has no series of it. shown tells that whatever series the expression has,
// the answer has too, under all of their labels.
func (b *builder) send(e parser.Expr, i int, shown bool) parser.Expr {
	if s := b.shapes[e]; s.where == anywhere {
		return e
	}
	switch n := e.(type) {
	case *parser.StepInvariantExpr:
		return b.send(n.Expr, i, shown)
	case *parser.VectorSelector:
		out := *n
		var ok bool
		if out.LabelMatchers, ok = b.pick(i, n.LabelMatchers); ok {
			return &out
		}
	case *parser.MatrixSelector:
		out := *n
		if out.VectorSelector = b.send(n.VectorSelector, i, false); out.VectorSelector != nil {
			return &out
		}
	case *parser.SubqueryExpr:
		out := *n
		if out.Step == 0 {
			out.Step = b.options.SubqueryStep
		}
		if out.Expr = b.send(n.Expr, i, false); out.Expr != nil {
			return &out
		}
	case *parser.ParenExpr:
		out := *n
		if out.Expr = b.send(n.Expr, i, shown); out.Expr != nil {
			return &out
		}
	case *parser.UnaryExpr:
		out := *n
		if out.Expr = b.send(n.Expr, i, shown); out.Expr != nil {
			return &out
		}
	case *parser.Call:
		return b.sendCall(n, i, shown)
	case *parser.AggregateExpr:
		return b.sendAggregate(n, i, shown)
	case *parser.BinaryExpr:
		return b.sendBinary(n, i, shown)
	}
	return nil
}

func (b *builder) sendCall(e *parser.Call, i int, shown bool) parser.Expr {
	out := *e
	out.Args = make(parser.Expressions, len(e.Args))
	for k, arg := range e.Args {
		if out.Args[k] = b.send(arg, i, shown); out.Args[k] == nil {
			return nil
		}
	}
	if e.Func.Name == "timestamp" {
		out.Args[0] = evaluated(e.Args[0], out.Args[0])
	}
	return &out
}

// evaluated keeps what is left of the argument of timestamp from being a
// selector, of which it gives the times of samples, if the argument was none.
func evaluated(was, left parser.Expr) parser.Expr {
	inner := left
	for {
		p, ok := inner.(*parser.ParenExpr)
		if !ok {
			break
		}
		inner = p.Expr
	}
	_, selector := was.(*parser.VectorSelector)
	if v, ok := inner.(*parser.VectorSelector); ok && !selector {
		return &parser.UnaryExpr{Op: parser.ADD, Expr: v, StartPos: v.PosRange.Start}
	}
	return left
}

// sendAggregate groups by the known labels of the cluster too where the
// answer shows every group: no series should have them, and if one has, the
// plan does not hold. Elsewhere those that are set are as good as overwritten.
func (b *builder) sendAggregate(e *parser.AggregateExpr, i int, shown bool) parser.Expr {
	out := *e
	if out.Expr = b.send(e.Expr, i, shown && !selects(e.Op)); out.Expr == nil {
		return nil
	}
	known := b.replaced[i]
	if shown {
		known = b.foreign[i]
	}
	if e.Without == shown {
		out.Grouping = without(e.Grouping, known)
	} else {
		out.Grouping = union(e.Grouping, known)
	}
	return &out
}

// sendBinary leaves out a side of which the cluster has no series, and labels
// that are set for it out of what is matched: both sides have the same.
func (b *builder) sendBinary(e *parser.BinaryExpr, i int, shown bool) parser.Expr {
	vectors := e.LHS.Type() == parser.ValueTypeVector && e.RHS.Type() == parser.ValueTypeVector
	shown = shown && !vectors && (!e.Op.IsComparisonOperator() || e.ReturnBool)
	out := *e
	out.LHS, out.RHS = b.send(e.LHS, i, shown), b.send(e.RHS, i, shown)
	switch {
	case out.LHS == nil && out.RHS == nil:
		return nil
	case out.LHS == nil && e.Op == parser.LOR:
		return &parser.ParenExpr{Expr: out.RHS, PosRange: e.PositionRange()}
	case out.RHS == nil && (e.Op == parser.LOR || e.Op == parser.LUNLESS):
		return &parser.ParenExpr{Expr: out.LHS, PosRange: e.PositionRange()}
	case out.LHS == nil || out.RHS == nil:
		return nil
	}
	if vectors {
		matching := *e.VectorMatching
		if matching.On {
			matching.MatchingLabels = without(matching.MatchingLabels, b.replaced[i])
		} else {
			matching.MatchingLabels = union(matching.MatchingLabels, b.replaced[i])
		}
		out.VectorMatching = &matching
	}
	return &out
}

// without returns the labels of a that are not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return slices.Contains(b, name) })
}

// union returns the labels of a and b, sorted.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
