package federation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// minChunkBytes is the shortest header of any chunk encoding: the number of
// samples, and for all but the first a byte of flags.
const minChunkBytes = 3

// millis is a Unix time in milliseconds. (By its name, vet also sees that the
// Seek of an iterator is not that of io.Seeker.)
type millis = int64

// chunkSeries is one series whose samples lie in chunks that are in order and
// do not overlap.
type chunkSeries struct {
	labels     labels.Labels
	chunks     []prompb.Chunk
	mint, maxt int64 // both ends included; chunks may reach beyond
}

var _ storage.Series = (*chunkSeries)(nil)

// Labels returns the labels of the series.
func (s *chunkSeries) Labels() labels.Labels { return s.labels }

// Iterator returns an iterator over the samples, made of it when that can be.
func (s *chunkSeries) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	reused, ok := it.(*chunkIterator)
	if !ok {
		return &chunkIterator{series: s}
	}
	*reused = chunkIterator{series: s, spare: reused.cur}
	return reused
}

// relabelled is a series under other labels.
type relabelled struct {
	storage.Series
	labels labels.Labels
}

// Labels returns the labels of the series.
func (s relabelled) Labels() labels.Labels { return s.labels }

// chunkIterator iterates over the samples of a chunkSeries.
type chunkIterator struct {
	series *chunkSeries
	next   int               // index of the chunk after cur
	cur    chunkenc.Iterator // nil before the first chunk
	spare  chunkenc.Iterator // of an earlier use, to be used again
	typ    chunkenc.ValueType
	done   bool
	err    error
}

var _ chunkenc.Iterator = (*chunkIterator)(nil)

// Next moves to the next sample within the time range.
func (it *chunkIterator) Next() chunkenc.ValueType {
	if it.cur == nil {
		return it.Seek(it.series.mint)
	}
	if it.done {
		return chunkenc.ValNone
	}
	return it.settle(it.cur.Next(), it.series.mint)
}

// Seek moves to the first sample at or after t, or stays.
func (it *chunkIterator) Seek(t millis) chunkenc.ValueType {
	t = max(t, it.series.mint)
	switch {
	case it.done:
		return chunkenc.ValNone
	case it.typ != chunkenc.ValNone && it.cur.AtT() >= t:
		return it.typ
	case it.cur != nil && it.series.chunks[it.next-1].MaxTimeMs >= t:
		return it.settle(it.cur.Seek(t), t)
	}
	return it.settle(chunkenc.ValNone, t)
}

// settle takes the outcome of a move in the current chunk; when that chunk is
// exhausted, it goes on to the first sample at or after t of a later one.
func (it *chunkIterator) settle(typ chunkenc.ValueType, t int64) chunkenc.ValueType {
	for typ == chunkenc.ValNone {
		if !it.open(t) {
			return it.finish()
		}
		typ = it.cur.Seek(t)
	}
	if it.cur.AtT() > it.series.maxt {
		return it.finish()
	}
	it.typ = typ
	return typ
}

func (it *chunkIterator) finish() chunkenc.ValueType {
	it.done, it.typ = true, chunkenc.ValNone
	return chunkenc.ValNone
}

// open makes the next chunk that reaches t the current one.
func (it *chunkIterator) open(t int64) bool {
	if it.cur != nil && it.cur.Err() != nil {
		it.err = fmt.Errorf("decode samples of %s: %w", it.series.labels, it.cur.Err())
		return false
	}
	chunks := it.series.chunks
	for it.next < len(chunks) && chunks[it.next].MaxTimeMs < t {
		it.next++
	}
	if it.next == len(chunks) {
		return false
	}
	chunk, err := chunkenc.FromData(chunkenc.Encoding(chunks[it.next].Type), chunks[it.next].Data)
	if err != nil {
		it.err = fmt.Errorf("decode samples of %s: %w", it.series.labels, err)
		return false
	}
	it.next++
	if it.cur != nil {
		it.spare = it.cur
	}
	it.cur = chunk.Iterator(it.spare)
	return true
}

// At returns the current float sample.
func (it *chunkIterator) At() (int64, float64) { return it.cur.At() }

// AtHistogram returns the current histogram.
func (it *chunkIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	return it.cur.AtHistogram(h)
}

// AtFloatHistogram returns the current histogram with float counts.
func (it *chunkIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.cur.AtFloatHistogram(h)
}

// AtT returns the current time in milliseconds.
func (it *chunkIterator) AtT() int64 { return it.cur.AtT() }

// AtST returns the current start time in milliseconds, 0 when there is none.
func (it *chunkIterator) AtST() int64 { return it.cur.AtST() }

// Err returns what ended the iteration early.
func (it *chunkIterator) Err() error { return it.err }

// checkChunk rejects what cannot be a chunk. Its samples are decoded later.
func checkChunk(c prompb.Chunk) error {
	if _, err := chunkenc.FromData(chunkenc.Encoding(c.Type), c.Data); err != nil {
		return fmt.Errorf("chunk encoding %d is unknown", c.Type)
	}
	if len(c.Data) < minChunkBytes {
		return fmt.Errorf("a chunk of %d bytes", len(c.Data))
	}
	if !fits(chunkenc.Encoding(c.Type), c.Data) {
		return errors.New("a chunk has histograms that there are not")
	}
	return nil
}

// splitOverlapping cuts chunks into runs that are in order and do not
// overlap. What a Prometheus sends is one run.
func splitOverlapping(chunks []prompb.Chunk) [][]prompb.Chunk {
	var runs [][]prompb.Chunk
	begin := 0
	for i := 1; i <= len(chunks); i++ {
		if i == len(chunks) || chunks[i].MinTimeMs <= chunks[i-1].MaxTimeMs {
			runs = append(runs, chunks[begin:i])
			begin = i
		}
	}
	return runs
}

// toLabels converts and checks labels as they arrive; the order may be any.
func toLabels(b *labels.ScratchBuilder, from []prompb.Label) (labels.Labels, error) {
	b.Reset()
	for _, l := range from {
		if l.Name == "" || !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value) {
			return labels.EmptyLabels(), fmt.Errorf("label %q is not valid", strings.ToValidUTF8(l.Name, "?"))
		}
		if l.Value != "" {
			b.Add(l.Name, l.Value)
		}
	}
	if !slices.IsSortedFunc(from, compareNames) {
		b.Sort()
	}
	set := b.Labels()
	if name, dup := set.HasDuplicateLabelNames(); dup {
		return labels.EmptyLabels(), fmt.Errorf("label %q is given twice", name)
	}
	return set, nil
}

func compareNames(a, b prompb.Label) int { return strings.Compare(a.Name, b.Name) }
