package openslo

import (
	"fmt"
	"strings"

	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// indicator carries over the SLI that is at owner, or that owner refers to,
// for an objective.
func (c *converter) indicator(owner, objectiveAt foreign.Place, inline *inlineSLI, ref string, o objective) {
	c.Places["spec.sli"] = owner.Child("indicator")
	switch {
	case inline != nil && ref != "":
		c.Problem(owner.Child("indicatorRef"), "indicator and indicatorRef are both given", "keep one")
	case inline != nil:
		at := owner.Child("indicator")
		c.sli(at.Child("spec"), inline.Spec, inline.Metadata, at.Child("metadata"), objectiveAt, o)
	case ref != "":
		sli, ok := find(c, c.r.slis, kindSLI, ref, owner.Child("indicatorRef"))
		if ok && len(sli.problems) == 0 {
			c.sli(sli.spec(), sli.Spec, sli.Metadata, sli.at.Child("metadata"), objectiveAt, o)
		} else if ok {
			c.Problem(owner.Child("indicatorRef"), fmt.Sprintf("SLI %q is not valid", foreign.Clip(ref)), "")
		}
	default:
		c.Problem(owner.Child("indicator"), "no indicator", "add indicator, or indicatorRef with the name of an SLI")
	}
}

func (c *converter) sli(at foreign.Place, in sliSpec, meta metadata, metaAt, objectiveAt foreign.Place, o objective) {
	c.Places["spec.sli"] = at
	c.annotate("sli_display_name", meta.DisplayName, metaAt.Child("displayName"))
	switch {
	case in.Description == "":
	case c.Document.Spec.Description == "":
		c.Document.Spec.Description, c.Places["spec.description"] = in.Description, at.Child("description")
	default:
		c.annotate("sli_description", in.Description, at.Child("description"))
	}
	switch {
	case in.ThresholdMetric != nil && in.RatioMetric != nil:
		c.Problem(at.Child("ratioMetric"), "thresholdMetric and ratioMetric are both given", "keep one")
	case in.ThresholdMetric != nil:
		c.threshold(at.Child("thresholdMetric"), *in.ThresholdMetric, objectiveAt, o)
	case in.RatioMetric != nil:
		if o.Value != "" {
			c.Problem(objectiveAt.Child("value"), "a value to compare with, while the indicator is a ratio", "remove it: value is for a thresholdMetric")
		}
		c.ratio(at.Child("ratioMetric"), *in.RatioMetric)
	default:
		c.Problem(at, "no metric", "one of ratioMetric and thresholdMetric")
	}
}

// query reads the expression of a metric.
func (c *converter) query(at foreign.Place, m metric) (foreign.Query, foreign.Place, bool) {
	source := at.Child("metricSource")
	place := source.Child("spec")
	if !c.prometheus(source, m.MetricSource) {
		return foreign.Query{}, place, false
	}
	if m.MetricSource.Spec.Node == nil {
		c.Problem(place, "missing", "query: an expression of PromQL")
		return foreign.Query{}, place, false
	}
	var in prometheusSpec
	if problems := at.File.DecodeAt(m.MetricSource.Spec.Node, place.Field, &in); len(problems) > 0 {
		c.Problems = append(c.Problems, problems...)
		return foreign.Query{}, place, false
	}
	key, text := "query", in.Query
	if text == "" {
		key, text = "promql", in.PromQL
	}
	if strings.TrimSpace(text) == "" {
		c.Problem(place.Child("query"), "missing", "an expression of PromQL")
		return foreign.Query{}, place, false
	}
	place = place.Child(key)
	q, err := foreign.ParseQuery(text)
	if err != nil {
		c.Problem(place, err.Error(), "an expression of PromQL, such as sum(http_requests_total)")
	}
	return q, place, err == nil
}

// prometheus says whether a metric is read from Prometheus, or notes that it
// is not.
func (c *converter) prometheus(at foreign.Place, in metricSource) bool {
	const hint = "type: Prometheus: Midwatch reads no other source"
	kind, place := in.Type, at.Child("type")
	if source, ok := c.r.sources[in.MetricSourceRef]; ok && in.MetricSourceRef != "" {
		if kind != "" && !strings.EqualFold(kind, source.Spec.Type) {
			c.Problem(place, fmt.Sprintf("not the type of DataSource %q, %s", foreign.Clip(in.MetricSourceRef), foreign.Clip(source.Spec.Type)), "remove it: the type is the DataSource's")
			return false
		}
		kind, place = source.Spec.Type, source.spec().Child("type")
		if !strings.EqualFold(kind, "Prometheus") {
			place = at.Child("metricSourceRef")
		}
	}
	switch {
	case kind == "" && in.MetricSourceRef != "":
		c.Problem(at.Child("metricSourceRef"), fmt.Sprintf("there is no DataSource %q", foreign.Clip(in.MetricSourceRef)), "name its file too, or give type: Prometheus")
	case kind == "":
		c.Problem(place, "missing", hint)
	case !strings.EqualFold(kind, "Prometheus"):
		c.Problem(place, fmt.Sprintf("a source of type %s", foreign.Clip(kind)), hint)
	default:
		return true
	}
	return false
}

var operators = map[string]string{"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}

// threshold carries over a metric that is compared with the objective's value
// at each moment.
func (c *converter) threshold(at foreign.Place, m metric, objectiveAt foreign.Place, o objective) {
	q, place, ok := c.query(at, m)
	op, known := operators[o.Op]
	switch {
	case o.Op == "":
		c.Problem(objectiveAt.Child("op"), "missing", "which values are good: lt, lte, gt or gte than value")
		ok = false
	case !known:
		c.Problem(objectiveAt.Child("op"), fmt.Sprintf("%q is not known", foreign.Clip(o.Op)), "lt, lte, gt or gte")
		ok = false
	}
	if o.Value == "" {
		c.Problem(objectiveAt.Child("value"), "missing", "what the metric is compared with")
		ok = false
	}
	if !ok {
		return
	}
	if q.Windowed {
		c.Problem(place, "a window in an expression that is compared at each moment", "a range of its own, such as [5m]")
		return
	}
	c.Document.Spec.SLI.Gauge = &slo.GaugeText{Expr: q.Text, Good: slo.Number(op + " " + string(o.Value))}
	c.Document.Spec.GroupBy, _ = foreign.Groups(q)
	c.Places["spec.sli.gauge.expr"], c.Places["spec.sli.gauge.good"] = place, objectiveAt.Child("value")
	c.Places["spec.group_by"] = place
}

// ratio carries over a ratio of events, or one that is already there.
func (c *converter) ratio(at foreign.Place, in ratioMetric) {
	switch {
	case in.Raw != nil && (in.Good != nil || in.Bad != nil || in.Total != nil):
		c.Problem(at.Child("raw"), "raw beside good, bad or total", "keep raw alone, or remove it")
	case in.Raw != nil:
		c.raw(at, in)
	case in.RawType != "":
		c.Problem(at.Child("rawType"), "rawType without raw", "remove it")
	case in.Total == nil:
		c.Problem(at.Child("total"), "missing", "all events, beside good or bad; or raw")
	case in.Good != nil && in.Bad != nil:
		c.Problem(at.Child("bad"), "good and bad are both given", "keep one: the other follows from total")
	case in.Good != nil:
		c.events(at, "good", foreign.Good, *in.Good, in)
	case in.Bad != nil:
		c.events(at, "bad", foreign.Errors, *in.Bad, in)
	default:
		c.Problem(at, "neither good nor bad is given", "add one of them")
	}
}

func (c *converter) raw(at foreign.Place, in ratioMetric) {
	q, place, ok := c.query(at.Child("raw"), *in.Raw)
	out := &slo.RatioText{}
	switch in.RawType {
	case "success":
		out.Good = q.Text
	case "failure":
		out.Errors = q.Text
	case "":
		c.Problem(at.Child("rawType"), "missing", "success or failure: of what it is a ratio")
		return
	default:
		c.Problem(at.Child("rawType"), fmt.Sprintf("%q is not known", foreign.Clip(in.RawType)), "success or failure")
		return
	}
	if ok {
		c.Document.Spec.SLI.Ratio = out
		c.Document.Spec.GroupBy, _ = foreign.Groups(q)
		c.Places["spec.sli.ratio"], c.Places["spec.group_by"] = place, place
	}
}

// events carries over good or bad events and all of them.
func (c *converter) events(at foreign.Place, key, side string, m metric, in ratioMetric) {
	counted, countedAt, ok1 := c.query(at.Child(key), m)
	total, totalAt, ok2 := c.query(at.Child("total"), *in.Total)
	for _, kind := range []string{"events", "promql", "ratio"} {
		native := "spec.sli." + kind
		c.Places[native], c.Places[native+".total"], c.Places[native+"."+side] = at, totalAt, countedAt
	}
	c.Places["spec.sli.latency"], c.Places["spec.group_by"] = countedAt, totalAt
	switch {
	case !ok1 || !ok2:
		return
	case counted.Text == total.Text:
		c.Problem(countedAt, "the same as the total", "every event would be counted on both sides")
		return
	case counted.Windowed != total.Windowed:
		c.Problem(countedAt, "a window in one of "+key+" and total", "{{.window}} in both, or in neither")
		return
	}
	if _, agree := foreign.Groups(counted, total); !agree {
		c.Problem(countedAt, "not grouped by the same labels as the total", "group both by the same labels, or neither")
		return
	}
	if sli, groups, ok := foreign.Events(side, counted, total); ok {
		c.Document.Spec.SLI, c.Document.Spec.GroupBy = sli, groups
		return
	}
	c.levels(at, countedAt, side, counted, total, in.Counter)
}

// levels carries over two expressions without a window: counters, or events
// at each moment.
func (c *converter) levels(at, countedAt foreign.Place, side string, counted, total foreign.Query, isCounter *bool) {
	part, ok1 := counted.Level()
	all, ok2 := total.Level()
	plain := ok1 && ok2
	counters := plain && part.IsCounter() && all.IsCounter()
	if isCounter != nil {
		counters = *isCounter
	}
	switch {
	case counters && plain:
		c.Document.Spec.SLI = foreign.Counted(side, part, all)
		c.Document.Spec.GroupBy = all.By
	case counters:
		c.Problem(countedAt, "not a counter but an expression", "with counter: true, a selector or the sum of one; or an expression with {{.window}} for its range")
	default:
		share := "(" + counted.Text + ") / (" + total.Text + ")"
		out := &slo.RatioText{Errors: share, Total: total.Text}
		if side == foreign.Good {
			out.Errors, out.Good = "", share
		}
		c.Document.Spec.SLI.Ratio = out
		c.Document.Spec.GroupBy, _ = foreign.Groups(counted, total)
		c.Places["spec.sli.ratio"] = at
	}
}
