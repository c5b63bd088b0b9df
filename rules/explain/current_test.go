package explain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
)

// cluster answers what it knows, never says anything about ALERTS, and fails
// to say how much traffic there is.
type cluster []promql.Sample

var _ explain.Querier = cluster(nil)

func (c cluster) Instant(ctx context.Context, query string, _ time.Time) (promql.Vector, annotations.Annotations, error) {
	switch {
	case strings.HasPrefix(query, "ALERTS"):
		<-ctx.Done()
		return nil, nil, fmt.Errorf("query %q: %w", query, ctx.Err())
	case strings.Contains(query, "sli_total"):
		return nil, nil, fmt.Errorf("query %q: %w", query, errors.New("too many samples"))
	case strings.Contains(query, "ratio_rate"):
		return promql.Vector(c), annotations.New().Add(errors.New("cluster \"us\" is missing")), nil
	}
	return nil, nil, nil
}

func TestWhatIsNotAnsweredInTimeIsSaid(t *testing.T) {
	e, err := explain.Of(parse(t, shop), nil, explain.Options{Now: onset})
	if err != nil {
		t.Fatal(err)
	}
	ratio := func(window string, value float64, more ...string) promql.Sample {
		return promql.Sample{F: value, Metric: labels.FromStrings(append(more, "__name__", "slo:sli_error:ratio_rate"+window, "slo", "availability", "service", "shop")...)}
	}
	c := cluster{ratio("5m", 0.5, "cluster", "eu", "path", "/"), ratio("1h", 0.1, "cluster", "eu", "path", "/"), ratio("5m", 0, "cluster", "asia", "path", "/")}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got := explain.Ask(t.Context(), c, e, onset, 3*time.Second)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %s", took)
		}
		want := explain.Current{
			At: onset,
			Standings: []explain.Standing{
				{Labels: map[string]string{"cluster": "asia", "path": "/"}, Ratios: map[string]float64{"5m": 0}},
				{Labels: map[string]string{"cluster": "eu", "path": "/"}, Ratios: map[string]float64{"5m": 0.5, "1h": 0.1}},
			},
			Missing: []string{"alerts: context deadline exceeded", `cluster "us" is missing`, "traffic: too many samples"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// In Berlin the clock goes back at three on 25 October 2026, so the night's
// exclusion of one at night is an hour longer from one to the next.
func TestExclusionsAndCalendars(t *testing.T) {
	s := parse(t, `  objective: 99.9
  window: {calendar: month, timezone: Europe/Berlin}
  exclusions:
    - {name: night, cron: 0 1 * * *, timezone: Europe/Berlin, duration: 2h}
    - {name: over, from: 2026-01-01T00:00:00Z, to: 2026-01-02T00:00:00Z}
  sli: {events: {errors: 'failures_total{app="shop"}', total: 'requests_total{app="shop"}'}}
`)
	at := time.Date(2026, 10, 24, 0, 30, 0, 0, time.UTC) // half past two in Berlin
	e, err := explain.Of(s, nil, explain.Options{Now: at})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range e.Exclusions {
		got = append(got, fmt.Sprint(x.Name, " now ", x.Now))
		for _, p := range x.Next {
			got = append(got, p.From.Format(time.RFC3339)+" "+p.To.UTC().Format(time.RFC3339))
		}
	}
	want := []string{
		"night now true",
		"2026-10-24T01:00:00+02:00 2026-10-24T01:00:00Z",
		"2026-10-25T01:00:00+02:00 2026-10-25T01:00:00Z",
		"2026-10-26T01:00:00+01:00 2026-10-26T02:00:00Z",
		"over now false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if u := e.Calendar; u.From.Format(time.RFC3339) != "2026-10-01T00:00:00+02:00" || u.To.Format(time.RFC3339) != "2026-11-01T00:00:00+01:00" {
		t.Errorf("%+v", u)
	}
}

func TestAComposite(t *testing.T) {
	one, two := parse(t, shop), parse(t, shop)
	one.Name, two.Name = "success", "latency"
	s := parse(t, "  objective: 99\n  sli: {composite: [{slo: shop/success, weight: 3}, {slo: shop/latency}]}\n")
	e, err := explain.Of(s, []slo.SLO{one, two, s}, explain.Options{Now: onset})
	if err != nil {
		t.Fatal(err)
	}
	want := []explain.Component{{SLO: "shop/success", Weight: "3", Share: "75", Known: true}, {SLO: "shop/latency", Weight: "1", Share: "25", Known: true}}
	if diff := cmp.Diff(want, e.Components); diff != "" {
		t.Error(diff)
	}
	if len(e.Records) < 4 || !strings.Contains(e.Records[0].Expr, "success") {
		t.Errorf("recorded as %+v", e.Records)
	}
	if got := explain.Ratios(s)[:3]; cmp.Diff([]float64{1, 0.75, 0.5}, got) != "" {
		t.Errorf("the larger component alone is no ratio: %v", got)
	}
}
