package federation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/federation/answer"
	"github.com/midwatch-slo/midwatch/federation/plan"
)

// Local is series that are held here and answer queries beside the clusters'.
// They have no external labels: a label that is known in some cluster is on
// none of them, unless a series has it itself.
type Local struct {
	Name      string
	Queryable storage.Queryable
}

// localOpts are the options of a query over what is held here.
func (q *querier) localOpts() promql.QueryOpts {
	return promql.NewPrometheusQueryOpts(false, q.lookback)
}

// evaluateLocal evaluates a query of a part over what is held here.
func (q *querier) evaluateLocal(ctx context.Context, l Local, one *plan.Query, w plan.Window, given labels.Labels) (*answer.Answer, error) {
	if !l.has(ctx, one) {
		return &answer.Answer{}, nil
	}
	f, g := q.federation, gridOf(w)
	start, end := timestamp.Time(w.Start), timestamp.Time(w.End)
	var inner promql.Query
	var err error
	if g.Steps == 1 {
		inner, err = f.inner.NewInstantQuery(ctx, l.Queryable, q.localOpts(), one.Text, start)
	} else {
		inner, err = f.inner.NewRangeQuery(ctx, l.Queryable, q.localOpts(), one.Text, start, end, time.Duration(w.Step)*time.Millisecond)
	}
	unheld := func(why Run) error { return unheldError{why: why, cluster: l.Name, text: one.Text} }
	if err != nil {
		return nil, unheld(Refused)
	}
	defer inner.Close()
	res := inner.Exec(ctx)
	var tooMany promql.ErrTooManySamples
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(res.Err, &tooMany):
		return nil, tooMany
	case res.Err != nil:
		return nil, unheld(Failed)
	}
	a, why := q.taken(res.Value, &g, one, given)
	if why != Planned {
		return nil, unheld(why)
	}
	a.Warnings, a.Infos = res.Warnings.AsStrings(one.Text, 0, 0)
	if q.scope.hold(a.Samples()) != nil {
		return nil, promql.ErrTooManySamples("query execution")
	}
	return a, nil
}

// has tells whether a query reads series that are held here, or could say
// something without them: most queries are about none of these.
func (l Local) has(ctx context.Context, one *plan.Query) bool {
	selectors, silent := one.Reads()
	if !silent {
		return true
	}
	return l.holds(ctx, one.Mint, one.Maxt, selectors)
}

// holds tells whether there are series of any of several selectors, or that
// this cannot be told.
func (l Local) holds(ctx context.Context, mint, maxt int64, selectors [][]*labels.Matcher) bool {
	inner, err := l.Queryable.Querier(mint, maxt)
	if err != nil {
		return true // which the query tells
	}
	defer inner.Close()
	for _, ms := range selectors {
		set := inner.Select(ctx, false, &storage.SelectHints{Start: mint, End: maxt, Func: "series"}, ms...)
		if set.Next() || set.Err() != nil {
			return true
		}
	}
	return false
}

// aboutLocals returns members with what is known of what is held here: some of
// its series may have labels themselves that are known of clusters, as those of
// the fleet's SLOs that are grouped by one. Such a label is not known to be
// absent then, unless the expression reads no series of it at all.
func (f *Federation) aboutLocals(ctx context.Context, expr parser.Expr, members []plan.Cluster) []plan.Cluster {
	for i, l := range f.config.Local {
		m := &members[len(f.clusters)+i]
		lacks, err := l.lacks(ctx, m.Dropped)
		if err != nil || len(lacks) < len(m.Dropped) && l.isRead(ctx, expr) {
			m.Dropped = lacks
		}
	}
	return members
}

// lacks returns those labels of a list that no series held here has.
func (l Local) lacks(ctx context.Context, names []string) ([]string, error) {
	inner, err := l.Queryable.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	defer inner.Close()
	var out []string
	for _, name := range names {
		values, _, err := inner.LabelValues(ctx, name, &storage.LabelHints{Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(values) == 0 {
			out = append(out, name)
		}
	}
	return out, nil
}

// isRead tells whether an expression reads any series that is held here.
func (l Local) isRead(ctx context.Context, expr parser.Expr) bool {
	var selectors [][]*labels.Matcher
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			selectors = append(selectors, v.LabelMatchers)
		}
		return nil
	})
	return l.holds(ctx, math.MinInt64, math.MaxInt64, selectors)
}

// taken returns what the engine gave as an answer, or why it is none.
func (q *querier) taken(v parser.Value, g *answer.Grid, one *plan.Query, given labels.Labels) (*answer.Answer, Run) {
	out := &answer.Answer{}
	for _, s := range matrixOf(v) {
		switch {
		case len(s.Histograms) > 0:
			return nil, Histograms
		case one.Sums && slices.ContainsFunc(s.Floats, func(p promql.FPoint) bool { return answer.Overflows(p.F) }):
			return nil, Overflow
		case slices.ContainsFunc(one.Foreign, s.Metric.Has):
			return nil, Unclean
		}
		series, ok := answer.NewSeries(g, withLabels(s.Metric, given), len(s.Floats), func(i int) (int64, float64) {
			return s.Floats[i].T, s.Floats[i].F
		})
		if !ok {
			return nil, Times
		}
		out.Series = append(out.Series, series)
	}
	return out, Planned
}

// matrixOf returns a vector or a matrix as a matrix.
func matrixOf(v parser.Value) promql.Matrix {
	vector, ok := v.(promql.Vector)
	if !ok {
		m, _ := v.(promql.Matrix)
		return m
	}
	m := make(promql.Matrix, len(vector))
	for i, s := range vector {
		m[i].Metric = s.Metric
		if s.H != nil {
			m[i].Histograms = []promql.HPoint{{T: s.T, H: s.H}}
		} else {
			m[i].Floats = []promql.FPoint{{T: s.T, F: s.F}}
		}
	}
	return m
}

func withLabels(set, given labels.Labels) labels.Labels {
	if given.IsEmpty() {
		return set
	}
	b := labels.NewBuilder(set)
	given.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
	return b.Labels()
}

// readLocal returns the raw series of what is held here.
func (q *querier) readLocal(ctx context.Context, l Local, mint, maxt int64, ms []*labels.Matcher) ([]storage.Series, error) {
	inner, err := l.Queryable.Querier(mint, maxt)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", l.Name, err)
	}
	q.mu.Lock()
	q.closers = append(q.closers, inner)
	q.mu.Unlock()
	set := inner.Select(ctx, true, &storage.SelectHints{Start: mint, End: maxt}, ms...)
	var out []storage.Series
	for set.Next() {
		out = append(out, set.At())
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", l.Name, err)
	}
	return out, nil
}
