package plan

import (
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// send returns what cluster i evaluates for a local expression, or nil if it
// has no series of it.
func (b *builder) send(e parser.Expr, i int) parser.Expr {
	if s := b.shapes[e]; s.where == anywhere {
		return e
	}
	switch n := e.(type) {
	case *parser.StepInvariantExpr:
		return b.send(n.Expr, i)
	case *parser.VectorSelector:
		out := *n
		var ok bool
		if out.LabelMatchers, ok = b.pick(i, n.LabelMatchers); ok {
			return &out
		}
	case *parser.MatrixSelector:
		out := *n
		if out.VectorSelector = b.send(n.VectorSelector, i); out.VectorSelector != nil {
			return &out
		}
	case *parser.SubqueryExpr:
		out := *n
		if out.Step == 0 {
			out.Step = b.options.SubqueryStep
		}
		if out.Expr = b.send(n.Expr, i); out.Expr != nil {
			return &out
		}
	case *parser.ParenExpr:
		out := *n
		if out.Expr = b.send(n.Expr, i); out.Expr != nil {
			return &out
		}
	case *parser.UnaryExpr:
		out := *n
		if out.Expr = b.send(n.Expr, i); out.Expr != nil {
			return &out
		}
	case *parser.Call:
		return b.sendCall(n, i)
	case *parser.AggregateExpr:
		return b.sendAggregate(n, i)
	case *parser.BinaryExpr:
		return b.sendBinary(n, i)
	}
	return nil
}

func (b *builder) sendCall(e *parser.Call, i int) parser.Expr {
	out := *e
	out.Args = make(parser.Expressions, len(e.Args))
	for k, arg := range e.Args {
		if out.Args[k] = b.send(arg, i); out.Args[k] == nil {
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

// sendAggregate groups by the known labels of the cluster too: no series
// should have them, and if one has, the answer shows it.
func (b *builder) sendAggregate(e *parser.AggregateExpr, i int) parser.Expr {
	out := *e
	if out.Expr = b.send(e.Expr, i); out.Expr == nil {
		return nil
	}
	known := b.foreign[i]
	if e.Without {
		out.Grouping = slices.DeleteFunc(slices.Clone(e.Grouping), func(name string) bool { return slices.Contains(known, name) })
	} else {
		out.Grouping = slices.Concat(e.Grouping, known)
		slices.Sort(out.Grouping)
		out.Grouping = slices.Compact(out.Grouping)
	}
	return &out
}

// sendBinary leaves out a side of which the cluster has no series, and known
// labels out of what is matched: both sides have the same.
func (b *builder) sendBinary(e *parser.BinaryExpr, i int) parser.Expr {
	out := *e
	out.LHS, out.RHS = b.send(e.LHS, i), b.send(e.RHS, i)
	switch {
	case out.LHS == nil && e.Op == parser.LOR:
		return out.RHS
	case out.RHS == nil && (e.Op == parser.LOR || e.Op == parser.LUNLESS):
		return out.LHS
	case out.LHS == nil || out.RHS == nil:
		return nil
	}
	if e.LHS.Type() == parser.ValueTypeVector && e.RHS.Type() == parser.ValueTypeVector {
		out.VectorMatching = b.sendMatching(e.VectorMatching, i)
	}
	return &out
}

func (b *builder) sendMatching(m *parser.VectorMatching, i int) *parser.VectorMatching {
	out := *m
	known := b.foreign[i]
	if m.On {
		out.MatchingLabels = slices.DeleteFunc(slices.Clone(m.MatchingLabels), func(name string) bool { return slices.Contains(known, name) })
		return &out
	}
	out.MatchingLabels = slices.Concat(m.MatchingLabels, known)
	slices.Sort(out.MatchingLabels)
	out.MatchingLabels = slices.Compact(out.MatchingLabels)
	return &out
}
