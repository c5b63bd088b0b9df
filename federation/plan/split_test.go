package plan

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

func sentQuery(t *testing.T, text string) Query {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Fatal(err)
	}
	return Query{Text: text, sent: expr}
}

func TestSplits(t *testing.T) {
	for text, want := range map[string]bool{
		`rate(x[5m])`:                                                         true,
		`rate({__name__=~"x|y"}[5m])`:                                         false,
		`rate({job="a"}[5m])`:                                                 false,
		`last_over_time({job="a"}[5m])`:                                       true,
		`{job="a"}`:                                                           true,
		`abs({job="a"})`:                                                      true, // at each step by itself
		`max_over_time({job="a"}[5m:1m])`:                                     false,
		`max_over_time(sum by (job) ({job="a"})[5m:])`:                        true,
		`max_over_time(sum by (__name__) (x)[5m:])`:                           true,
		`max_over_time(topk(2, {job="a"})[5m:])`:                              false,
		`max_over_time((x or x{a="b"})[5m:])`:                                 true,
		`max_over_time((x or y)[5m:])`:                                        false,
		`max_over_time((x or -y)[5m:])`:                                       false,
		`max_over_time((-x or -y)[5m:])`:                                      true,
		`max_over_time((x and y)[5m:])`:                                       true,
		`max_over_time((x > 1)[5m:])`:                                         true,
		`max_over_time((1 < {job="a"})[5m:])`:                                 false,
		`max_over_time((x > bool y)[5m:])`:                                    true,
		`max_over_time((x > y)[5m:])`:                                         false,
		`max_over_time((x * y)[5m:])`:                                         true,
		`max_over_time((x * on (a) group_left (__name__) y)[5m:])`:            false,
		`max_over_time(label_replace(x, "__name__", "$1", "a", "(.*)")[5m:])`: false,
		`sum(max_over_time(count_values("v", x)[5m:]))`:                       false,
		`max_over_time(sort(x)[5m:])`:                                         true,
		`max_over_time(vector(1)[5m:])`:                                       true,
	} {
		q := sentQuery(t, text)
		if got := q.Splits(); got != want {
			t.Errorf("%s: it is %v that it splits", text, got)
		}
	}
}

func TestNewest(t *testing.T) {
	const now = 1_000_000
	for text, want := range map[string]time.Duration{
		`x`: 0, `rate(x[5m])`: 0, `x offset 3m`: -3 * time.Minute, `x offset -3m`: 3 * time.Minute, `x + y offset -1m`: time.Minute,
		`x @ 990`: -10 * time.Second, `rate(x[1m] @ 2000 offset 1m)`: 940 * time.Second, `max_over_time(x[5m:1m] offset -2m)`: 2 * time.Minute,
		`max_over_time((x offset -1m)[5m:1m] offset -2m)`: 3 * time.Minute, `x @ 990 + y`: 0,
	} {
		q := sentQuery(t, text)
		if got := time.Duration(q.Newest(now)-now) * time.Millisecond; got != want {
			t.Errorf("%s reads up to %s after it is evaluated, want %s", text, got, want)
		}
	}
}
