package fleet

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// view is what one evaluation of a rule sees: what was recorded here, what
// would have been if nothing were missing, and what the clusters have. It
// keeps whether anything was missing from what was read.
type view struct {
	db      storage.Queryable
	program *program
	foreign []promql.Series                                                         // of the clusters
	missing Missing                                                                 // clusters that foreign is without
	beside  func(ms []*labels.Matcher, mint, maxt int64) ([]promql.Series, Missing) // recorded nowhere, and the clusters that it is without

	mu   sync.Mutex
	lack Missing // clusters that what was read is without
}

var _ storage.Queryable = (*view)(nil)

// Querier implements storage.Queryable.
func (v *view) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := v.db.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &viewQuerier{view: v, own: q, mint: mint, maxt: maxt}, nil
}

// lacks returns the clusters whose data is missing from what was read.
func (v *view) lacks() Missing {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.lack)
}

func (v *view) note(missing Missing) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, cause := range missing {
		if v.lack == nil {
			v.lack = Missing{}
		}
		v.lack[name] = cause
	}
}

// viewQuerier reads a view.
type viewQuerier struct {
	*view
	own        storage.Querier
	mint, maxt int64
}

var errNoLabels = errors.New("only series can be read")

// Select returns series of all that is seen. Where one is in several places,
// the database comes last.
func (q *viewQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	var out []storage.Series
	seen := map[uint64]bool{}
	add := func(s storage.Series) {
		if h := s.Labels().Hash(); !seen[h] {
			seen[h] = true
			out = append(out, s)
		}
	}
	kept, missing := q.beside(ms, q.mint, q.maxt)
	q.note(missing)
	for _, s := range kept {
		add(promql.NewStorageSeries(s))
	}
	if !q.program.mine(ms) {
		q.note(q.missing)
		for _, s := range q.foreign {
			if matches(s.Metric, ms) {
				add(promql.NewStorageSeries(s))
			}
		}
	}
	set := q.own.Select(ctx, false, hints, ms...)
	for set.Next() {
		add(set.At())
	}
	if set.Err() != nil {
		return storage.ErrSeriesSet(set.Err())
	}
	slices.SortFunc(out, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &listSet{series: out, at: -1}
}

func matches(set labels.Labels, ms []*labels.Matcher) bool {
	return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(set.Get(m.Name)) })
}

// LabelValues is not served.
func (*viewQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errNoLabels
}

// LabelNames is not served.
func (*viewQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errNoLabels
}

// Close lets go of the database.
func (q *viewQuerier) Close() error { return q.own.Close() }

// listSet is series one after the other.
type listSet struct {
	series []storage.Series
	at     int
}

var _ storage.SeriesSet = (*listSet)(nil)

// Next moves to the next series.
func (s *listSet) Next() bool {
	s.at++
	return s.at < len(s.series)
}

// At returns the current series.
func (s *listSet) At() storage.Series { return s.series[s.at] }

// Err returns nothing: the series are at hand.
func (*listSet) Err() error { return nil }

// Warnings returns nothing.
func (*listSet) Warnings() annotations.Annotations { return nil }

// present makes series of the samples of one moment.
func present(v promql.Vector, at int64) []promql.Series {
	out := make([]promql.Series, 0, len(v))
	for _, s := range v {
		if s.H == nil {
			out = append(out, promql.Series{Metric: s.Metric, Floats: []promql.FPoint{{T: at, F: s.F}}})
		}
	}
	return out
}

// ended puts a mark of staleness after each run of points, so that no step
// without a value shows that of the step before.
func ended(points []promql.FPoint, step, last int64) []promql.FPoint {
	out := make([]promql.FPoint, 0, len(points)+2)
	for i, p := range points {
		out = append(out, p)
		next := p.T + step
		if next <= last && (i+1 == len(points) || points[i+1].T != next) {
			out = append(out, promql.FPoint{T: next, F: math.Float64frombits(value.StaleNaN)})
		}
	}
	return out
}
