package rules_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// slothQueries have the form of those of Sloth's dashboards 14348 (SLO /
// Detail) and 14643 (High level Sloth SLOs), as they reach Prometheus for the
// SLO a of shop, by what they show.
var slothQueries = map[string]string{
	"services":         `group by (sloth_service) (sloth_slo_info)`,
	"objective":        `slo:objective:ratio{sloth_service="shop", sloth_slo="a"}`,
	"SLI":              `1 - (max(slo:sli_error:ratio_rate5m{sloth_service="shop", sloth_slo="a"}) OR on() vector(0))`,
	"burn rate":        `slo:current_burn_rate:ratio{sloth_service="shop", sloth_slo="a"}`,
	"budget over days": `slo:period_error_budget_remaining:ratio{sloth_service="shop", sloth_slo="a"} or on() vector(1)`,
	"budget of the month": `1 - (
		sum_over_time((slo:sli_error:ratio_rate1h{sloth_service="shop", sloth_slo="a"} * on() group_left() (month() == bool vector(1)))[32d:1h])
		/ on(sloth_service, sloth_slo)
		(slo:error_budget:ratio{sloth_service="shop", sloth_slo="a"} * on() group_left() (24 * days_in_month()))
	)`,
	"over budget":   `count(slo:period_burn_rate:ratio{sloth_service=~"shop"} > 1) or on() vector(0)`,
	"SLI by window": `slo:sli_error:ratio_rate1h{sloth_window="1h", sloth_id="shop-a"}`,
}

func TestSlothDashboardsReadTheSeries(t *testing.T) {
	set, err := compile(t, rules.Options{}, availability(t, "a", "99.95", nil)).ForSloth()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, set)
	const end = 3 * time.Hour
	w.scrape(`requests_total{app="a"}`, 0, end, 15*time.Second, steady(100))
	w.scrape(`failures_total{app="a"}`, 0, end, 15*time.Second, steady(10))
	w.live(end)
	for what, query := range slothQueries {
		if got := w.ask(end, query); len(got) != 1 {
			t.Errorf("%s: %d series, want one: %v", what, len(got), got)
		}
	}
	near(t, "objective", w.value(end, slothQueries["objective"]), 0.9995, 1e-9)
	near(t, "SLI", w.value(end, slothQueries["SLI"]), 0.9, 1e-3)
	near(t, "burn rate", w.value(end, slothQueries["burn rate"]), 0.1/0.0005, 1e-3)
	info := w.ask(end, `sloth_slo_info`)[0].Metric
	want := labels.FromStrings("__name__", "sloth_slo_info", "service", "shop", "slo", "a", "sloth_id", "shop-a", "sloth_mode", "midwatch", "sloth_objective", "99.95",
		"sloth_service", "shop", "sloth_slo", "a", "sloth_spec", "midwatch.dev/v1", "sloth_version", "midwatch")
	if !labels.Equal(info, want) {
		t.Errorf("the info is %s, want %s", info, want)
	}
}

// The dashboards count alerts by these labels too.
func TestAlertsHaveSlothsLabels(t *testing.T) {
	set, err := compile(t, rules.Options{}, availability(t, "a", "99.95", func(s *slo.SLO) { s.Critical = true })).ForSloth()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, g := range set.Groups() {
		for _, r := range g.Rules {
			if r.Alert == "SLOErrorBudgetBurn" {
				got[r.Labels["severity"]] = r.Labels["sloth_severity"] + " " + r.Labels["sloth_id"] + " " + r.Labels["sloth_service"] + " " + r.Labels["sloth_slo"]
			}
		}
	}
	const rest = " {{ $labels.service }}-{{ $labels.slo }} {{ $labels.service }} {{ $labels.slo }}"
	if want := map[string]string{"P1": "page" + rest, "P2": "page" + rest, "P3": "ticket" + rest}; !cmp.Equal(want, got) {
		t.Error(cmp.Diff(want, got))
	}
}

// What our own rules and alerts read is as without Sloth's labels.
func TestSlothLabelsChangeNothingElse(t *testing.T) {
	plain := compile(t, rules.Options{}, availability(t, "a", "99.95", nil))
	with, err := plain.ForSloth()
	if err != nil {
		t.Fatal(err)
	}
	texts := func(s rules.Set) map[string]string {
		out := map[string]string{}
		for _, g := range s.Groups() {
			for _, r := range g.Rules {
				out[r.Record+r.Alert+r.Labels["tier"]+r.Labels["severity"]] = r.Expr
			}
		}
		return out
	}
	before, after := texts(plain), texts(with)
	changed := map[string]bool{}
	for name, expr := range after {
		if before[name] != expr {
			changed[name] = true
		}
		delete(before, name)
	}
	want := map[string]bool{"sloth_slo_info": true}
	for _, w := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"} {
		want["slo:sli_error:ratio_rate"+w] = true
	}
	for _, m := range []string{"objective:ratio", "error_budget:ratio", "time_period:days", "current_burn_rate:ratio", "period_burn_rate:ratio", "period_error_budget_remaining:ratio"} {
		want["slo:"+m] = true
	}
	if diff := cmp.Diff(want, changed); diff != "" || len(before) > 0 {
		t.Error(diff, fmt.Sprint(before))
	}
}
