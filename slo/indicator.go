package slo

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// kinds are what an SLI can be, as the manual orders them.
const kinds = "events, latency, gauge, promql, ratio, logs or composite"

// sli checks spec.sli: exactly one kind.
func (c *checker) sli() {
	in := c.in.Spec.SLI
	given := c.kindsGiven()
	if len(given) == 0 && !c.hasProblemBelow("spec.sli") {
		c.missing("spec.sli", "what is counted: one of "+kinds)
	}
	for _, kind := range given[min(1, len(given)):] {
		c.add("spec.sli."+kind, given[0]+" and "+kind+" are both given", "keep one: an SLO has one SLI")
	}
	if in.Events != nil {
		c.out.SLI.Events = c.events(*in.Events)
	}
	if in.Latency != nil {
		c.out.SLI.Latency = c.latency(*in.Latency)
	}
	if in.Gauge != nil {
		c.out.SLI.Gauge = c.gauge(*in.Gauge)
	}
	if in.PromQL != nil {
		c.out.SLI.PromQL = c.promql(*in.PromQL)
	}
	if in.Ratio != nil {
		c.out.SLI.Ratio = c.ratio(*in.Ratio)
	}
	if in.Logs != nil {
		c.out.SLI.Logs = c.logEvents(*in.Logs)
	}
	if in.Composite != nil {
		c.out.SLI.Composite = c.composite(in.Composite)
	}
}

// kindsGiven returns the kinds of SLI that are there.
func (c *checker) kindsGiven() []string {
	in := c.in.Spec.SLI
	var given []string
	for _, kind := range []struct {
		name string
		is   bool
	}{
		{"events", in.Events != nil},
		{"latency", in.Latency != nil},
		{"gauge", in.Gauge != nil},
		{"promql", in.PromQL != nil},
		{"ratio", in.Ratio != nil},
		{"logs", in.Logs != nil},
		{"composite", in.Composite != nil},
	} {
		if kind.is {
			given = append(given, kind.name)
		}
	}
	return given
}

// either checks that exactly one of errors and good is given.
func (c *checker) either(field, errors, good, example string) {
	switch {
	case errors != "" && good != "":
		c.add(field+".good", "errors and good are both given", "keep one: the other follows from it and total")
	case errors == "" && good == "" && !c.hasProblemBelow(field+".errors") && !c.hasProblemBelow(field+".good"):
		c.add(field, "neither errors nor good is given", "add one, such as "+example)
	}
}

// events checks selectors of counters.
func (c *checker) events(in EventsText) *Events {
	const field = "spec.sli.events"
	out := &Events{Errors: strings.TrimSpace(in.Errors), Good: strings.TrimSpace(in.Good), Total: strings.TrimSpace(in.Total)}
	c.either(field, out.Errors, out.Good, `errors: http_requests_total{app="shop",status=~"5.."}`)
	if out.Total == "" {
		c.missing(field+".total", `the counter of all events, such as total: http_requests_total{app="shop"}`)
	}
	c.counter(field+".errors", out.Errors)
	c.counter(field+".good", out.Good)
	c.counter(field+".total", out.Total)
	return out
}

// counter checks a selector of a counter.
func (c *checker) counter(field, text string) {
	if text != "" && !isPlainSelector(text) {
		c.selector(field, text, "give the counter alone, such as http_requests_total{app=\"shop\"}: Midwatch adds rate, range and sum")
	}
}

// latency checks the selector of a histogram and what is fast enough.
func (c *checker) latency(in LatencyText) *Latency {
	const field = "spec.sli.latency"
	classic, native := strings.TrimSpace(in.Histogram), strings.TrimSpace(in.Native)
	out := &Latency{Histogram: classic}
	switch {
	case classic != "" && native != "":
		c.add(field+".native", "histogram and native are both given", "keep one: histogram for one with _bucket series, native for a native one")
	case classic != "":
		c.histogram(field+".histogram", classic, out, in.Threshold)
	case native != "":
		out.Histogram, out.Native = native, true
		c.histogram(field+".native", native, out, in.Threshold)
	case !c.hasProblemBelow(field):
		c.add(field, "no histogram is given", `add histogram: http_request_duration_seconds{app="shop"}, or native: for a native histogram`)
	}
	if slices.Contains(c.out.GroupBy, model.BucketLabel) {
		c.add("spec.group_by", "le is what a histogram's buckets differ by", "remove it")
	}
	return out
}

// histogram checks the selector of a histogram, and its threshold.
func (c *checker) histogram(field, text string, out *Latency, threshold Number) {
	vs := c.selector(field, text, `give the histogram alone, such as http_request_duration_seconds{app="shop"}: Midwatch adds rate, range and sum`)
	if vs == nil {
		c.threshold(threshold, "", out)
		return
	}
	name := metricName(vs)
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if bare, ok := strings.CutSuffix(name, suffix); ok {
			c.add(field, fmt.Sprintf("%q is a part of a histogram", clip(name)), "name the histogram: "+clip(bare))
		}
	}
	for _, m := range vs.LabelMatchers {
		if m.Name == model.BucketLabel {
			c.add(field, "a matcher of le", "remove it: threshold says which bucket counts")
		}
	}
	c.threshold(threshold, name, out)
}

// threshold reads what is fast enough, in the unit of a histogram.
func (c *checker) threshold(text Number, metric string, out *Latency) {
	const field, hint = "spec.sli.latency.threshold", "seconds, such as 0.3, or a duration, such as 300ms"
	if text == "" {
		c.missing(field, hint)
		return
	}
	d, err := model.ParseDuration(string(text))
	if err != nil || d == 0 {
		out.Threshold = c.decimal(field, text, 999_999, hint)
		return
	}
	for _, suffix := range []string{"_milliseconds", "_millis", "_msec", "_ms", "_microseconds", "_us", "_nanoseconds", "_ns"} {
		if strings.HasSuffix(metric, suffix) {
			c.add(field, fmt.Sprintf("a duration, while %s does not count seconds", clip(metric)), "a number in the unit of the histogram")
			return
		}
	}
	if time.Duration(d) > 999_999*time.Second {
		c.add(field, fmt.Sprintf("%s is longer than any request", clip(string(text))), hint)
		return
	}
	out.Threshold = seconds(time.Duration(d))
}

// seconds returns a duration of whole milliseconds in seconds.
func seconds(d time.Duration) Decimal {
	text := fmt.Sprintf("%d.%03d", d/time.Second, d%time.Second/time.Millisecond)
	return mustDecimal(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
}

// goodPattern is a comparison with a number or a duration.
var goodPattern = regexp.MustCompile(`^(<=|>=|==|!=|<|>)\s*(\S+)$`)

var numberPattern = regexp.MustCompile(`^[-+]?[0-9]{1,20}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?$`)

// gauge checks what is measured over time, and which values are good.
func (c *checker) gauge(in GaugeText) *Gauge {
	const field = "spec.sli.gauge"
	out := &Gauge{Expr: strings.TrimSpace(in.Expr)}
	if out.Expr == "" {
		c.missing(field+".expr", `a gauge, such as up{job="shop"}, or an expression`)
	} else if expr := c.instant(field+".expr", out.Expr); expr != nil {
		c.notFiltering(field+".expr", expr)
	}
	good := strings.TrimSpace(string(in.Good))
	if good == "" {
		return out
	}
	m := goodPattern.FindStringSubmatch(good)
	if m == nil {
		c.add(field+".good", fmt.Sprintf("%q is not a comparison", clip(good)), "such as <= 100; left out, 1 is good and 0 is not")
		return out
	}
	out.Op, out.Threshold = m[1], m[2]
	if d, err := model.ParseDuration(m[2]); err == nil && d != 0 {
		out.Threshold = new(big.Rat).SetFrac64(int64(d), int64(time.Second)).FloatString(3)
		out.Threshold = strings.TrimSuffix(strings.TrimRight(out.Threshold, "0"), ".")
	} else if !numberPattern.MatchString(m[2]) {
		c.add(field+".good", fmt.Sprintf("%q is not a number", clip(m[2])), "such as <= 100, or a duration such as < 2h, which is seconds")
	}
	return out
}

// notFiltering refuses a comparison that drops series: where it does not hold
// nothing would be left to count.
func (c *checker) notFiltering(field string, expr parser.Expr) {
	for {
		paren, ok := expr.(*parser.ParenExpr)
		if !ok {
			break
		}
		expr = paren.Expr
	}
	if b, ok := expr.(*parser.BinaryExpr); ok && b.Op.IsComparisonOperator() && !b.ReturnBool {
		c.add(field, "a comparison drops the series where it does not hold", "give what is compared, and good: with the comparison; or write bool after the operator")
	}
}

// ratio checks shares that are already there.
func (c *checker) ratio(in RatioText) *Ratio {
	const field = "spec.sli.ratio"
	out := &Ratio{Errors: strings.TrimSpace(in.Errors), Good: strings.TrimSpace(in.Good), Total: strings.TrimSpace(in.Total)}
	c.either(field, out.Errors, out.Good, "errors: job:http_errors:ratio")
	c.share(field+".errors", out.Errors)
	c.share(field+".good", out.Good)
	if unit := c.share(field+".total", out.Total); unit == PerWindow {
		c.add(field+".total", "events in the window, not a second", "how many events a second there were, such as rate(http_requests_total[$window])")
	}
	return out
}

// share checks an expression with or without $window and tells its unit, where
// it has one.
func (c *checker) share(field, text string) Unit {
	switch {
	case text == "":
		return ""
	case strings.Contains(text, windowVariable):
		return c.windowed(field, text)
	default:
		c.instant(field, text)
		return ""
	}
}
