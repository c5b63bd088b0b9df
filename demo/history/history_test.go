package history

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/demo/traffic"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo/source"
)

var end = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

// written is a history that a Prometheus would serve.
type written struct {
	db      *tsdb.DB
	engine  *promql.Engine
	cluster traffic.Cluster
	truth   Truth
}

func write(t *testing.T, cluster string, days int, change ...func(*Config)) *written {
	t.Helper()
	_, c, err := traffic.Find(cluster)
	if err != nil {
		t.Fatal(err)
	}
	w := &written{engine: newEngine(), cluster: c}
	dir := t.TempDir()
	config := Config{Dir: dir, Cluster: c, Target: target, End: end, Days: days, Scrape: 5 * time.Second}
	for _, f := range change {
		f(&config)
	}
	w.truth, err = Write(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	w.db, err = tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.db.DisableCompactions()
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func target(app string) map[string]string {
	return map[string]string{"job": "shop", "instance": app + ":8080"}
}

// value asks for the one value of an expression at a time before or after
// the end.
func (w *written) value(t *testing.T, after time.Duration, expr string, args ...any) float64 {
	t.Helper()
	q, err := w.engine.NewInstantQuery(t.Context(), w.db, nil, fmt.Sprintf(expr, args...), end.Add(after))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	v, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	if len(v) != 1 {
		t.Fatalf("%s: %d results, want 1", fmt.Sprintf(expr, args...), len(v))
	}
	return v[0].F
}

func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*math.Abs(want) {
		t.Errorf("%s: %g, want %g within %g%%", what, got, want, 100*share)
	}
}

// In the last hour the history carries what the live load carries, so that a
// minute of it weighs the same in a ratio as a minute of the live load.
func TestLastHourIsTheLiveLoad(t *testing.T) {
	w := write(t, "tencent", 1)
	for _, app := range traffic.Apps() {
		near(t, app, w.value(t, 0, `sum(rate(http_requests_total{app=%q}[1h]))`, app), w.cluster.PerSecond(app), 0.02)
	}
	near(t, "latency of payments", w.value(t, 0, `histogram_quantile(0.5, sum by (le) (rate(http_server_requests_seconds_bucket{app="payment-service"}[1h])))`), 0.06, 0.2)
}

// The live servers count from zero again. The first scrape comes 25 s after
// the history's end and finds what was counted since: no request is lost, none
// is counted twice. (While a window begins within those 25 s, rate does not
// reach all the way back: 4% less for a moment, of errors as of the total.)
func TestSeamHasNoJump(t *testing.T) {
	w := write(t, "hangzhou", 1)
	perSecond := w.cluster.PerSecond(traffic.PaymentService)
	app := w.db.Appender(t.Context())
	for _, r := range w.cluster.Routes {
		k := newCounters(w.cluster, r, target(r.App), end)
		for at := 25 * time.Second; at <= 10*time.Minute; at += 5 * time.Second {
			k.good.value = r.PerSecond() * at.Seconds()
			if err := k.append(app, end.Add(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5*time.Minute + 10*time.Second, 10 * time.Minute} {
		near(t, fmt.Sprintf("rate %s after the seam", after), w.value(t, after, `sum(rate(http_requests_total{app="payment-service"}[5m]))`), perSecond, 0.05)
	}
}

// The past of recorded series is as long as rules look back, and as dense as
// they read it.
func TestBackfillRecordsWhatRulesLookBackOn(t *testing.T) {
	minute := model.Duration(time.Minute)
	past := []rulefmt.RuleGroup{{Name: "events", Interval: minute, Rules: []rulefmt.Rule{
		{Record: "dense", Expr: `sum(rate(http_requests_total{app="payment-service"}[5m]))`, Labels: map[string]string{"slo": "p"}},
		{Record: "sparse", Expr: `avg_over_time(dense[20m])`},
		{Record: "charted", Expr: `sparse * 2`},
		{Alert: "A", Expr: `last_over_time(sparse[5m] offset 6h) > 1`},
	}}}
	present := []rulefmt.RuleGroup{{Name: "events", Interval: minute / 6, Rules: []rulefmt.Rule{
		{Record: "dense", Expr: `1`},
		{Record: "burst", Expr: `sum(rate(http_requests_total{app="payment-service"}[20s]))`},
		{Alert: "B", Expr: `sum_over_time(burst[30m] offset 5m) > 1`},
	}}}
	w := write(t, "beijing", 2, func(c *Config) { c.Past, c.Groups, c.Charts = past, present, []string{"charted"} })
	for _, c := range []struct {
		expr     string
		min, max float64
	}{
		{`count_over_time(sparse{slo="p"}[6h])`, 91, 91},       // each 4 minutes, and the end
		{`count_over_time(charted[1d])`, 361, 361},             // longer than any rule looks
		{`count_over_time(dense[1d])`, 1440, 1440},             // each minute, for the chart
		{`count_over_time(burst[1d])`, 40*6 - 1, 40*6 + 1},     // each 10 seconds, for 35 minutes and a look-back
		{`count_over_time(burst[35m]) / (35 * 6)`, 0.99, 1.01}, // without a hole
		{`avg_over_time(sparse[1h]) / avg_over_time(dense[1h])`, 0.97, 1.03},
	} {
		if n := w.value(t, -time.Millisecond, "%s", c.expr); n < c.min || n > c.max {
			t.Errorf("%s: %g, want %g to %g", c.expr, n, c.min, c.max)
		}
	}
}

// With the real rules of the example: what the series say of 30 days is what
// was counted while they were written, and when Prometheus starts, every SLO
// has its windows and that budget, and nothing fires.
func TestRulesFindTheirPast(t *testing.T) {
	slos, err := source.Load([]string{"../../examples/shop/slo/payment.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	compile := func(interval, scrape time.Duration) []rulefmt.RuleGroup {
		set, err := rules.Compile(slos, rules.Options{Interval: interval, ScrapeInterval: scrape})
		if err != nil {
			t.Fatal(err)
		}
		return set.Groups()
	}
	groups := compile(10*time.Second, 5*time.Second)
	const left = "slo:period_error_budget_remaining:ratio"
	w := write(t, "hangzhou", 31, func(c *Config) {
		c.Groups, c.Past, c.Charts = groups, compile(Coarse, Coarse), []string{left}
	})
	for _, s := range slos {
		objective, err := strconv.ParseFloat(s.Objective.String(), 64)
		if err != nil {
			t.Fatal(err)
		}
		total, failed := w.truth.Total[s.Service], w.truth.Errors[s.Service]
		near(t, s.ID()+": requests", w.value(t, 0, `sum(increase(http_requests_total{app=%q}[30d]))`, s.Service), total, 1e-3)
		near(t, s.ID()+": errors", w.value(t, 0, `sum(increase(http_requests_total{app=%q,status=~"5.."}[30d]))`, s.Service), failed, 1e-3)
		want := 1 - failed/total/(1-objective/100)
		near(t, s.ID()+": budget left", w.value(t, 0, left+`{slo=%q}`, s.Name), want, 0.02)
		if n := w.value(t, 0, `count_over_time(`+left+`{slo=%q}[30d])`, s.Name); n < 10_790 {
			t.Errorf("%s: %g points of its budget in 30 days, want one each 4 minutes", s.ID(), n)
		}
		if n := w.value(t, 0, `count_over_time({__name__=~"slo:sli_total:rate[0-9]+s",slo=%q}[55m])`, s.Name); n < 329 {
			t.Errorf("%s: %g of 330 bursts", s.ID(), n)
		}
	}
	near(t, "budget left of payments", w.value(t, 0, left+`{service="payment-service"}`), 0.62, 0.02)
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" && r.Alert != "Watchdog" && w.value(t, 0, `count(%s) or vector(0)`, r.Expr) != 0 {
				t.Errorf("alert %s %v fires when Prometheus starts", r.Alert, r.Labels)
			}
			if strings.HasPrefix(r.Record, "slo:burn") {
				continue // is there only while a budget burns
			}
			if r.Record != "" && w.value(t, 30*time.Second, `count(%s) or vector(0)`, r.Record) == 0 {
				t.Errorf("%s has no value for Prometheus' first evaluations", r.Record)
			}
		}
	}
}

func TestSwingNeverFallsBelowTheLiveLoad(t *testing.T) {
	most := 0.0
	for back := time.Duration(0); back < 31*24*time.Hour; back += 7 * time.Minute {
		v := swing(end.Add(-back), end)
		if v < 1 || (back < time.Hour && v != 1) {
			t.Fatalf("%s before the end: %g times the live load", back, v)
		}
		most = max(most, v)
	}
	near(t, "the busiest hour", most, 4, 0.01)
}
