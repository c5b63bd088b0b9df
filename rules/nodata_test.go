package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// Series that go away alert after the time that the SLO says, of every kind of
// SLI; so do series that never were there.
func TestNoDataEveryKind(t *testing.T) {
	t.Parallel()
	slos := everyKind(t)
	for i := range slos {
		slos[i].Alerts.NoData = counting(t, "x", `alerts: {no_data: {after: 10m, severity: P2}}`, `sli: {gauge: {expr: up}}`).Alerts.NoData
	}
	w := newWorld(t, inPrometheus(t, rules.Options{}, slos...))
	until := 30 * minute
	begin := 12 * minute // by then, nothing has been there for as long as they wait
	for _, s := range []string{`requests_total{code="200",path="/"}`, `failures_total`, `successes_total`, `latency_seconds_bucket{le="1.0"}`, `latency_seconds_count`, `age_seconds`, `last_seconds`, "ready", "job:errors:ratio"} {
		w.scrape(s, begin, until, scrape, steady(1))
	}
	w.observe("native_seconds", until, steady(1), steady(0))
	for _, name := range []string{"slo:log_total:rate1m", "slo:log_errors:rate1m"} {
		w.scrape(name+`{service="shop",slo="logged"}`, begin, until, minute, steady(1))
	}
	w.live(begin - time.Second)
	for _, s := range slos {
		at, ok := w.first("SLONoData", s.Name, "")
		if native := s.Name == "native"; ok == native || ok && at != 11*minute { // the first evaluation is after a minute
			t.Errorf("%s, which never was there: fires %v at %s", s.Name, ok, at)
		}
	}
	w.fired = nil
	w.live(until)
	for _, s := range slos {
		if at, ok := w.first("SLONoData", s.Name, ""); ok && s.Name != "native" {
			t.Errorf("with data: %s fires at %s", s.Name, at)
		}
	}
	w.live(until + 20*minute)
	for _, s := range slos {
		// What nothing marks as stale is there for five minutes more.
		at, ok := w.first("SLONoData", s.Name, "")
		if !ok || at < until+14*minute || at > until+16*minute {
			t.Errorf("%s fires %v at %s", s.Name, ok, at)
		}
	}
}

// Of an SLO with groups, each that had traffic alerts by itself.
func TestNoDataOfOneGroup(t *testing.T) {
	t.Parallel()
	s := counting(t, "a", `group_by: [path]`, `owner: ann`, `alerts: {no_data: {after: 5m, severity: P3}}`, `sli: {events: {errors: failures_total, total: requests_total}}`)
	w := newWorld(t, inPrometheus(t, rules.Options{}, s))
	w.scrape(`requests_total{path="/gone"}`, 0, 30*minute, scrape, steady(1))
	w.scrape(`requests_total{path="/never"}`, 0, 30*minute, scrape, steady(0))
	w.scrape(`requests_total{path="/stays"}`, 0, 2*hour, scrape, steady(1))
	w.scrape(`requests_total`, 0, 30*minute, scrape, steady(1))
	w.live(hour)
	gone := map[string]bool{}
	for _, f := range w.fired {
		if f.name != "SLONoData" || f.severity != "P3" || f.slo != "a" {
			t.Errorf("fired: %v", f)
		}
		gone[f.path] = true
	}
	if len(gone) != 2 || !gone["/gone"] || !gone[""] {
		t.Errorf("want /gone and no path, got %v", gone)
	}
	w.live(2*hour + 20*minute)
	if len(w.fired) != 3 || w.fired[2].path != "/stays" {
		t.Errorf("when all are gone: fired %v", w.fired)
	}
}

// Windows that hold too few scrapes are refused, by the name of what needs
// them.
func TestWindowsTooShortForScrapes(t *testing.T) {
	events := `sli: {events: {errors: failures_total, total: requests_total}}`
	for want, o := range map[string]struct {
		every time.Duration
		spec  []string
	}{
		"shop/a: tier 5m1m: its window of 1m is shorter than 4 scrapes of 30s": {30 * time.Second, []string{"alerts: {outage: true}", events}},
		"shop/a: slices of 1m are shorter than 4 scrapes of 1m":                {time.Minute, []string{"slices: {length: 1m}", events}},
		"": {15 * time.Second, []string{"alerts: {outage: true}", "slices: {length: 1m}", events}},
	} {
		s := counting(t, "a", o.spec...)
		_, err := rules.Compile([]slo.SLO{s}, rules.Options{ScrapeInterval: o.every})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
