package federation

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// FuzzLabelValues gives any bytes for the values of a label: that there are
// none is only said of a whole list without any other.
func FuzzLabelValues(f *testing.F) {
	for _, body := range []string{
		`{"status":"success","data":[]}`, `{"status":"success","data":["a"]}`, `{"status":"success","data":["a","b"],"warnings":["results truncated due to limit"]}`,
		`{"status":"success","data":[],"warnings":["not implemented"]}`, `{"status":"error"}`, `{"status":"success","data":null}`, `{"data":[`, ``,
		`{"status":"success","data":["` + strings.Repeat("a", maxBuildInfoBytes),
	} {
		f.Add([]byte(body), "")
		f.Add([]byte(body), "a")
	}
	f.Fuzz(func(t *testing.T, body []byte, external string) {
		has, known := parseCensus(body, external)
		var values struct {
			Data []string `json:"data"`
		}
		err := json.NewDecoder(strings.NewReader(string(body))).Decode(&values)
		other := slices.ContainsFunc(values.Data, func(v string) bool { return v != external })
		switch {
		case has && !known:
			t.Error("it has the label, and that is not known")
		case known && !has && (err != nil || values.Data == nil || other):
			t.Errorf("none is said of %q", values.Data)
		case has && err == nil && !other:
			t.Errorf("some is said of %q", values.Data)
		}
	})
}
