package plan

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestSmoke(t *testing.T) {
	cs := []Cluster{
		{Name: "a", Labels: map[string]string{"cluster": "a", "region": "x"}, Dropped: []string{"replica"}, Pushes: PushAll},
		{Name: "b", Labels: map[string]string{"cluster": "b", "region": "x"}, Pushes: PushAll},
	}
	for _, q := range []string{
		`x`, `sum by (app)(rate(x[5m]))`, `sum by (cluster) (x{region="x",cluster="a"})`, `avg(x)`, `topk(3, x)`, `topk by (cluster)(3, x)`,
		`x @ end() / on (cluster, app) group_left y`, `max_over_time(sum(x)[5m:])`, `absent(x{cluster="a", app="q"})`, `absent_over_time(x{app="q"}[5m] @ 5)`,
		`(x{cluster="a"} or y) / x`, `timestamp(sum(x @ 5))`, `quantile(0.9, sum by (cluster) (x))`, `x unless on (region) y`, `sum without (region) (x) > 5`,
	} {
		e, err := parser.NewParser(parser.Options{}).ParseExpr(q)
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(e, cs, Window{1000000, 2000500, 15000}, Options{5 * time.Minute, time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(q, "   =>   ", p.Expr)
		for _, part := range p.Parts {
			t.Log("   ", part.Window)
			for _, q := range part.Queries {
				t.Log("      ", q.Cluster, q.Text, q.Labels, q.Foreign, q.Mint, q.Maxt)
			}
		}
	}
}
