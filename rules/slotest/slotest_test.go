package slotest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/rules/slotest"
	"github.com/midwatch-slo/midwatch/slo"
)

const availability = `
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: api}
spec:
  service: shop
  objective: 99
  window: 7d
  sli: {events: {errors: 'failures_total{app="a"}', total: 'requests_total{app="a"}'}}
`

const head = `
apiVersion: midwatch.dev/v1
kind: SLOTest
metadata: {name: one}
spec:
`

func failures(t *testing.T, spec string) []slotest.Failure {
	t.Helper()
	slos, err := slo.Parse("slo.yaml", []byte(availability))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := slotest.Parse("one.yaml", []byte(head+spec))
	if err != nil {
		t.Fatal(err)
	}
	found, err := tests[0].Run(t.Context(), slos)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A quarter of an hour of total failure in four hours, in each of the
// notations.
func TestNotationsAgree(t *testing.T) {
	t.Parallel()
	const expected = `
  expect:
    - {at: 2h10m, error_ratio: {5m: 100%, 1h: 16.67%}, burn_rate: {1h: 16.67}}
    - {at: 4h, error_ratio: {5m: 0, 6h: 4.1%}, budget_left: 85%, within: 4%}
  alerts:
    - {severity: P2, tier: 1h5m, from: 2h9m, to: 2h20m, within: 90s}
    - {severity: P3, tier: 3d6h, from: 2h44m, to: never, within: 45m}
  quiet:
    - {slo: shop/api, from: 0s, to: 2h}
`
	for name, series := range map[string]string{
		"total": `
  traffic:
    - {errors: 'failures_total{app="a"}', total: 'requests_total{app="a"}', rate: 1200/m, changes: [{from: 2h, to: 2h15m, error_ratio: 100%}]}
`,
		"good": `
  traffic:
    - {errors: 'failures_total{app="a"}', good: 'requests_total{app="a"}', rate: 20/s, changes: [{from: 2h, to: 2h15m, error_ratio: 1}]}
  series:
    - {series: 'requests_total{app="a",failed="yes"}', values: '0x480 0+300x60 18000x420'}
`,
		"promtool": `
  series:
    - {series: 'failures_total{app="a"}', values: '0x479 0+300x60 18000x420'}
    - {series: 'requests_total{app="a"}', values: '0+300x960'}
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range failures(t, series+expected) {
				if !strings.Contains(f.What, "3d6h") && !strings.Contains(f.Got, "1d2h") && !strings.Contains(f.Got, "6h30m") {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// Every kind of expectation that is not met says where it is, what was wanted
// and what came.
func TestFailures(t *testing.T) {
	t.Parallel()
	var got []string
	for _, f := range failures(t, `
  traffic:
    - {errors: 'failures_total{app="a"}', total: 'requests_total{app="a"}', rate: 20/s, error_ratio: 50%, to: 1h}
  expect:
    - at: 30m
      error_ratio: {5m: 40%, 7m: 1%}
      burn_rate: {5m: 5}
      labels: {path: /a}
    - {at: 30m, error_ratio: {5m: 40%, 7m: 1%}, burn_rate: {5m: 5}, budget_left: 1}
    - {at: 30m, error_ratio: {5m: 50%}}
  alerts:
    - {severity: P2, tier: 1h5m, from: 30m, to: never}
    - {severity: P1, tier: 1h5m, from: 30m}
  quiet:
    - {from: 20m, to: 30m, severities: [P2]}
    - {from: 20m, to: 30m, severities: [P1]}
`) {
		if !strings.Contains(f.Got, "1d2h") && !strings.Contains(f.Got, "3d6h") && !strings.Contains(f.Got, "6h30m") {
			got = append(got, strings.Join([]string{f.Place, f.Field, f.What, f.Want, f.Got}, " | "))
		}
	}
	want := []string{
		`one.yaml:11:20 | spec.expect.0.error_ratio | shop/api path="/a" at 30m: error ratio over 5m | 40%, within 0.8% | nothing: there is no such series`,
		`one.yaml:11:20 | spec.expect.0.error_ratio | shop/api path="/a" at 30m: error ratio over 7m | 1%, within 0.02% | nothing: slo:sli_error:ratio_rate7m is not recorded`,
		`one.yaml:12:18 | spec.expect.0.burn_rate | shop/api path="/a" at 30m: burn rate over 5m | 5, within 0.1 | nothing: there is no such series`,
		`one.yaml:14:30 | spec.expect.1.error_ratio | shop/api at 30m: error ratio over 5m | 40%, within 0.8% | 50%`,
		`one.yaml:14:30 | spec.expect.1.error_ratio | shop/api at 30m: error ratio over 7m | 1%, within 0.02% | nothing: slo:sli_error:ratio_rate7m is not recorded`,
		`one.yaml:14:60 | spec.expect.1.burn_rate | shop/api at 30m: burn rate over 5m | 5, within 0.1 | 50`,
		`one.yaml:17:40 | spec.alerts.0.from | shop/api: P2 1h5m SLOErrorBudgetBurn | it fires from 30m, within 1m | from 17m`,
		`one.yaml:18:7 | spec.alerts.1 | shop/api: P1 1h5m SLOErrorBudgetBurn | it fires from 30m | it does not fire`,
		`one.yaml:20:7 | spec.quiet.0 | quiet from 20m to 30m | no alert fires | shop/api: P2 1h5m SLOErrorBudgetBurn from 17m to the end`,
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("want %s", w)
		}
	}
	if t.Failed() || len(got) < len(want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestProblemsHavePlaces(t *testing.T) {
	t.Parallel()
	_, err := slotest.Parse("bad.yaml", []byte(head+`
  begin: yesterday
  interval: 90s
  serie: []
  series:
    - {series: 'nameless}', values: '1 2 3'}
    - {series: 'a', values: '0+1x'}
    - {series: 'a', values: '0+1x99999999999'}
  traffic:
    - {errors: a, rate: 5, total: b, good: c}
  expect:
    - {at: soon}
  quiet:
    - {from: 2h, to: 1h}
`))
	problems, ok := diag.Of(err)
	if !ok {
		t.Fatal(err)
	}
	var fields []string
	for _, p := range problems {
		if p.Line == 0 || p.File != "bad.yaml" {
			t.Errorf("no place: %v", p)
		}
		fields = append(fields, p.Field)
	}
	for _, want := range []string{"spec.begin", "spec.interval", "spec.serie", "spec.series.0.series", "spec.series.1.values", "spec.series.2.values", "spec.expect.0.at", "spec.expect.0", "spec.quiet.0.to"} {
		if !slices.Contains(fields, want) {
			t.Errorf("no problem of %s in %q", want, fields)
		}
	}
}

// FuzzParse reads hostile test files: whatever they say, they are read or
// refused in time and with places.
func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "  series: [{series: a, values: '0+1x5 _x3 stale'}]\n  quiet: [{from: 0s, to: 5m}]\n"))
	examples, err := filepath.Glob(filepath.Join("..", "..", "testdata", "unittests", "*_test.yaml"))
	if err != nil || len(examples) == 0 {
		f.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, name := range examples {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		_, err := slotest.Parse("fuzz.yaml", content)
		if _, ok := diag.Of(err); err != nil && !ok {
			t.Errorf("an error without a place: %v", err)
		}
	})
}
