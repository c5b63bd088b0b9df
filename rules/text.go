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
	line    []byte  // the expression in one line
	nodes   []piece // its nodes, each before those below it
	text    []byte  // broken into lines where it is long
	shape   uint64
	foreign bool // some node's text came from the parser's printer

	spans    map[time.Duration]string // as they are written
	matchers []byte                   // of the selector at hand
	parts    []piece                  // where each of them is
}

// piece is a part of a text, and of how many nodes.
type piece struct{ begin, end, nodes int }

// print replaces the text, shape and foreign by those of an expression.
func (w *writer) print(e parser.Expr) {
	w.line, w.nodes, w.text = w.line[:0], w.nodes[:0], w.text[:0]
	w.shape, w.foreign = 14695981039346656037, false
	w.flat(e)
	w.pretty(e, 0, 0)
	w.text = bytes.TrimSpace(w.text) // the first line may be indented
}

func (w *writer) put(s string) { w.line = append(w.line, s...) }

// mark hashes a part of the shape (FNV-1a).
func (w *writer) mark(s string) {
	for i := range len(s) {
		w.shape = (w.shape ^ uint64(s[i])) * 1099511628211
	}
}

// pretty writes the node of that number from the line to the text, on a line
// of its own unless level is zero, broken where it is too long.
func (w *writer) pretty(e parser.Expr, node, level int) {
	p := w.nodes[node]
	if p.end-p.begin <= longestLine {
		w.indent(level)
		w.copy(p.begin, p.end)
		return
	}
	child := node + 1
	switch x := e.(type) {
	case *parser.AggregateExpr:
		w.opening(p.begin, w.nodes[child].begin, level)
		if x.Op.IsAggregatorWithParam() {
			w.pretty(x.Param, child, level+1)
			w.text = append(w.text, ",\n"...)
			child += w.nodes[child].nodes
		}
		w.pretty(x.Expr, child, level+1)
		w.closing(level)
	case *parser.BinaryExpr:
		right := child + w.nodes[child].nodes
		w.pretty(x.LHS, child, level+1)
		w.text = append(w.text, '\n')
		w.indent(level)
		w.copy(w.nodes[child].end+1, w.nodes[right].begin-1)
		w.text = append(w.text, '\n')
		w.pretty(x.RHS, right, level+1)
	case *parser.Call:
		w.opening(p.begin, p.begin+len(x.Func.Name)+1, level)
		for i, arg := range x.Args {
			if i > 0 {
				w.text = append(w.text, ",\n"...)
			}
			w.pretty(arg, child, level+1)
			child += w.nodes[child].nodes
		}
		w.closing(level)
	case *parser.ParenExpr:
		w.opening(p.begin, p.begin+1, level)
		w.pretty(x.Expr, child, level+1)
		w.closing(level)
	case *parser.SubqueryExpr:
		w.pretty(x.Expr, child, level)
		w.copy(w.nodes[child].end, p.end)
	default:
		w.indent(level)
		w.copy(p.begin, p.end)
	}
}

func (w *writer) copy(begin, end int) { w.text = append(w.text, w.line[begin:end]...) }

func (w *writer) indent(n int) {
	for range n {
		w.text = append(w.text, "  "...)
	}
}

// opening writes what comes before the first node in parentheses.
func (w *writer) opening(begin, end, level int) {
	w.indent(level)
	w.copy(begin, end)
	w.text = append(w.text, '\n')
}

func (w *writer) closing(level int) {
	w.text = append(w.text, '\n')
	w.indent(level)
	w.text = append(w.text, ')')
}

// flat writes an expression to the line.
func (w *writer) flat(e parser.Expr) {
	node := len(w.nodes)
	w.nodes = append(w.nodes, piece{begin: len(w.line)})
	w.node(e)
	w.nodes[node].end, w.nodes[node].nodes = len(w.line), len(w.nodes)-node
}

func (w *writer) node(e parser.Expr) {
	switch x := e.(type) {
	case *parser.AggregateExpr:
		w.operation(x)
		w.put("(")
		if x.Op.IsAggregatorWithParam() {
			w.flat(x.Param)
			w.put(", ")
		}
		w.flat(x.Expr)
		w.end()
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
		w.end()
	case *parser.ParenExpr:
		w.put("(")
		w.mark("paren(")
		w.flat(x.Expr)
		w.end()
	case *parser.SubqueryExpr:
		w.mark("subquery")
		w.flat(x.Expr)
		w.put(x.ShortString())
		w.foreign = w.foreign || x.RangeExpr != nil || x.StepExpr != nil || x.OriginalOffsetExpr != nil || x.Timestamp != nil || x.StartOrEnd != 0
	case *parser.MatrixSelector:
		w.matrix(x)
	case *parser.VectorSelector:
		w.selector(x)
	case *parser.NumberLiteral:
		w.number(x)
	case *parser.StringLiteral:
		w.mark("string")
		w.line = quoted(w.line, x.Val)
	default:
		w.other(e)
	}
}

// end closes what flat opened.
func (w *writer) end() {
	w.put(")")
	w.mark(")")
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
	w.line = strconv.AppendFloat(w.line, x.Val, 'f', -1, 64)
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
			w.line = strconv.AppendQuote(w.line, name)
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
		w.put(x.ShortString()[len(x.Op.String()):])
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
	w.put(w.duration(x.Range))
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
		w.put(w.duration(d))
	case d < 0:
		w.mark("offset-")
		w.put(" offset -")
		w.put(w.duration(-d))
	}
}

func duration(d time.Duration) string { return model.Duration(d).String() }

// duration returns a duration's text.
func (w *writer) duration(d time.Duration) string {
	text, ok := w.spans[d]
	if !ok {
		if w.spans == nil {
			w.spans = map[time.Duration]string{}
		}
		text = duration(d)
		w.spans[d] = text
	}
	return text
}

// name writes the metric and the matchers of a selector, in the order of
// their texts.
func (w *writer) name(vs *parser.VectorSelector) {
	w.put(vs.Name)
	w.matchers, w.parts = w.matchers[:0], w.parts[:0]
	for _, m := range vs.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && m.Value == vs.Name && m.Value != "" {
			continue
		}
		w.mark(m.Type.String())
		begin := len(w.matchers)
		if model.LegacyValidation.IsValidLabelName(m.Name) {
			w.matchers = append(w.matchers, m.Name...)
		} else {
			w.matchers = strconv.AppendQuote(w.matchers, m.Name)
		}
		w.matchers = append(w.matchers, m.Type.String()...)
		w.matchers = quoted(w.matchers, m.Value)
		w.parts = append(w.parts, piece{begin: begin, end: len(w.matchers)})
	}
	if len(w.parts) == 0 {
		return
	}
	slices.SortFunc(w.parts, func(a, b piece) int {
		return bytes.Compare(w.matchers[a.begin:a.end], w.matchers[b.begin:b.end])
	})
	for i, p := range w.parts {
		if i == 0 {
			w.put("{")
		} else {
			w.put(",")
		}
		w.line = append(w.line, w.matchers[p.begin:p.end]...)
	}
	w.put("}")
}

// quoted appends a text in double quotes.
func quoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
