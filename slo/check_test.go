package slo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/slo"
)

// kinds returns the SLOs of the files that have one of each kind, by name.
func kinds(t *testing.T) map[string]slo.SLO {
	t.Helper()
	byName := map[string]slo.SLO{}
	for _, file := range glob(t, "kinds/*.yaml") {
		for _, s := range parseFile(t, file) {
			byName[s.Name] = s
		}
	}
	return byName
}

func glob(t testing.TB, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files: %v", pattern, len(files), err)
		}
		all = append(all, files...)
	}
	return all
}

func decimal(text string) slo.Decimal {
	d, err := slo.ParseDecimal(text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestEveryKindOfSLI(t *testing.T) {
	got := map[string]slo.SLI{}
	for name, s := range kinds(t) {
		got[name] = s.SLI
	}
	events := slo.SLI{Events: &slo.Events{Errors: `http_requests_total{app="shop",status=~"5.."}`, Total: `http_requests_total{app="shop"}`}}
	want := map[string]slo.SLI{
		"checkout-latency": {Latency: &slo.Latency{Histogram: `http_request_duration_seconds{app="shop",path="/checkout"}`, Threshold: decimal("0.3")}},
		"search-latency":   {Latency: &slo.Latency{Histogram: `rpc_duration_milliseconds{app="search"}`, Native: true, Threshold: decimal("250.50")}},
		"uptime":           {Gauge: &slo.Gauge{Expr: `up{job="shop"}`}},
		"freshness":        {Gauge: &slo.Gauge{Expr: `time() - max by (table) (last_import_timestamp_seconds{job="reports"})`, Op: "<=", Threshold: "7200"}},
		"temperature":      {Gauge: &slo.Gauge{Expr: `sensor_celsius{hall="1"}`, Op: ">", Threshold: "-1.5e1"}},
		"orders": {PromQL: &slo.PromQL{
			Errors: "sum(rate(orders_failed_total{app=\"shop\"}[$window]))\n  + sum(rate(orders_lost_total{app=\"shop\"}[$window]))",
			Total:  `sum(rate(orders_total{app="shop"}[$window]))`, Unit: slo.PerSecond,
		}},
		"batches": {PromQL: &slo.PromQL{
			Good:  `sum(increase(batches_total{result="ok"}[$window]))`,
			Total: `sum(count_over_time(batch_size{app="shop"}[$window:1m] offset 1m))`, Unit: slo.PerWindow,
		}},
		"deltas": {PromQL: &slo.PromQL{
			Errors: `sum(delta(failures{app="shop"}[$window]))`,
			Total:  `sum(delta(calls{app="shop"}[$window]))`, Unit: slo.PerWindow,
		}},
		"recorded": {Ratio: &slo.Ratio{Errors: `job:http_errors:ratio5m{job="shop"}`}},
		"probes": {Ratio: &slo.Ratio{
			Good:  `avg(avg_over_time(probe_success{job="shop"}[$window]))`,
			Total: `sum(rate(probe_duration_seconds_count{job="shop"}[$window]))`,
		}},
		"imports": {Logs: &slo.LogEvents{
			Errors: "{namespace=\"prod\", app=\"import\"} |= \"import\" | json | (status >= 500 or level=`error`) != \"}\\\"\"",
			Total:  `{namespace="prod", app="import"} |= "import" | json`,
		}},
		"journey":    {Composite: []slo.Component{{Service: "shop", Name: "uptime", Weight: decimal("2")}, {Service: "shop", Name: "orders", Weight: decimal("1")}}},
		"everything": events,
		"defaults":   {Events: &slo.Events{Good: `http_requests_total{app="shop",status!~"5.."}`, Total: `http_requests_total{app="shop"}`}},
	}
	if diff := cmp.Diff(want, got, exactly); diff != "" {
		t.Error(diff)
	}
}

// tier writes a tier as one line.
func tier(t slo.Tier) string {
	if t.Outage {
		return fmt.Sprintf("%s outage %s/%s", t.Name, t.Severity, t.Critical)
	}
	line := fmt.Sprintf("%s %s %s/%s", t.Name, t.Factor.RatString(), t.Severity, t.Critical)
	if t.For != 0 {
		line += " for " + t.For.String()
	}
	return line
}

func tiers(p slo.Policy) (lines []string) {
	for _, t := range p.Tiers {
		lines = append(lines, tier(t))
	}
	return lines
}

func TestEveryFieldOfAPolicy(t *testing.T) {
	s := kinds(t)["everything"]
	// 5% of 28 days within 6 hours: 0.05 × 672h / 6h = 5.6.
	want := []string{"5m1m outage P2/P1", "1h5m 72/5 P2/P1", "6h30m 28/5 P2/P2 for 2m0s", "3d6h 1 Info/Info"}
	if diff := cmp.Diff(want, tiers(s.Alerts)); diff != "" {
		t.Error(diff)
	}
	s.Alerts.Tiers = nil
	policy := slo.Policy{
		BudgetSpent: []slo.BudgetSpent{{Percent: decimal("50"), Severity: "P3"}, {Percent: decimal("75"), Severity: "P3"}, {Percent: decimal("100"), Severity: "P3"}},
		NoData:      &slo.NoData{After: 15 * time.Minute, Severity: "P2"},
		MinFailures: 10, Confidence: decimal("99"),
		Page:   slo.Extra{Labels: map[string]string{"channel": "wecom"}, Annotations: map[string]string{"say": "Look at the payment gateway first."}},
		Ticket: slo.Extra{Labels: map[string]string{"channel": "email"}},
	}
	if diff := cmp.Diff(policy, s.Alerts, exactly); diff != "" {
		t.Error(diff)
	}
	exclusions := []slo.Exclusion{
		{Name: "database upgrade", From: time.Date(2026, 12, 24, 14, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 24, 20, 0, 0, 0, time.UTC)},
		{Name: "weekly", Cron: "0 2 * * 0", Zone: location(t, "Asia/Shanghai"), Duration: 2 * time.Hour},
		{Name: "yearly", Cron: "@yearly", Zone: time.UTC, Duration: 24 * time.Hour},
	}
	if diff := cmp.Diff(exclusions, s.Exclusions, exactly); diff != "" {
		t.Error(diff)
	}
	if s.Owner != "jane@example.com" || s.Team != "payments" || len(s.Links) != 1 || len(s.Annotations) != 2 {
		t.Errorf("owner %q, team %q, links %v, annotations %v", s.Owner, s.Team, s.Links, s.Annotations)
	}
}

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// What a file leaves out is the default that the manual names.
func TestDefaults(t *testing.T) {
	s := kinds(t)["defaults"]
	if p := s.Alerts; p.NoData == nil || *p.NoData != (slo.NoData{After: 10 * time.Minute, Severity: "P3"}) || p.MinFailures != 0 || p.Confidence.String() != "0" || p.Preset != slo.PresetWorkbook {
		t.Errorf("%+v", p)
	}
	s = kinds(t)["uptime"]
	if p := s.Alerts; p.NoData != nil || p.MinFailures != 3 || p.Confidence.String() != "99.9" || s.Window.String() != "30d" {
		t.Errorf("%+v, window %s", p, s.Window)
	}
	if s := kinds(t)["recorded"]; s.Scope != slo.ScopeCluster || s.Slices != nil {
		t.Errorf("scope %s, slices %v", s.Scope, s.Slices)
	}
}

// The preset scaled, for a week and for the workbook's own 30 days.
func TestScaledTiers(t *testing.T) {
	for window, want := range map[string][]string{
		// By hand: 14m becomes 15m, and 0.02 × 10080m / 15m = 13.44;
		// 84m becomes 85m: 0.05 × 10080 / 85; 336m becomes 335m; 1008m becomes 1010m.
		"7d":  {"15m5m 336/25 P2/P1", "1h25m7m 504/85 P2/P2", "5h35m28m 1008/335 P3/P3", "16h50m1h24m 504/505 P3/P3"},
		"30d": {"1h5m 72/5 P2/P1", "6h30m 6 P2/P2", "1d2h 3 P3/P3", "3d6h 1 P3/P3"},
		"2d":  {"15m5m 96/25 P2/P1", "25m5m 144/25 P2/P2", "1h35m8m 288/95 P3/P3", "4h50m24m 144/145 P3/P3"},
	} {
		w, err := slo.ParseWindow(window)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, tiers(slo.Policy{Tiers: slo.ScaledTiers(w)})); diff != "" {
			t.Errorf("%s: %s", window, diff)
		}
	}
	if got := tiers(kinds(t)["checkout-latency"].Alerts); got[0] != "15m5m 336/25 P2/P1" {
		t.Errorf("a file with the preset: %v", got)
	}
}

// Each tier of the preset scaled spends the share that its model spends of 30
// days, whatever the window.
func TestScaledTiersSpendTheSameShare(t *testing.T) {
	for hours := 48; hours <= 400*24; hours += 7 {
		w, err := slo.ParseWindow(fmt.Sprintf("%dh", hours))
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for i, tier := range slo.ScaledTiers(w) {
			if got, want := tier.Share(w).RatString(), []string{"1/50", "1/20", "1/10", "1/10"}[i]; got != want {
				t.Fatalf("%dh: tier %s spends %s, want %s", hours, tier.Name, got, want)
			}
			if names[tier.Name] || tier.Short >= tier.Long || tier.Long > w.Duration() {
				t.Fatalf("%dh: tier %s", hours, tier.Name)
			}
			names[tier.Name] = true
		}
	}
}

// A document that is written out is read again as the same SLO.
func TestDocumentsSurviveWriting(t *testing.T) {
	for _, file := range glob(t, "valid/*.yaml", "valid/more/*.yml", "kinds/*.yaml") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := yamldoc.Parse(file, content)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range f.Docs {
			if yamldoc.Lookup(n, "kind").Value != slo.Kind {
				continue
			}
			var d slo.Document
			if ps := f.Decode(n, &d); ps != nil {
				t.Fatal(ps)
			}
			want, _ := slo.Check(d, slo.Native(f, n))
			written, err := yaml.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			again, err := slo.Parse(file, written)
			if err != nil || len(again) != 1 {
				t.Fatalf("%v in\n%s", err, written)
			}
			want.Line, again[0].Line = 0, 0
			if diff := cmp.Diff(want, again[0], exactly); diff != "" {
				t.Errorf("%s: %s in\n%s", want.ID(), diff, written)
			}
		}
	}
}

// Problems of a document that was made from another format are at the places
// and under the names of that format.
func TestForeignOrigin(t *testing.T) {
	f, err := yamldoc.Parse("other.yaml", []byte("target: 99.9\nbad: sum(\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := slo.Document{Metadata: slo.Metadata{Name: "a"}, Spec: slo.Spec{Service: "b", Objective: "99.9", SLI: slo.SLIText{
		PromQL: &slo.PromQLText{Errors: "sum(", Total: "sum(rate(x[$window]))"},
	}}}
	_, got := slo.Check(d, slo.Origin{File: f, Find: func(field string) (*yaml.Node, string) {
		if field == "spec.sli.promql.errors" {
			return yamldoc.Lookup(f.Docs[0], "bad"), "bad"
		}
		return f.Docs[0], ""
	}})
	if len(got) != 1 || !strings.HasPrefix(got[0].Error(), "other.yaml:2:6: bad: no $window") {
		t.Errorf("got %v", got)
	}
}

// What only shows when all SLOs are known.
func TestCheckSet(t *testing.T) {
	var set []slo.SLO
	for _, file := range glob(t, "kinds/*.yaml") {
		set = append(set, parseFile(t, file)...)
	}
	if ps := slo.CheckSet(set); ps != nil {
		t.Errorf("nothing is wrong with the kinds: %v", ps)
	}
	one := func(service, name string, groups []string, parts ...string) slo.SLO {
		s := slo.SLO{Service: service, Name: name, GroupBy: groups, File: "a.yaml", Line: 4}
		for _, part := range parts {
			service, name, _ := strings.Cut(part, "/")
			s.SLI.Composite = append(s.SLI.Composite, slo.Component{Service: service, Name: name})
		}
		return s
	}
	got := slo.CheckSet([]slo.SLO{
		one("shop", "a", nil),
		one("Shop", "b", nil),
		one("shop", "c", []string{"path"}, "shop/a", "shop/none", "shop/d"),
		one("shop", "d", nil, "shop/c", "shop/a"),
	})
	want := diag.Problems{
		{File: "a.yaml", Line: 4, Field: "spec.service", Message: `service "Shop" differs from "shop" in a.yaml, line 4, only by case`},
		{File: "a.yaml", Line: 4, Field: "spec.group_by", Message: "SLO shop/a, a part of it, is not grouped by path"},
		{File: "a.yaml", Line: 4, Field: "spec.sli.composite.1.slo", Message: "there is no SLO shop/none"},
		{File: "a.yaml", Line: 4, Field: "spec.sli.composite.2.slo", Message: "SLO shop/d is a composite itself"},
		{File: "a.yaml", Line: 4, Field: "spec.sli.composite.0.slo", Message: "SLO shop/c is a composite itself"},
	}
	for i := range got {
		if got[i].Hint == "" {
			t.Errorf("no hint: %v", got[i])
		}
		got[i].Hint = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
