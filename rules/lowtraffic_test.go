package rules_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// requests counts one event at each of some moments.
func requests(at ...time.Duration) func(float64) float64 {
	return func(s float64) float64 {
		n := 0.0
		for _, moment := range at {
			if s >= moment.Seconds() {
				n++
			}
		}
		return n
	}
}

// In a quiet hour, one failed request of one wakes nobody and three of ten do,
// unless the SLO says otherwise.
func TestLowTraffic(t *testing.T) {
	t.Parallel()
	const begin = 6 * hour
	var ten, three []time.Duration
	for i := range 10 {
		ten = append(ten, begin+time.Duration(i)*2*minute)
	}
	three = ten[7:]
	lone := []time.Duration{begin + 5*minute}
	for _, c := range []struct {
		name, spec string
		all, bad   []time.Duration
		pages      bool
	}{
		{"lone", "", lone, lone, false},
		{"pair", "", ten, ten[8:], false},
		{"three", "", ten, three, true},
		{"nervous", "  alerts: {low_traffic: {min_failures: 1, confidence: 0}}\n", lone, lone, true},
		{"off", "  alerts: {low_traffic: {min_failures: 0, confidence: 0}}\n", lone, lone, true},
		{"calm", "  alerts: {low_traffic: {min_failures: 4}}\n", ten, three, false},
		{"sure", "  alerts: {low_traffic: {confidence: 99.9999}}\n", ten, three, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			other := availability(t, "other", "99.9", nil) // has the usual certainty
			w := newWorld(t, compile(t, rules.Options{}, written(t, c.name, "99.9", "", c.spec), other))
			w.scrape(`requests_total{app="`+c.name+`"}`, 0, 8*hour, scrape, requests(c.all...))
			w.scrape(`failures_total{app="`+c.name+`"}`, 0, 8*hour, scrape, requests(c.bad...))
			w.scrape(`requests_total{app="other"}`, 0, 8*hour, scrape, requests(lone...))
			w.scrape(`failures_total{app="other"}`, 0, 8*hour, scrape, requests(lone...))
			w.replay(0, begin)
			w.live(begin + 40*minute)
			woken := 0
			for _, f := range w.fired {
				if f.slo == "other" {
					t.Errorf("one failed request of another SLO wakes: %v", f)
				}
				if f.severity == "P1" || f.severity == "P2" {
					woken++
				}
			}
			if (woken > 0) != c.pages {
				t.Errorf("want pages: %v, got %v", c.pages, w.fired)
			}
		})
	}
}

// chance returns how likely it is that k or more of n events fail when each
// does with probability p.
func chance(n, k int, p float64) float64 {
	log := func(k int) float64 {
		a, _ := math.Lgamma(float64(n) + 1)
		b, _ := math.Lgamma(float64(k) + 1)
		c, _ := math.Lgamma(float64(n-k) + 1)
		return a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p)
	}
	sum := 0.0
	for i := k; i <= n; i++ {
		term := math.Exp(log(i))
		sum += term
		if float64(i) > float64(n)*p && term < sum*1e-15 {
			break
		}
	}
	return sum
}

// An SLO that fails just as much as its objective allows fires its most
// cautious tier by chance less often than its confidence leaves, whatever the
// traffic: the smallest number of failures that fires, found by the rule
// itself, is that unlikely (exact binomial). And it is no more than twice as
// far from what is expected as it must be.
func TestLowTrafficIsNotChance(t *testing.T) {
	t.Parallel()
	const window = 72 * 3600
	for _, confidence := range []string{"95", "99.9", "99.99"} {
		for _, objective := range []string{"99.9", "99", "95"} {
			s := written(t, "a", objective, "", "  alerts: {low_traffic: {confidence: "+confidence+"}}\n")
			w := newWorld(t, compile(t, rules.Options{}, s))
			budget, _ := s.ErrorBudget().Float64()
			w.until = epoch
			w.live(2 * minute) // the parameters
			allowed := 1 - s.Alerts.Confidence.Float64()/100
			worst, tried := 0.0, 0
			for _, n := range []int{3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10_000, 30_000, 100_000} {
				expected := float64(n) * budget
				if expected > 3000 {
					continue
				}
				least := w.leastFailures(s, n, window)
				if least > n {
					continue // however many fail: too few to tell
				}
				tried++
				got := chance(n, least, budget)
				worst = max(worst, got)
				if got > allowed {
					t.Errorf("confidence %s, objective %s: %d of %d fire, which happens by chance with %.5f", confidence, objective, least, n, got)
				}
				needed := least
				for needed > slo.DefaultMinFailures && chance(n, needed-1, budget) <= allowed {
					needed--
				}
				if float64(least)-expected > 2*(float64(needed)-expected)+2 {
					t.Errorf("confidence %s, objective %s: of %d, %d must fail where %d would do", confidence, objective, n, least, needed)
				}
			}
			if tried < 8 {
				t.Errorf("confidence %s, objective %s: only %d of the sizes fire at all", confidence, objective, tried)
			}
			t.Logf("confidence %s, objective %s: at most %.5f of %.5f", confidence, objective, worst, allowed)
		}
	}
}

// leastFailures returns how many of n events over the windows of the slowest
// tier must fail for it to burn, more than n if it never does: as many
// candidates as that takes are series of their own, told apart by a label.
func (w *world) leastFailures(s slo.SLO, n int, seconds float64) int {
	w.t.Helper()
	budget, _ := s.ErrorBudget().Float64()
	expected := float64(n) * budget
	from := max(1, int(expected))
	to := min(n, int(expected+8*math.Sqrt(expected)+20))
	const at = 4 * minute
	for k := from; k <= to; k++ {
		ls := fmt.Sprintf(`{slo="%s",service="%s",k="%06d",n="%d"}`, s.Name, s.Service, k, n)
		for name, events := range map[string]int{"errors": k, "total": n} {
			for _, d := range []string{"3d", "6h"} {
				w.scrape("slo:sli_"+name+":rate"+d+ls, at, at, minute, func(float64) float64 { return float64(events) / seconds })
			}
		}
	}
	const tier = "3d6h"
	for _, v := range w.ask(at, burnExpr(w.t, w.set, "slo:burn_candidate:ratio", tier)) {
		ls := labels.NewBuilder(v.Metric).Set("__name__", "slo:burn_candidate:ratio").Set("tier", tier).Labels()
		w.scrape(ls.String(), at, at, minute, func(float64) float64 { return v.F })
	}
	least := to + 1
	for _, v := range w.ask(at, burnExpr(w.t, w.set, "slo:burn:ratio", tier)) {
		if v.Metric.Get("n") == fmt.Sprint(n) {
			var k int
			_, _ = fmt.Sscan(trimZeros(v.Metric.Get("k")), &k)
			least = min(least, k)
		}
	}
	return least
}

func trimZeros(s string) string {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return s
}

// burnExpr returns the expression of a series that says where a tier burns.
func burnExpr(t *testing.T, set rules.Set, series, tier string) string {
	t.Helper()
	for _, g := range set.Groups() {
		for _, r := range g.Rules {
			if r.Record == series && r.Labels["tier"] == tier {
				return r.Expr
			}
		}
	}
	t.Fatalf("no %s of tier %s", series, tier)
	return ""
}
