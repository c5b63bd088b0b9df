package replay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// before marks a selector of what was recorded before the instant: a rule
// does not see what is recorded after it at the same one. No series has the
// label, so the matcher is true of all.
const before = "__midwatch_before__"

// partPrefix begins the names of series that hold what the source gave.
const partPrefix = "midwatch:part:"

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

func templated(l labels.Labels) bool {
	found := false
	l.Range(func(l labels.Label) { found = found || strings.Contains(l.Value, "{{") })
	return found
}

// resolve finds what a rule reads. The parts that read none but raw series
// become nodes of their own.
func (b *builder) resolve(n *node) error {
	if n.constant = constant(n.parsed, nil); n.constant {
		return nil
	}
	if n.source = b.raw(n.parsed); n.source {
		return nil
	}
	expr, err := b.split(n, n.parsed)
	if err != nil {
		return err
	}
	n.parsed = expr
	err = b.find(n)
	n.constant = err == nil && constant(n.parsed, n.readsConstant)
	return err
}

// readsConstant tells whether what a selector gives is the same at every time:
// constants that its own group has recorded at the same instant.
func (n *node) readsConstant(vs *parser.VectorSelector) bool {
	i := slices.IndexFunc(n.selectors, func(s *selected) bool { return s.node == vs })
	return i >= 0 && n.selectors[i].offset == 0 && !slices.ContainsFunc(n.selectors[i].producers, func(p *node) bool {
		return !p.constant || p.group != n.group || p.every != n.every || p.order >= n.order
	})
}

// constant tells whether an expression gives the same at every time, where
// series tells it of a selector; nil is of none.
func constant(e parser.Expr, series func(*parser.VectorSelector) bool) bool {
	same := true
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			same = same && series != nil && series(n)
		case *parser.MatrixSelector, *parser.SubqueryExpr:
			same = false
		case *parser.Call:
			same = same && (n.Func.Name == "vector" || n.Func.Name == "label_replace" || n.Func.Name == "label_join")
		}
		return nil
	})
	return same
}

// raw tells whether an expression gives a vector and reads raw series alone.
func (b *builder) raw(e parser.Expr) bool {
	if e.Type() != parser.ValueTypeVector {
		return false
	}
	reads, raw := false, true
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if vs, ok := n.(*parser.VectorSelector); ok {
			reads, raw = true, raw && len(b.producers(vs)) == 0
		}
		return nil
	})
	return reads && raw
}

// producers returns the rules whose series a selector may match.
func (b *builder) producers(vs *parser.VectorSelector) (out []*node) {
	var candidates []*node
	for _, m := range vs.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			candidates = b.byName[m.Value]
			if part, ok := b.parts[m.Value]; ok {
				return []*node{part}
			}
			break
		}
		if m.Name == model.MetricNameLabel {
			for name, nodes := range b.byName {
				if m.Matches(name) {
					candidates = append(candidates, nodes...)
				}
			}
			break
		}
	}
	for _, n := range candidates {
		if n.mayMatch(vs.LabelMatchers) {
			out = append(out, n)
		}
	}
	return out
}

// mayMatch tells whether the labels that a rule sets leave it possible that
// matchers match its series.
func (n *node) mayMatch(ms []*labels.Matcher) bool {
	for _, m := range ms {
		if m.Name != model.MetricNameLabel && n.labels.Has(m.Name) && !m.Matches(n.labels.Get(m.Name)) {
			return false
		}
	}
	return true
}

// split returns an expression with the largest parts that read raw series
// alone replaced by selectors of what the source gives for them.
func (b *builder) split(n *node, e parser.Expr) (out parser.Expr, err error) {
	if b.raw(e) {
		return b.part(n, e), nil
	}
	set := func(at *parser.Expr) {
		if *at != nil && err == nil {
			*at, err = b.split(n, *at)
		}
	}
	switch e := e.(type) {
	case *parser.AggregateExpr:
		set(&e.Expr)
		set(&e.Param)
	case *parser.BinaryExpr:
		set(&e.LHS)
		set(&e.RHS)
	case *parser.Call:
		for i := range e.Args {
			set(&e.Args[i])
		}
	case *parser.ParenExpr:
		set(&e.Expr)
	case *parser.UnaryExpr:
		set(&e.Expr)
	case *parser.SubqueryExpr:
		if b.mixed(e.Expr) {
			err = errors.New("a subquery reads raw and recorded series")
		}
	}
	return e, err
}

// mixed tells whether an expression reads raw series, beside recorded ones.
func (b *builder) mixed(e parser.Expr) (found bool) {
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if vs, ok := n.(*parser.VectorSelector); ok {
			found = found || len(b.producers(vs)) == 0
		}
		return nil
	})
	return found
}

// part returns a selector of what the source gives for an expression at the
// times when a rule is evaluated.
func (b *builder) part(n *node, e parser.Expr) parser.Expr {
	key := fmt.Sprintf("%d %d %s", n.every, n.phase, e)
	f, ok := b.parts[key]
	if !ok {
		f = &node{
			order: -len(b.fetches), group: n.group, title: n.title, name: fmt.Sprintf("%s%d", partPrefix, len(b.fetches)),
			expr: e.String(), source: true, every: n.every, phase: n.phase,
		}
		f.alerts.node = f
		b.fetches = append(b.fetches, f)
		b.parts[key], b.parts[f.name] = f, f
	}
	return &parser.VectorSelector{Name: f.name, LabelMatchers: []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, f.name),
	}}
}

// find notes every selector of a rule and who records what it selects.
func (b *builder) find(n *node) (err error) {
	parser.Inspect(n.parsed, func(at parser.Node, path []parser.Node) error {
		vs, ok := at.(*parser.VectorSelector)
		if !ok || err != nil {
			return nil
		}
		s := &selected{node: vs, producers: b.producers(vs), offset: vs.OriginalOffset, reach: lookback}
		for _, above := range path {
			switch above := above.(type) {
			case *parser.MatrixSelector:
				s.reach = above.Range
			case *parser.SubqueryExpr:
				s.nested, s.reach, s.offset = true, s.reach+above.Range, s.offset+above.OriginalOffset
			}
			if s.err(above) {
				err = fmt.Errorf("%s reads recorded series at a fixed time", n.parsed)
			}
		}
		if s.err(vs) || s.offset < 0 {
			err = fmt.Errorf("%s reads recorded series at a fixed time or of the future", n.parsed)
		}
		s.reach += s.offset
		n.selectors = append(n.selectors, s)
		err = n.reading(s, err)
		return nil
	})
	return err
}

// err tells whether a node reads at a time that is not that of evaluation.
func (s *selected) err(n parser.Node) bool {
	switch n := n.(type) {
	case *parser.VectorSelector:
		return n.Timestamp != nil || n.StartOrEnd != 0
	case *parser.SubqueryExpr:
		return n.Timestamp != nil || n.StartOrEnd != 0
	default:
		return false
	}
}

func (n *node) reading(s *selected, err error) error {
	for _, p := range s.producers {
		past := p.order >= n.order
		if past && s.nested && err == nil {
			err = fmt.Errorf("a subquery reads %s, which is recorded after it", p.title)
		}
		n.reads = append(n.reads, read{producer: p, reach: s.reach.Milliseconds(), past: past})
	}
	return err
}

// finish writes the expression that is evaluated. In a selector of what is
// recorded later at the same instant, the instant itself is left out.
func (n *node) finish() {
	if n.order <= 0 {
		return
	}
	for _, s := range n.selectors {
		if s.offset == 0 && s.past(n) {
			s.node.LabelMatchers = append(s.node.LabelMatchers, labels.MustNewMatcher(labels.MatchEqual, before, ""))
		}
	}
	parser.Inspect(n.parsed, func(at parser.Node, _ []parser.Node) error {
		// Samples that are hidden are shown a millisecond later: this keeps
		// the oldest of them from staying in the range for that much longer.
		if ms, ok := at.(*parser.MatrixSelector); ok && marked(ms.VectorSelector) && ms.Range > time.Millisecond {
			ms.Range -= time.Millisecond
		}
		return nil
	})
	n.expr = n.parsed.String()
}

func (s *selected) past(n *node) bool {
	for _, p := range s.producers {
		if p.order >= n.order {
			return true
		}
	}
	return false
}

func marked(e parser.Expr) bool {
	vs, ok := e.(*parser.VectorSelector)
	return ok && len(vs.LabelMatchers) > 0 && vs.LabelMatchers[len(vs.LabelMatchers)-1].Name == before
}
