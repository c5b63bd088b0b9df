package app

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"
)

// Of the week's events 0.5% failed in hangzhou and 0.1% in beijing, where 0.1%
// may: a budget of 30 days burnt 5 times as fast as allowed for 7 of them.
func TestSpentIsTheShareOfTheBudgetThatASpanTook(t *testing.T) {
	storage := promqltest.LoadedStorage(t, `load 5m
		slo:sli_errors:rate1d{service="pay",slo="avail",cluster="hangzhou"} 0.5x3000
		slo:sli_total:rate1d{service="pay",slo="avail",cluster="hangzhou"} 100x3000
		slo:sli_errors:rate1d{service="pay",slo="avail",cluster="beijing"} 1x3000
		slo:sli_total:rate1d{service="pay",slo="avail",cluster="beijing"} 1000x3000
		slo:error_budget:ratio{service="pay",slo="avail",cluster="hangzhou"} 0.001x3000
		slo:error_budget:ratio{service="pay",slo="avail",cluster="beijing"} 0.001x3000
		slo:time_period:days{service="pay",slo="avail",cluster="hangzhou"} 30x3000
		slo:time_period:days{service="pay",slo="avail",cluster="beijing"} 30x3000
		slo:sli_errors:rate1d{service="idle",slo="avail",cluster="beijing"} 0x3000
		slo:sli_total:rate1d{service="idle",slo="avail",cluster="beijing"} 0x3000`)
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 1e6)
	q, err := engine.NewInstantQuery(t.Context(), storage, nil, spentQuery(7*24*time.Hour), time.Unix(0, 0).Add(9*24*time.Hour+7*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	v, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	if want := 5 * 7.0 / 30; len(v) != 1 || v[0].Metric.Get("service") != "pay" || math.Abs(v[0].F-want) > 1e-9 {
		t.Errorf("spent %v, want %g of pay alone", v, want)
	}
}
