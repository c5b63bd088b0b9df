package plan

import (
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Origins maps where subexpressions begin in Text to where what they stand
// for begins in the expression that was planned, both in bytes. What begins
// at one place of Text but at several of the expression is left out: an
// annotation of the cluster that names it cannot be told to the user. The
// error is one of the parser.
func (q *Query) Origins(p parser.Parser) (map[posrange.Pos]posrange.Pos, error) {
	parsed, err := p.ParseExpr(q.Text)
	if err != nil {
		return nil, err
	}
	out, unsure := map[posrange.Pos]posrange.Pos{}, map[posrange.Pos]bool{}
	beside(parsed, q.sent, func(text, user parser.Node) {
		from, to := text.PositionRange().Start, user.PositionRange().Start
		if known, ok := out[from]; ok && known != to {
			unsure[from] = true
		}
		out[from] = to
	})
	for at := range unsure {
		delete(out, at)
	}
	if hasSubquery(q.sent) {
		atStart(parsed, out)
	}
	return out, nil
}

// atStart settles what an annotation of the start of a text means where there
// is a subquery: the engine takes that for the place of any function's
// subquery, in the text as in the user's expression.
func atStart(e parser.Expr, out map[posrange.Pos]posrange.Pos) {
	switch n := e.(type) {
	case *parser.Call:
		out[0] = 0
		return
	case *parser.AggregateExpr:
		if !selects(n.Op) {
			out[0] = 0
			return
		}
	}
	if out[0] != 0 {
		delete(out, 0)
	}
}

func hasSubquery(e parser.Expr) bool {
	found := false
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		_, is := node.(*parser.SubqueryExpr)
		found = found || is
		return nil
	})
	return found
}

// beside walks two trees of the same form. The engine looks through
// parentheses around arguments, so that what is within stands for them too.
func beside(a, b parser.Node, visit func(a, b parser.Node)) {
	visit(a, b)
	_, call := a.(*parser.Call)
	_, aggregation := a.(*parser.AggregateExpr)
	as, bs := parser.Children(a), parser.Children(b)
	for i := range min(len(as), len(bs)) {
		beside(as[i], bs[i], visit)
		inner := as[i]
		for p, ok := inner.(*parser.ParenExpr); ok && (call || aggregation); p, ok = inner.(*parser.ParenExpr) {
			inner = p.Expr
			visit(inner, bs[i])
		}
	}
}
