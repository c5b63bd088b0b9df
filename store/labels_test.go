package store

import (
	"encoding/json"
	"testing"

	"github.com/prometheus/common/model"
)

// What is written must be what was written before, byte for byte: label sets
// are compared by it.
func FuzzLabelsAreWrittenAsJSON(f *testing.F) {
	for _, seed := range [][2]string{
		{"a", "b"}, {"", "\x00"}, {"名", "值"}, {"<&>", `"\\`}, {"\xff", "\u2028"}, {"\x7f", "~ \t"},
	} {
		f.Add(seed[0], seed[1], seed[1], seed[0])
	}
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		for _, set := range []model.LabelSet{nil, {}, {model.LabelName(a): model.LabelValue(b), model.LabelName(c): model.LabelValue(d)}} {
			want, err := json.Marshal(set)
			if err != nil {
				t.Fatal(err)
			}
			var same model.LabelSet
			_ = json.Unmarshal(want, &same)
			if got := labelsJSON(set); got != string(want) && len(same) == len(set) {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}
