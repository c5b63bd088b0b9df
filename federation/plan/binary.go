package plan

import (
	"slices"

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
		return rhs
	case e.RHS.Type() == parser.ValueTypeScalar:
		return lhs
	case lhs.where == anywhere || rhs.where == anywhere:
		return shape{}
	}
	return b.matched(e, lhs, rhs)
}

// matched classifies an operation of two local vectors: it is local when no
// series of one cluster can match one of another.
func (b *builder) matched(e *parser.BinaryExpr, lhs, rhs shape) shape {
	m := e.VectorMatching
	if m.FillValues.LHS != nil || m.FillValues.RHS != nil || b.bits(m.Include) != 0 {
		return shape{}
	}
	on := b.matchedOn(m)
	if !b.distinct(lhs.in, rhs.in, on&lhs.kept&rhs.kept) || !b.alike(lhs, rhs, on) {
		return shape{}
	}
	out := shape{where: local, needs: max(lhs.needs, rhs.needs)}
	switch e.Op {
	case parser.LOR:
		if lhs.kept != rhs.kept {
			return shape{}
		}
		out.in, out.kept = lhs.in.or(rhs.in), lhs.kept
	case parser.LUNLESS:
		out.in, out.kept = lhs.in, lhs.kept
	case parser.LAND:
		out.in, out.kept = lhs.in.and(rhs.in), lhs.kept
	default:
		out.in, out.kept = lhs.in.and(rhs.in), resultOf(m, lhs.kept, rhs.kept, on)
	}
	if !out.in.any() || !b.distinct(out.in, out.in, out.kept) || b.hides(e, lhs, rhs) {
		return shape{}
	}
	return out
}

// hides tells whether a side that can warn or fail whatever its data would
// not be asked for in some cluster.
func (b *builder) hides(e *parser.BinaryExpr, lhs, rhs shape) bool {
	if slices.Equal(lhs.in, rhs.in) {
		return false
	}
	return noisy(e.LHS) || noisy(e.RHS)
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

// resultOf returns the external labels that the result of an arithmetic or
// comparing operation keeps.
func resultOf(m *parser.VectorMatching, lhs, rhs, on names) names {
	switch m.Card {
	case parser.CardManyToOne:
		return lhs
	case parser.CardOneToMany:
		return rhs
	}
	return lhs & on
}
