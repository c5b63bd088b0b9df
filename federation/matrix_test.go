package federation

import (
	"bytes"
	"io"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// FuzzMatrix gives both readers of raw samples any bytes: what they take is in
// order, of valid labels, and within the time that was asked for.
func FuzzMatrix(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"x"},"values":[[1.5,"1"],[2,"NaN"]]}]}}`))
	f.Add([]byte(`{"metric":{"__name__":"x"},"values":[NaN,null,"Infinity",1e3],"timestamps":[1,2,3,4]}` + "\n"))
	f.Add([]byte(`{"metric":{"__name__":"x"},"values":[1],"timestamps":[1]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, read := range []func(io.Reader, *matrix) error{readMatrix, readExport} {
			m := &matrix{sel: selection{mint: 1, maxt: 2000}}
			if err := read(bytes.NewReader(body), m); err != nil {
				continue
			}
			for _, s := range m.out {
				if err := s.labels.Validate(func(labels.Label) error { return nil }); err != nil {
					t.Fatal(err)
				}
				last := int64(0)
				for it := s.parts[0].Iterator(nil); it.Next() != chunkenc.ValNone; {
					at, _ := it.At()
					if at <= last || at > 2000 {
						t.Fatalf("a sample at %d after one at %d", at, last)
					}
					last = at
				}
			}
		}
	})
}

func TestExportedValues(t *testing.T) {
	m := &matrix{sel: selection{maxt: 10}}
	body := `{"metric":{"a":"\"values\":[NaN"},"values":[+Inf,null,"-Infinity",-2.5],"timestamps":[1,2,3,4]}`
	if err := readExport(bytes.NewReader([]byte(body)), m); err != nil {
		t.Fatal(err)
	}
	var got []float64
	for it := m.out[0].parts[0].Iterator(nil); it.Next() != chunkenc.ValNone; {
		_, f := it.At()
		got = append(got, f)
	}
	if len(got) != 4 || !math.IsInf(got[0], 1) || !value.IsStaleNaN(got[1]) || !math.IsInf(got[2], -1) || got[3] != -2.5 {
		t.Errorf("got %v", got)
	}
	if set := m.out[0].labels.String(); set != `{a="\"values\":[NaN"}` {
		t.Errorf("got %s", set)
	}
}

func TestVictoriaSelector(t *testing.T) {
	ms := []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, "__name__", "a"), labels.MustNewMatcher(labels.MatchRegexp, "utf8.9label", `b"\d`),
		labels.MustNewMatcher(labels.MatchNotEqual, "9日", ""),
	}
	if got, want := victoriaSelector(ms), `{__name__="a",utf8\.9label=~"b\"\\d",\9\日!=""}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
