package store

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

// Whatever is kept of labels is read as encoding/json reads it.
func FuzzLabels(f *testing.F) {
	for _, text := range []string{
		`{}`, `null`, ``, `{"a":"b"}`, `{"a":"b","名":"值 <x>"}`, `{"a":"\u003c\"\n"}`, `{"a":"b",}`, `{"a":"b"`, `{"a":1}`, `{"a":"b"}x`,
		`{"a":"b""c":"d"}`, `{"a" :"b"}`, `{"a":"":"b"}`, `{"1":"x"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fast, ok := plainLabels(text)
		if !ok || !utf8.ValidString(text) { // all that is kept is
			return
		}
		var slow map[model.LabelName]string
		if err := json.Unmarshal([]byte(text), &slow); err != nil {
			return // it holds control characters, as no JSON does
		}
		want := model.LabelSet{}
		for name, value := range slow {
			want[name] = model.LabelValue(value)
		}
		if diff := cmp.Diff(want, fast); diff != "" {
			t.Error(diff)
		}
	})
}
