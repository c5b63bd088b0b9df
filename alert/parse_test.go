package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

var now = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func TestParseFillsInWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		times        string
		starts, ends time.Time
		state        State
	}{
		"nothing given":         {``, now, now.Add(5 * time.Minute), Firing},
		"zero times":            {`,"startsAt":"0001-01-01T00:00:00Z","endsAt":"1970-01-01T00:00:00Z"`, now, now.Add(5 * time.Minute), Firing},
		"empty times":           {`,"startsAt":"","endsAt":""`, now, now.Add(5 * time.Minute), Firing},
		"end in the past alone": {`,"endsAt":"2026-11-21T02:58:00Z"`, now.Add(-2 * time.Minute), now.Add(-2 * time.Minute), Resolved},
		"end to come alone":     {`,"endsAt":"2026-11-21T03:04:00Z"`, now, now.Add(4 * time.Minute), Firing},
		"end is now":            {`,"startsAt":"2026-11-21T02:50:00Z","endsAt":"2026-11-21T03:00:00Z"`, now.Add(-10 * time.Minute), now, Resolved},
		"another zone":          {`,"startsAt":"2026-11-21T10:59:59.5+08:00"`, now.Add(-500 * time.Millisecond), now.Add(5 * time.Minute), Firing},
	} {
		t.Run(name, func(t *testing.T) {
			body := `[{"labels":{"alertname":"A","empty":""},"generatorURL":"http://p/graph"` + c.times + `}]`
			got, err := Parse(strings.NewReader(body), now)
			if err != nil {
				t.Fatal(err)
			}
			want := []Alert{{
				Labels: model.LabelSet{"alertname": "A"}, Annotations: model.LabelSet{},
				StartsAt: c.starts, EndsAt: c.ends, State: c.state, UpdatedAt: now, GeneratorURL: "http://p/graph",
			}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseKeepsTheValidBesideTheInvalid(t *testing.T) {
	body := `[
		{"labels":{"alertname":"good"}},
		{"labels":{"alertname":""}},
		{"labels":{"alertname":"backwards"},"startsAt":"2026-11-21T03:00:00Z","endsAt":"2026-11-21T02:00:00Z"},
		{"labels":{"alertname":7}},
		{"labels":{"alertname":"when"},"startsAt":"yesterday"},
		"alert",
		{"labels":{"":"nameless"}},
		{"labels":{"alertname":"long"},"annotations":{"text":"` + strings.Repeat("é", MaxAnnotation/2+1) + `"}},
		{"labels":{"alertname":"nul\u0000"}},
		{"labels":{"alertname":"link"},"generatorURL":"javascript:alert(1)"}
	]`
	got, err := Parse(strings.NewReader(body), now)
	var names []string
	for _, a := range got {
		names = append(names, a.Label("alertname"))
	}
	if diff := cmp.Diff([]string{"good", "link"}, names); diff != "" {
		t.Error(diff)
	}
	if got[1].GeneratorURL != "" {
		t.Errorf("a browser would follow %q", got[1].GeneratorURL)
	}
	var bad InvalidError
	if !errors.As(err, &bad) {
		t.Fatalf("error is %v", err)
	}
	var indexes []int
	for _, b := range bad {
		indexes = append(indexes, b.Index)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7, 8}, indexes); diff != "" {
		t.Error(diff)
	}
	if text := err.Error(); !strings.Contains(text, `alert 2 {alertname="backwards"}: it ends before it starts`) || len(text) > 3000 {
		t.Errorf("error is %s", text)
	}
}

func TestParseRefusesWhatItCannotReadWhole(t *testing.T) {
	good := `{"labels":{"alertname":"A"}}`
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"nothing":         {"", ErrMalformed},
		"null":            {"null", ErrMalformed},
		"an object":       {good, ErrMalformed},
		"cut off":         {"[" + good, ErrMalformed},
		"cut off inside":  {"[" + good + `,{"labels":`, ErrMalformed},
		"syntax":          {"[" + good + ",}]", ErrMalformed},
		"two documents":   {"[" + good + "][]", ErrMalformed},
		"no UTF-8":        {"[{\"labels\":{\"alertname\":\"\xff\"}}]", ErrMalformed},
		"deep":            {"[" + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "]", ErrMalformed},
		"too many":        {"[" + strings.Repeat(good+",", MaxAlerts) + good + "]", ErrTooLarge},
		"too many bytes":  {"[" + strings.Repeat(" ", MaxBody) + "]", ErrTooLarge},
		"deep in an open": {`[{"labels":` + strings.Repeat("[", 100_000), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(strings.NewReader(c.body), now)
			if !errors.Is(err, c.want) || got != nil {
				t.Errorf("got %d alerts and %v, want %v", len(got), err, c.want)
			}
		})
	}
}

func TestParseBoundsLabels(t *testing.T) {
	for name, labels := range map[string]map[string]string{
		"ten thousand": many(10_000),
		"long name":    {strings.Repeat("n", MaxName+1): "v"},
		"long value":   {"n": strings.Repeat("v", MaxLabel+1)},
	} {
		body, err := json.Marshal([]map[string]any{{"labels": labels}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(strings.NewReader(string(body)), now)
		if bad := InvalidError(nil); !errors.As(err, &bad) || len(got) != 0 {
			t.Errorf("%s: got %d alerts and %v", name, len(got), err)
		}
	}
}

func many(n int) map[string]string {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprint("l", i)] = "v"
	}
	return m
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[{}]`, `null`, `[{"labels":{"alertname":"A"}}]`,
		`[{"labels":{"a":"b","c":""},"annotations":{"d":"e"},"startsAt":"2026-11-21T03:00:00+08:00","endsAt":"2026-11-21T03:00:00.123456789Z","generatorURL":"http://x/y?z=1"}]`,
		`[{"labels":{"a":1}},{"labels":[]},7]`, "[{\"labels\":{\"\\ud800\":\"\\u0000\"}}]", `[{"labels":{"a":"b"}}`, `[[[[[[`, `["\"[[["]`,
		`[{"labels":{"a":"b"},"startsAt":"9999-12-31T23:59:59Z"}]`,
		`[{"labels":{"a":"b","c":"d"},"annotations":{"x":"y"},"generatorURL":"http://x"},{"labels":null,"annotations":null},{"labels":{"a":"c"}}]`,
		`[{"LABELS":{"a":"b"},"labels":{"a":"c"},"labels":{"e":"f"}},{"labels":{"a":{"b":"c"}},"startsAt":7},{"endsAt":"yesterday"},{"labels":{"g":"h"}}]`,
		"[{\"labels\":{\"a\":\"\xff\"}}]", `[{"labels":{"a":"b"}},[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]`, `[{"labels":{"a":"b"}},{"labels":{"a":1}}`, `[{"labels":{"a":"b"}}] []`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		alerts, err := Parse(strings.NewReader(string(body)), now)
		if bad := InvalidError(nil); err != nil && !errors.As(err, &bad) && alerts != nil {
			t.Fatalf("alerts beside %v", err)
		}
		for _, a := range alerts {
			check(t, a)
		}
		compareWithAlone(t, body, alerts)
	})
}

// compareWithAlone checks that an alert is read as if it had come alone.
func compareWithAlone(t *testing.T, body []byte, alerts []Alert) {
	t.Helper()
	var each []json.RawMessage
	if alerts == nil || json.Unmarshal(body, &each) != nil {
		return
	}
	var want []Alert
	for _, one := range each {
		alone, err := Parse(strings.NewReader("["+string(one)+"]"), now)
		if bad := InvalidError(nil); err != nil && !errors.As(err, &bad) {
			t.Fatalf("alone: %v", err)
		}
		want = append(want, alone...)
	}
	if !reflect.DeepEqual(want, alerts) {
		t.Errorf("got %v, alone %v", alerts, want)
	}
}

func check(t *testing.T, a Alert) {
	t.Helper()
	if len(a.Labels) == 0 || a.StartsAt.IsZero() || a.EndsAt.Before(a.StartsAt) || a.EndsAt.UnixMilli() <= 0 {
		t.Errorf("accepted %+v", a)
	}
	if (a.State == Resolved) != !a.EndsAt.After(now) {
		t.Errorf("state %s, ends %s", a.State, a.EndsAt)
	}
	for name, value := range a.Labels {
		if name == "" || value == "" || !utf8.ValidString(string(name)) || !utf8.ValidString(string(value)) {
			t.Errorf("accepted label %q=%q", name, value)
		}
	}
	if _, err := json.Marshal(a); err != nil {
		t.Error(err)
	}
}
