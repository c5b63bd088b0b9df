package federation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// histogramChunks returns a chunk of each encoding that holds histograms,
// with some of many buckets and a zero threshold that takes nine bytes.
func histogramChunks(t testing.TB) map[chunkenc.Encoding][]byte {
	t.Helper()
	h := &histogram.Histogram{
		Schema: 3, ZeroThreshold: 0.123, ZeroCount: 1, Count: 301, Sum: 1,
		PositiveSpans: []histogram.Span{{Offset: -70000, Length: 100}, {Offset: 5, Length: 150}},
		NegativeSpans: []histogram.Span{{Offset: 0, Length: 50}},
	}
	for i := range 250 {
		h.PositiveBuckets = append(h.PositiveBuckets, int64(1-min(i, 1)))
	}
	for i := range 50 {
		h.NegativeBuckets = append(h.NegativeBuckets, int64(1-min(i, 1)))
	}
	out := map[chunkenc.Encoding][]byte{}
	for _, e := range []chunkenc.Encoding{chunkenc.EncHistogram, chunkenc.EncFloatHistogram, chunkenc.EncHistogramST, chunkenc.EncFloatHistogramST} {
		c, err := chunkenc.NewEmptyChunk(e)
		if err != nil {
			t.Fatal(err)
		}
		app, err := c.Appender()
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(3) {
			if e == chunkenc.EncHistogram || e == chunkenc.EncHistogramST {
				_, _, _, err = app.AppendHistogram(nil, 0, i*15000, h, false)
			} else {
				_, _, _, err = app.AppendFloatHistogram(nil, 0, i*15000, h.ToFloat(nil), false)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		out[e] = c.Bytes()
	}
	return out
}

// TestChunkThatAsksForMemory: a chunk of a few bytes may tell of four thousand
// million buckets, for which the library makes room before it reads them.
func TestChunkThatAsksForMemory(t *testing.T) {
	for e, data := range histogramChunks(t) {
		if n, ok := countBuckets(data[histogramLayoutAt:]); n != 300 || !ok {
			t.Errorf("%s: %d buckets, %t; want 300", e, n, ok)
		}
		if err := checkChunk(prompb.Chunk{Type: prompb.Chunk_Encoding(e), Data: data}); err != nil {
			t.Errorf("%s: %v", e, err)
		}
		// One sample, no flags; threshold 0, schema 0, one span: length 2³²−1.
		huge := []byte{0, 1, 0, 0, 0b0_10_001_11, 0b11111_000, 0, 0, 0b00000_111, 0xff, 0xff, 0xff, 0b11111_000, 0, 0, 0}
		if err := checkChunk(prompb.Chunk{Type: prompb.Chunk_Encoding(e), Data: huge}); err == nil {
			t.Errorf("%s: a chunk of %d bytes with any number of buckets is taken", e, len(huge))
		}
	}
}

// TestChunksOfNoise: whatever is taken for a chunk can be read to its end.
func TestChunksOfNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	whole := histogramChunks(t)
	taken := 0
	for range 20_000 {
		e := chunkenc.Encoding(1 + rng.IntN(7))
		data := make([]byte, 3+rng.IntN(60))
		for i := range data {
			data[i] = byte(rng.Uint32()) * byte(rng.IntN(2))
		}
		if known, ok := whole[e]; ok && rng.IntN(2) == 0 {
			data = append([]byte{}, known...)
			for range 3 {
				data[rng.IntN(40)] ^= 1 << rng.IntN(8)
			}
		}
		if checkChunk(prompb.Chunk{Type: prompb.Chunk_Encoding(e), Data: data}) != nil {
			continue
		}
		taken++
		s := &chunkSeries{chunks: []prompb.Chunk{{Type: prompb.Chunk_Encoding(e), Data: data, MaxTimeMs: 1 << 62}}, mint: -1 << 62, maxt: 1 << 62}
		_, _ = readLane(s)
	}
	if taken < 1000 {
		t.Errorf("only %d of the chunks were taken", taken)
	}
}

// TestBlocksThatAskForMemory: a few bytes say that they are half a gigabyte,
// and what is really long counts as long as it is.
func TestBlocksThatAskForMemory(t *testing.T) {
	long, err := proto.Marshal(&prompb.ReadResponse{Results: []*prompb.QueryResult{{Timeseries: []*prompb.TimeSeries{{
		Labels: []prompb.Label{{Name: "a", Value: strings.Repeat("a", 1<<20)}},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	block := snappy.Encode(nil, long)
	for _, c := range []struct {
		name  string
		block []byte
		limit int64
		want  error
	}{
		{"half a gigabyte in ten bytes", append(binary.AppendUvarint(nil, 500<<20), 1, 2, 3, 4, 5), 1 << 30, brokenError("not a snappy block")},
		{"a megabyte", block, int64(len(long) - 1), errTooMuch},
		{"a megabyte", block, int64(len(long)), nil},
	} {
		b, before := &budget{limit: c.limit}, new(runtime.MemStats)
		runtime.ReadMemStats(before)
		d := decoder{maxt: 1, queries: 1, scratch: labels.NewScratchBuilder(1)}
		if _, err := d.sampled(bytes.NewReader(c.block), b); !errors.Is(err, c.want) {
			t.Errorf("%s, %d allowed: %v, want %v", c.name, c.limit, err, c.want)
		}
		after := new(runtime.MemStats)
		runtime.ReadMemStats(after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s, %d allowed: %d bytes of memory", c.name, c.limit, took)
		}
	}
}
