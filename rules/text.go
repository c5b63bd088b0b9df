package rules

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// longestLine is from how many bytes on an expression is broken into lines,
// as promtool and the parser's own printer break it.
const longestLine = 100

// writer prints expressions as the parser's own printer does, in one pass.
// Beside the text it hashes the expression's shape: its nodes and operators,
// without names, numbers, texts and lengths of time.
type writer struct {
	text    []byte
	shape   uint64
	foreign bool     // some node's text came from the parser's printer
	marking bool     // the shape is hashed
	parts   [][]byte // matchers of the selector at hand
}

// print replaces the text, shape and foreign by those of an expression.
func (w *writer) print(e parser.Expr) {
	w.text, w.shape, w.foreign, w.marking = w.text[:0], 14695981039346656037, false, true
	w.flat(e)
	w.marking = false
	if len(w.text) > longestLine {
		w.text = w.text[:0]
		w.pretty(e, 0)
		w.text = bytes.TrimSpace(w.text) // the first line may be indented
	}
}

func (w *writer) put(s string) { w.text = append(w.text, s...) }

// mark hashes a part of the shape (FNV-1a).
func (w *writer) mark(s string) {
	if !w.marking {
		return
	}
	for i := range len(s) {
		w.shape = (w.shape ^ uint64(s[i])) * 1099511628211
	}
}

func (w *writer) indent(n int) {
	for range n {
		w.put("  ")
	}
}

// pretty writes an expression that begins on a line of its own, unless level
// is zero.
func (w *writer) pretty(e parser.Expr, level int) {
	w.indent(level)
	begin := len(w.text)
	w.flat(e)
	if len(w.text)-begin <= longestLine || !splits(e) {
		return
	}
	w.text = w.text[:begin]
	switch x := e.(type) {
	case *parser.AggregateExpr:
		w.operation(x)
		w.put("(\n")
		if x.Op.IsAggregatorWithParam() {
			w.pretty(x.Param, level+1)
			w.put(",\n")
		}
		w.pretty(x.Expr, level+1)
		w.closing(level)
	case *parser.BinaryExpr:
		w.text = w.text[:begin-2*level] // its sides are indented, not itself
		w.pretty(x.LHS, level+1)
		w.put("\n")
		w.indent(level)
		w.operator(x)
		w.put("\n")
		w.pretty(x.RHS, level+1)
	case *parser.Call:
		w.put(x.Func.Name)
		w.put("(\n")
		for i, arg := range x.Args {
			if i > 0 {
				w.put(",\n")
			}
			w.pretty(arg, level+1)
		}
		w.closing(level)
	case *parser.ParenExpr:
		w.put("(\n")
		w.pretty(x.Expr, level+1)
		w.closing(level)
	case *parser.SubqueryExpr:
		w.text = w.text[:begin-2*level]
		w.pretty(x.Expr, level)
		w.put(x.ShortString())
	}
}

func (w *writer) closing(level int) {
	w.put("\n")
	w.indent(level)
	w.put(")")
}

// splits says whether an expression can be broken into lines.
func splits(e parser.Expr) bool {
	switch e.(type) {
	case *parser.AggregateExpr, *parser.BinaryExpr, *parser.Call, *parser.ParenExpr, *parser.SubqueryExpr:
		return true
	default:
		return false
	}
}

// flat writes an expression in one line.
func (w *writer) flat(e parser.Expr) {
	switch x := e.(type) {
	case *parser.AggregateExpr:
		w.operation(x)
		w.put("(")
		if x.Op.IsAggregatorWithParam() {
			w.flat(x.Param)
			w.put(", ")
		}
		w.flat(x.Expr)
		w.put(")")
		w.mark(")")
	case *parser.BinaryExpr:
		w.mark("binary")
		w.flat(x.LHS)
		w.put(" ")
		w.operator(x)
		w.put(" ")
		w.flat(x.RHS)
	case *parser.Call:
		w.put(x.Func.Name)
		w.mark(x.Func.Name)
		w.put("(")
		w.mark("(")
		for i, arg := range x.Args {
			if i > 0 {
				w.put(", ")
			}
			w.flat(arg)
		}
		w.put(")")
		w.mark(")")
	case *parser.ParenExpr:
		w.put("(")
		w.mark("paren(")
		w.flat(x.Expr)
		w.put(")")
		w.mark(")")
	case *parser.MatrixSelector:
		w.matrix(x)
	case *parser.VectorSelector:
		w.selector(x)
	case *parser.NumberLiteral:
		w.number(x)
	case *parser.StringLiteral:
		w.mark("string")
		w.text = strconv.AppendQuote(w.text, x.Val)
	default:
		w.other(e)
	}
}

// other writes what only people write, by the parser's own printer.
func (w *writer) other(e parser.Expr) {
	w.foreign = true
	w.put(e.String())
}

func (w *writer) number(x *parser.NumberLiteral) {
	if x.Duration {
		w.other(x)
		return
	}
	w.mark("number")
	if x.Val < 0 {
		w.mark("-")
	}
	w.text = strconv.AppendFloat(w.text, x.Val, 'f', -1, 64)
}

// operation writes an aggregation up to its parenthesis.
func (w *writer) operation(x *parser.AggregateExpr) {
	w.put(x.Op.String())
	w.mark(x.Op.String())
	switch {
	case x.Without:
		w.put(" without ")
		w.mark(" without ")
		w.labels(x.Grouping)
		w.put(" ")
	case len(x.Grouping) > 0:
		w.put(" by ")
		w.mark(" by ")
		w.labels(x.Grouping)
		w.put(" ")
	}
	w.mark("(")
}

func (w *writer) labels(names []string) {
	w.put("(")
	for i, name := range names {
		if i > 0 {
			w.put(", ")
		}
		if model.LegacyValidation.IsValidLabelName(name) {
			w.put(name)
		} else {
			w.text = strconv.AppendQuote(w.text, name)
		}
	}
	w.put(")")
}

// operator writes the operator of a binary expression and how it matches.
func (w *writer) operator(x *parser.BinaryExpr) {
	w.put(x.Op.String())
	w.mark(x.Op.String())
	if x.ReturnBool {
		w.put(" bool")
		w.mark(" bool")
	}
	m := x.VectorMatching
	if m == nil {
		return
	}
	many := m.Card == parser.CardManyToOne || m.Card == parser.CardOneToMany
	if m.FillValues.LHS != nil || m.FillValues.RHS != nil {
		w.foreign = true
		w.text = append(w.text, x.ShortString()[len(x.Op.String()):]...)
		return
	}
	if len(m.MatchingLabels) > 0 || m.On || many {
		tag := " ignoring "
		if m.On {
			tag = " on "
		}
		w.put(tag)
		w.mark(tag)
		w.labels(m.MatchingLabels)
	}
	if many {
		tag := " group_right "
		if m.Card == parser.CardManyToOne {
			tag = " group_left "
		}
		w.put(tag)
		w.mark(tag)
		w.labels(m.Include)
	}
}

func (w *writer) matrix(x *parser.MatrixSelector) {
	vs, ok := x.VectorSelector.(*parser.VectorSelector)
	if !ok || x.RangeExpr != nil || !plain(vs) {
		w.other(x)
		return
	}
	w.mark("matrix")
	w.name(vs)
	w.put("[")
	w.put(duration(x.Range))
	w.put("]")
	w.offset(vs.OriginalOffset)
}

func (w *writer) selector(vs *parser.VectorSelector) {
	if !plain(vs) {
		w.other(vs)
		return
	}
	w.mark("vector")
	w.name(vs)
	w.offset(vs.OriginalOffset)
}

// plain says whether a selector has no modifier but an offset.
func plain(vs *parser.VectorSelector) bool {
	return vs.Timestamp == nil && vs.StartOrEnd == 0 && vs.OriginalOffsetExpr == nil && !vs.Anchored && !vs.Smoothed
}

func (w *writer) offset(d time.Duration) {
	switch {
	case d > 0:
		w.mark("offset")
		w.put(" offset ")
		w.put(duration(d))
	case d < 0:
		w.mark("offset-")
		w.put(" offset -")
		w.put(duration(-d))
	}
}

func duration(d time.Duration) string { return model.Duration(d).String() }

// name writes the metric and the matchers of a selector, in the order of
// their texts.
func (w *writer) name(vs *parser.VectorSelector) {
	w.put(vs.Name)
	begin := len(w.text)
	w.parts = w.parts[:0]
	for _, m := range vs.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && m.Value == vs.Name && m.Value != "" {
			continue
		}
		w.mark(m.Type.String())
		from := len(w.text)
		if model.LegacyValidation.IsValidLabelName(m.Name) {
			w.put(m.Name)
		} else {
			w.text = strconv.AppendQuote(w.text, m.Name)
		}
		w.put(m.Type.String())
		w.text = strconv.AppendQuote(w.text, m.Value)
		w.parts = append(w.parts, slices.Clone(w.text[from:]))
	}
	w.text = w.text[:begin]
	if len(w.parts) == 0 {
		return
	}
	slices.SortFunc(w.parts, bytes.Compare)
	w.put("{")
	w.text = append(w.text, bytes.Join(w.parts, []byte(","))...)
	w.put("}")
}
