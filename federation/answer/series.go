package answer

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// millis is a Unix time in milliseconds. (By its name, vet also sees that the
// Seek of an iterator is not that of io.Seeker.)
type millis = int64

// Grid is when a query is evaluated: at Start and every Step after it, Steps
// times in all. Times are in milliseconds; Step is at least 1 where Steps is
// more than 1.
type Grid struct {
	Start, Step int64
	Steps       int
}

// at returns which step t is, where that is from or a later one.
func (g *Grid) at(t int64, from int) (int, bool) {
	if t == g.Start+int64(from)*g.Step {
		return from, from < g.Steps
	}
	after := t - g.Start
	if after < 0 || g.Step <= 0 || after%g.Step != 0 {
		return 0, false
	}
	i := after / g.Step
	return int(i), i >= int64(from) && i < int64(g.Steps)
}

// Series is the values of one series at the steps of a query. To an engine it
// is a series with a sample at each step that has a value, and a staleness
// marker at the first of those that follow and have none: so no value is seen
// at a step that is not its own.
type Series struct {
	labels labels.Labels
	grid   *Grid
	first  int       // the step of the first value
	values []float64 // of each step from first on; steps without one are a gap
}

var _ storage.Series = (*Series)(nil)

// Labels returns the labels of the series.
func (s *Series) Labels() labels.Labels { return s.labels }

// Iterator returns an iterator over the samples, made of it when that can be.
func (s *Series) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	reused, ok := it.(*iterator)
	if !ok {
		reused = &iterator{}
	}
	*reused = iterator{series: s, step: s.first}
	return reused
}

// NewSeries returns the series of n samples, each at its own step of the grid,
// in order; it reports false when they are not that. It keeps the grid.
func NewSeries(g *Grid, set labels.Labels, n int, at func(i int) (t int64, f float64)) (*Series, bool) {
	s := &Series{labels: set, grid: g, values: make([]float64, 0, n)}
	next := 0
	for i := range n {
		t, f := at(i)
		step, ok := g.at(t, next)
		if !ok {
			return nil, false
		}
		s.extend(next, step, f)
		next = step + 1
	}
	return s, true
}

// extend appends values that begin at a step; next is the one after the last.
func (s *Series) extend(next, step int, values ...float64) {
	switch {
	case len(s.values) == 0:
		s.first = step
	case step > next:
		s.values = append(s.values, gap(step-next))
	}
	s.values = append(s.values, values...)
}

// end returns the step after that of the last value.
func (s *Series) end() int {
	end := s.first
	for _, f := range s.values {
		end += max(1, isGap(f))
	}
	return end
}

// Join returns one answer of several to the same query over pieces of the
// grid, in order of time. It keeps the grid.
func Join(g *Grid, pieces []*Answer) *Answer {
	out := &Answer{}
	index := map[string]int{}
	var ends []int
	var buf []byte
	for _, piece := range pieces {
		out.Warnings = append(out.Warnings, piece.Warnings...)
		out.Infos = append(out.Infos, piece.Infos...)
		out.Partial = out.Partial || piece.Partial
		for _, s := range piece.Series {
			buf = s.labels.Bytes(buf)
			i, ok := index[string(buf)]
			if !ok {
				i = len(out.Series)
				index[string(buf)] = i
				out.Series = append(out.Series, &Series{labels: s.labels, grid: g})
				ends = append(ends, 0)
			}
			first := int((s.grid.Start-g.Start)/g.Step) + s.first
			out.Series[i].extend(ends[i], first, s.values...)
			ends[i] = first - s.first + s.end()
		}
	}
	return out
}

// gapBits mark a value that is none: its lower half is how many steps have no
// value. No number that is read from a text has these bits.
const gapBits = 0x7ffc_0000_0000_0000

// gap returns what stands among values for n steps without any.
func gap(n int) float64 { return math.Float64frombits(gapBits | uint64(uint32(n))) }

// isGap returns how many steps have no value, 0 when f is a value.
func isGap(f float64) int {
	if bits := math.Float64bits(f); bits>>32 == gapBits>>32 {
		return int(uint32(bits))
	}
	return 0
}

// iterator iterates over the samples of a Series.
type iterator struct {
	series *Series
	next   int // index of the value after the current sample
	step   int // of that value
	t      int64
	f      float64
	typ    chunkenc.ValueType
}

var _ chunkenc.Iterator = (*iterator)(nil)

// Next moves to the next sample.
func (it *iterator) Next() chunkenc.ValueType {
	s := it.series
	if it.step >= s.grid.Steps || it.next > len(s.values) {
		it.typ = chunkenc.ValNone
		return it.typ
	}
	it.t, it.typ = s.grid.Start+int64(it.step)*s.grid.Step, chunkenc.ValFloat
	it.f = math.Float64frombits(value.StaleNaN)
	skipped := 1
	if it.next < len(s.values) {
		if n := isGap(s.values[it.next]); n > 0 {
			skipped = n
		} else {
			it.f = s.values[it.next]
		}
	}
	it.next++
	it.step += skipped
	return it.typ
}

// Seek moves to the first sample at or after t, or stays.
func (it *iterator) Seek(t millis) chunkenc.ValueType {
	if it.typ != chunkenc.ValNone && it.t >= t {
		return it.typ
	}
	for it.Next() != chunkenc.ValNone && it.t < t {
	}
	return it.typ
}

// At returns the current sample.
func (it *iterator) At() (int64, float64) { return it.t, it.f }

// AtHistogram returns nothing: there are no histograms.
func (it *iterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	return it.t, nil
}

// AtFloatHistogram returns nothing: there are no histograms.
func (it *iterator) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.t, nil
}

// AtT returns the current time in milliseconds.
func (it *iterator) AtT() int64 { return it.t }

// AtST returns 0: there are no start times.
func (it *iterator) AtST() int64 { return 0 }

// Err returns nil: nothing can go wrong.
func (it *iterator) Err() error { return nil }
