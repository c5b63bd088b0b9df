package federation

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
)

// maxFrameBytes bounds one frame of a streamed answer. A Prometheus sends at
// most 1 MiB and one chunk.
const maxFrameBytes = 50_000_000

// rawSeries is a series as a server sent it: its labels are still those that
// the server gave it.
type rawSeries struct {
	query  int // index in the request
	labels labels.Labels
	parts  []storage.Series // with the same labels; samples may overlap
}

// decoder takes apart the answer to one remote-read request. Whatever is
// wrong with the answer is a brokenError.
type decoder struct {
	mint, maxt int64
	queries    int
	scratch    labels.ScratchBuilder
	out        []rawSeries
	open       *openSeries
}

// openSeries is a series whose next frame may follow.
type openSeries struct {
	query  int
	pb     []prompb.Label
	labels labels.Labels
	chunks []prompb.Chunk
}

// streamed reads an answer of chunk frames to its end.
func (d *decoder) streamed(body io.Reader) ([]rawSeries, error) {
	r := frameReader{r: bufio.NewReaderSize(body, 64<<10)}
	for {
		frame, err := r.next()
		if errors.Is(err, io.EOF) {
			d.closeSeries()
			return d.out, nil
		}
		if err != nil {
			return nil, err
		}
		var resp prompb.ChunkedReadResponse
		if err := proto.Unmarshal(frame, &resp); err != nil {
			return nil, brokenError("a frame is not a chunked read response")
		}
		if err := d.frame(&resp); err != nil {
			return nil, err
		}
	}
}

func (d *decoder) frame(resp *prompb.ChunkedReadResponse) error {
	if resp.QueryIndex < 0 || resp.QueryIndex >= int64(d.queries) {
		return brokenError("a frame answers a query that was not asked")
	}
	for _, s := range resp.ChunkedSeries {
		for _, c := range s.Chunks {
			if err := checkChunk(c); err != nil {
				return brokenError(err.Error())
			}
		}
		if err := d.add(int(resp.QueryIndex), s); err != nil {
			return err
		}
	}
	return nil
}

// add takes in chunks of a series. A series larger than a frame comes in
// several, one after the other.
func (d *decoder) add(query int, s *prompb.ChunkedSeries) error {
	if d.open != nil && d.open.query == query && slices.EqualFunc(d.open.pb, s.Labels, equalLabels) {
		d.open.chunks = append(d.open.chunks, s.Chunks...)
		return nil
	}
	d.closeSeries()
	set, err := toLabels(&d.scratch, s.Labels)
	if err != nil {
		return brokenError(err.Error())
	}
	d.open = &openSeries{query: query, pb: s.Labels, labels: set, chunks: s.Chunks}
	return nil
}

func equalLabels(a, b prompb.Label) bool { return a.Name == b.Name && a.Value == b.Value }

func (d *decoder) closeSeries() {
	if d.open == nil {
		return
	}
	raw := rawSeries{query: d.open.query, labels: d.open.labels}
	for _, run := range splitOverlapping(d.open.chunks) {
		raw.parts = append(raw.parts, &chunkSeries{labels: raw.labels, chunks: run, mint: d.mint, maxt: d.maxt})
	}
	d.out = append(d.out, raw)
	d.open = nil
}

// maxSnappyRatio is how many times as long as a snappy block what is in it can
// be: three bytes stand for 64, at the most.
const maxSnappyRatio = 22

// sampled reads an answer of a server that does not stream: one snappy block,
// which counts with the bytes that it has once it is decoded, too.
func (d *decoder) sampled(body io.Reader, b *budget) ([]rawSeries, error) {
	compressed, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	size, err := snappy.DecodedLen(compressed)
	if err != nil || size > maxSnappyRatio*len(compressed) {
		return nil, brokenError("not a snappy block")
	}
	if b.used.Add(int64(size)) > b.limit {
		return nil, errTooMuch
	}
	plain, err := snappy.Decode(nil, compressed)
	if err != nil {
		return nil, brokenError("not a snappy block")
	}
	var resp prompb.ReadResponse
	if err := proto.Unmarshal(plain, &resp); err != nil {
		return nil, brokenError("not a read response")
	}
	if len(resp.Results) != d.queries {
		return nil, brokenError(fmt.Sprintf("%d results to %d queries", len(resp.Results), d.queries))
	}
	for i, result := range resp.Results {
		if err := d.result(i, result); err != nil {
			return nil, err
		}
	}
	return d.out, nil
}

func (d *decoder) result(query int, result *prompb.QueryResult) error {
	for _, ts := range result.Timeseries {
		set, err := toLabels(&d.scratch, ts.Labels)
		if err != nil {
			return brokenError(err.Error())
		}
		one, err := toSamples(set, ts)
		if err != nil {
			return err
		}
		d.out = append(d.out, rawSeries{query: query, labels: set, parts: []storage.Series{one}})
	}
	return nil
}

// frameReader cuts a streamed answer into its frames: the length as a uvarint,
// a big-endian CRC-32C, and that many bytes.
type frameReader struct {
	r   *bufio.Reader
	buf bytes.Buffer
}

// next returns a frame, which is valid until the next call, or io.EOF after
// the last. An answer that ends within a frame is an io.ErrUnexpectedEOF.
func (f *frameReader) next() ([]byte, error) {
	if _, err := f.r.Peek(1); err != nil {
		return nil, noteEnd(err)
	}
	size, err := binary.ReadUvarint(f.r)
	if err != nil {
		return nil, within(err)
	}
	if size > maxFrameBytes {
		return nil, brokenError("a frame is too large, or the answer is not made of frames")
	}
	var sum [4]byte
	if _, err := io.ReadFull(f.r, sum[:]); err != nil {
		return nil, within(err)
	}
	f.buf.Reset()
	if _, err := io.CopyN(&f.buf, f.r, int64(size)); err != nil {
		return nil, within(err)
	}
	if crc32.Checksum(f.buf.Bytes(), crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(sum[:]) {
		return nil, brokenError("a frame's checksum is wrong")
	}
	return f.buf.Bytes(), nil
}

// noteEnd tells the end between two frames, which is none of ours to wrap,
// from a failure there.
func noteEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("read answer: %w", err)
}

// within returns err as it is met inside a frame, where no end belongs.
func within(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read answer: %w", err)
}
