package federation_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/midwatch-slo/midwatch/internal/promresult"
)

// diff compares an answer with the reference's: errors, annotations, labels,
// times, values. It returns "" when they are the same.
func diff(query string, got, want *promql.Result) string {
	if fmt.Sprint(got.Err) != fmt.Sprint(want.Err) {
		return fmt.Sprintf(" got error %v\nwant error %v", got.Err, want.Err)
	}
	if g, r := notes(query, got), notes(query, want); !slices.Equal(g, r) {
		return fmt.Sprintf(" got annotations %q\nwant annotations %q", g, r)
	}
	if want.Err != nil {
		return ""
	}
	g, r := points(got.Value), points(want.Value)
	for i := range min(len(g), len(r)) {
		if !g[i].equal(r[i]) {
			return fmt.Sprintf(" got %s\nwant %s", g[i], r[i])
		}
	}
	if len(g) != len(r) {
		return fmt.Sprintf(" got %d points\nwant %d points", len(g), len(r))
	}
	return ""
}

// notes returns the annotations of an answer, with their places in the query.
// That series of clusters became one only federation can say.
func notes(query string, r *promql.Result) []string {
	warnings, infos := r.Warnings.AsStrings(query, 0, 0)
	all := slices.DeleteFunc(slices.Concat(warnings, infos), func(s string) bool {
		return strings.Contains(s, "series have the labels of another one")
	})
	slices.Sort(all)
	return all
}

// point is one value of an answer, whatever the type of the answer.
type point struct {
	labels labels.Labels
	t      int64
	f      float64
	h      *histogram.FloatHistogram
	text   string
}

func (p point) String() string {
	return fmt.Sprintf("%s %d %s%s", p.labels, p.t, describe(p.f, p.h), p.text)
}

func (p point) equal(o point) bool {
	if !labels.Equal(p.labels, o.labels) || p.t != o.t || p.text != o.text || (p.h == nil) != (o.h == nil) {
		return false
	}
	if p.h == nil {
		return promresult.Near(p.f, o.f)
	}
	return equalHistograms(p.h, o.h)
}

func equalHistograms(a, b *histogram.FloatHistogram) bool {
	a, b = a.Copy().Compact(0), b.Copy().Compact(0)
	return a.Schema == b.Schema && promresult.Near(a.Count, b.Count) && promresult.Near(a.Sum, b.Sum) &&
		promresult.Near(a.ZeroCount, b.ZeroCount) && a.ZeroThreshold == b.ZeroThreshold &&
		slices.Equal(a.CustomValues, b.CustomValues) &&
		slices.Equal(a.PositiveSpans, b.PositiveSpans) && slices.Equal(a.NegativeSpans, b.NegativeSpans) &&
		slices.EqualFunc(a.PositiveBuckets, b.PositiveBuckets, promresult.Near) &&
		slices.EqualFunc(a.NegativeBuckets, b.NegativeBuckets, promresult.Near)
}

// points returns the values of an answer in order of labels and time.
func points(v parser.Value) []point {
	var out []point
	switch v := v.(type) {
	case promql.Scalar:
		out = append(out, point{t: v.T, f: v.V})
	case promql.String:
		out = append(out, point{t: v.T, text: v.V})
	case promql.Vector:
		for _, s := range v {
			out = append(out, point{labels: s.Metric, t: s.T, f: s.F, h: s.H})
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				out = append(out, point{labels: s.Metric, t: p.T, f: p.F})
			}
			for _, p := range s.Histograms {
				out = append(out, point{labels: s.Metric, t: p.T, h: p.H})
			}
		}
	}
	slices.SortStableFunc(out, byLabels(func(p point) labels.Labels { return p.labels }))
	return out
}

// sameShape tells whether two answers differ at most in numbers.
func sameShape(a, b *promql.Result) bool {
	if fmt.Sprint(a.Err) != fmt.Sprint(b.Err) || a.Err != nil {
		return fmt.Sprint(a.Err) == fmt.Sprint(b.Err)
	}
	return slices.EqualFunc(points(a.Value), points(b.Value), func(p, q point) bool {
		return labels.Equal(p.labels, q.labels) && p.t == q.t && p.text == q.text && (p.h == nil) == (q.h == nil)
	})
}

// explained tells whether the difference between got and want is no larger
// than what becomes of want when every series' values move by a rounding
// error: sums over clusters may be added up in another order.
func explained(got, want *promql.Result, moved []*promql.Result) bool {
	for _, m := range moved {
		if !sameShape(want, m) {
			return true
		}
	}
	if !sameShape(got, want) || want.Err != nil {
		return false
	}
	g, r := points(got.Value), points(want.Value)
	others := make([][]point, len(moved))
	for k, m := range moved {
		others[k] = points(m.Value)
	}
	for i := range g {
		if g[i].equal(r[i]) {
			continue
		}
		room, differs := 0.0, false
		for k := range others {
			room = max(room, math.Abs(others[k][i].f-r[i].f))
			differs = differs || !others[k][i].equal(r[i])
		}
		if g[i].h == nil && !(math.Abs(g[i].f-r[i].f) <= room) || g[i].h != nil && !differs {
			return false
		}
	}
	return true
}

// inOrder compares the order of values where the query asks for one.
func inOrder(p parser.Parser, query string, got, want *promql.Result) string {
	expr, err := p.ParseExpr(query)
	if err != nil {
		return ""
	}
	call, ok := expr.(*parser.Call)
	if !ok || !strings.HasPrefix(call.Func.Name, "sort") {
		return ""
	}
	g, _ := got.Value.(promql.Vector)
	w, _ := want.Value.(promql.Vector)
	if !slices.EqualFunc(g, w, func(a, b promql.Sample) bool { return promresult.Near(a.F, b.F) }) {
		return fmt.Sprintf(" got order %v\nwant order %v", g, w)
	}
	return ""
}

// shaken is a storage that holds what another one holds as well as a Prometheus
// could hold it: series come in any order, which no answer may depend on, and
// the floats of every series may be multiplied by a number of its own that is
// next to 1.
type shaken struct {
	storage.Queryable
	turn  uint64 // decides order and numbers
	moved bool   // numbers are multiplied
}

// Querier returns a querier over the storage.
func (m shaken) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := m.Queryable.Querier(mint, maxt)
	return shakenQuerier{q, m}, err
}

type shakenQuerier struct {
	storage.Querier
	how shaken
}

// Select returns the series that match.
func (q shakenQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := q.Querier.Select(ctx, sorted, hints, ms...)
	var all []storage.Series
	for set.Next() {
		all = append(all, set.At())
	}
	place := func(s storage.Series) uint64 { return s.Labels().Hash() * (2*q.how.turn + 1) }
	slices.SortFunc(all, func(a, b storage.Series) int { return cmp.Compare(place(a), place(b)) })
	for i, s := range all {
		if q.how.moved { // by at most two parts of 10^14
			all[i] = movedSeries{s, 1 + (float64(place(s)>>58)-32)/32*2e-14}
		}
	}
	return &seriesList{SeriesSet: set, series: all}
}

// seriesList is a series set of a list.
type seriesList struct {
	storage.SeriesSet
	series []storage.Series
	at     int
}

// Next moves to the next series.
func (s *seriesList) Next() bool {
	s.at++
	return s.at <= len(s.series)
}

// At returns the current series.
func (s *seriesList) At() storage.Series { return s.series[s.at-1] }

type movedSeries struct {
	storage.Series
	by float64
}

// Iterator returns an iterator over the samples.
func (s movedSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return movedIterator{s.Series.Iterator(nil), s.by}
}

type movedIterator struct {
	chunkenc.Iterator
	by float64
}

// At returns the current sample.
func (it movedIterator) At() (int64, float64) {
	t, f := it.Iterator.At()
	if math.IsNaN(f) { // a staleness marker stays one
		return t, f
	}
	return t, f * it.by
}

// AtHistogram returns the current sample.
func (it movedIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	t, out := it.Iterator.AtHistogram(h)
	out.Sum *= it.by
	return t, out
}

// AtFloatHistogram returns the current sample.
func (it movedIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	t, out := it.Iterator.AtFloatHistogram(h)
	out.Sum *= it.by
	return t, out
}
