package diag_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

func TestErrorIsSortedByPlace(t *testing.T) {
	err := diag.Problems{
		{File: "b.yaml", Message: "empty"},
		{File: "a.yaml", Line: 10, Column: 2, Field: "spec.x", Message: "missing", Hint: "add it"},
		{File: "a.yaml", Line: 9, Message: "odd"},
	}.Err()
	want := "a.yaml:9: odd\na.yaml:10:2: spec.x: missing (add it)\nb.yaml: empty"
	if err == nil || err.Error() != want {
		t.Errorf("want %s, got %v", want, err)
	}
	if ps, ok := diag.Of(fmt.Errorf("load: %w", err)); !ok || len(ps) != 3 {
		t.Errorf("want 3 problems, got %v", ps)
	}
	if _, ok := diag.Of(errors.New("other")); ok {
		t.Error("another error has no problems")
	}
	if err := (diag.Problems{}).Err(); err != nil {
		t.Errorf("no problem is no error: %v", err)
	}
}

// The caret stands under the column, counted in characters, also after tabs.
func TestPrint(t *testing.T) {
	var b strings.Builder
	err := diag.Problems{{File: "a.yaml", Line: 3, Column: 5, Field: "f", Message: "odd", Hint: "even", Source: "\té: x"}}.Print(&b)
	want := "a.yaml:3:5: f: odd\n    3 | \té: x\n      | \t   ^\n        hint: even\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\nwant %q\n got %q", err, want, b.String())
	}
}

// Nothing that a terminal would obey reaches it, not even by a file's name.
func TestPrintHostileName(t *testing.T) {
	var b strings.Builder
	if err := (diag.Problems{{File: "a\x1b]0;b\a.yaml", Message: "no SLO"}}).Print(&b); err != nil {
		t.Fatal(err)
	}
	if want := "a\ufffd]0;b\ufffd.yaml: no SLO\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// A file of nothing but mistakes does not fill the terminal, and hides the
// problems of no other file.
func TestPrintOfVeryMany(t *testing.T) {
	var ps diag.Problems
	for i := range 1003 {
		ps = append(ps, diag.Problem{File: "a.yaml", Line: i + 1, Message: "odd"})
	}
	var b strings.Builder
	if err := append(ps, diag.Problem{File: "b.yaml", Line: 1, Message: "even"}).Print(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if want := []string{"a.yaml:1000: odd", "b.yaml:1: even", "a.yaml: 3 more problems"}; !slices.Equal(lines[999:], want) {
		t.Errorf("got %q, want %q", lines[999:], want)
	}
}
