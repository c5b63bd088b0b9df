package alert

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A draft becomes what the same alert in JSON becomes.
func TestDraftsAreReadAsParsedOnes(t *testing.T) {
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	parsed, err := Parse(strings.NewReader(`[{"labels": {"alertname": "Down", "empty": ""}, "annotations": {"a": "b"},
		"endsAt": "2026-11-21T02:00:00.1234567Z", "startsAt": "0001-01-01T00:00:00Z", "generatorURL": "javascript:alert(1)"}]`), at)
	if err != nil {
		t.Fatal(err)
	}
	drafted, err := Draft{
		Labels: map[string]string{"alertname": "Down", "empty": ""}, Annotations: map[string]string{"a": "b"},
		EndsAt: time.Date(2026, 11, 21, 2, 0, 0, 123_456_700, time.UTC), GeneratorURL: "javascript:alert(1)",
	}.Alert(at)
	if err != nil || drafted.Labels.String() != parsed[0].Labels.String() || drafted.State != Resolved ||
		drafted.StartsAt != parsed[0].StartsAt || drafted.EndsAt != parsed[0].EndsAt || drafted.GeneratorURL != "" {
		t.Errorf("drafted %+v, parsed %+v: %v", drafted, parsed[0], err)
	}
	if _, err := (Draft{Labels: map[string]string{"a": ""}}).Alert(at); err == nil {
		t.Error("an alert without labels is taken")
	}
}

func TestReadJSON(t *testing.T) {
	for body, want := range map[string]error{
		`{"a": [1]}`:             nil,
		strings.Repeat(" ", 101): ErrTooLarge,
		"{\"a\": \"\xff\"}":      ErrMalformed,
		strings.Repeat("[", 17):  ErrMalformed,
	} {
		if _, err := ReadJSON(strings.NewReader(body), 100, 16); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", body, err, want)
		}
	}
}
