package plan

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// clone copies an expression. Matchers are shared.
func clone(e parser.Expr) (parser.Expr, error) {
	c := cloner{left: maxNodes}
	out := c.clone(e)
	return out, c.err
}

type cloner struct {
	left int
	err  error
}

func (c *cloner) clone(e parser.Expr) parser.Expr {
	if c.left--; c.left < 0 {
		c.err = errTooLarge
		return e
	}
	switch e := e.(type) {
	case *parser.AggregateExpr:
		out := *e
		out.Grouping = slices.Clone(e.Grouping)
		out.Expr = c.clone(e.Expr)
		if e.Param != nil {
			out.Param = c.clone(e.Param)
		}
		return &out
	case *parser.BinaryExpr:
		out := *e
		out.LHS, out.RHS = c.clone(e.LHS), c.clone(e.RHS)
		if e.VectorMatching != nil {
			matching := *e.VectorMatching
			out.VectorMatching = &matching
		}
		return &out
	case *parser.Call:
		out := *e
		out.Args = make(parser.Expressions, len(e.Args))
		for i, arg := range e.Args {
			out.Args[i] = c.clone(arg)
		}
		return &out
	}
	return c.cloneOne(e)
}

// cloneOne copies nodes of one child or none.
func (c *cloner) cloneOne(e parser.Expr) parser.Expr {
	switch e := e.(type) {
	case *parser.MatrixSelector:
		out := *e
		out.VectorSelector = c.clone(e.VectorSelector)
		return &out
	case *parser.SubqueryExpr:
		out := *e
		out.Expr = c.clone(e.Expr)
		return &out
	case *parser.ParenExpr:
		out := *e
		out.Expr = c.clone(e.Expr)
		return &out
	case *parser.UnaryExpr:
		out := *e
		out.Expr = c.clone(e.Expr)
		return &out
	case *parser.StepInvariantExpr:
		return c.clone(e.Expr)
	case *parser.VectorSelector:
		out := *e
		out.LabelMatchers = slices.Clone(e.LabelMatchers)
		return &out
	case *parser.NumberLiteral:
		out := *e
		return &out
	case *parser.StringLiteral:
		out := *e
		return &out
	}
	c.err = fmt.Errorf("plan: unknown kind of expression %T", e)
	return e
}

// bare takes the marks of step-invariant expressions out of an expression, in
// place: the engine sets them itself.
func bare(e parser.Expr) parser.Expr {
	switch n := e.(type) {
	case *parser.StepInvariantExpr:
		return bare(n.Expr)
	case *parser.AggregateExpr:
		n.Expr = bare(n.Expr)
		if n.Param != nil {
			n.Param = bare(n.Param)
		}
	case *parser.BinaryExpr:
		n.LHS, n.RHS = bare(n.LHS), bare(n.RHS)
	case *parser.Call:
		for i := range n.Args {
			n.Args[i] = bare(n.Args[i])
		}
	case *parser.SubqueryExpr:
		n.Expr = bare(n.Expr)
	case *parser.ParenExpr:
		n.Expr = bare(n.Expr)
	case *parser.UnaryExpr:
		n.Expr = bare(n.Expr)
	}
	return e
}
