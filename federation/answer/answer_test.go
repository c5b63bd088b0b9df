package answer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"github.com/midwatch-slo/midwatch/federation/answer"
)

// encode writes an answer as Prometheus does.
func encode(t testing.TB, v parser.Value, notes ...string) []byte {
	t.Helper()
	resp := &v1.Response{Status: "success", Data: &v1.QueryData{ResultType: v.Type(), Result: v}, Warnings: notes, Infos: notes}
	body, err := v1.JSONCodec{}.Encode(resp)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// read returns the samples that an engine would see, staleness markers left
// out: each is only ever the first of the steps without a value.
func read(t testing.TB, s *answer.Series, g answer.Grid) []promql.FPoint {
	t.Helper()
	var out []promql.FPoint
	last, stale := int64(math.MinInt64), true
	it := s.Iterator(nil)
	for it.Next() != chunkenc.ValNone {
		at, f := it.At()
		if at <= last || at < g.Start || at > g.Start+int64(g.Steps-1)*g.Step {
			t.Fatalf("%s: a sample at %d after one at %d", s.Labels(), at, last)
		}
		if value.IsStaleNaN(f) {
			if stale {
				t.Fatalf("%s: a marker at %d after another, or at the beginning", s.Labels(), at)
			}
		} else {
			if !stale && last != math.MinInt64 && at != last+g.Step {
				t.Fatalf("%s: no marker between %d and %d", s.Labels(), last, at)
			}
			out = append(out, promql.FPoint{T: at, F: f})
		}
		last, stale = at, value.IsStaleNaN(f)
	}
	if !stale && last != g.Start+int64(g.Steps-1)*g.Step {
		t.Fatalf("%s: no marker after its end", s.Labels())
	}
	return out
}

var texts = []string{
	"a", "payment-service", "日本語", "with \"quotes\" and \\ and \n and \t", "<html>&", "\x01\x1f", "😀", "e\u0301", strings.Repeat("long ", 3000),
}

func randomLabels(rnd *rand.Rand) labels.Labels {
	b := labels.NewScratchBuilder(4)
	b.Add("__name__", fmt.Sprint("m", rnd.IntN(1e9)))
	for _, name := range []string{"app", "a.b", "utf8 ✓", "zone"} {
		if rnd.IntN(2) == 0 {
			b.Add(name, texts[rnd.IntN(len(texts))])
		}
	}
	b.Sort()
	return b.Labels()
}

func randomFloat(rnd *rand.Rand) float64 {
	switch rnd.IntN(8) {
	case 0:
		return []float64{math.Inf(1), math.Inf(-1), math.NaN(), 0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64}[rnd.IntN(7)]
	case 1:
		return float64(rnd.Int64N(1 << 60))
	case 2:
		return float64(rnd.IntN(1000))
	case 3:
		return math.Float64frombits(rnd.Uint64N(0x7ff0000000000000))
	}
	return rnd.NormFloat64()
}

func sameFloat(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

func samePoints(a, b []promql.FPoint) bool {
	return slices.EqualFunc(a, b, func(a, b promql.FPoint) bool { return a.T == b.T && sameFloat(a.F, b.F) })
}

// readers deliver a body in pieces of different sizes.
func readers(body []byte) map[string]io.Reader {
	return map[string]io.Reader{
		"whole":         bytes.NewReader(body),
		"byte by byte":  iotest.OneByteReader(bytes.NewReader(body)),
		"half by half":  iotest.HalfReader(bytes.NewReader(body)),
		"data and end":  iotest.DataErrReader(bytes.NewReader(body)),
		"uneven pieces": &uneven{r: bytes.NewReader(body)},
	}
}

type uneven struct {
	r io.Reader
	n int
}

func (u *uneven) Read(p []byte) (int, error) {
	u.n = (u.n*7 + 3) % 61
	return u.r.Read(p[:min(len(p), 1+u.n)])
}

func TestDecodesWhatPrometheusEncodes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 0))
	for range 30 {
		g := answer.Grid{Start: rnd.Int64N(4e12) - 2e12, Step: 1 + rnd.Int64N(100_000), Steps: 1 + rnd.IntN(50)}
		var m promql.Matrix
		for range rnd.IntN(40) {
			s := promql.Series{Metric: randomLabels(rnd)}
			for i := range g.Steps {
				if rnd.IntN(3) > 0 {
					s.Floats = append(s.Floats, promql.FPoint{T: g.Start + int64(i)*g.Step, F: randomFloat(rnd)})
				}
			}
			if len(s.Floats) > 0 {
				m = append(m, s)
			}
		}
		body := encode(t, m, texts...)
		for how, r := range readers(body) {
			checkMatrix(t, how, r, g, m)
		}
	}
}

func checkMatrix(t *testing.T, how string, r io.Reader, g answer.Grid, m promql.Matrix) {
	t.Helper()
	held := 0
	a, err := answer.Decode(r, answer.Request{
		Grid: g, Labels: labels.FromStrings("aa", "first", "cluster", "beijing", "zz", "last"),
		Foreign: []string{"replica"}, Hold: func(n int) error { held += n; return nil },
	})
	if err != nil {
		t.Fatalf("%s: %v", how, err)
	}
	if len(a.Series) != len(m) {
		t.Fatalf("%s: %d series, want %d", how, len(a.Series), len(m))
	}
	if !slices.Equal(a.Infos, a.Warnings) || len(a.Infos) != len(texts) {
		t.Errorf("%s: infos %q, warnings %q", how, a.Infos, a.Warnings)
	}
	for i := range a.Series {
		want := labels.NewBuilder(m[i].Metric).Set("aa", "first").Set("cluster", "beijing").Set("zz", "last").Labels()
		if got := a.Series[i].Labels(); !labels.Equal(got, want) {
			t.Errorf("%s: labels %s, want %s", how, got, want)
		}
		if got := read(t, a.Series[i], g); !samePoints(got, m[i].Floats) {
			t.Errorf("%s: %s: got %v, want %v", how, want, got, m[i].Floats)
		}
		held -= len(m[i].Floats)
	}
	if held != 0 {
		t.Errorf("%s: %d samples too many noted", how, held)
	}
}

func TestDecodesVectors(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 0))
	g := answer.Grid{Start: 1_700_000_000_123, Steps: 1}
	var v promql.Vector
	for range 20_000 {
		v = append(v, promql.Sample{Metric: randomLabels(rnd), T: g.Start, F: randomFloat(rnd)})
	}
	a, err := answer.Decode(bytes.NewReader(encode(t, v)), answer.Request{Grid: g})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Series) != len(v) {
		t.Fatalf("%d series, want %d", len(a.Series), len(v))
	}
	for i := range v {
		got := read(t, a.Series[i], g)
		if !labels.Equal(a.Series[i].Labels(), v[i].Metric) || !samePoints(got, []promql.FPoint{{T: v[i].T, F: v[i].F}}) {
			t.Fatalf("%s %v, want %s %v", a.Series[i].Labels(), got, v[i].Metric, v[i].F)
		}
	}
}

// TestSeek compares with an iterator that only moves one by one.
func TestSeek(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 0))
	for range 200 {
		g := answer.Grid{Start: 1000, Step: 10, Steps: 30}
		var points []promql.FPoint
		for i := range g.Steps {
			if rnd.IntN(2) == 0 {
				points = append(points, promql.FPoint{T: g.Start + int64(i)*g.Step, F: float64(i)})
			}
		}
		s, ok := answer.NewSeries(&g, labels.EmptyLabels(), len(points), func(i int) (int64, float64) { return points[i].T, points[i].F })
		if !ok || !samePoints(read(t, s, g), points) {
			t.Fatalf("%v became %v", points, s)
		}
		sought, stepped := s.Iterator(nil), s.Iterator(nil)
		for at := int64(0); at < 1400; at += rnd.Int64N(60) {
			typ := sought.Seek(at)
			want := stepped.Seek(math.MinInt64)
			for (want == chunkenc.ValNone || stepped.AtT() < at) && stepped.Next() != chunkenc.ValNone {
				want = chunkenc.ValFloat
			}
			if typ == chunkenc.ValNone {
				break
			}
			if gotT, gotF := sought.At(); gotT != stepped.AtT() || gotT < at {
				t.Fatalf("sought %d: %d %v, want %d", at, gotT, gotF, stepped.AtT())
			}
		}
	}
}

func TestWhatIsNotAPart(t *testing.T) {
	g := answer.Grid{Start: 10_000, Step: 1000, Steps: 5}
	native := &histogram.FloatHistogram{Schema: 1, Count: 3, Sum: 2, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []float64{3}}
	one := func(f float64, set ...string) parser.Value {
		return promql.Matrix{{Metric: labels.FromStrings(set...), Floats: []promql.FPoint{{T: 11_000, F: f}}}}
	}
	off := promql.Matrix{{Floats: []promql.FPoint{{T: 11_001, F: 1}}}}
	for name, c := range map[string]struct {
		value parser.Value
		want  error
	}{
		"histograms":     {promql.Matrix{{Histograms: []promql.HPoint{{T: 11_000, H: native}}}}, answer.Histogram},
		"histogram":      {promql.Vector{{T: 11_000, H: native}}, answer.Histogram},
		"added label":    {one(1, "cluster", "a"), answer.Foreign},
		"foreign label":  {one(1, "replica", "a"), answer.Foreign},
		"infinite":       {one(math.Inf(-1)), answer.Overflow},
		"nearly":         {one(math.MaxFloat64 / 4), answer.Overflow},
		"not a number":   {one(math.NaN()), nil},
		"not at a step":  {off, answer.Times},
		"beyond the end": {promql.Matrix{{Floats: []promql.FPoint{{T: 15_000, F: 1}}}}, answer.Times},
		"before":         {promql.Vector{{T: 9_000, F: 1}}, answer.Times},
		"out of order":   {promql.Matrix{{Floats: []promql.FPoint{{T: 12_000, F: 1}, {T: 11_000, F: 1}}}}, answer.Times},
	} {
		_, err := answer.Decode(bytes.NewReader(encode(t, c.value)), answer.Request{
			Grid: g, Labels: labels.FromStrings("cluster", "beijing"), Foreign: []string{"replica"}, Sums: true,
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Labels that nobody looks at are left out, and no series with them; what must
// not be there is seen all the same.
func TestOnlySomeLabelsAreKept(t *testing.T) {
	vector := promql.Vector{}
	for i, pod := range []string{"a", "b", "c", "d"} {
		app := []string{"shop", "日本"}[i%2]
		vector = append(vector, promql.Sample{T: 1000, F: float64(i), Metric: labels.FromStrings("__name__", "up", "app", app, "pod", pod)})
	}
	req := answer.Request{
		Grid: answer.Grid{Start: 1000, Steps: 1}, Labels: labels.FromStrings("cluster", "beijing"), Foreign: []string{"replica"},
		Projected: true, Keep: []string{"app", "cluster", "zone"},
	}
	a, err := answer.Decode(bytes.NewReader(encode(t, vector)), req)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range a.Series {
		it := s.Iterator(nil)
		it.Next()
		_, f := it.At()
		got = append(got, fmt.Sprint(s.Labels(), f))
	}
	shop, japan := `{app="shop", cluster="beijing"} `, `{app="日本", cluster="beijing"} `
	if want := []string{shop + "0", japan + "1", shop + "2", japan + "3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range []string{"replica", "cluster"} {
		vector[3].Metric = labels.FromStrings("app", "shop", name, "a")
		if _, err := answer.Decode(bytes.NewReader(encode(t, vector)), req); !errors.Is(err, answer.Foreign) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for body, want := range map[string]string{
		`{"status":"error","errorType":"execution","error":"boom"}`:            "answered an error of type execution",
		`{"status":"error","errorType":"<script>","error":"boom","data":null}`: "answered an error",
		`{"status":"success"}`: "broken answer: it has no result",
		`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`:                          "broken answer: not the JSON that a Prometheus answers",
		`{"status":"success","data":{"result":[{"value":[1,"2"]}]}}`:                                    "broken answer: a series has no labels",
		`{"status":"success","data":{"result":[{"metric":{"":"x"},"value":[1,"2"]}]}}`:                  "broken answer: a label has no name",
		`{"status":"success","data":{"result":[{"metric":{"b":"x","a":"1","b":"2"},"value":[1,"2"]}]}}`: "broken answer: a label is given twice",
		`{"status":"success","data":{"result":[{"metric":{"a":"\ud800x"},"value":[1,"2"]}]}}`:           "broken answer: a text in it has half a character",
		`{"status":"success","data":{"result":[{"metric":{"a":"` + "\xff" + `"},"value":[1,"2"]}]}}`:    "broken answer: a text in it is not UTF-8",
		`{"status":"success","data":{"result":[{"metric":{},"value":[1,"two"]}]}}`:                      "broken answer: a value is not a number",
		`{"status":"success","data":{"result":[{"metric":{},"value":[1e999,"2"]}]}}`:                    "broken answer: a time is not valid",
		`{"status":"success","data":{"result":[` + strings.Repeat(`[`, 100):                             "broken answer: not the JSON that a Prometheus answers",
		`{"x":` + strings.Repeat(`[`, 100):                                                              "broken answer: it is nested too deep",
		`{"x":"` + strings.Repeat(`x`, 5<<20) + `"}`:                                                    "broken answer: labels, a number or a text in it is too long",
		`{"status":"success","data":{"result":[]}} x`:                                                   "broken answer: something follows its end",
		`{"status":"success","data":{"result":[{"metric":{"__name__":"up"},"value":[1,"1"]}`:            "read answer: unexpected EOF",
		``:                         "read answer: unexpected EOF",
		`<html>Bad Gateway</html>`: "broken answer: not the JSON that a Prometheus answers",
	} {
		for how, r := range readers([]byte(body)) {
			if len(body) > 1<<20 && how != "whole" {
				continue
			}
			if _, err := answer.Decode(r, answer.Request{Grid: answer.Grid{Start: 1000, Steps: 1}}); fmt.Sprint(err) != want {
				t.Errorf("%.100s, %s: %v, want %s", body, how, err, want)
			}
		}
	}
}

func TestOtherServers(t *testing.T) {
	body := "{\"stats\":{\"a\":[1,true,null,{\"b\":\"c\"}]},\n \"isPartial\":true, \"data\": {\"result\": [ {\"values\": [[1.5,\"1\"],[ 1e1 , \"0x1p-1\"]], \"x\":1, \"metric\":{\"b\":\"2\",\"a\":\"1\",\"c\":\"\"}} ],\"resultType\":\"matrix\"},\"status\":\"success\"}\n"
	g := answer.Grid{Start: 1500, Step: 500, Steps: 100}
	a, err := answer.Decode(strings.NewReader(body), answer.Request{Grid: g})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Series) != 1 || !a.Partial || a.Series[0].Labels().String() != `{a="1", b="2"}` {
		t.Fatalf("got %+v", a)
	}
	if got := read(t, a.Series[0], g); !samePoints(got, []promql.FPoint{{T: 1500, F: 1}, {T: 10_000, F: .5}}) {
		t.Errorf("got %v", got)
	}
}

func TestHoldEndsDecoding(t *testing.T) {
	full := errors.New("full")
	body := `{"status":"success","data":{"result":[` + strings.Repeat(`{"metric":{},"value":[1,"1"]},`, 100)
	held := 0
	_, err := answer.Decode(strings.NewReader(body), answer.Request{Grid: answer.Grid{Start: 1000, Steps: 1}, Hold: func(n int) error {
		if held += n; held > 50 {
			return full
		}
		return nil
	}})
	if !errors.Is(err, full) {
		t.Error(err)
	}
}

func TestJoin(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 0))
	g := answer.Grid{Start: 5000, Step: 15_000, Steps: 100}
	sets := []labels.Labels{labels.FromStrings("a", "1"), labels.FromStrings("a", "2"), labels.FromStrings("a", "3")}
	want := map[string][]promql.FPoint{}
	var pieces []*answer.Answer
	for begin := 0; begin < g.Steps; begin += 30 {
		piece := answer.Grid{Start: g.Start + int64(begin)*g.Step, Step: g.Step, Steps: min(30, g.Steps-begin)}
		a := &answer.Answer{Warnings: []string{"w"}}
		for _, set := range sets {
			var points []promql.FPoint
			for i := range piece.Steps {
				if rnd.IntN(4) == 0 {
					points = append(points, promql.FPoint{T: piece.Start + int64(i)*g.Step, F: rnd.Float64()})
				}
			}
			if len(points) == 0 || rnd.IntN(3) == 0 {
				continue
			}
			s, _ := answer.NewSeries(&piece, set, len(points), func(i int) (int64, float64) { return points[i].T, points[i].F })
			a.Series = append(a.Series, s)
			want[set.String()] = append(want[set.String()], points...)
		}
		pieces = append(pieces, a)
	}
	joined := answer.Join(&g, pieces)
	if len(joined.Series) != len(want) || len(joined.Warnings) != len(pieces) {
		t.Fatalf("%d series, %d warnings", len(joined.Series), len(joined.Warnings))
	}
	for i := range joined.Series {
		s := joined.Series[i]
		if got := read(t, s, g); !samePoints(got, want[s.Labels().String()]) {
			t.Errorf("%s: got %v, want %v", s.Labels(), got, want[s.Labels().String()])
		}
	}
}

// FuzzDecode gives the decoder any bytes. However they arrive, the outcome is
// the same, and what is decoded is in order.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","é":"\u00e9\n"},"value":[10,"1"]}]},"infos":["x"]}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[10,"NaN"],[12,"-Inf"]]}]},"isPartial":true}`))
	f.Add([]byte(`{"status":"error","errorType":"execution","error":"x","x":[{"y":[]}]}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[10,{"count":"1"}]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"result":[{"metric":{"app":"a","x":"1"},"value":[10,"1"]},{"metric":{"app":"a","x":"2"},"value":[10.000,"2e-1"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"result":[{"metric":{"app":"a"},"value":[10,"1"]},{"metric":{"app":"a","cluster":""},"value":[10,"2"]},{"metric":{"app":"","cluster":"x"},"value":[10,"2"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"result":[{"metric":{"a":"a"},"values":[[10,"1"],[11,"2"]]},{"metric":{"a":"a"},"value":[12,"2"],"values":[[13,"4"] ]}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, steps := range []int{1, 4} {
			req := answer.Request{Grid: answer.Grid{Start: 10_000, Step: 1000, Steps: steps}, Labels: labels.FromStrings("cluster", "a")}
			for _, req.Projected = range []bool{false, true} {
				req.Keep = []string{"app", "cluster"}
				sameDecoded(t, body, req)
			}
		}
	})
}

// sameDecoded compares what is decoded of a body at once, where series are read
// quickly, with what is decoded byte by byte.
func sameDecoded(t *testing.T, body []byte, req answer.Request) {
	t.Helper()
	whole, err := answer.Decode(bytes.NewReader(body), req)
	apart, errApart := answer.Decode(iotest.OneByteReader(bytes.NewReader(body)), req)
	if fmt.Sprint(err) != fmt.Sprint(errApart) {
		t.Fatalf("whole: %v; byte by byte: %v", err, errApart)
	}
	if err != nil {
		return
	}
	if len(whole.Series) != len(apart.Series) {
		t.Fatalf("whole: %d series; byte by byte: %d", len(whole.Series), len(apart.Series))
	}
	for i := range whole.Series {
		a, b := whole.Series[i], apart.Series[i]
		if !labels.Equal(a.Labels(), b.Labels()) || !samePoints(read(t, a, req.Grid), read(t, b, req.Grid)) {
			t.Fatalf("%s and %s differ", a.Labels(), b.Labels())
		}
		if _, twice := a.Labels().HasDuplicateLabelNames(); twice || a.Labels().Get("cluster") != "a" {
			t.Fatalf("labels %s", a.Labels())
		}
	}
	if req.Grouped = req.Projected; req.Grouped {
		grouped, err := answer.Decode(bytes.NewReader(body), req)
		if err != nil || grouped.Samples() != whole.Samples() {
			t.Fatalf("grouped: %d samples, want %d: %v", grouped.Samples(), whole.Samples(), err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	rnd := rand.New(rand.NewPCG(5, 0))
	g := answer.Grid{Start: 1_700_000_000_123, Steps: 1}
	var v promql.Vector
	for i := range 30_000 {
		v = append(v, promql.Sample{T: g.Start, F: rnd.NormFloat64(), Metric: labels.FromStrings(
			"__name__", "http_requests_total", "app", fmt.Sprint("service-", i%100), "instance", fmt.Sprintf("10.0.%d.%d:8080", i/250, i%250),
			"job", "kubernetes-pods", "method", "GET", "namespace", "production", "path", "/api/v1/orders", "status", fmt.Sprint(200+i%5))})
	}
	body := encode(b, v)
	req := answer.Request{Grid: g, Labels: labels.FromStrings("cluster", "beijing", "region", "cn-north"), Foreign: []string{"replica"}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := answer.Decode(bytes.NewReader(body), req); err != nil {
			b.Fatal(err)
		}
	}
}
