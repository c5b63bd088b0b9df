package plan

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// found are queries whose plans once gave another answer than one Prometheus:
// why, and what they are.
var found = []struct{ why, query string }{
	{"storage reorders the matchers that absent sees", `absent(hist{app!~"c|a",app="c|a"})`},
	{"a subquery shorter than its step evaluates nothing", `quantile_over_time(5, ((both{cluster="b"} @ 1700000387.109) > time())[999ms:])`},
	{"nor does what is in it", `predict_linear((present_over_time((((hist{}) + scalar(vector(Inf))) > (2 / -3))[2m30s:7s] offset -15s))[999ms:30s], 5)`},
	{"and once more, where nothing changes", `stddev_over_time((1e3 - (both{cluster!~"a"} @ 1700000376.914))[999ms:1m])`},
	{"duplicates of a one side that no other cluster's many side meets", `load > on (cluster, app) group_right limit{cluster!~"c|a"}`},
	{"what is left after pruning is a selector, of which timestamp gives the samples' times", `-timestamp({__name__="load",app!="user"} unless {__name__="dur_bucket",region="x"})`},
	{"a subquery with @ under a function of the step is evaluated beyond what is selected", `predict_linear((histogram_quantile(0.9, dur_bucket))[1m:30s] @ 1700000916.635, time())`},
	{"the side that is not asked would have warned", `acosh({__name__="limit",cluster=~".*b"} offset 3m2s and delta({__name__="hist"}[5m]))`},
	{"where an argument begins after pruning", `histogram_quantile(0.5, (hist{cluster=~"a"} offset 5m) or ignoring () (load{cluster!~"b"}))`},
	{"labels of their own hidden by a filter", `(quantile by (cluster, replica) (0, limit or on (cluster, app) (limit % NaN))) > 0`},
	{"and by what becomes one", `absent_over_time((label_replace(limit{cluster=~"a"}, "app", "x", "pod", "(.*)"))[5m:] offset 5m)`},
	{"the last bit of a sum is a label", `count_values without (region) ("value", sum by (replica, status, pod) (atan(req_total)))`},
	{"where a subquery is annotated", `rate({__name__="limit",cluster="a"} @ end()[1h:1m] @ 1700000661.289) + {__name__="limit",cluster!~".*"}`},
	{"one annotation for one text", `histogram_quantile(0.9, histogram_quantile(0.9, req_total) unless on (app) (hist + on (cluster, app) group_right () histogram_quantile(0.9, req_total)))`},
	{"names that a quotient loses", `avg by (__name__, app) ({__name__=~"load|limit"})`},
	{"a start that is around the subquery too", `max_over_time((sum(load @ 1700000387.109))[5m:1m] offset -5m)`},
}

func TestFound(t *testing.T) {
	for name, clusters := range fleets {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				o := newOracle(t, seed, clusters...)
				g := &grammar{rand.New(rand.NewPCG(seed, 0))}
				for _, f := range found {
					t.Run(fmt.Sprint(seed, " ", f.why), func(t *testing.T) {
						for range 8 {
							o.check(t, f.query, g.window())
						}
					})
				}
			}
		})
	}
}
