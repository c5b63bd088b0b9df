package lint

import "github.com/prometheus/prometheus/promql/parser"

func vectorFallback() Check {
	return Check{
		Name: "vector-fallback", Severity: Warning,
		Finds: "\"or vector(…)\" in an expression.",
		Why:   "Midwatch itself counts no errors where there is no error series. The made-up value hides that what is counted is gone, and makes a group without labels beside those of group_by.",
		one: func(s *subject) {
			for _, d := range s.sides {
				if d.expr == nil {
					continue
				}
				parser.Inspect(d.expr, func(n parser.Node, _ []parser.Node) error {
					if b, ok := n.(*parser.BinaryExpr); ok && b.Op == parser.LOR && isVector(b.RHS) {
						s.add(d.field, "leave it out", "%s falls back to %s where there is no data", d.what, b.RHS)
					}
					return nil
				})
			}
		},
	}
}

// isVector says whether an expression is vector(), in parentheses or not.
func isVector(e parser.Expr) bool {
	for {
		switch x := e.(type) {
		case *parser.ParenExpr:
			e = x.Expr
		case *parser.AggregateExpr:
			e = x.Expr
		case *parser.BinaryExpr: // on () vector(0) and the like
			e = x.LHS
		case *parser.Call:
			return x.Func.Name == "vector"
		default:
			return false
		}
	}
}
