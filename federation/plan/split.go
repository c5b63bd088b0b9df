package plan

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Newest returns the time of the newest sample that the query can read when it
// is evaluated at t, both in milliseconds. It does not go back as t goes on.
func (q *Query) Newest(t int64) int64 {
	_, newest := promql.FindMinMaxTime(&parser.EvalStmt{Expr: q.sent, Start: timestamp.Time(t), End: timestamp.Time(t)})
	return newest
}

// Splits tells whether the query, evaluated at some of its steps, has the
// series and the values there that it has when it is evaluated at all of them,
// annotations apart. That is not so where a function of ranges may make one of
// two series by leaving out their metric's name: over a range that is an error
// even where the two are never there at the same step.
func (q *Query) Splits() bool {
	splits := true
	parser.Inspect(q.sent, func(node parser.Node, _ []parser.Node) error {
		call, ok := node.(*parser.Call)
		if !ok || keepsName(call.Func.Name) {
			return nil
		}
		for _, arg := range call.Args {
			if arg.Type() == parser.ValueTypeMatrix {
				splits = splits && !metricsOf(arg).several
			}
		}
		return nil
	})
	return splits
}

// metrics are the names that the series of an expression may have: none, one,
// or several, of which none may be one.
type metrics struct {
	name    string
	several bool
}

func (m metrics) or(other metrics) metrics {
	if m != other {
		return metrics{several: true}
	}
	return m
}

// keepsName tells whether a function of ranges leaves the metric's name.
func keepsName(function string) bool {
	return function == "last_over_time" || function == "first_over_time"
}

// metricsOf returns the names that the series of an expression may have.
func metricsOf(e parser.Expr) metrics {
	switch n := e.(type) {
	case *parser.ParenExpr:
		return metricsOf(n.Expr)
	case *parser.StepInvariantExpr:
		return metricsOf(n.Expr)
	case *parser.SubqueryExpr:
		return metricsOf(n.Expr)
	case *parser.MatrixSelector:
		return metricsOf(n.VectorSelector)
	case *parser.VectorSelector:
		return metricsSelected(n.LabelMatchers)
	case *parser.UnaryExpr:
		if n.Op == parser.ADD {
			return metricsOf(n.Expr)
		}
		return metrics{}
	case *parser.AggregateExpr:
		return metricsOfAggregate(n)
	case *parser.Call:
		return metricsOfCall(n)
	case *parser.BinaryExpr:
		return metricsOfBinary(n)
	}
	return metrics{several: e.Type() == parser.ValueTypeVector}
}

func metricsSelected(ms []*labels.Matcher) metrics {
	for _, m := range ms {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && m.Value != "" {
			return metrics{name: m.Value}
		}
	}
	return metrics{several: true}
}

func metricsOfAggregate(e *parser.AggregateExpr) metrics {
	switch {
	case e.Op == parser.COUNT_VALUES:
		return metrics{several: true}
	case selects(e.Op), !e.Without && slices.Contains(e.Grouping, model.MetricNameLabel):
		return metricsOf(e.Expr)
	}
	return metrics{}
}

func metricsOfCall(e *parser.Call) metrics {
	switch name := e.Func.Name; {
	case keepsName(name), name == "sort", name == "sort_desc":
		return metricsOf(e.Args[0])
	case name == "label_replace", name == "label_join", name == "info", e.Func.Experimental:
		return metrics{several: true}
	}
	return metrics{}
}

func metricsOfBinary(e *parser.BinaryExpr) metrics {
	lhs, rhs := metricsOf(e.LHS), metricsOf(e.RHS)
	switch {
	case e.VectorMatching != nil && slices.Contains(e.VectorMatching.Include, model.MetricNameLabel):
		return metrics{several: true}
	case e.ReturnBool, arithmetic(e.Op):
		return metrics{}
	case e.Op == parser.LAND, e.Op == parser.LUNLESS, e.RHS.Type() == parser.ValueTypeScalar:
		return lhs
	case e.LHS.Type() == parser.ValueTypeScalar:
		return rhs
	}
	return lhs.or(rhs)
}

func arithmetic(op parser.ItemType) bool {
	return slices.Contains([]parser.ItemType{parser.ADD, parser.SUB, parser.MUL, parser.DIV, parser.MOD, parser.POW, parser.ATAN2}, op)
}
