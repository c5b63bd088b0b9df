package replay

import (
	"context"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// column is one recorded series. Its points are in the order of time, and
// none is ever changed in its place: who reads holds its own slices.
type column struct {
	labels labels.Labels
	ts     []int64
	vs     []float64
	hs     []*histogram.FloatHistogram // of a raw series that has any; nil where it is a value
}

func (c *column) add(t int64, v float64) {
	c.ts, c.vs = append(c.ts, t), append(c.vs, v)
}

// after returns the index of the first point after t.
func (c *column) after(t int64) int {
	return sort.Search(len(c.ts), func(i int) bool { return c.ts[i] > t })
}

// lives tells whether the last point of the first n is a value.
func (c *column) lives(n int) bool { return n > 0 && !value.IsStaleNaN(c.vs[n-1]) }

// forget drops what is before t.
func (c *column) forget(t int64) {
	i := c.after(t - 1)
	if i > 0 && i*2 > len(c.ts) {
		c.ts, c.vs = slices.Clone(c.ts[i:]), slices.Clone(c.vs[i:])
	}
}

var staleNaN = math.Float64frombits(value.StaleNaN)

// column returns the series of a node with these labels, a new one if there
// is none.
func (n *node) column(l labels.Labels) *column {
	h := l.Hash()
	for _, c := range n.columns[h] {
		if labels.Equal(c.labels, l) {
			return c
		}
	}
	c := &column{labels: l}
	n.columns[h] = append(n.columns[h], c)
	n.ordered = append(n.ordered, c)
	return c
}

// store holds what nodes record, by name.
type store struct {
	mu    sync.RWMutex // of the nodes' columns
	nodes map[string][]*node
}

func newStore(nodes []*node) *store {
	s := &store{nodes: map[string][]*node{}}
	for _, n := range nodes {
		n.columns = map[uint64][]*column{}
		n.seen = map[*node]int{}
		if n.name != "" {
			s.nodes[n.name] = append(s.nodes[n.name], n)
		}
	}
	return s
}

// view is the store as one rule sees it.
type view struct {
	*store
	reader *node
}

var _ storage.Queryable = view{}

// Querier returns the view itself.
func (v view) Querier(int64, int64) (storage.Querier, error) { return v, nil }

// Close does nothing.
func (v view) Close() error { return nil }

// LabelValues is not asked by the engine.
func (v view) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames is not asked by the engine.
func (v view) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Select returns the series that match. Of a marked selector, those that are
// recorded after the reader are shown a millisecond late.
func (v view) Select(_ context.Context, sorted bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	late := false
	rest := make([]*labels.Matcher, 0, len(ms))
	for _, m := range ms {
		if m.Name == before {
			late = true
			continue
		}
		rest = append(rest, m)
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	set := &seriesSet{at: -1}
	for _, n := range v.candidates(rest) {
		if !n.mayMatch(rest) {
			continue
		}
		var shift int64
		if late && n.order >= v.reader.order {
			shift = 1
		}
		for _, c := range n.ordered {
			if len(c.ts) > 0 && matches(c.labels, rest) {
				set.series = append(set.series, series{labels: c.labels, ts: c.ts, vs: c.vs, shift: shift})
			}
		}
	}
	if sorted {
		set.sort()
	}
	return set
}

func (s *store) candidates(ms []*labels.Matcher) (out []*node) {
	for _, m := range ms {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return s.nodes[m.Value]
		}
	}
	for _, nodes := range s.nodes {
		if nodes[0].order > 0 {
			out = append(out, nodes...)
		}
	}
	return out
}

func matches(l labels.Labels, ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// seriesSet is series that were selected.
type seriesSet struct {
	series []series
	at     int
}

func (s *seriesSet) sort() {
	slices.SortFunc(s.series, func(a, b series) int { return labels.Compare(a.labels, b.labels) })
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.at] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// series is the points of a column at the moment of its selection.
type series struct {
	labels labels.Labels
	ts     []int64
	vs     []float64
	hs     []*histogram.FloatHistogram
	shift  int64
}

// Labels returns the labels with the name.
func (s series) Labels() labels.Labels { return s.labels }

// Iterator walks the points.
func (s series) Iterator(old chunkenc.Iterator) chunkenc.Iterator {
	if it, ok := old.(*iterator); ok {
		it.series, it.at = s, -1
		return it
	}
	return &iterator{series: s, at: -1}
}

type iterator struct {
	series
	at int
}

var _ chunkenc.Iterator = (*iterator)(nil)

// Next goes to the next point.
func (i *iterator) Next() chunkenc.ValueType {
	i.at++
	return i.kind()
}

func (i *iterator) kind() chunkenc.ValueType {
	switch {
	case i.at >= len(i.ts):
		return chunkenc.ValNone
	case i.at < len(i.hs) && i.hs[i.at] != nil:
		return chunkenc.ValFloatHistogram
	default:
		return chunkenc.ValFloat
	}
}

// Seek goes to the first point that is not before t.
func (i *iterator) Seek(t int64) chunkenc.ValueType { //nolint:govet // it is Prometheus' method, not that of io.
	from := max(i.at, 0)
	if from >= len(i.ts) {
		return chunkenc.ValNone
	}
	i.at = from + sort.Search(len(i.ts)-from, func(k int) bool { return i.ts[from+k]+i.shift >= t })
	return i.kind()
}

// At returns the point.
func (i *iterator) At() (int64, float64) { return i.ts[i.at] + i.shift, i.vs[i.at] }

// AtT returns the time of the point.
func (i *iterator) AtT() int64 { return i.ts[i.at] + i.shift }

// AtST returns 0: no point has a start time.
func (i *iterator) AtST() int64 { return 0 }

// AtHistogram is never called: there are none with whole numbers.
func (i *iterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) { return 0, nil }

// AtFloatHistogram returns a copy of the point.
func (i *iterator) AtFloatHistogram(into *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	if into == nil {
		return i.AtT(), i.hs[i.at].Copy()
	}
	i.hs[i.at].CopyTo(into)
	return i.AtT(), into
}

// Err returns nil: memory does not fail.
func (i *iterator) Err() error { return nil }

// write replaces what a node recorded after a time by what an evaluation at
// these steps gave, with a mark of the end of each series that is not there
// any more, as Prometheus sets. It tells whether that is any different.
func (s *store) write(n *node, after int64, steps []int64, found promql.Matrix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := map[*column][]promql.FPoint{}
	for _, f := range found {
		fresh[n.column(f.Metric)] = f.Floats
	}
	changed := false
	for _, c := range n.ordered {
		changed = c.replace(after, steps, fresh[c]) || changed
	}
	return changed
}

func (c *column) replace(after int64, steps []int64, points []promql.FPoint) bool {
	kept := c.after(after)
	lives := c.lives(kept)
	if len(points) == 0 && !lives && kept == len(c.ts) {
		return false
	}
	was := series{ts: c.ts[kept:], vs: c.vs[kept:]}
	now := column{ts: make([]int64, 0, len(points)+1), vs: make([]float64, 0, len(points)+1)}
	for _, t := range steps {
		for len(points) > 0 && points[0].T < t { // at a step that failed in part
			points = points[1:]
		}
		switch {
		case len(points) > 0 && points[0].T == t:
			now.add(t, points[0].F)
			points, lives = points[1:], true
		case lives:
			now.add(t, staleNaN)
			lives = false
		case len(points) == 0:
			return c.put(kept, was, now)
		}
	}
	return c.put(kept, was, now)
}

func (c *column) put(kept int, was series, now column) bool {
	same := slices.Equal(was.ts, now.ts) && slices.EqualFunc(was.vs, now.vs, func(a, b float64) bool {
		return math.Float64bits(a) == math.Float64bits(b)
	})
	if same {
		return false
	}
	if len(was.ts) > 0 { // others may be reading them
		c.ts, c.vs = slices.Clone(c.ts[:kept]), slices.Clone(c.vs[:kept])
	}
	c.ts, c.vs = append(c.ts, now.ts...), append(c.vs, now.vs...)
	return true
}
