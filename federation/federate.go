package federation

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gogo/protobuf/proto"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// missingHeader says of an answer that has no place for warnings what is
// missing from it.
const missingHeader = "X-Midwatch-Warning"

// federate answers with the latest sample of every series that one of match[]
// matches, in the formats that a Prometheus scrapes. As in Prometheus, native
// histograms are left out of the text format.
func (f *Federation) federate(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, fmt.Sprintf("error parsing form values: %v", err), http.StatusBadRequest)
		return
	}
	sets, err := f.parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.config.QueryTimeout)
	defer cancel()
	now := time.Now()
	latest, s, err := f.latest(ctx, now.Add(-f.config.LookbackDelta).UnixMilli(), now.UnixMilli(), sets)
	if err != nil {
		e := kindOf(err)
		http.Error(w, e.Error(), e.status)
		return
	}
	for _, note := range s.warnings() {
		w.Header().Add(missingHeader, note.Error())
	}
	format := expfmt.NegotiateAccept(r.Header, expfmt.NewFormat(expfmt.TypeProtoDelim), expfmt.NewFormat(expfmt.TypeProtoText),
		expfmt.NewFormat(expfmt.TypeProtoCompact), expfmt.NewFormat(expfmt.TypeTextPlain))
	w.Header().Set("Content-Type", string(format))
	out := exposition{enc: expfmt.NewEncoder(w, format), text: format.FormatType() == expfmt.TypeTextPlain}
	for _, sample := range latest {
		if err := out.add(sample); err != nil {
			return // the client is gone
		}
	}
	_ = out.flush() // as above
}

// latest returns the latest sample of each series within a span of time, by
// the name of their metrics.
func (f *Federation) latest(ctx context.Context, mint, maxt int64, sets [][]*labels.Matcher) (promql.Vector, *scope, error) {
	s := newScope(ctx, f.config.MaxBytes)
	q, err := queryable{federation: f, scope: s}.Querier(mint, maxt)
	if err != nil {
		return nil, s, err
	}
	defer q.Close()
	hints := &storage.SelectHints{Start: mint, End: maxt}
	var selected []storage.SeriesSet
	for _, ms := range sets {
		selected = append(selected, q.Select(ctx, true, hints, narrow(ctx, ms)...))
	}
	var out promql.Vector
	all := storage.NewMergeSeriesSet(selected, 0, storage.ChainedSeriesMerge)
	var it chunkenc.Iterator
	for all.Next() {
		series := all.At()
		it = series.Iterator(it)
		if sample, ok := last(it); ok {
			sample.Metric = series.Labels()
			out = append(out, sample)
		}
		if err := it.Err(); err != nil {
			return nil, s, err
		}
	}
	if err := all.Err(); err != nil {
		return nil, s, err
	}
	res, _ := s.conclude(&promql.Result{})
	slices.SortStableFunc(out, func(a, b promql.Sample) int {
		return strings.Compare(a.Metric.Get(model.MetricNameLabel), b.Metric.Get(model.MetricNameLabel))
	})
	return out, s, res.Err
}

// last returns the last sample, unless it marks the end of the series.
func last(it chunkenc.Iterator) (sample promql.Sample, ok bool) {
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		ok = true
		switch typ {
		case chunkenc.ValFloat:
			sample.T, sample.F = it.At()
			sample.H = nil
		default:
			sample.T, sample.H = it.AtFloatHistogram(nil)
			sample.F = 0
		}
	}
	stale := value.IsStaleNaN(sample.F) || sample.H != nil && value.IsStaleNaN(sample.H.Sum)
	return sample, ok && !stale
}

// exposition writes samples as metric families. As in Prometheus, a name whose
// type changes begins a family anew.
type exposition struct {
	enc  expfmt.Encoder
	text bool // which has no native histograms

	family *dto.MetricFamily
}

func (e *exposition) add(s promql.Sample) error {
	name := s.Metric.Get(model.MetricNameLabel)
	if name == "" || e.text && s.H != nil && !s.H.UsesCustomBuckets() {
		return nil
	}
	typ := typeOf(s.H)
	if e.family == nil || e.family.GetName() != name || e.family.GetType() != typ {
		if err := e.flush(); err != nil {
			return err
		}
		e.family = &dto.MetricFamily{Name: new(name), Type: typ.Enum()}
	}
	e.family.Metric = append(e.family.Metric, metricOf(s))
	return nil
}

func (e *exposition) flush() error {
	if e.family == nil {
		return nil
	}
	return e.enc.Encode(e.family)
}

func typeOf(h *histogram.FloatHistogram) dto.MetricType {
	switch {
	case h == nil:
		return dto.MetricType_UNTYPED
	case h.CounterResetHint == histogram.GaugeType:
		return dto.MetricType_GAUGE_HISTOGRAM
	}
	return dto.MetricType_HISTOGRAM
}

// metricOf returns a sample as it is exposed. One without an instance gets an
// empty one, so that whoever scrapes does not set its own.
func metricOf(s promql.Sample) *dto.Metric {
	out := &dto.Metric{TimestampMs: new(s.T)}
	s.Metric.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			out.Label = append(out.Label, &dto.LabelPair{Name: new(l.Name), Value: new(l.Value)})
		}
	})
	if !s.Metric.Has(model.InstanceLabel) {
		out.Label = append(out.Label, &dto.LabelPair{Name: proto.String(model.InstanceLabel), Value: new("")})
	}
	switch {
	case s.H == nil:
		out.Untyped = &dto.Untyped{Value: new(s.F)}
	case s.H.UsesCustomBuckets():
		out.Histogram = classicHistogram(s.H)
	default:
		out.Histogram = nativeHistogram(s.H)
	}
	return out
}

func nativeHistogram(h *histogram.FloatHistogram) *dto.Histogram {
	return &dto.Histogram{
		SampleCountFloat: new(h.Count), SampleSum: new(h.Sum), Schema: new(h.Schema),
		ZeroThreshold: new(h.ZeroThreshold), ZeroCountFloat: new(h.ZeroCount),
		NegativeCount: h.NegativeBuckets, PositiveCount: h.PositiveBuckets,
		NegativeSpan: spansOf(h.NegativeSpans), PositiveSpan: spansOf(h.PositiveSpans),
	}
}

func spansOf(spans []histogram.Span) (out []*dto.BucketSpan) {
	for _, s := range spans {
		out = append(out, &dto.BucketSpan{Offset: new(s.Offset), Length: new(s.Length)})
	}
	return out
}

// classicHistogram returns a histogram with custom buckets as the classic one
// that it stands for; +Inf goes without saying.
func classicHistogram(h *histogram.FloatHistogram) *dto.Histogram {
	out := &dto.Histogram{SampleCountFloat: new(h.Count), SampleSum: new(h.Sum)}
	counts := make([]float64, len(h.CustomValues)+1)
	for it := h.PositiveBucketIterator(); it.Next(); {
		if i := int(it.At().Index); i >= 0 && i < len(counts) {
			counts[i] += it.At().Count
		}
	}
	sum := 0.0
	for i, bound := range h.CustomValues {
		sum += counts[i]
		out.Bucket = append(out.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCountFloat: new(sum)})
	}
	return out
}
