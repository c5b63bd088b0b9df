package federation

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// sample is one sample of a server that does not stream.
type sample struct {
	t  millis
	st millis
	f  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

var _ chunks.Sample = sample{}

// T returns the time in milliseconds.
func (s sample) T() int64 { return s.t }

// ST returns the start time in milliseconds, 0 when there is none.
func (s sample) ST() int64 { return s.st }

// F returns the value of a float.
func (s sample) F() float64 { return s.f }

// H returns a copy of a histogram of integers, or nil.
func (s sample) H() *histogram.Histogram {
	if s.h == nil {
		return nil
	}
	return s.h.Copy()
}

// FH returns a copy of a histogram with float counts, made of integers where
// it has these, or nil. It is a copy because the engine writes into what it
// is given.
func (s sample) FH() *histogram.FloatHistogram {
	switch {
	case s.fh != nil:
		return s.fh.Copy()
	case s.h != nil:
		return s.h.ToFloat(nil)
	}
	return nil
}

// Type returns which of the three it is.
func (s sample) Type() chunkenc.ValueType {
	switch {
	case s.h != nil:
		return chunkenc.ValHistogram
	case s.fh != nil:
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// Copy returns a sample that shares nothing with s.
func (s sample) Copy() chunks.Sample {
	s.h = s.H()
	if s.fh != nil {
		s.fh = s.fh.Copy()
	}
	return s
}

// toSamples converts and checks a series as a server sends it that does not
// stream. The remote package's own series is only read from its start to its
// end: its Seek goes wrong where floats and histograms follow each other.
func toSamples(set labels.Labels, ts *prompb.TimeSeries) (storage.Series, error) {
	one := remote.FromQueryResult(false, &prompb.QueryResult{Timeseries: []*prompb.TimeSeries{ts}})
	if !one.Next() {
		return nil, brokenError("a series has labels that are not valid")
	}
	out := make([]chunks.Sample, 0, len(ts.Samples)+len(ts.Histograms))
	it := one.At().Iterator(nil)
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		var s sample
		switch typ {
		case chunkenc.ValHistogram:
			s.t, s.h = it.AtHistogram(nil)
		case chunkenc.ValFloatHistogram:
			s.t, s.fh = it.AtFloatHistogram(nil)
		default:
			s.t, s.f = it.At()
		}
		if n := len(out); n > 0 && s.t <= out[n-1].T() {
			return nil, brokenError("samples are not in order of time")
		}
		out = append(out, s)
	}
	if it.Err() != nil {
		return nil, brokenError("a histogram is not valid")
	}
	return storage.NewListSeries(set, out), nil
}
