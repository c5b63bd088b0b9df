package foreign_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

const (
	failures = `calls_total{code=~"5.."}`
	calls    = `calls_total`
)

func query(t *testing.T, text string) foreign.Query {
	t.Helper()
	q, err := foreign.ParseQuery(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

// The shapes that are no more than counters, and some that are more.
func TestEventsOfQueries(t *testing.T) {
	for _, c := range []struct{ counted, total, want, groups string }{
		{`sum(rate(calls_total{code=~"5.."}[{{.window}}]))`, `sum(rate(calls_total[{{.window}}]))`, "errors " + failures, ""},
		{`sum by (b, a) (rate(calls_total{code=~"5.."}[{{ .window }}]))`, `sum(rate(calls_total[{{.window}}])) by (a, b)`, "errors " + failures, "a b"},
		{`(sum((increase(calls_total{code=~"5.."}[{{.window}}])))) OR vector(0)`, `sum(increase(calls_total[$__range]))`, "errors " + failures, ""},
		{`sum(rate(calls_total{code=~"5.."}[5m]))`, `sum(rate(calls_total[5m]))`, "errors " + failures, ""},
		{`rate(calls_total{code=~"5.."}[{{.window}}])`, `rate(calls_total[{{.window}}])`, "errors " + failures, ""},
		{`sum(rate(calls_total[{{.window}}])) - sum(rate(fast_total[{{.window}}]))`, `sum(rate(calls_total[{{.window}}]))`, "good fast_total", ""},
		{`sum(rate(seconds_count{a="x"}[{{.window}}])) - sum(rate(seconds_bucket{le="0.4",a="x"}[{{.window}}]))`, `sum(rate(seconds_count{a="x"}[{{.window}}]))`, `latency seconds{a="x"} 0.4`, ""},
		{`sum(rate(seconds_count[{{.window}}])) - sum(rate(seconds_bucket{le="0.4",a="x"}[{{.window}}]))`, `sum(rate(seconds_count[{{.window}}]))`, `good seconds_bucket{le="0.4",a="x"}`, ""},
		// Not one function, not one grouping, another total, a zero for no traffic.
		{`sum(rate(calls_total{code=~"5.."}[{{.window}}]))`, `sum(increase(calls_total[{{.window}}]))`, "promql", ""},
		{`sum(rate(calls_total[{{.window}}])) - sum(rate(fast_total[{{.window}}]))`, `sum(rate(others_total[{{.window}}]))`, "promql", ""},
		{`sum(rate(calls_total{code=~"5.."}[{{.window}}]))`, `sum(rate(calls_total[{{.window}}])) or vector(0)`, "promql", ""},
		{`sum(rate(calls_total{code=~"5.."}[{{.window}}])) or vector(1)`, `sum(rate(calls_total[{{.window}}]))`, "promql", ""},
		{`sum(rate(calls_total{code=~"5.."}[{{.window}}] offset 5m))`, `sum(rate(calls_total[{{.window}}] offset 5m))`, "promql", ""},
		{`sum without (pod) (rate(calls_total{code=~"5.."}[{{.window}}]))`, `sum without (pod) (rate(calls_total[{{.window}}]))`, "promql", ""},
		{`avg by (a) (rate(calls_total{code=~"5.."}[{{.window}}]))`, `avg by (a) (rate(calls_total[{{.window}}]))`, "promql", "a"},
		{`sum(rate({__name__=~"a|b"}[{{.window}}]))`, `sum(rate(calls_total[{{.window}}]))`, "promql", ""},
		{`sum(rate(calls_total{code=~"5.."}[5m:{{.window}}]))`, `sum(rate(calls_total[{{.window}}]))`, "promql", ""},
		{`a_total + b_total`, `calls_total`, "none", ""},
	} {
		sli, groups, ok := foreign.Events(foreign.Errors, query(t, c.counted), query(t, c.total))
		got := "none"
		switch {
		case !ok:
		case sli.PromQL != nil:
			got = "promql"
		case sli.Latency != nil:
			got = "latency " + sli.Latency.Histogram + " " + string(sli.Latency.Threshold)
		case sli.Events.Good != "":
			got = "good " + sli.Events.Good
		default:
			got = "errors " + sli.Events.Errors
		}
		if got != c.want || strings.Join(groups, " ") != c.groups {
			t.Errorf("%s\n%s\nwant %s by %q, got %s by %v", c.counted, c.total, c.want, c.groups, got, groups)
		}
	}
}

// A bucket and all observations of one histogram, and what are none.
func TestHistogram(t *testing.T) {
	for _, c := range []struct{ bucket, all, histogram, le string }{
		{`s_bucket{le="0.5",a="b"}`, `s_count{a="b"}`, `s{a="b"}`, "0.5"},
		{`s_bucket{a="b",c!~"d",le="1"}`, `s_bucket{le="+Inf",c!~"d",a="b"}`, `s{a="b",c!~"d"}`, "1"},
		{`s_bucket{le="0.5"}`, `t_count`, "", ""},
		{`s_bucket{le="0.5"}`, `s_bucket{le="1"}`, "", ""},
		{`s_bucket{le="0.5"}`, `s_count{a="b"}`, "", ""},
		{`s_bucket{le=~"0.5"}`, `s_count`, "", ""},
		{`s_bucket{le="+Inf"}`, `s_count`, "", ""},
		{`s_bucket{le="0.5"}`, `s_sum`, "", ""},
		{`s_bucket{le="0.5"} offset 5m`, `s_count`, "", ""},
		{`_bucket{le="0.5"}`, `_count`, "", ""},
	} {
		histogram, le, ok := foreign.Histogram(c.bucket, c.all)
		if histogram != c.histogram || le != c.le || ok != (c.le != "") {
			t.Errorf("%s of %s: got %s, %s, %t", c.bucket, c.all, histogram, le, ok)
		}
	}
}

func TestParseQueryRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`errors{env="{{ .env }}"}`:           "the variable {{ .env }} is not known",
		`rate(errors_total[$interval])`:      "the variable $interval is not known",
		`sum(rate(errors_total[{{.window}})`: "cannot be parsed: unexpected",
	} {
		if _, err := foreign.ParseQuery(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: want %s, got %v", text, want, err)
		}
	}
	for _, text := range []string{`errors{path=~"/a$"}`, `label_replace(up, "a", "$1", "b", "(.*)")`, "errors{path=~`x$`}"} {
		if q := query(t, text); q.Text != text || q.Windowed {
			t.Errorf("%s became %s", text, q.Text)
		}
	}
}

const series = `load 30s
  calls_total{code="200",a="x",b="1",pod="p"} 0+30x120
  calls_total{code="200",a="x",b="2",pod="q"} 0+20x60 0+7x60
  calls_total{code="200",a="y",b="1",pod="p"} 0+11x120
  calls_total{code="500",a="x",b="1",pod="p"} 0+1x80 80+9x40
  calls_total{code="503",a="y",b="1",pod="q"} 0+2x120
  fast_total{a="x",b="1"} 0+25x120
  fast_total{a="y",b="1"} 0+9x120
`

// What queries are read to has the ratio that they have, on Prometheus' engine.
func TestRatioIsThatOfTheQueries(t *testing.T) {
	store := promqltest.LoadedStorage(t, series)
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	at := time.Unix(0, 0).Add(59*time.Minute + 10*time.Second)
	ratio := func(expr string) string {
		q, err := engine.NewInstantQuery(t.Context(), store, nil, expr, at)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		defer q.Close()
		vector, err := q.Exec(t.Context()).Vector()
		if err != nil || len(vector) == 0 {
			t.Fatalf("%s: %d series: %v", expr, len(vector), err)
		}
		return rounded(vector)
	}
	for _, c := range [][2]string{
		{`sum(rate(calls_total{code=~"5.."}[{{.window}}]))`, `sum(rate(calls_total[{{.window}}]))`},
		{`sum by (a) (increase(calls_total{code=~"5.."}[{{.window}}]))`, `sum by (a) (increase(calls_total[{{.window}}]))`},
		{`sum by (a) (rate(calls_total{b="1"}[{{.window}}])) - sum by (a) (rate(fast_total[{{.window}}]))`, `sum by (a) (rate(calls_total{b="1"}[{{.window}}]))`},
		{`sum(rate(calls_total{code="503"}[{{.window}}])) or vector(0)`, `sum(rate(calls_total[{{.window}}]))`},
	} {
		sli, groups, ok := foreign.Events(foreign.Errors, query(t, c[0]), query(t, c[1]))
		if !ok || sli.Events == nil {
			t.Fatalf("%s: no events", c[0])
		}
		for _, window := range []string{"5m", "30m"} {
			theirs := ratio(strings.ReplaceAll("("+c[0]+") / ("+c[1]+")", "{{.window}}", window))
			if ours := ratio(ratioOf(sli.Events, groups, window)); ours != theirs {
				t.Errorf("%s over %s: theirs %s, ours %s", c[0], window, theirs, ours)
			}
		}
	}
}

// ratioOf is the error ratio of counters over a window, by its definition.
func ratioOf(e *slo.EventsText, groups []string, window string) string {
	rate := func(selector string) string {
		return fmt.Sprintf("sum by (%s) (rate(%s[%s]))", strings.Join(groups, ","), selector, window)
	}
	if e.Good != "" {
		return "1 - " + rate(e.Good) + " / " + rate(e.Total)
	}
	return rate(e.Errors) + " / " + rate(e.Total)
}

func rounded(vector promql.Vector) string {
	var lines []string
	for _, s := range vector {
		lines = append(lines, fmt.Sprintf("%s %.9f", s.Metric, s.F))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestLabel(t *testing.T) {
	for name, want := range map[string]string{
		"team": "team", "a.b/c-d": "a_b_c_d", "1st": "_1st", "severity": "sloth_severity", "tier": "sloth_tier",
		"__name": "sloth_name", "": "sloth_", "größe": "gr__e",
	} {
		if got := foreign.Label("sloth", name); got != want {
			t.Errorf("%q: want %q, got %q", name, want, got)
		}
	}
}
