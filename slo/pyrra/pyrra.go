// Package pyrra reads the ServiceLevelObjective objects of Pyrra
// (github.com/pyrra-dev/pyrra, API pyrra.dev/v1alpha1). What an object says is
// carried over to the native format as docs/formats.md has it; what cannot be
// is a problem that names its field. The package writes nothing.
package pyrra

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// APIVersion and Kind mark the objects.
const (
	APIVersion = "pyrra.dev/v1alpha1"
	Kind       = "ServiceLevelObjective"
)

// prefix is that of the labels and annotations which Pyrra passes on to its
// rules.
const prefix = "pyrra.dev/"

// absentAfter is how long a metric of a 28-day SLO is gone before Pyrra says
// so.
const absentAfter = "10m"

// Reader gathers objects. The zero Reader is ready.
type Reader struct {
	entries  []foreign.Entry
	problems diag.Problems
}

// object is a ServiceLevelObjective.
type object struct {
	APIVersion string             `yaml:"apiVersion"`
	Kind       string             `yaml:"kind"`
	Metadata   foreign.ObjectMeta `yaml:"metadata"`
	Spec       spec               `yaml:"spec"`
	Status     any                `yaml:"status"`
}

type spec struct {
	Description             string     `yaml:"description"`
	Target                  slo.Number `yaml:"target"`
	Window                  string     `yaml:"window"`
	Indicator               indicator  `yaml:"indicator"`
	Alerting                alerting   `yaml:"alerting"`
	PartialResponseStrategy string     `yaml:"partial_response_strategy"`
	PerformanceOverAccuracy bool       `yaml:"performanceOverAccuracy"`
}

type indicator struct {
	Ratio         *ratio         `yaml:"ratio"`
	Latency       *latency       `yaml:"latency"`
	LatencyNative *latencyNative `yaml:"latencyNative"`
	BoolGauge     *boolGauge     `yaml:"bool_gauge"`
}

type query struct {
	Metric string `yaml:"metric"`
}

type ratio struct {
	Errors   query    `yaml:"errors"`
	Total    query    `yaml:"total"`
	Grouping []string `yaml:"grouping"`
}

type latency struct {
	Success  query    `yaml:"success"`
	Total    query    `yaml:"total"`
	Grouping []string `yaml:"grouping"`
}

type latencyNative struct {
	Total    query      `yaml:"total"`
	Latency  slo.Number `yaml:"latency"`
	Grouping []string   `yaml:"grouping"`
}

type boolGauge struct {
	Metric   string   `yaml:"metric"`
	Grouping []string `yaml:"grouping"`
}

type alerting struct {
	Disabled     bool       `yaml:"disabled"`
	Burnrates    *bool      `yaml:"burnrates"`
	Absent       *bool      `yaml:"absent"`
	Name         string     `yaml:"name"`
	AbsentName   string     `yaml:"absentName"`
	BurnRateType string     `yaml:"burnRateType"`
	Severities   severities `yaml:"severities"`
}

type severities struct {
	FastBurn     string `yaml:"fastBurn"`
	MediumBurn   string `yaml:"mediumBurn"`
	SlowBurn     string `yaml:"slowBurn"`
	LongTermBurn string `yaml:"longTermBurn"`
	Absent       string `yaml:"absent"`
}

// Add takes an object whose apiVersion is APIVersion.
func (r *Reader) Add(at foreign.Place) {
	var in object
	problems := at.File.DecodeAt(at.Node, at.Field, &in)
	if in.Kind != Kind {
		r.problems = append(r.problems, at.Child("kind").Problem(fmt.Sprintf("kind %q is not known", foreign.Clip(in.Kind)), "want "+Kind))
		return
	}
	c := converter{Entry: foreign.NewEntry("Pyrra", at.Field, at), in: in, at: at}
	c.Problems = problems
	c.metadata()
	c.spec()
	c.indicator()
	c.alerting()
	r.entries = append(r.entries, c.Entry)
}

// Read returns the SLOs of all objects.
func (r *Reader) Read() ([]foreign.Entry, diag.Problems) { return r.entries, r.problems }

// converter makes the native document of one object.
type converter struct {
	foreign.Entry

	in object
	at foreign.Place
}

// from notes where a native field was made from, and returns it.
func (c *converter) from(native, theirs string) foreign.Place {
	p := c.at.Child(theirs)
	c.Places[native] = p
	return p
}

func (c *converter) metadata() {
	meta := c.in.Metadata
	c.Document.Metadata.Name = meta.Name
	c.from("metadata.name", "metadata.name")
	c.from("metadata", "metadata")
	labels := c.at.Child("metadata.labels")
	own := passed(meta.Labels)
	delete(own, "service")
	c.Labels("pyrra", prefixed(labels), own)
	if meta.Namespace != "" {
		c.Labels("pyrra", func(string) foreign.Place { return c.at.Child("metadata.namespace") }, map[string]string{"namespace": meta.Namespace})
	}
	c.service(labels)
	c.Annotations("pyrra", prefixed(c.at.Child("metadata.annotations")), passed(meta.Annotations))
}

// passed returns the labels or annotations that Pyrra passes on to its rules,
// without the prefix that says so.
func passed(all map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range all {
		if own, ok := strings.CutPrefix(name, prefix); ok {
			out[own] = value
		}
	}
	return out
}

func prefixed(at foreign.Place) foreign.Placer {
	return func(name string) foreign.Place { return at.Key(prefix + name) }
}

// service names the service: as the label pyrra.dev/service does, else it is
// the namespace, else the SLO's own name.
func (c *converter) service(at foreign.Place) {
	meta, out := c.in.Metadata, &c.Document.Spec.Service
	switch {
	case meta.Labels[prefix+"service"] != "":
		*out = meta.Labels[prefix+"service"]
		c.Places["spec.service"] = at.Key(prefix + "service")
	case meta.Namespace != "":
		*out = meta.Namespace
		c.from("spec.service", "metadata.namespace")
	default:
		*out = meta.Name
		c.from("spec.service", "metadata.name")
	}
}

func (c *converter) spec() {
	in, out := c.in.Spec, &c.Document.Spec
	c.from("spec", "spec")
	out.Description = in.Description
	out.Objective = in.Target
	c.from("spec.objective", "spec.target")
	out.Window.Rolling = in.Window
	if window := c.from("spec.window", "spec.window"); in.Window == "" && !c.known("window") {
		c.Problem(window, "missing", "how long the error budget is for, such as 28d")
	}
	if in.PartialResponseStrategy != "" && in.PartialResponseStrategy != "abort" {
		c.Problem(c.at.Child("spec.partial_response_strategy"), fmt.Sprintf("%q is not carried over", foreign.Clip(in.PartialResponseStrategy)),
			"Midwatch never counts a partial answer: remove it")
	}
}

// known says whether a key of the spec, which is missing, has a problem.
func (c *converter) known(key string) bool {
	for _, p := range c.Problems {
		if strings.HasSuffix(p.Field, "spec."+key) || strings.Contains(p.Hint, fmt.Sprintf("%q", key)) {
			return true
		}
	}
	return false
}

func (c *converter) indicator() {
	in, at := c.in.Spec.Indicator, c.from("spec.sli", "spec.indicator")
	var given []string
	for _, kind := range []string{"ratio", "latency", "latencyNative", "bool_gauge"} {
		if at.Has(kind) {
			given = append(given, kind)
		}
	}
	if len(given) > 1 {
		c.Problem(at.Child(given[1]), "another indicator beside "+given[0], "an SLO has one: make two objects of it")
		return
	}
	switch {
	case in.Ratio != nil:
		c.events("ratio", "errors", in.Ratio.Errors.Metric, in.Ratio.Total.Metric, in.Ratio.Grouping)
	case in.Latency != nil:
		c.latency(*in.Latency)
	case in.LatencyNative != nil:
		c.native(*in.LatencyNative)
	case in.BoolGauge != nil:
		c.Document.Spec.SLI.Gauge = &slo.GaugeText{Expr: strings.TrimSpace(in.BoolGauge.Metric)}
		c.from("spec.sli.gauge.expr", "spec.indicator.bool_gauge.metric")
		c.groups("bool_gauge", in.BoolGauge.Grouping)
	default:
		c.Problem(at, "no indicator", "want one of ratio, latency, latencyNative and bool_gauge")
	}
}

func (c *converter) groups(kind string, grouping []string) {
	c.Document.Spec.GroupBy = grouping
	c.from("spec.group_by", "spec.indicator."+kind+".grouping")
}

// events are counters: of errors, or of successes where side is "success".
func (c *converter) events(kind, side, counted, total string, grouping []string) {
	counted, total = strings.TrimSpace(counted), strings.TrimSpace(total)
	out, native := &slo.EventsText{Total: total}, "errors"
	if side == "errors" {
		out.Errors = counted
	} else {
		out.Good, native = counted, "good"
	}
	c.Document.Spec.SLI.Events = out
	at := "spec.indicator." + kind
	c.from("spec.sli.events", at)
	place := c.from("spec.sli.events."+native, at+"."+side+".metric")
	c.from("spec.sli.events.total", at+".total.metric")
	c.groups(kind, grouping)
	if counted != "" && counted == total {
		c.Problem(place, "the same as total", "every event would be counted on both sides")
	}
}

// latency is a latency SLI where both metrics are of one histogram, with the
// same matchers; else it is events.
func (c *converter) latency(in latency) {
	histogram, le, ok := foreign.Histogram(in.Success.Metric, in.Total.Metric)
	if !ok {
		c.events("latency", "success", in.Success.Metric, in.Total.Metric, in.Grouping)
		return
	}
	c.Document.Spec.SLI.Latency = &slo.LatencyText{Histogram: histogram, Threshold: slo.Number(le)}
	c.from("spec.sli.latency", "spec.indicator.latency")
	c.from("spec.sli.latency.histogram", "spec.indicator.latency.success.metric")
	c.from("spec.sli.latency.threshold", "spec.indicator.latency.success.metric")
	c.groups("latency", in.Grouping)
}

func (c *converter) native(in latencyNative) {
	c.Document.Spec.SLI.Latency = &slo.LatencyText{Native: strings.TrimSpace(in.Total.Metric), Threshold: in.Latency}
	c.from("spec.sli.latency", "spec.indicator.latencyNative")
	c.from("spec.sli.latency.native", "spec.indicator.latencyNative.total.metric")
	place := c.from("spec.sli.latency.threshold", "spec.indicator.latencyNative.latency")
	if _, err := model.ParseDuration(string(in.Latency)); err != nil && in.Latency != "" {
		c.Problem(place, fmt.Sprintf("%q is not a duration", foreign.Clip(string(in.Latency))), "such as 200ms")
	}
	c.groups("latencyNative", in.Grouping)
}

func (c *converter) alerting() {
	in, at := c.in.Spec.Alerting, c.from("spec.alerts", "spec.alerting")
	if in.BurnRateType != "" && in.BurnRateType != "static" {
		c.Problem(at.Child("burnRateType"), fmt.Sprintf("%q is not carried over", foreign.Clip(in.BurnRateType)),
			"Midwatch's low-traffic rule does what dynamic burn rates are for: remove it")
	}
	given := func(p *bool) bool { return p == nil || *p }
	c.Places["spec.alerts.preset"] = c.at.Child("spec.window")
	c.Default(slo.PresetScaled, func(slo.Tier) bool { return !in.Disabled && given(in.Burnrates) })
	out := c.Alerts()
	if given(in.Absent) && !in.Disabled {
		out.NoData = &slo.NoDataText{After: absentAfter, Severity: "P2"}
		c.from("spec.alerts.no_data", "spec.alerting.absent")
	}
	c.named(at, "pyrra_alert", "name", in.Name)
	c.named(at, "pyrra_absent_alert", "absentName", in.AbsentName)
	c.severities(at.Child("severities"), in.Severities)
}

// named carries the name of an alert over as a label.
func (c *converter) named(at foreign.Place, label, key, name string) {
	if name != "" {
		c.Labels("pyrra", func(string) foreign.Place { return at.Child(key) }, map[string]string{label: name})
	}
}

// severities carries Pyrra's severity labels over beside Midwatch's levels:
// one for alerts that page and one for tickets.
func (c *converter) severities(at foreign.Place, in severities) {
	page := c.one(at, "fastBurn", in.FastBurn, "mediumBurn", in.MediumBurn, "absent", in.Absent)
	ticket := c.one(at, "slowBurn", in.SlowBurn, "longTermBurn", in.LongTermBurn)
	for _, kind := range [][2]string{{"page", page}, {"ticket", ticket}} {
		if kind[1] != "" {
			c.Extra("pyrra", kind[0], func(string) foreign.Place { return at }, map[string]string{"severity": kind[1]}, at.Key, nil)
		}
	}
}

// one returns the one value that some keys have.
func (c *converter) one(at foreign.Place, pairs ...string) (value string) {
	for i := 0; i < len(pairs); i += 2 {
		switch own := pairs[i+1]; {
		case own == "" || own == value:
		case value != "":
			c.Problem(at.Child(pairs[i]), fmt.Sprintf("%q is not the severity of the other alerts of its kind", foreign.Clip(own)),
				"fastBurn, mediumBurn and absent are one kind, slowBurn and longTermBurn the other: give each kind one severity")
		default:
			value = own
		}
	}
	return value
}
