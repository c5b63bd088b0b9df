package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// where says where an expression can be evaluated.
type where int

const (
	here     where = iota // only here, over the parts below it
	anywhere              // it reads no series
	local                 // in each cluster by itself
)

// shape is what is known of an expression's result; all but where it can be
// evaluated, if that is local.
type shape struct {
	where
	in     members // clusters that can have series of it
	kept   names   // external labels that its series still have
	needs  Pushes  // what a cluster must take for it to be pushed
	pruned bool    // not all of these clusters have series of all of it

	bounded bool     // its series can have only these labels beside the known
	names   []string // these
	unnamed bool     // no two series differ in the metric name alone
}

// classify notes the shape of an expression and of all below it.
func (b *builder) classify(e parser.Expr) shape {
	s := b.shape(e)
	if s.where == local && (!b.take(s.in, s.needs) || leavesOut(e) && (s.in.any(b.unclean) || !b.surely(s.in, s.in, s.kept))) {
		s = shape{}
	}
	b.shapes[e] = s
	return s
}

// leavesOut tells whether an expression's answer may not show which series
// there were.
func leavesOut(e parser.Expr) bool {
	switch n := e.(type) {
	case *parser.SubqueryExpr:
		return true
	case *parser.Call:
		return n.Func.Name == "label_join" || n.Func.Name == "label_replace" || strings.HasPrefix(n.Func.Name, "histogram_")
	case *parser.AggregateExpr:
		return selects(n.Op)
	case *parser.BinaryExpr:
		return n.VectorMatching != nil || n.Op.IsComparisonOperator() && !n.ReturnBool
	}
	return false
}

func (b *builder) shape(e parser.Expr) shape {
	switch e := e.(type) {
	case *parser.NumberLiteral, *parser.StringLiteral:
		return shape{where: anywhere}
	case *parser.VectorSelector:
		return b.selector(e, PushSelectors)
	case *parser.MatrixSelector:
		if e.RangeExpr != nil || e.Range%time.Millisecond != 0 {
			return shape{}
		}
		return b.selector(e.VectorSelector.(*parser.VectorSelector), PushAll)
	case *parser.SubqueryExpr:
		return b.subquery(e)
	case *parser.ParenExpr:
		return b.classify(e.Expr)
	case *parser.StepInvariantExpr:
		return b.classify(e.Expr)
	case *parser.UnaryExpr:
		s := b.classify(e.Expr)
		s.unnamed = s.unnamed || e.Op == parser.SUB
		s.needs = PushAll
		return s
	case *parser.Call:
		return b.call(e)
	case *parser.AggregateExpr:
		return b.aggregate(e)
	case *parser.BinaryExpr:
		return b.binary(e)
	}
	return shape{}
}

func (b *builder) selector(v *parser.VectorSelector, needs Pushes) shape {
	if v.OriginalOffsetExpr != nil || v.OriginalOffset%time.Millisecond != 0 || v.Anchored || v.Smoothed || v.BypassEmptyMatcherCheck {
		return shape{}
	}
	s := shape{where: local, in: b.matching(v), kept: b.all(), needs: needs, unnamed: oneName(v)}
	if !s.in.any(always) || !b.distinct(s.in, s.in, s.kept) {
		return shape{}
	}
	for i, in := range s.in {
		if in && !b.selects(i, v) {
			return shape{}
		}
	}
	return s
}

// oneName tells whether all series of a selector have one metric name.
func oneName(v *parser.VectorSelector) bool {
	return slices.ContainsFunc(v.LabelMatchers, func(m *labels.Matcher) bool {
		return m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual
	})
}

// selects tells whether what is left of a selector for cluster i is one that
// Prometheus takes: some matcher must not match the empty value.
func (f *fleet) selects(i int, v *parser.VectorSelector) bool {
	send, _ := f.pick(i, v.LabelMatchers)
	for _, m := range send {
		if !m.Matches("") {
			return true
		}
	}
	return false
}

func (b *builder) subquery(e *parser.SubqueryExpr) shape {
	s := b.classify(e.Expr)
	for _, d := range []time.Duration{e.Range, e.OriginalOffset, e.Step, b.options.SubqueryStep} {
		if d%time.Millisecond != 0 {
			return shape{}
		}
	}
	if e.RangeExpr != nil || e.OriginalOffsetExpr != nil || e.StepExpr != nil || b.options.SubqueryStep <= 0 {
		return shape{}
	}
	if s.where == local {
		s.needs = PushAll
	}
	return s
}

// call classifies a function of at most one vector.
func (b *builder) call(e *parser.Call) shape {
	if e.Func.Name == "info" {
		return shape{} // the engine looks into its arguments
	}
	of := shape{where: anywhere}
	for _, arg := range e.Args {
		s := b.classify(arg)
		switch {
		case s.where == anywhere:
		case of.where == anywhere && arg.Type() != parser.ValueTypeScalar:
			of = s
		default:
			of = shape{}
		}
	}
	if e.Func.Experimental {
		return shape{}
	}
	if of.where != local {
		return of
	}
	if !b.separable(e, of) {
		return shape{}
	}
	of.needs = PushAll
	switch e.Func.Name {
	case "first_over_time", "last_over_time":
	case "label_join", "label_replace":
		of.bounded, of.unnamed = false, false
	default:
		of.unnamed = true
	}
	return of
}

// separable tells whether a function of a local vector gives in each cluster
// what it gives over all.
func (b *builder) separable(e *parser.Call, of shape) bool {
	switch e.Func.Name {
	case "absent", "absent_over_time", "scalar", "sort", "sort_desc", "vector":
		return false
	case "label_replace":
		return b.free(of, e.Args[1], e.Args[3])
	case "label_join":
		return b.free(of, append(parser.Expressions{e.Args[1]}, e.Args[3:]...)...)
	}
	return true
}

// free tells whether none of the labels that string arguments name are known
// in the clusters of a shape.
func (b *builder) free(of shape, args ...parser.Expr) bool {
	for _, arg := range args {
		name, ok := arg.(*parser.StringLiteral)
		if !ok || b.bit[name.Val]&b.knownIn(of.in) != 0 {
			return false
		}
	}
	return true
}

// needsOf returns what a cluster must take for an aggregation. Of what older
// engines do with native histograms, only counting them is the same.
func needsOf(op parser.ItemType) Pushes {
	if op == parser.COUNT || op == parser.GROUP {
		return PushSelectors
	}
	return PushAll
}

// aggregate classifies an aggregation: it is local when its groups hold
// series of one cluster each.
func (b *builder) aggregate(e *parser.AggregateExpr) shape {
	of := b.classify(e.Expr)
	if e.Param != nil && b.classify(e.Param).where != anywhere {
		return shape{}
	}
	if e.Op.IsExperimentalAggregator() || of.where != local {
		if e.Op.IsExperimentalAggregator() {
			return shape{}
		}
		return of
	}
	grouped := b.grouped(e, of.kept)
	if !b.distinct(of.in, of.in, grouped) || !b.names(e, of) {
		return shape{}
	}
	of.needs = max(of.needs, needsOf(e.Op))
	if selects(e.Op) {
		if !b.surely(of.in, of.in, grouped) {
			return shape{}
		}
		return of
	}
	of.kept = grouped
	of.unnamed = e.Without || !slices.Contains(e.Grouping, model.MetricNameLabel)
	if !e.Without {
		of.bounded, of.names = true, e.Grouping
	}
	if label, ok := e.Param.(*parser.StringLiteral); ok && of.bounded {
		of.names = append(slices.Clone(of.names), label.Val)
	}
	return of
}

// names tells whether the label that count_values sets is known in no cluster.
func (b *builder) names(e *parser.AggregateExpr, of shape) bool {
	return e.Op != parser.COUNT_VALUES || b.free(of, e.Param)
}

// selects tells whether an aggregation gives series of its argument.
func selects(op parser.ItemType) bool {
	return op == parser.TOPK || op == parser.BOTTOMK || op == parser.LIMITK || op == parser.LIMIT_RATIO
}

// grouped returns which of the labels kept an aggregation groups by.
func (b *builder) grouped(e *parser.AggregateExpr, kept names) names {
	if e.Without {
		return kept &^ b.bits(e.Grouping)
	}
	return kept & b.bits(e.Grouping)
}

// noisy tells whether an expression can warn or fail whatever its data.
func noisy(e parser.Expr) bool {
	found := false
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.AggregateExpr:
			found = found || (n.Param != nil && !harmless(n))
		case *parser.Call:
			switch n.Func.Name {
			case "histogram_quantile":
				found = found || !within(n.Args[0], 0, 1)
			case "label_replace":
				_, err := regexp.Compile("^(?s:" + literal(n.Args[4]) + ")$")
				found = found || err != nil || !validLabel(n.Args[1])
			case "label_join":
				for i := range n.Args {
					found = found || (i != 0 && i != 2 && !validLabel(n.Args[i]))
				}
			}
		}
		return nil
	})
	return found
}

func harmless(e *parser.AggregateExpr) bool {
	switch e.Op {
	case parser.COUNT_VALUES:
		return validLabel(e.Param)
	case parser.QUANTILE:
		return within(e.Param, 0, 1)
	}
	return within(e.Param, -1e18, 1e18)
}

// within tells whether an expression is a number from low to high.
func within(e parser.Expr, low, high float64) bool {
	n, ok := e.(*parser.NumberLiteral)
	return ok && n.Val >= low && n.Val <= high
}

func literal(e parser.Expr) string {
	if s, ok := e.(*parser.StringLiteral); ok {
		return s.Val
	}
	return ""
}

func validLabel(e parser.Expr) bool { return model.UTF8Validation.IsValidLabelName(literal(e)) }

// isMetadata tells whether operations that change what a metric means drop a
// label.
func isMetadata(name string) bool {
	return name == model.MetricNameLabel || name == "__type__" || name == "__unit__"
}
