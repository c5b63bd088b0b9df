package promresult

import (
	"encoding/json"
	"testing"
)

func TestDiffer(t *testing.T) {
	for _, tt := range []struct {
		name, query, got, want string
		same                   bool
	}{
		{"equal", "x", `[{"metric":{"a":"1"},"value":[1,"2"]}]`, `[{"metric":{"a":"1"},"value":[1,"2"]}]`, true},
		{"in another order", "x", `[{"metric":{"a":"2"}},{"metric":{"a":"1"}}]`, `[{"metric":{"a":"1"}},{"metric":{"a":"2"}}]`, true},
		{"in an order that is asked for", "sort(x)", `[{"metric":{"a":"2"}},{"metric":{"a":"1"}}]`, `[{"metric":{"a":"1"}},{"metric":{"a":"2"}}]`, false},
		{"rounded otherwise", "x", `["0.30000000000000004"]`, `["0.3"]`, true},
		{"another number", "x", `["0.3000001"]`, `["0.3"]`, false},
		{"not a number", "x", `["NaN"]`, `["NaN"]`, true},
		{"infinite", "x", `["+Inf"]`, `["1e308"]`, false},
		{"infinite otherwise", "x", `["+Inf"]`, `["-Inf"]`, false},
		{"as infinite", "x", `["+Inf"]`, `["+Inf"]`, true},
		{"zero", "x", `["1e-300"]`, `["0"]`, false},
		{"another time", "x", `[1,"2"]`, `[2,"2"]`, false},
		{"one series less", "x", `[{"metric":{}}]`, `[]`, false},
		{"one label less", "x", `[{"metric":{}}]`, `[{"metric":{"a":"1"}}]`, false},
		{"a scalar beside a vector", "x", `[1,"2"]`, `[{"metric":{}}]`, false},
	} {
		var got, want any
		if err := json.Unmarshal([]byte(tt.got), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if d := Differ(tt.query, got, want); (d == "") != tt.same {
			t.Errorf("%s: got %q, want that they are the same: %v", tt.name, d, tt.same)
		}
	}
}
