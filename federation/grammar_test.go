package federation_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// grammar writes random queries of the shapes that SLO rules, dashboards and
// people's questions have, over series that exist.
type grammar struct {
	*rand.Rand
	series []labels.Labels
	names  []string // of labels, the metric name's apart
	start  time.Time
	span   time.Duration // of the data
}

func newGrammar(rnd *rand.Rand, series []labels.Labels, span time.Duration) *grammar {
	g := &grammar{Rand: rnd, series: series, start: dataStart, span: span}
	seen := map[string]bool{model.MetricNameLabel: true}
	for _, s := range series {
		s.Range(func(l labels.Label) {
			if !seen[l.Name] {
				seen[l.Name] = true
				g.names = append(g.names, l.Name)
			}
		})
	}
	g.names = append(g.names, "nowhere")
	return g
}

func one[T any](g *grammar, of ...T) T { return of[g.IntN(len(of))] }

// query returns a query of any type.
func (g *grammar) query() string {
	switch g.IntN(30) {
	case 0:
		return g.scalar(2)
	case 1:
		return one(g, "sort", "sort_desc") + "(" + g.vector(2) + ")"
	case 2, 3, 4:
		return g.ratio()
	case 5, 6:
		return g.burn()
	case 7:
		return g.recorded()
	case 8:
		return g.worst()
	case 9, 10:
		return fmt.Sprintf("%s(%s) (rate(%s[%s]))", one(g, "sum by", "sum without", "avg by", "max by"), g.labelList(2), g.selector("http_requests_total"), g.duration())
	}
	return g.vector(1 + g.IntN(3))
}

// ratio is errors through total, as an SLO has it.
func (g *grammar) ratio() string {
	grouping, of := g.grouping(), one(g, "rate", "increase", "rate", "irate")
	errors := g.selectorWith("http_requests_total", `status=~"5.."`)
	total := g.selector("http_requests_total")
	d, shift := g.duration(), g.shift()
	side := func(sel string) string { return fmt.Sprintf("sum%s(%s(%s[%s]%s))", grouping, of, sel, d, shift) }
	switch g.IntN(4) {
	case 0:
		return fmt.Sprintf("1 - %s / %s", side(errors), side(total))
	case 1:
		return fmt.Sprintf("(%s or 0 * %s) / %s", side(errors), side(total), side(total))
	case 2:
		return fmt.Sprintf("%s / (%s > 0)", side(errors), side(total))
	}
	return side(errors) + " / " + side(total)
}

// burn is a pair of windows over their thresholds.
func (g *grammar) burn() string {
	grouping := g.grouping()
	window := func(d string) string {
		return fmt.Sprintf(`(sum%s(rate(http_requests_total{status=~"5.."}[%s])) / sum%s(rate(http_requests_total[%s])) > (%v * 0.001))`, grouping, d, grouping, d, one(g, 14.4, 6, 3, 1))
	}
	if g.IntN(2) == 0 {
		return fmt.Sprintf("%s and %s", window("5m"), window("20m"))
	}
	return fmt.Sprintf("(%s and %s) or (%s and %s)", window("2m"), window("10m"), window("5m"), window("20m"))
}

// recorded reads recorded events and joins them with the parameters of SLOs.
func (g *grammar) recorded() string {
	over := g.duration()
	sum := func(kind string) string {
		return fmt.Sprintf("sum by (%s) (sum_over_time(slo:sli_%s:rate5m%s[%s]%s))", one(g, "slo, service", "slo, service, cluster", "service"), kind, g.matchers(1), over, g.shift())
	}
	switch g.IntN(4) {
	case 0:
		return fmt.Sprintf(`%s / %s`, sum("errors"), sum("total"))
	case 1:
		return fmt.Sprintf(`(slo:sli_errors:rate5m / slo:sli_total:rate5m) / on (slo, service) group_left %s(1 - max by (slo, service) (slo:objective:ratio{slo!=""}))`, one(g, "", "(cluster) "))
	case 2:
		return fmt.Sprintf(`slo:sli_total:rate5m%s unless on (%s) max by (slo, service) (slo:objective:ratio)`, g.matchers(1), one(g, "slo, service", "slo, service, cluster", "cluster"))
	}
	return fmt.Sprintf(`1 - max by (%s) (slo:sli_errors:rate5m / slo:sli_total:rate5m)`, g.labelList(2))
}

// worst is a list of the worst few.
func (g *grammar) worst() string {
	return fmt.Sprintf("%s%s(%d, %s)", one(g, "topk", "bottomk"), g.grouping(), 1+g.IntN(4), g.vector(1))
}

// vector returns an instant vector of that depth or less.
func (g *grammar) vector(depth int) string {
	if depth <= 0 {
		return g.instant()
	}
	switch n := g.IntN(100); {
	case n < 27:
		return g.aggregate(depth)
	case n < 47:
		return g.overRange(depth)
	case n < 57:
		return g.pair(depth)
	case n < 65:
		return g.matching(depth)
	case n < 75:
		return g.withScalar(depth)
	case n < 83:
		return fmt.Sprintf("(%s %s %s%s)", g.vector(depth-1), one(g, "and", "or", "unless", "or"), g.on(), g.vector(depth-1))
	case n < 88:
		return g.function(depth)
	case n < 92:
		return g.relabelling(depth)
	case n < 94:
		return g.absent(depth)
	case n < 98:
		return fmt.Sprintf("histogram_quantile(%v, %s)", one(g, "0.5", "0.99", "scalar(sum(up))"), g.buckets())
	}
	return g.instant()
}

// instant returns a selector, shifted or not.
func (g *grammar) instant() string { return g.selector("") + g.shift() }

func (g *grammar) aggregate(depth int) string {
	grouping := g.grouping()
	arg := g.vector(depth - 1)
	switch op := one(g, "sum", "sum", "sum", "min", "max", "count", "avg", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"); op {
	case "topk", "bottomk":
		return fmt.Sprintf("%s%s(%s, %s)", op, grouping, one(g, "1", "2", "3", "0", "1.9", "scalar(count(up))"), arg)
	case "quantile":
		return fmt.Sprintf("quantile%s(%s, %s)", grouping, one(g, "0.5", "0.9", "1", "0", "scalar(max(up)) / 2"), arg)
	case "count_values":
		return fmt.Sprintf("count_values%s(%q, round(%s, 50))", grouping, one(g, "v", "cluster", "app"), arg)
	default:
		return fmt.Sprintf("%s%s(%s)", op, grouping, arg)
	}
}

// overRange applies a range function to a selector or a subquery.
func (g *grammar) overRange(depth int) string {
	arg := fmt.Sprintf("%s[%s]%s", g.selector(""), g.duration(), g.shift())
	if depth > 1 && g.IntN(4) == 0 {
		arg = fmt.Sprintf("(%s)[%s:%s]%s", g.vector(depth-1), one(g, "2m", "5m", "9m30s", "10m"), one(g, "", "30s", "1m", "77s", "700ms", "5m"), g.shift())
		if strings.Contains(arg, "700ms") {
			arg = strings.Replace(arg, "[9m30s", "[1m", 1)
		}
	}
	switch op := one(g, "rate", "rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets", "avg_over_time", "min_over_time", "max_over_time",
		"sum_over_time", "count_over_time", "last_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time", "quantile_over_time", "predict_linear", "absent_over_time"); op {
	case "quantile_over_time":
		return fmt.Sprintf("quantile_over_time(%s, %s)", one(g, "0.5", "0.95"), arg)
	case "predict_linear":
		return fmt.Sprintf("predict_linear(%s, 600)", arg)
	default:
		return op + "(" + arg + ")"
	}
}

// pair is an operation between two aggregations of the same grouping.
func (g *grammar) pair(depth int) string {
	grouping := g.grouping()
	op := one(g, "sum", "max", "count", "avg", "min")
	return fmt.Sprintf("(%s%s(%s) %s %s%s(%s))", op, grouping, g.vector(depth-1), g.operator(), op, grouping, g.vector(depth-1))
}

// matching is an operation between vectors that need not fit.
func (g *grammar) matching(depth int) string {
	names := g.labelList(2)
	switch g.IntN(4) {
	case 0:
		return fmt.Sprintf("(%s %s ignoring (%s) %s)", g.vector(depth-1), g.operator(), names, g.vector(depth-1))
	case 1:
		return fmt.Sprintf("(%s %s on (%s) group_left (%s) max by (%s) (%s))", g.vector(depth-1), g.operator(), names, g.extra(names), names, g.vector(depth-1))
	case 2:
		return fmt.Sprintf("(sum by (%s) (%s) %s on (%s) group_right (%s) %s)", names, g.vector(depth-1), g.operator(), names, g.extra(names), g.vector(depth-1))
	}
	return fmt.Sprintf("(max by (%s) (%s) %s on (%s) min by (%s) (%s))", names, g.vector(depth-1), g.operator(), names, names, g.vector(depth-1))
}

// extra returns a label for group_left that matching does not use already.
func (g *grammar) extra(used string) string {
	name := quoteName(one(g, g.names...))
	if g.IntN(2) == 0 || strings.Contains(used, name) || strings.Contains(name, used) {
		return ""
	}
	return name
}

func (g *grammar) withScalar(depth int) string {
	sides := []string{g.vector(depth - 1), g.scalar(depth - 1)}
	g.Shuffle(2, func(i, k int) { sides[i], sides[k] = sides[k], sides[i] })
	return fmt.Sprintf("(%s %s %s)", sides[0], g.operator(), sides[1])
}

func (g *grammar) function(depth int) string {
	arg := g.vector(depth - 1)
	switch op := one(g, "abs", "ceil", "floor", "sgn", "clamp_min", "clamp", "round", "timestamp", "timestamp", "ln", "exp", "minute", "-", "histogram_count", "histogram_avg", "vector"); op {
	case "clamp_min":
		return fmt.Sprintf("clamp_min(%s, 1)", arg)
	case "clamp":
		return fmt.Sprintf("clamp(%s, 0, %s)", arg, g.scalar(depth-1))
	case "round":
		return fmt.Sprintf("round(%s, 0.5)", arg)
	case "timestamp":
		return fmt.Sprintf("timestamp(%s)", one(g, arg, g.instant()))
	case "vector":
		return fmt.Sprintf("vector(%s)", g.scalar(depth-1))
	case "-":
		return "-" + arg
	default:
		return op + "(" + arg + ")"
	}
}

func (g *grammar) relabelling(depth int) string {
	name := func() string { return one(g, g.names...) }
	if g.IntN(4) == 0 {
		return fmt.Sprintf("label_join(%s, %q, \"/\", %q, %q)", g.vector(depth-1), one(g, "where", name()), name(), name())
	}
	return fmt.Sprintf("label_replace(%s, %q, %q, %q, %q)", g.vector(depth-1), one(g, "zone", name()), one(g, "$1", "x-$1", "", "same"), name(), one(g, "(.*)", "cn-(.*)", ".+", ""))
}

func (g *grammar) absent(depth int) string {
	switch g.IntN(3) {
	case 0:
		return "absent(" + g.vector(depth-1) + ")"
	case 1:
		return "absent(nothing" + g.matchers(2) + ")"
	}
	return fmt.Sprintf("absent(%s)", g.instant())
}

func (g *grammar) buckets() string {
	if g.IntN(3) == 0 {
		return fmt.Sprintf("sum by (%s) (rate(latency_seconds[%s]))", g.labelList(2), g.duration())
	}
	return fmt.Sprintf("sum by (le, %s) (rate(http_duration_seconds_bucket%s[%s]))", g.labelList(1), g.matchers(1), g.duration())
}

func (g *grammar) scalar(depth int) string {
	switch g.IntN(10) {
	case 0:
		return "scalar(" + g.vector(depth) + ")"
	case 1:
		return "time()"
	}
	return one(g, "0", "1", "2", "0.001", "100", "-1", "1e9", "(3 * 14.4)")
}

func (g *grammar) operator() string {
	return one(g, "+", "-", "*", "/", "/", "/", ">", "<", "==", "!=", ">=", "> bool", "== bool", "%", "^", "atan2")
}

func (g *grammar) on() string {
	switch g.IntN(3) {
	case 0:
		return fmt.Sprintf("on (%s) ", g.labelList(2))
	case 1:
		return fmt.Sprintf("ignoring (%s) ", g.labelList(2))
	}
	return ""
}

// grouping returns a clause of an aggregation, or none.
func (g *grammar) grouping() string {
	switch g.IntN(6) {
	case 0, 1, 2:
		return fmt.Sprintf(" by (%s) ", g.labelList(3))
	case 3, 4:
		return fmt.Sprintf(" without (%s) ", g.labelList(3))
	}
	return " "
}

// labelList returns one to n labels. Labels that tell clusters apart come
// often.
func (g *grammar) labelList(n int) string {
	list := make([]string, 1+g.IntN(n))
	for i := range list {
		list[i] = quoteName(one(g, g.names...))
		if g.IntN(4) == 0 {
			list[i] = one(g, "cluster", "app", "cluster", "service", "region")
		}
	}
	return strings.Join(list, ", ")
}

func quoteName(name string) string {
	if model.LegacyValidation.IsValidLabelName(name) {
		return name
	}
	return strconv.Quote(name)
}

// selector returns a selector of a metric, "" for any.
func (g *grammar) selector(name string) string { return g.selectorWith(name, "") }

func (g *grammar) selectorWith(name, matcher string) string {
	if name == "" {
		name = one(g, g.series...).Get(model.MetricNameLabel)
		if g.IntN(40) == 0 {
			return fmt.Sprintf(`{__name__=~"%s|budget_left"}`, name)
		}
	}
	parts := []string{}
	if matcher != "" {
		parts = append(parts, matcher)
	}
	if set := strings.Trim(g.matchers(2), "{}"); set != "" {
		parts = append(parts, set)
	}
	if len(parts) == 0 {
		return name
	}
	return name + "{" + strings.Join(parts, ", ") + "}"
}

// matchers returns up to n matchers in braces, most often none, on labels as
// series have them.
func (g *grammar) matchers(n int) string {
	if g.IntN(2) == 0 {
		return ""
	}
	var parts []string
	for range 1 + g.IntN(n) {
		name := one(g, g.names...)
		value := one(g, g.series...).Get(name)
		op := one(g, "=", "=", "!=", "=~", "!~")
		if strings.HasSuffix(op, "~") {
			value = one(g, value, value+"|x", ".*", ".+", "", value+".*")
			value = strings.ReplaceAll(value, "+Inf", "[+]Inf")
		}
		parts = append(parts, fmt.Sprintf("%s%s%q", quoteName(name), op, value))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (g *grammar) duration() string {
	return one(g, "15s", "30s", "1m", "1m", "2m", "5m", "5m", "5m", "10m", "20m", "90s", "45s500ms", "1ms")
}

// shift returns an offset, an @ modifier, both, or most often none.
func (g *grammar) shift() string {
	out := ""
	if g.IntN(7) == 0 {
		out += " offset " + one(g, "15s", "1m", "5m", "-1m", "7s300ms", "-15s")
	}
	if g.IntN(9) == 0 {
		seconds := float64(g.start.UnixMilli()+g.Int64N(g.span.Milliseconds())) / 1000
		out += " @ " + one(g, "start()", "end()", strconv.FormatFloat(seconds, 'f', 3, 64))
	}
	return out
}

// window returns an instant or a range of few steps within the data, on the
// scrapes' grid and off it.
func (g *grammar) window() window {
	start := g.start.Add(time.Duration(g.Int64N(g.span.Milliseconds())) * time.Millisecond)
	if g.IntN(2) == 0 {
		start = start.Truncate(15 * time.Second)
	}
	if g.IntN(3) == 0 {
		return window{start: start, end: start}
	}
	step := one(g, time.Millisecond, 250*time.Millisecond, 1500*time.Millisecond, 7*time.Second, 15*time.Second, 30*time.Second, time.Minute, 97*time.Second, 5*time.Minute, 6*time.Minute+time.Millisecond)
	span := step * time.Duration(g.IntN(10))
	return window{start: start, end: start.Add(span + time.Duration(g.Int64N(int64(step)))), step: step}
}

// lookback returns a lookback for a query to bring, most often none.
func (g *grammar) lookback() time.Duration {
	return one(g, 0, 0, 0, 0, 0, time.Minute, 15*time.Second, 10*time.Minute)
}
