package plan

import (
	"maps"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// aggregation cuts an aggregation over clusters into one in each cluster and
// one over their answers, where that is exact; else it rewrites its argument.
// The parameter stays: the engine does not resolve start() and end() in it.
func (b *builder) aggregation(e *parser.AggregateExpr, at moment) parser.Expr {
	of := b.shapes[e.Expr]
	if of.where != local || !b.take(of.in, needsOf(e.Op)) || (e.Param != nil && b.shapes[e.Param].where != anywhere) {
		at.labels = at.labels || e.Op == parser.COUNT_VALUES
		e.Expr = b.rewrite(e.Expr, at)
		return e
	}
	if at.labels && (e.Op == parser.SUM || e.Op == parser.AVG) {
		e.Expr = b.rewrite(e.Expr, at)
		return e
	}
	switch e.Op {
	case parser.SUM, parser.MIN, parser.MAX, parser.GROUP, parser.COUNT, parser.TOPK, parser.BOTTOMK:
		return b.split(e, at)
	case parser.AVG:
		if e.Without || !slices.ContainsFunc(e.Grouping, isMetadata) {
			return b.average(e, at)
		}
	}
	e.Expr = b.rewrite(e.Expr, at)
	if e.Op != parser.COUNT_VALUES && !e.Without {
		return b.project(e)
	}
	return e
}

// project notes that of a part, if that is what is aggregated, only some labels
// are looked at: the engine does not ask whether what it aggregates has series
// twice. A quantile that is given as a number, of which the engine says
// nothing, needs no engine: the part stands for it as a whole.
func (b *builder) project(e *parser.AggregateExpr) parser.Expr {
	arg := e.Expr
	for paren, ok := arg.(*parser.ParenExpr); ok; paren, ok = arg.(*parser.ParenExpr) {
		arg = paren.Expr
	}
	last := len(b.parts) - 1
	if last < 0 || arg != parser.Expr(b.parts[last].Selector) {
		return e
	}
	part := &b.parts[last]
	keep := slices.Clone(e.Grouping) // the engine sorts its own while answers are read
	for i := range part.Queries {
		one := &part.Queries[i]
		one.Projected, one.Keep = true, keep
		one.Labels = maps.Clone(one.Labels)
		maps.DeleteFunc(one.Labels, func(name, _ string) bool { return !slices.Contains(e.Grouping, name) })
	}
	if e.Op != parser.QUANTILE || !within(e.Param, 0, 1) {
		return e
	}
	part.Quantile = &e.Param.(*parser.NumberLiteral).Val
	part.Selector.PosRange = e.PosRange
	return part.Selector
}

// split is an aggregation over what the clusters' aggregations give.
func (b *builder) split(e *parser.AggregateExpr, at moment) parser.Expr {
	out := *e
	out.Expr = b.partial(e, e.Op, at)
	if e.Op == parser.COUNT {
		out.Op = parser.SUM
	}
	return &out
}

// average is the quotient of all clusters' sums and counts.
func (b *builder) average(e *parser.AggregateExpr, at moment) parser.Expr {
	sum, count := *e, *e
	sum.Op, count.Op = parser.SUM, parser.SUM
	count.Grouping = slices.Clone(e.Grouping)
	sum.Expr = b.partial(e, parser.SUM, at)
	count.Expr = b.partial(e, parser.COUNT, at)
	return &parser.BinaryExpr{Op: parser.DIV, LHS: &sum, RHS: &count, VectorMatching: &parser.VectorMatching{}}
}

// partial is the part of an aggregation that each cluster does.
func (b *builder) partial(e *parser.AggregateExpr, op parser.ItemType, at moment) parser.Expr {
	of := b.shapes[e.Expr]
	own := *e
	own.Op = op
	r := request{
		at: at, pos: e.Expr, in: of.in, kept: of.kept, pruned: of.pruned, sums: op == parser.SUM,
		send: func(i int) parser.Expr { return b.sendAggregate(&own, i, true) },
	}
	if !selects(op) {
		r.kept = b.grouped(e, of.kept)
	}
	if e.Op == parser.AVG {
		r.foreign = []string{"__type__", "__unit__"} // the quotient would lose them
	}
	return b.part(r)
}
