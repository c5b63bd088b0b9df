package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// Prometheus' engine sorts the names of labels in the expression it evaluates,
// while the answers of clusters are still being read.
func TestPartsShareNothingWithTheExpression(t *testing.T) {
	files, err := filepath.Glob("testdata/*.promql")
	if err != nil || len(files) == 0 {
		t.Fatal("no queries", err)
	}
	changed := 0
	for _, file := range files {
		queries, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for query := range strings.Lines(string(queries)) {
			if query = strings.TrimSpace(query); query == "" || strings.HasPrefix(query, "#") {
				continue
			}
			p := planned(t, query, named, hour)
			before := asked(p)
			changed += overwrite(p.Expr)
			if after := asked(p); after != before {
				t.Errorf("%s: the engine can change what is asked\nfrom %s\nto   %s", query, before, after)
			}
		}
	}
	if changed == 0 {
		t.Error("no expression names labels")
	}
}

func asked(p *Plan) string {
	var out strings.Builder
	for _, part := range p.Parts {
		for _, q := range part.Queries {
			fmt.Fprintf(&out, "%s %s %q %q %q; ", q.Text, q.sent, q.Labels, q.Keep, q.Foreign)
		}
	}
	return out.String()
}

// overwrite changes all lists of names of an expression, and returns how many
// names they had.
func overwrite(e parser.Expr) int {
	var lists [][]string
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.AggregateExpr:
			lists = append(lists, n.Grouping)
		case *parser.BinaryExpr:
			if m := n.VectorMatching; m != nil {
				lists = append(lists, m.MatchingLabels, m.Include)
			}
		}
		return nil
	})
	changed := 0
	for _, list := range lists {
		for i := range list {
			list[i] = "overwritten"
			changed++
		}
	}
	return changed
}
