package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// FuzzNew plans any expression over any window. Whatever it is, planning does
// not panic nor change it, and what clusters are sent is PromQL that says what
// was meant.
func FuzzNew(f *testing.F) {
	files, err := filepath.Glob("testdata/*.promql")
	if err != nil || len(files) == 0 {
		f.Fatal("no queries", err)
	}
	for _, file := range files {
		queries, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for query := range strings.Lines(string(queries)) {
			f.Add(strings.TrimSpace(query), hour.Start, int64(1_000_000), int64(7_001))
		}
	}
	f.Add(`limitk(2, max_of(1, 2) * a fill(0) b[step():1m] anchored @ -1e9 offset -1y)`, int64(-5), int64(0), int64(0))
	f.Add("sum by (\"a.b\", `le`) ({\"x y\", l=~\"\\\\d\\n\"} offset 1y3ms)", int64(1), int64(1), int64(1))
	experimental := parser.NewParser(parser.Options{
		EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
	})
	plain := parser.NewParser(parser.Options{})
	f.Fuzz(func(t *testing.T, query string, start, length, step int64) {
		w := Window{Start: start % (1 << 50), Step: step & (1<<30 - 1)}
		w.End = w.Start
		if w.Step > 0 {
			w.End += length & (1<<40 - 1)
		}
		expr, err := experimental.ParseExpr(query)
		if err != nil {
			return
		}
		before := expr.String()
		p, err := New(expr, named, w, options)
		if expr.String() != before {
			t.Fatalf("%s became %s", before, expr)
		}
		if err != nil {
			return
		}
		for _, part := range p.Parts {
			if part.Window.End < part.Window.Start || part.Window.Step < 0 || (part.Window.Step == 0) != (part.Window.Start == part.Window.End) {
				t.Fatalf("%s: %v is no window", query, part.Window)
			}
			for _, q := range part.Queries {
				sent, err := plain.ParseExpr(q.Text)
				if err != nil {
					t.Fatalf("%s: %s: %v", query, q.Text, err)
				}
				if sent.String() != q.Text {
					t.Fatalf("%s: %s is read as %s", query, q.Text, sent)
				}
				if _, err := q.Origins(plain); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
