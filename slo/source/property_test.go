package source_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/slo/source"
)

// draw makes random files of the other tools. All that it makes can be carried
// over.
type draw struct{ *rand.Rand }

// one returns one of some texts.
func (d draw) one(texts ...string) string { return texts[d.IntN(len(texts))] }

// maybe returns a text, or none.
func (d draw) maybe(text string) string {
	if d.IntN(2) == 0 {
		return ""
	}
	return text
}

// word returns a text that YAML or Prometheus may find peculiar, in quotes.
func (d draw) word() string {
	return d.one(`"plain"`, `"true"`, `"1e3"`, `"a: b"`, `"# no comment"`, `"with 'quotes' and \\ slashes"`, `"- dash"`, `"~"`, `"2026-01-01"`, `" spaced "`, `"ü 中文"`, `"0x1F"`, `"null"`)
}

// labels returns a mapping of labels, as flow YAML.
func (d draw) labels() string {
	var parts []string
	for _, name := range []string{"env", "severity", "tier", "team", "owner", "a.b/c", "_x"} {
		if d.IntN(3) == 0 {
			parts = append(parts, fmt.Sprintf("%q: %s", name, d.word()))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (d draw) selector(metric string) string {
	return metric + d.one("", `{job="api"}`, `{code=~"5..",job!="x"}`, `{path=~"/a\\.b$"}`)
}

func (d draw) sloth(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: prometheus/v1\nservice: sloth-%d\nlabels: %s\nslos:\n", i, d.labels())
	for j := range 1 + d.IntN(3) {
		by := d.one("", "by (tenant) ", "by (a, b) ")
		rate, zero := d.one("rate", "increase"), d.maybe(" or vector(0)")
		failed := fmt.Sprintf("sum %s(%s(%s[{{.window}}]))%s", by, rate, d.selector("failures_total"), zero)
		if d.IntN(4) == 0 {
			failed = fmt.Sprintf("sum %s(%s(calls_total[{{.window}}])) - sum %s(%s(%s[{{.window}}]))", by, rate, by, rate, d.selector("good_total"))
		}
		total := fmt.Sprintf("sum(%s(calls_total[{{ .window }}])) %s", rate, by)
		fmt.Fprintf(&b, "  - name: slo-%d\n    objective: %s\n    description: %s\n", j, d.one("99.9", "99", "75", "99.9990"), d.word())
		fmt.Fprintf(&b, "    sli:\n      events:\n        error_query: '%s'\n        total_query: '%s'\n", failed, total)
		fmt.Fprintf(&b, "    alerting:\n      name: Alert\n      labels: %s\n      annotations: {summary: %s, %s}\n", d.labels(), d.word(), d.one("note: x", "runbook: https://runbooks.example.com/x"))
		fmt.Fprintf(&b, "      page_alert: {disable: %s, labels: %s, annotations: {summary: %s}}\n      ticket_alert: {disable: %s, labels: %s}\n", d.one("true", "false"), d.labels(), d.word(), d.one("true", "false"), d.labels())
	}
	return b.String()
}

func (d draw) pyrra(i int) string {
	grouping := d.one("[]", "[handler]", "[b, a]")
	metric := func(name string) string { return fmt.Sprintf("{metric: '%s'}", d.selector(name)) }
	indicator := d.one(
		fmt.Sprintf("ratio: {errors: %s, total: %s, grouping: %s}", metric("failures_total"), metric("calls_total"), grouping),
		fmt.Sprintf(`latency: {success: {metric: 'seconds_bucket{le="0.25"}'}, total: %s, grouping: %s}`, metric("seconds_count"), grouping),
		fmt.Sprintf("latencyNative: {latency: %s, total: %s, grouping: %s}", d.one("200ms", "1s", "1m30s"), metric("seconds"), grouping),
		fmt.Sprintf("bool_gauge: {metric: '%s', grouping: %s}", d.selector("up"), grouping))
	return fmt.Sprintf(`apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: slo, namespace: pyrra-%d, labels: {pyrra.dev/team: %s, pyrra.dev/tier: %s, other: x}, annotations: {pyrra.dev/note: %s}}
spec:
  description: %s
  target: "%s"
  window: %s
  indicator: {%s}
  alerting: {burnrates: %s, absent: %s, name: Burn, severities: {fastBurn: %s}}
`, i, d.word(), d.word(), d.word(), d.word(), d.one("99.9", "99", "80", "99.90"), d.one("2d", "7d", "2w", "28d", "30d", "90d"), indicator, d.one("true", "false"), d.one("true", "false"), d.word())
}

func (d draw) openslo(i int) string {
	metric := func(query string) string {
		return fmt.Sprintf("{metricSource: {type: %s, spec: {query: '%s'}}}", d.one("Prometheus", "prometheus"), query)
	}
	by := d.one("", "by (tenant) ")
	indicator := d.one(
		fmt.Sprintf("ratioMetric: {counter: true, %s: %s, total: %s}", d.one("good", "bad"), metric("sum "+by+"("+d.selector("part_total")+")"), metric("sum "+by+"(all_total)")),
		fmt.Sprintf("ratioMetric: {counter: %s, %s: %s, total: %s}", d.one("true", "false"), d.one("good", "bad"), metric("sum "+by+"(rate(part_total[{{.window}}]))"), metric("sum "+by+"(rate(all_total[{{.window}}]))")),
		fmt.Sprintf("ratioMetric: {counter: false, %s: %s, total: %s}", d.one("good", "bad"), metric("part"), metric("all")),
		fmt.Sprintf("ratioMetric: {rawType: %s, raw: %s}", d.one("success", "failure"), metric("avg_over_time(share[{{.window}}])")))
	window := d.one("{duration: 4w, isRolling: true}", "{duration: 1Q, isRolling: true}", "{duration: 1M, calendar: {startTime: 2026-03-01 00:00:00, timeZone: Asia/Shanghai}}", "{duration: 1w, isRolling: false, calendar: {startTime: 2026-01-05 00:00:00, timeZone: Europe/Berlin}}")
	method, slices := d.one("Occurrences", "RatioTimeslices"), ""
	if method != "Occurrences" {
		slices = ", timeSliceWindow: " + d.one("1m", "5", "1h")
	}
	objectives := fmt.Sprintf("[{displayName: A, target: %s%s}, {displayName: %s, targetPercent: %s%s}]", d.one("0.9", "0.999", "0.9990"), slices, d.one("A", "B"), d.one("99", "99.95"), slices)
	policies := d.one("", "  alertPolicies: []\n", "  alertPolicies: [{kind: AlertPolicy, metadata: {name: p}, spec: {alertWhenNoData: true, conditions: [{kind: AlertCondition, metadata: {name: c}, spec: {severity: "+
		d.one("page", "ticket", "P1")+", condition: {kind: burnrate, op: gt, threshold: "+d.one("2", "1.5")+", lookbackWindow: "+d.one("1h", "90m", "1d")+", alertAfter: "+d.one("0m", "5m")+"}}}]}}]\n")
	return fmt.Sprintf(`apiVersion: openslo/v1
kind: SLO
metadata: {name: slo, displayName: %s, labels: {env: [%s, %s], tier: %s}, annotations: {example.com/note: %s}}
spec:
  description: %s
  service: openslo-%d
  indicator: {metadata: {name: i, displayName: %s}, spec: {description: %s, %s}}
  timeWindow: [%s]
  budgetingMethod: %s
  objectives: %s
%s`, d.word(), d.word(), d.word(), d.word(), d.word(), d.word(), i, d.word(), d.word(), indicator, window, method, objectives, policies)
}

// Whatever a file of another tool says, what it is converted to says the same.
func TestConvertedIsTheSameForRandomFiles(t *testing.T) {
	d := draw{rand.New(rand.NewPCG(4, 2026))}
	for name, make := range map[string]func(int) string{"sloth": d.sloth, "pyrra": d.pyrra, "openslo": d.openslo} {
		for i := range 300 {
			text := make(i)
			found := source.ReadContent(name, []byte(text))
			if len(found.Problems) > 0 || len(found.SLOs) == 0 {
				t.Fatalf("%d SLOs of\n%s\n%v", len(found.SLOs), text, found.Problems)
			}
			for _, s := range found.SLOs {
				sameWhenConverted(t, s)
			}
			if t.Failed() {
				t.Fatal(text)
			}
		}
	}
}
