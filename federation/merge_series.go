package federation

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// mergedSeries is one series of several replicas: the samples of the first,
// gaps in them filled from the second, gaps in that from the third. The parts
// reach beyond what the series is to have.
type mergedSeries struct {
	labels labels.Labels
	parts  []storage.Series
	window mergeWindow
}

// mergeWindow says what a merged series is to have and what is known of it,
// in milliseconds, both ends included.
type mergeWindow struct{ mint, maxt, since, until int64 }

// widen returns the window for a selection, of which nothing is known after
// now, and the selection to ask of each replica.
func widen(sel selection, now int64) (mergeWindow, selection) {
	margin := mergeMargin.Milliseconds()
	w := mergeWindow{mint: sel.mint, maxt: sel.maxt, since: max(sel.mint, math.MinInt64+margin) - margin}
	sel.mint = w.since
	sel.maxt = min(sel.maxt, math.MaxInt64-margin) + margin
	w.until = max(w.maxt, min(sel.maxt, now))
	return w, sel
}

var _ storage.Series = (*mergedSeries)(nil)

// Labels returns the labels of the series.
func (s *mergedSeries) Labels() labels.Labels { return s.labels }

// Iterator merges the samples, and returns an iterator over them.
func (s *mergedSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	var merged lane
	for i, part := range s.parts {
		l, err := readLane(part)
		if err != nil {
			return &sampleIterator{err: fmt.Errorf("read samples of %s: %w", s.labels, err)}
		}
		if i == 0 {
			merged = l
			continue
		}
		merged = fillGaps(merged, l, s.window.since, s.window.until)
	}
	return &sampleIterator{samples: merged.within(s.window.mint, s.window.maxt), at: -1}
}

// readLane reads a series to its end.
func readLane(s storage.Series) (lane, error) {
	var l lane
	it := s.Iterator(nil)
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		one := sample{st: it.AtST()}
		switch typ {
		case chunkenc.ValHistogram:
			one.t, one.h = it.AtHistogram(nil)
		case chunkenc.ValFloatHistogram:
			one.t, one.fh = it.AtFloatHistogram(nil)
		default:
			one.t, one.f = it.At()
		}
		if one.stale() {
			l.marks = append(l.marks, one)
		} else {
			l.real = append(l.real, one)
		}
	}
	return l, it.Err()
}

// within returns samples and markers from mint to maxt in order of time.
func (l lane) within(mint, maxt int64) []sample {
	real := l.real[after(l.real, mint-1):after(l.real, maxt)]
	marks := l.marks[after(l.marks, mint-1):after(l.marks, maxt)]
	if len(marks) == 0 {
		return real
	}
	out := append(slices.Clone(real), marks...)
	slices.SortStableFunc(out, func(x, y sample) int { return int(x.t - y.t) })
	return out
}

// mergeReplicas makes one set of series of those of several replicas, each
// sorted and without doubles, the preferred replica first.
func mergeReplicas(replicas [][]storage.Series, w mergeWindow) []storage.Series {
	all := slices.Concat(replicas...)
	slices.SortStableFunc(all, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	out := make([]storage.Series, 0, len(all)/len(replicas)+1)
	for begin := 0; begin < len(all); {
		end := begin + 1
		for end < len(all) && labels.Equal(all[begin].Labels(), all[end].Labels()) {
			end++
		}
		out = append(out, &mergedSeries{labels: all[begin].Labels(), parts: all[begin:end:end], window: w})
		begin = end
	}
	return out
}

// sampleIterator iterates over samples.
type sampleIterator struct {
	samples []sample
	at      int
	err     error
}

var _ chunkenc.Iterator = (*sampleIterator)(nil)

// Next moves to the next sample.
func (it *sampleIterator) Next() chunkenc.ValueType {
	it.at = min(it.at+1, len(it.samples))
	return it.typ()
}

// Seek moves to the first sample at or after t, or stays.
func (it *sampleIterator) Seek(t millis) chunkenc.ValueType {
	it.at = max(it.at, 0)
	if it.at < len(it.samples) && it.samples[it.at].t < t {
		it.at += after(it.samples[it.at:], t-1)
	}
	return it.typ()
}

func (it *sampleIterator) typ() chunkenc.ValueType {
	if it.at >= len(it.samples) {
		return chunkenc.ValNone
	}
	return it.samples[it.at].Type()
}

// At returns the current float sample.
func (it *sampleIterator) At() (int64, float64) { return it.samples[it.at].t, it.samples[it.at].f }

// AtHistogram returns a copy of the current histogram.
func (it *sampleIterator) AtHistogram(into *histogram.Histogram) (int64, *histogram.Histogram) {
	s := it.samples[it.at]
	if into == nil {
		return s.t, s.H()
	}
	s.h.CopyTo(into)
	return s.t, into
}

// AtFloatHistogram returns a copy of the current histogram with float counts.
func (it *sampleIterator) AtFloatHistogram(into *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	s := it.samples[it.at]
	switch {
	case into == nil:
		return s.t, s.FH()
	case s.h != nil:
		return s.t, s.h.ToFloat(into)
	}
	s.fh.CopyTo(into)
	return s.t, into
}

// AtT returns the current time in milliseconds.
func (it *sampleIterator) AtT() int64 { return it.samples[it.at].t }

// AtST returns the current start time in milliseconds, 0 when there is none.
func (it *sampleIterator) AtST() int64 { return it.samples[it.at].st }

// Err returns why there are no samples.
func (it *sampleIterator) Err() error { return it.err }
