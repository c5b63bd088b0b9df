package plan

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxSteps bounds how often a part is evaluated. A subquery of more steps
// reads raw samples.
const maxSteps = 110_000

// builder makes one plan.
type builder struct {
	*fleet
	options Options
	shapes  map[parser.Expr]shape
	parts   []Part
}

// moment is when and for what an expression is evaluated.
type moment struct {
	Window
	once   bool // its value is the same at every step
	labels bool // values become labels: the last bit of a sum matters
}

// first is the moment at which something that never changes is evaluated.
func (m moment) first() moment {
	m.Window = Window{Start: m.Start, End: min(m.Start, m.last())}
	m.once = true
	return m
}

// rewrite puts parts in place of what is local, as high up as possible.
func (b *builder) rewrite(e parser.Expr, at moment) parser.Expr {
	switch n := e.(type) {
	case *parser.StepInvariantExpr:
		return b.rewrite(n.Expr, at.first())
	case *parser.ParenExpr:
		n.Expr = b.rewrite(n.Expr, at)
		return e
	}
	if s := b.shapes[e]; s.where == local && e.Type() == parser.ValueTypeVector {
		return b.wrapped(e, s, at)
	}
	switch n := e.(type) {
	case *parser.UnaryExpr:
		n.Expr = b.rewrite(n.Expr, at)
	case *parser.BinaryExpr:
		n.LHS, n.RHS = b.rewrite(n.LHS, at), b.rewrite(n.RHS, at)
	case *parser.AggregateExpr:
		return b.aggregation(n, at)
	case *parser.Call:
		return b.function(n, at)
	case *parser.SubqueryExpr:
		return b.inner(n, at)
	case *parser.VectorSelector:
		if !n.Smoothed && !n.Anchored && !b.matching(n).any(always) {
			return b.part(request{at: at, pos: n, matchers: asSelected(n.LabelMatchers)})
		}
	}
	return e
}

// wrapped is a part for a local expression. The order that topk gives an
// instant vector is given again.
func (b *builder) wrapped(e parser.Expr, s shape, at moment) parser.Expr {
	if agg, ok := e.(*parser.AggregateExpr); ok && selects(agg.Op) {
		return b.split(agg, at)
	}
	r := request{at: at, pos: e, in: s.in, kept: s.kept, pruned: s.pruned, send: func(i int) parser.Expr { return b.send(e, i, true) }}
	return b.part(r)
}

// function rewrites the arguments of a function.
func (b *builder) function(e *parser.Call, at moment) parser.Expr {
	switch e.Func.Name {
	case "info", "start_timestamp":
		return e
	case "timestamp":
		return b.timestamp(e, at)
	case "absent", "absent_over_time":
		if b.shapes[e.Args[0]].where == local {
			return b.absence(e, at)
		}
	}
	// Parts are in the order in which the engine evaluates: subqueries first.
	for _, subqueries := range []bool{true, false} {
		for i, arg := range e.Args {
			if _, is := arg.(*parser.SubqueryExpr); is == subqueries {
				e.Args[i] = b.rewrite(arg, at)
			}
		}
	}
	return e
}

// timestamp keeps apart what the function tells apart: of a selector it gives
// the times of samples, of anything else that of the evaluation.
func (b *builder) timestamp(e *parser.Call, at moment) parser.Expr {
	if _, raw := e.Args[0].(*parser.VectorSelector); raw {
		return e
	}
	was := e.Args[0]
	e.Args[0] = evaluated(was, b.rewrite(was, at))
	return e
}

// absence asks each cluster only whether there is something. The labels that
// absent takes from the matchers of a selector are taken from those of its
// part.
func (b *builder) absence(e *parser.Call, at moment) parser.Expr {
	arg, once := uninvariant(e.Args[0])
	if once {
		at = at.first()
	}
	r := request{at: at, pos: arg, in: b.shapes[arg].in, pruned: b.shapes[arg].pruned, exists: true, send: func(i int) parser.Expr {
		sent := b.send(arg, i, false)
		if sent.Type() == parser.ValueTypeMatrix {
			sent = &parser.Call{Func: parser.Functions["last_over_time"], Args: parser.Expressions{sent}, PosRange: e.PosRange}
		}
		return &parser.AggregateExpr{Op: parser.GROUP, Expr: sent, PosRange: e.PosRange}
	}}
	switch n := arg.(type) {
	case *parser.VectorSelector:
		r.matchers = asSelected(n.LabelMatchers)
	case *parser.MatrixSelector:
		r.matchers = asSelected(n.VectorSelector.(*parser.VectorSelector).LabelMatchers)
	}
	out := *e
	out.Func = parser.Functions["absent"]
	out.Args = parser.Expressions{b.part(r)}
	return &out
}

// asSelected returns matchers in the order in which Prometheus' storage leaves
// them, which absent sees: those that only take series away come last.
func asSelected(matchers []*labels.Matcher) []*labels.Matcher {
	present := map[string]bool{} // labels that series must have
	for _, m := range matchers {
		present[m.Name] = present[m.Name] || !m.Matches("")
	}
	takesAway := func(m *labels.Matcher) bool {
		negative := m.Type == labels.MatchNotEqual || m.Type == labels.MatchNotRegexp
		return !present[m.Name] || negative && m.Matches("")
	}
	var first, last []*labels.Matcher
	for _, m := range matchers {
		if takesAway(m) {
			last = append(last, m)
		} else {
			first = append(first, m)
		}
	}
	return append(first, last...)
}

func uninvariant(e parser.Expr) (parser.Expr, bool) {
	if s, ok := e.(*parser.StepInvariantExpr); ok {
		return s.Expr, true
	}
	return e, false
}

// inner rewrites what a subquery evaluates at its own steps.
func (b *builder) inner(e *parser.SubqueryExpr, at moment) parser.Expr {
	w, ok := b.steps(e, at.Window)
	if ok {
		e.Expr = b.rewrite(e.Expr, moment{Window: w, labels: at.labels})
	}
	return e
}

// steps returns when the engine evaluates what is in a subquery that is
// itself evaluated over a window: at multiples of its step. It returns false
// where that is not to be relied on.
func (b *builder) steps(e *parser.SubqueryExpr, w Window) (Window, bool) {
	step := e.Step
	if step == 0 {
		step = b.options.SubqueryStep
	}
	if w.End < w.Start {
		return w, true // nothing is evaluated
	}
	interval := step.Milliseconds()
	if interval <= 0 {
		return Window{}, false
	}
	offset := e.OriginalOffset.Milliseconds()
	if e.Timestamp != nil {
		if w.last() != w.Start {
			return Window{}, false // it is evaluated beyond what the engine selects
		}
		moved := w.Start - *e.Timestamp
		if moved > maxMoved || moved < -maxMoved {
			return Window{}, false
		}
		offset += moved
	}
	first := w.Start - offset - e.Range.Milliseconds()
	start := interval * (first / interval)
	if start <= first {
		start += interval
	}
	// The engine moves the selectors with @ of an inner expression to its start
	// only if that is not the start of what is around it.
	if start == w.Start && offset != 0 && fixed(e.Expr) {
		return Window{}, false
	}
	inner := Window{Start: start, End: w.last() - offset, Step: interval}
	return inner, (inner.End-inner.Start)/interval < maxSteps
}

// maxMoved is how far an @ may be from the evaluation, in milliseconds: the
// engine counts it in nanoseconds.
const maxMoved = int64(200 * 365 * 24 * time.Hour / time.Millisecond)

// last returns the last step of a window.
func (w Window) last() int64 {
	if w.Step == 0 || w.End < w.Start {
		return w.End
	}
	return w.Start + (w.End-w.Start)/w.Step*w.Step
}

// fixed tells whether an expression has a selector or subquery with @.
func fixed(e parser.Expr) bool {
	found := false
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			found = found || n.Timestamp != nil
		case *parser.SubqueryExpr:
			found = found || n.Timestamp != nil
		}
		return nil
	})
	return found
}

// request is what a part is made of.
type request struct {
	at       moment
	pos      parser.Expr       // that the part stands for
	matchers []*labels.Matcher // that absent looks at
	in       members
	kept     names
	pruned   bool // what is sent may differ by more than the labels known
	sums     bool
	exists   bool     // only whether there is something matters
	foreign  []string // beyond the known labels
	send     func(i int) parser.Expr
}

// part makes a part and returns its selector.
func (b *builder) part(r request) *parser.VectorSelector {
	own := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "part "+strconv.Itoa(len(b.parts)))
	p := Part{
		Window: Window{Start: r.at.Start, End: r.at.last(), Step: r.at.Step},
		Selector: &parser.VectorSelector{
			LabelMatchers: append([]*labels.Matcher{own}, r.matchers...),
			PosRange:      r.pos.PositionRange(),
		},
	}
	empty := p.Window.End < p.Window.Start
	if empty || p.Window.Start == p.Window.End {
		p.Window.End, p.Window.Step = p.Window.Start, 0
	}
	if r.at.once {
		t := r.at.Start
		p.Selector.Timestamp = &t
	}
	said := map[int]Query{} // by the first cluster of its kind
	for i, in := range r.in {
		if !in || empty {
			continue
		}
		like, ok := said[b.like[i]]
		if !ok || r.pruned {
			like = b.query(r, i, p.Window)
			said[b.like[i]] = like
		}
		like.Cluster, like.Labels = i, b.given(i, r.kept)
		p.Queries = append(p.Queries, like)
	}
	b.parts = append(b.parts, p)
	return p.Selector
}

// query is what cluster i, and each that knows the same labels, is asked. It
// lacks the cluster and its labels.
func (b *builder) query(r request, i int, w Window) Query {
	sent := bare(r.send(i))
	q := Query{Text: sent.String(), Sums: r.sums, sent: sent}
	if !r.exists {
		q.Foreign = slices.Concat(b.foreign[i], r.foreign)
	}
	q.Mint, q.Maxt = promql.FindMinMaxTime(&parser.EvalStmt{
		Expr:          sent,
		Start:         timestamp.Time(w.Start),
		End:           timestamp.Time(w.End),
		Interval:      millis(w.Step),
		LookbackDelta: b.options.Lookback,
	})
	return q
}
