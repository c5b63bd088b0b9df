package plan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/midwatch-slo/midwatch/internal/golden"
)

// named are the clusters of the golden files: three that two labels tell
// apart, one of them an HA pair, and series that Midwatch itself holds.
var named = []Cluster{
	{Name: "hangzhou", Labels: map[string]string{"cluster": "hangzhou", "region": "cn-east"}, Dropped: []string{"replica"}, Pushes: PushAll},
	{Name: "beijing", Labels: map[string]string{"cluster": "beijing", "region": "cn-north"}, Pushes: PushAll},
	{Name: "edge", Labels: map[string]string{"cluster": "edge", "region": "cn-east"}, Pushes: PushAll},
	{Name: "fleet", Dropped: []string{"cluster", "region", "replica"}, Pushes: PushAll},
}

var hour = Window{Start: 1_800_000_000_000, End: 1_800_003_600_000, Step: 60_000}

// Each line of testdata/*.promql is a query; the file beside it says what is
// evaluated here and what each cluster is sent.
func TestGoldenPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.promql")
	if err != nil || len(files) == 0 {
		t.Fatal("no queries", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			queries, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for query := range strings.Lines(string(queries)) {
				if query = strings.TrimSpace(query); query != "" && !strings.HasPrefix(query, "#") {
					describe(t, &out, query)
				}
			}
			golden.File(t, strings.TrimSuffix(file, ".promql")+".plan", out.String())
		})
	}
}

func describe(t *testing.T, out *strings.Builder, query string) {
	t.Helper()
	p := planned(t, query, named, hour)
	texts := map[string]string{}
	for i, part := range p.Parts {
		texts[part.Selector.String()] = fmt.Sprintf("[%d]", i)
	}
	here := p.Expr.String()
	for selector, short := range texts {
		here = strings.ReplaceAll(here, selector, short)
	}
	fmt.Fprintf(out, "%s\n  here: %s\n", query, here)
	for i, part := range p.Parts {
		fmt.Fprintf(out, "  [%d]%s%s\n", i, quantileOf(part), duration(part.Window))
		for _, q := range part.Queries {
			fmt.Fprintf(out, "    %s: %s%s\n", named[q.Cluster].Name, q.Text, given(q.Labels)+kept(q))
		}
	}
	out.WriteString("\n")
}

// quantileOf says which quantile a part stands for.
func quantileOf(p Part) string {
	if p.Quantile == nil {
		return ""
	}
	return fmt.Sprintf(" quantile %v of", *p.Quantile)
}

// kept says which of the answer's labels are looked at, where not all are.
func kept(q Query) string {
	if !q.Projected {
		return ""
	}
	return "  keeps " + fmt.Sprintf("%q", q.Keep)
}

// duration says where a window is not the query's.
func duration(w Window) string {
	switch {
	case w == hour:
		return ""
	case w.Step == 0:
		return fmt.Sprintf(" at %d", w.Start-hour.Start)
	}
	return fmt.Sprintf(" from %d to %d by %d", w.Start-hour.Start, w.End-hour.Start, w.Step)
}

func given(set map[string]string) string {
	var out []string
	for name, value := range set {
		out = append(out, fmt.Sprintf("%s=%q", name, value))
	}
	slices.Sort(out)
	if len(out) == 0 {
		return ""
	}
	return "  → {" + strings.Join(out, ", ") + "}"
}

func planned(t testing.TB, query string, clusters []Cluster, w Window) *Plan {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(expr, clusters, w, options)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return p
}

// What is not for a cluster is not sent to it.
func TestPushes(t *testing.T) {
	clusters := slices.Clone(named)
	for query, texts := range map[string][]int{ // texts for PushNothing, PushSelectors, PushAll
		`up`:                            {0, 4, 4},
		`sum(up)`:                       {0, 4, 4},
		`sum(rate(up[5m]))`:             {0, 0, 4},
		`max_over_time(sum(up)[5m:1m])`: {0, 4, 4},
		`histogram_quantile(0.9, sum by (le) (up))`: {0, 4, 4},
		`timestamp(up)`:         {0, 0, 4},
		`up{cluster="beijing"}`: {0, 1, 1},
	} {
		for pushes, want := range texts {
			for i := range clusters {
				clusters[i].Pushes = Pushes(pushes)
			}
			got := 0
			for _, part := range planned(t, query, clusters, hour).Parts {
				got += len(part.Queries)
			}
			if got != want {
				t.Errorf("%s, pushes %d: %d queries, want %d", query, pushes, got, want)
			}
		}
	}
}

// Labels that mean something to PromQL tell no clusters apart, nor do labels
// that only one cluster knows: nothing is planned.
func TestNothingPlanned(t *testing.T) {
	for name, clusters := range map[string][]Cluster{
		"none":    nil,
		"le":      {{Labels: map[string]string{"le": "a"}, Pushes: PushAll}},
		"unknown": {{Labels: map[string]string{"a": "a"}, Pushes: PushAll}, {Labels: map[string]string{"b": "b"}, Pushes: PushAll}},
		"alike":   {{Labels: map[string]string{"a": "a"}, Pushes: PushAll}, {Labels: map[string]string{"a": "a"}, Pushes: PushAll}},
	} {
		for _, query := range []string{`up`, `sum(rate(up[5m]))`, `absent(up)`, `up / on (b) up`} {
			if p := planned(t, query, clusters, hour); len(p.Parts) != 0 {
				t.Errorf("%s: %s: %d parts, want none", name, query, len(p.Parts))
			}
		}
	}
}

// Every part is an own selector in the expression.
func TestSelectorsAreTheParts(t *testing.T) {
	p := planned(t, `avg(up) + on () group_left max_over_time(sum(up)[5m:]) or absent(up{app="x"})`, named, hour)
	found := map[*parser.VectorSelector]bool{}
	parser.Inspect(p.Expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			found[v] = true
		}
		return nil
	})
	for _, part := range p.Parts {
		if !found[part.Selector] {
			t.Errorf("%s is not in %s", part.Selector, p.Expr)
		}
	}
	if len(p.Parts) != 4 {
		t.Errorf("%d parts, want 4", len(p.Parts))
	}
}

// A query says which samples it reads.
func TestTimesRead(t *testing.T) {
	for query, want := range map[string][2]int64{
		`up`:                            {hour.Start - 299_999, hour.End},
		`rate(up[10m] offset 1m)`:       {hour.Start - 659_999, hour.End - 60_000},
		`max_over_time(up[30m:1m])`:     {hour.Start - 1_800_000 - 299_999, hour.End},
		`up @ 1800000060`:               {hour.Start + 60_000 - 299_999, hour.Start + 60_000},
		`sum(rate(up[1m] @ end()))`:     {hour.End - 59_999, hour.End},
		`max_over_time(sum(up)[5m:1m])`: {hour.Start - 240_000 - 299_999, hour.End},
	} {
		q := planned(t, query, named, hour).Parts[0].Queries[0]
		if got := [2]int64{q.Mint, q.Maxt}; got != want {
			t.Errorf("%s: reads %v, want %v", query, got, want)
		}
	}
}

// What a cluster says of a place in its text is said of the user's.
func TestOrigins(t *testing.T) {
	query := `max( sum by (app)( rate(up{cluster="beijing"}[5m]) ) )`
	q := planned(t, query, named, hour).Parts[0].Queries[0]
	origins, err := q.Origins(parser.NewParser(parser.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"sum by", "rate(", "up"} {
		text, user := posrange.Pos(strings.Index(q.Text, what)), posrange.Pos(strings.Index(query, what))
		if got, ok := origins[text]; !ok || got != user {
			t.Errorf("%q of %s stands for %d, want %d", what, q.Text, got, user)
		}
	}
}

func TestErrors(t *testing.T) {
	up, err := parser.NewParser(parser.Options{}).ParseExpr(`up`)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []Window{{Start: 1}, {Start: 1, End: 2}, {Start: 2, End: 1, Step: 1}, {Step: -1}} {
		if _, err := New(up, named, w, options); err == nil {
			t.Errorf("window %v is planned", w)
		}
	}
	long, err := parser.NewParser(parser.Options{}).ParseExpr(strings.Repeat("1+", maxNodes) + "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(long, named, hour, options); !errors.Is(err, errTooLarge) {
		t.Errorf("%v, want %v", err, errTooLarge)
	}
}

func BenchmarkNew(b *testing.B) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(`sum by (app) (rate(e[5m])) / sum by (app) (rate(t[5m])) > 0.01 and sum by (app) (rate(e[1h])) / sum by (app) (rate(t[1h])) > 0.01`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(expr, named, hour, Options{Lookback: 5 * time.Minute, SubqueryStep: time.Minute}); err != nil {
			b.Fatal(err)
		}
	}
}
