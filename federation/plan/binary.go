package plan

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// binary classifies an operation of two scalars, of a vector and a scalar, or
// of two vectors.
func (b *builder) binary(e *parser.BinaryExpr) shape {
	lhs, rhs := b.classify(e.LHS), b.classify(e.RHS)
	fresh := e.Op == parser.TRIM_UPPER || e.Op == parser.TRIM_LOWER
	switch {
	case fresh || lhs.where == here || rhs.where == here:
		return shape{}
	case lhs.where == anywhere && rhs.where == anywhere:
		return lhs
	case e.LHS.Type() == parser.ValueTypeScalar:
		rhs.unnamed, rhs.needs = rhs.unnamed || renames(e), PushAll
		return rhs
	case e.RHS.Type() == parser.ValueTypeScalar:
		lhs.unnamed, lhs.needs = lhs.unnamed || renames(e), PushAll
		return lhs
	case lhs.where == anywhere || rhs.where == anywhere:
		return shape{}
	}
	return b.matched(e, lhs, rhs)
}

// renames tells whether an operation takes the metric name from its result.
func renames(e *parser.BinaryExpr) bool {
	return e.ReturnBool || !e.Op.IsComparisonOperator() && !e.Op.IsSetOperator()
}

// matched classifies an operation of two local vectors: it is local when no
// series of one cluster can match one of another.
func (b *builder) matched(e *parser.BinaryExpr, lhs, rhs shape) shape {
	m := e.VectorMatching
	if m.FillValues.LHS != nil || m.FillValues.RHS != nil || b.bits(m.Include) != 0 {
		return shape{}
	}
	on := b.matchedOn(m)
	if !b.surely(lhs.in, rhs.in, on&lhs.kept&rhs.kept) || !b.alike(lhs, rhs, on) {
		return shape{}
	}
	out := lhs
	switch e.Op {
	case parser.LOR:
		if lhs.kept != rhs.kept {
			return shape{}
		}
		out.in = lhs.in.or(rhs.in)
		out.bounded, out.names = lhs.bounded && rhs.bounded, slices.Concat(lhs.names, rhs.names)
		out.unnamed = false
	case parser.LUNLESS:
	case parser.LAND:
		out.in = lhs.in.and(rhs.in)
	default:
		out = b.joined(e, lhs, rhs, on)
	}
	out.needs = PushAll
	out.pruned = lhs.pruned || rhs.pruned || !slices.Equal(lhs.in, rhs.in)
	if out.where != local || !out.in.any(always) || !b.distinct(out.in, out.in, out.kept) || b.hides(e, lhs, rhs) {
		return shape{}
	}
	return out
}

// joined classifies what becomes of the series of two local vectors that
// match one to one, or many to one.
func (b *builder) joined(e *parser.BinaryExpr, lhs, rhs shape, on names) shape {
	m := e.VectorMatching
	many, single := lhs, rhs
	if m.Card == parser.CardOneToMany {
		many, single = rhs, lhs
	}
	if !b.unique(single, m) {
		return shape{}
	}
	out := many
	out.in = lhs.in.and(rhs.in)
	out.unnamed = many.unnamed || renames(e)
	out.names = slices.Concat(many.names, m.Include)
	if m.Card == parser.CardOneToOne {
		out.kept &= on
		if m.On {
			out.bounded, out.names = true, m.MatchingLabels
		}
	}
	return out
}

// hides tells whether a side that can warn or fail would not be asked for in
// some cluster where it has series, or can do so whatever its data.
func (b *builder) hides(e *parser.BinaryExpr, lhs, rhs shape) bool {
	if slices.Equal(lhs.in, rhs.in) {
		return false
	}
	left := lhs.in.any(func(i int) bool { return !rhs.in[i] }) && !quiet(e.LHS)
	right := rhs.in.any(func(i int) bool { return !lhs.in[i] }) && !quiet(e.RHS)
	switch e.Op {
	case parser.LOR:
		left, right = false, false
	case parser.LUNLESS:
		left = false
	}
	return left || right || noisy(e.LHS) || noisy(e.RHS)
}

// quiet tells whether an expression is one that cannot warn nor fail.
func quiet(e parser.Expr) bool {
	switch n := e.(type) {
	case *parser.ParenExpr:
		return quiet(n.Expr)
	case *parser.StepInvariantExpr:
		return quiet(n.Expr)
	case *parser.VectorSelector:
		return true
	}
	return false
}

// matchedOn returns the known labels that two series must share to match.
func (b *builder) matchedOn(m *parser.VectorMatching) names {
	if m.On {
		return b.bits(m.MatchingLabels)
	}
	return b.all() &^ b.bits(m.MatchingLabels)
}

// alike tells whether within each cluster both sides have the same external
// labels of those that are matched on. If not, nothing matches.
func (b *builder) alike(lhs, rhs shape, on names) bool {
	for i := range b.clusters {
		if lhs.in[i] && rhs.in[i] && (lhs.kept^rhs.kept)&on&b.external[i] != 0 {
			return false
		}
	}
	return true
}

// unique tells whether within a cluster no two series of the side of a match
// that must have one of each can have the same labels that are matched on. If
// two have, the operation fails whenever the other side has any series, in
// whichever cluster, which no cluster by itself can tell.
func (b *builder) unique(s shape, m *parser.VectorMatching) bool {
	free := func(name string) bool { return b.bit[name]&b.setInAll(s.in) == 0 }
	if m.On {
		return s.bounded && !slices.ContainsFunc(s.names, func(name string) bool {
			return free(name) && !slices.Contains(m.MatchingLabels, name)
		})
	}
	if !s.bounded {
		return s.unnamed && !slices.ContainsFunc(m.MatchingLabels, free)
	}
	return !slices.ContainsFunc(s.names, func(name string) bool {
		return name == model.MetricNameLabel || free(name) && slices.Contains(m.MatchingLabels, name)
	})
}
