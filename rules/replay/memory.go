package replay

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// Memory is series in memory. The zero Memory is empty. Series are added
// before it is asked.
type Memory struct {
	columns map[string][]*column
	samples int
}

var _ storage.Queryable = (*Memory)(nil)

// Samples returns how many samples there are.
func (m *Memory) Samples() int { return m.samples }

// Adder takes the samples of one series, in the order of time.
type Adder struct {
	memory *Memory
	column *column
}

// Series returns what takes the samples of a series, which is new where no
// series has these labels yet.
func (m *Memory) Series(l labels.Labels) *Adder {
	name := l.Get(model.MetricNameLabel)
	for _, c := range m.columns[name] {
		if labels.Equal(c.labels, l) {
			return &Adder{m, c}
		}
	}
	c := &column{labels: l}
	if m.columns == nil {
		m.columns = map[string][]*column{}
	}
	m.columns[name] = append(m.columns[name], c)
	return &Adder{m, c}
}

// Add adds a sample at a time in milliseconds: a value, or a histogram where
// that is not nil. It refuses one that is not after those before it.
func (a *Adder) Add(t int64, v float64, h *histogram.FloatHistogram) error {
	c := a.column
	if n := len(c.ts); n > 0 && c.ts[n-1] >= t {
		return fmt.Errorf("series %s: two samples at one time, or one of the past", c.labels)
	}
	c.add(t, v)
	if h != nil || c.hs != nil {
		c.hs = append(c.hs, make([]*histogram.FloatHistogram, len(c.ts)-len(c.hs))...)
		c.hs[len(c.hs)-1] = h
	}
	a.memory.samples++
	return nil
}

// Querier returns what selects series.
func (m *Memory) Querier(int64, int64) (storage.Querier, error) { return memoryQuerier{m}, nil }

type memoryQuerier struct{ *Memory }

// Close does nothing.
func (q memoryQuerier) Close() error { return nil }

// LabelValues is not asked by the engine.
func (q memoryQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames is not asked by the engine.
func (q memoryQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Select returns the series that match.
func (q memoryQuerier) Select(_ context.Context, sorted bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{at: -1}
	for name, columns := range q.columns {
		if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel && !m.Matches(name) }) {
			for _, c := range columns {
				if matches(c.labels, ms) {
					set.series = append(set.series, series{labels: c.labels, ts: c.ts, vs: c.vs, hs: c.hs})
				}
			}
		}
	}
	if sorted {
		set.sort()
	}
	return set
}
