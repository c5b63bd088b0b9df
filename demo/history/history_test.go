package history

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

var end = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

// written is a history that a Prometheus would serve.
type written struct {
	db      *tsdb.DB
	engine  *promql.Engine
	cluster traffic.Cluster
	truth   Truth
}

func write(t *testing.T, cluster string, days int, groups ...rulefmt.RuleGroup) *written {
	t.Helper()
	c, err := traffic.Find(cluster)
	if err != nil {
		t.Fatal(err)
	}
	w := &written{engine: newEngine(), cluster: c}
	dir := t.TempDir()
	w.truth, err = Write(t.Context(), Config{
		Dir: dir, Cluster: c, Target: target, End: end, Days: days, Scrape: 5 * time.Second, Groups: groups,
	})
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

// What the series say of 30 days is what was counted while they were written,
// and the incidents of the past have left the budget that they should.
func TestThirtyDaysAreTrue(t *testing.T) {
	w := write(t, "hangzhou", 31)
	for app, total := range w.truth.Total {
		near(t, app+": requests", w.value(t, 0, `sum(increase(http_requests_total{app=%q}[30d]))`, app), total, 1e-3)
		near(t, app+": errors", w.value(t, 0, `sum(increase(http_requests_total{app=%q,status=~"5.."}[30d]))`, app), w.truth.Errors[app], 1e-3)
	}
	const pay = traffic.PaymentService
	left := 1 - w.truth.Errors[pay]/w.truth.Total[pay]/(1-0.9995)
	near(t, "budget left of payments", left, 0.62, 0.02)
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

// The backfill records what a Prometheus that had run all the time would
// have: each series as far back as another looks, at its own interval.
func TestBackfillRecordsWhatRulesLookBackOn(t *testing.T) {
	minute := model.Duration(time.Minute)
	w := write(t, "beijing", 2, rulefmt.RuleGroup{Name: "fast", Interval: minute, Rules: []rulefmt.Rule{
		{Record: "total:rate5m", Expr: `sum(rate(http_requests_total{app="payment-service"}[5m]))`, Labels: map[string]string{"slo": "p"}},
		{Record: "unread", Expr: `vector(1)`},
	}}, rulefmt.RuleGroup{Name: "slow", Interval: 5 * minute, Rules: []rulefmt.Rule{
		{Record: "total:mean5m", Expr: `avg_over_time(total:rate5m[5m])`},
		{Alert: "A", Expr: `sum_over_time(total:mean5m[6h]) > 1 and total:rate5m offset 1h > 0`},
	}})
	if n := w.value(t, -time.Second, `count_over_time(total:mean5m{slo="p"}[6h])`); n != 72 {
		t.Errorf("5-minute means of 6 hours: %g, want 72", n)
	}
	if n := w.value(t, -time.Second, `count_over_time(total:rate5m[1d])`); n < 6*60+10 || n > 6*60+20 {
		t.Errorf("minutes recorded: %g, want those of 6h10m, and of a look-back more at most", n)
	}
	near(t, "mean of the last hour", w.value(t, -time.Second, `avg_over_time(total:mean5m[1h])`), w.cluster.PerSecond(traffic.PaymentService), 0.02)
	if n := w.value(t, 0, `count({__name__="unread"}) or vector(0)`); n != 0 {
		t.Error("a series that nothing looks back on has a past")
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
