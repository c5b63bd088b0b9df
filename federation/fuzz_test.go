package federation

import (
	"bufio"
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

type flushed struct{}

func (flushed) Flush() {}

// FuzzStreamed gives the decoder one frame with a right checksum, whatever is
// in it: hostile answers are errors, not panics.
func FuzzStreamed(f *testing.F) {
	chunk := chunkenc.NewXORChunk()
	app, err := chunk.Appender()
	if err != nil {
		f.Fatal(err)
	}
	app.Append(0, 1000, 1)
	app.Append(0, 2000, 2)
	frame, err := proto.Marshal(&prompb.ChunkedReadResponse{ChunkedSeries: []*prompb.ChunkedSeries{{
		Labels: []prompb.Label{{Name: "__name__", Value: "up"}},
		Chunks: []prompb.Chunk{{MinTimeMs: 1000, MaxTimeMs: 2000, Type: prompb.Chunk_XOR, Data: chunk.Bytes()}},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		var body bytes.Buffer
		if _, err := remote.NewChunkedWriter(&body, flushed{}).Write(frame); err != nil {
			t.Fatal(err)
		}
		d := decoder{maxt: 1 << 40, queries: 1, scratch: labels.NewScratchBuilder(4)}
		series, err := d.streamed(&body)
		if err == nil {
			readAll(t, series)
		}
	})
}

// readAll reads what the engine would read. Samples that do not decode end an
// iterator, or panic in a chunk, which the engine turns into an error.
func readAll(t *testing.T, raw []rawSeries) {
	for _, s := range raw {
		if err := s.labels.Validate(func(labels.Label) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for _, part := range s.parts {
			it := part.Iterator(nil)
			for range 1000 {
				if it.Next() == chunkenc.ValNone {
					break
				}
			}
		}
	}
}

// FuzzFrames gives the frame reader any bytes.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x03abcdxyz"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := frameReader{r: bufio.NewReader(bytes.NewReader(body))}
		read := 0
		for {
			frame, err := r.next()
			if err != nil {
				return
			}
			if read += len(frame) + 5; read > len(body) {
				t.Fatalf("%d bytes of frames from a body of %d", read, len(body))
			}
		}
	})
}

// FuzzSampled gives the decoder one snappy block, whatever is in it.
func FuzzSampled(f *testing.F) {
	plain, err := proto.Marshal(&prompb.ReadResponse{Results: []*prompb.QueryResult{{Timeseries: []*prompb.TimeSeries{{
		Labels:  []prompb.Label{{Name: "__name__", Value: "up"}},
		Samples: []prompb.Sample{{Timestamp: 1, Value: 1}},
	}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Fuzz(func(t *testing.T, plain []byte) {
		d := decoder{maxt: 1 << 40, queries: 1, scratch: labels.NewScratchBuilder(4)}
		series, err := d.sampled(bytes.NewReader(snappy.Encode(nil, plain)), &budget{limit: 1 << 20})
		if err == nil {
			readAll(t, series)
		}
	})
}

// FuzzIdentity gives the parsers of a server's status any bytes.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"data":{"yaml":"global:\n  external_labels:\n    cluster: a\n","version":"3.15.0"}}`))
	f.Add([]byte(`{"data":{"yaml":"global: &a [*a]"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		own, err := parseIdentity(body)
		if err == nil && own == nil {
			t.Fatal("neither labels nor an error")
		}
		if b, _ := parseBackend(body); len(b.version) > maxVersionLength {
			t.Fatalf("a version of %d bytes", len(b.version))
		}
	})
}

// FuzzParameters gives the API any parameters. A cluster is never reached.
func FuzzParameters(f *testing.F) {
	fed, err := New(Config{Logger: slog.New(slog.DiscardHandler), Clusters: []Cluster{{Name: "none", URLs: []string{"http://127.0.0.1:1"}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("query", "vector(1)", "0", "0", "10", "1", "1m", "", "warn", "")
	f.Add("query_range", "vector(1)", "", "1e10", "2026-11-20T00:00:00Z", "1m", "", "3", "fail", "5m")
	f.Add("query_range", "vector(1)", "NaN", "-Inf", "+Inf", "0.0001", "x", "-1", "x", "1e300")
	f.Fuzz(func(t *testing.T, path, query, at, start, end, step, timeout, limit, partial, lookback string) {
		form := url.Values{
			"query": {query}, "time": {at}, "start": {start}, "end": {end}, "step": {step},
			"timeout": {timeout}, "limit": {limit}, "partial": {partial}, "lookback_delta": {lookback},
		}
		for _, target := range []string{"/api/v1/query", "/api/v1/query_range", "/api/v1/" + url.PathEscape(path)} {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target+"?"+form.Encode(), http.NoBody)
			rec := httptest.NewRecorder()
			fed.Handler().ServeHTTP(rec, req)
			if rec.Code == http.StatusInternalServerError {
				t.Errorf("%s?%s: %s", target, form.Encode(), rec.Body)
			}
		}
	})
}
