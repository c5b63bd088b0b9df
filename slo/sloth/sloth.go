// Package sloth reads the files of Sloth (github.com/slok/sloth): those of
// version prometheus/v1, and the Kubernetes objects PrometheusServiceLevel and
// AlertWindows of sloth.slok.dev/v1. What they say is carried over to the
// native format as docs/formats.md has it; what cannot be is a problem that
// names its field. The package writes nothing.
package sloth

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// What marks the files and the objects.
const (
	Version          = "prometheus/v1"
	APIVersion       = "sloth.slok.dev/v1"
	KindServiceLevel = "PrometheusServiceLevel"
	KindAlertWindows = "AlertWindows"
)

// Period is the window of every SLO of Sloth: its files do not say one, the
// command line of sloth does, and this is what it does by default.
const Period = "30d"

// maxSLOs bounds the SLOs of one document.
const maxSLOs = 1000

// Reader gathers documents. The zero Reader is ready.
type Reader struct {
	entries  []foreign.Entry
	alerts   []alerting // of the entries
	windows  []catalog
	problems diag.Problems
}

// Add takes a document whose version is Version or whose apiVersion is
// APIVersion. It returns 1 for one that is there for SLOs to use, else 0.
func (r *Reader) Add(at foreign.Place) (parts int) {
	if !at.Has("apiVersion") {
		var in file
		problems := at.File.DecodeAt(at.Node, at.Field, &in)
		r.group(at, in.group(), problems)
		return 0
	}
	kind := at.Child("kind")
	switch kind.Node.Value {
	case KindServiceLevel:
		var in object
		problems := at.File.DecodeAt(at.Node, at.Field, &in)
		r.group(at.Child("spec"), in.Spec.group(), problems)
		return 0
	case KindAlertWindows:
		r.addWindows(at)
		return 1
	default:
		r.problems = append(r.problems, kind.Problem(fmt.Sprintf("kind %q is not known", foreign.Clip(kind.Node.Value)),
			"want "+KindServiceLevel+" or "+KindAlertWindows))
		return 0
	}
}

// Read returns the SLOs of all documents, with the windows of those that are
// for their period.
func (r *Reader) Read() ([]foreign.Entry, diag.Problems) {
	windows := r.catalog()
	for i := range r.entries {
		tiers(&r.entries[i], r.alerts[i], windows)
	}
	return r.entries, r.problems
}

// group makes the documents of the SLOs of one service. What is wrong with
// the group itself is a problem of its first SLO, so that it is said once.
func (r *Reader) group(at foreign.Place, g group, problems diag.Problems) {
	if len(g.slos) == 0 {
		r.problems = append(r.problems, problems...)
		if len(problems) == 0 {
			r.problems = append(r.problems, at.Child("slos").Problem("no SLO", "list at least one"))
		}
		return
	}
	if len(g.slos) > maxSLOs {
		r.problems = append(r.problems, at.Child("slos").Problem(fmt.Sprintf("more than %d SLOs", maxSLOs), "make several files of it"))
		return
	}
	if g.plugins != nil {
		problems = append(problems, plugins(at, "slo_plugins", "sloPlugins"))
	}
	for i, in := range g.slos {
		place := at.Child("slos").Item(i)
		c := converter{Entry: foreign.NewEntry("Sloth", place.Field, place), in: in, at: place, group: at}
		c.Problems = below(problems, place.Field, i == 0)
		c.convert(g)
		r.entries = append(r.entries, c.Entry)
		r.alerts = append(r.alerts, in.alerting)
	}
}

// below returns the problems that are in one SLO, or in none where rest says
// so.
func below(problems diag.Problems, field string, rest bool) (own diag.Problems) {
	list := field[:strings.LastIndexByte(field, '.')]
	for _, p := range problems {
		in := p.Field == field || strings.HasPrefix(p.Field, field+".")
		if in || rest && !strings.HasPrefix(p.Field, list+".") {
			own = append(own, p)
		}
	}
	return own
}

// plugins returns the problem of a chain of plugins.
func plugins(at foreign.Place, keys ...string) diag.Problem {
	for _, key := range keys {
		if at.Has(key) {
			at = at.Child(key)
			break
		}
	}
	return at.Problem("plugins are not carried over: they are programs that run within Sloth", "remove them, and say in the SLO what they do")
}

// converter makes the native document of one SLO.
type converter struct {
	foreign.Entry

	in        objective
	at, group foreign.Place
	texts     map[string]map[string]string // annotations of a page and of a ticket alone
}

// from notes where a native field was made from, and returns it.
func (c *converter) from(native, theirs string) foreign.Place {
	p := c.at.Child(theirs)
	c.Places[native] = p
	return p
}

func (c *converter) convert(g group) {
	doc := &c.Document
	doc.Metadata.Name = c.in.Name
	c.from("metadata.name", "name")
	doc.Spec.Service = g.service
	c.Places["spec.service"] = c.group.Child("service")
	doc.Spec.Description = c.in.Description
	c.from("spec.description", "description")
	doc.Spec.Objective = c.in.Objective
	c.from("spec.objective", "objective")
	doc.Spec.Window.Rolling = Period
	c.Places["spec.alerts"] = c.at.Child("alerting")
	if c.in.Interval != nil {
		c.Problem(c.at.Child("interval"), "not carried over: how often rules are evaluated is the same for all", "remove it, and say it to midwatch compile as --interval")
	}
	if c.in.Plugins != nil {
		c.Problems = append(c.Problems, plugins(c.at, "plugins"))
	}
	c.sli()
	c.annotations()
	c.labels(g)
}

func (c *converter) sli() {
	in, at := c.in.sli, c.from("spec.sli", "sli")
	kinds := 0
	for _, has := range []bool{in.hasRaw, in.hasEvents, in.plugin != nil} {
		if has {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		c.Problem(at, "more than one kind of SLI", "keep one of events, raw and plugin")
	case in.plugin != nil:
		c.Problem(at.Child("plugin"), fmt.Sprintf("plugin %q is not carried over: it is a program that runs within Sloth", foreign.Clip(in.plugin.ID)),
			"write the queries that it makes as sli.events")
	case in.hasEvents:
		c.events()
	case in.hasRaw:
		c.raw()
	default:
		c.Problem(at, "no SLI", "want one of events and raw")
	}
}

// query reads one expression.
func (c *converter) query(key, text string, at foreign.Place) (foreign.Query, bool) {
	place := at.Child(key)
	if strings.TrimSpace(text) == "" {
		c.Problem(place, "missing", "an expression with {{.window}} for its range")
		return foreign.Query{}, false
	}
	q, err := foreign.ParseQuery(text)
	switch {
	case err != nil:
		c.Problem(place, err.Error(), "PromQL, with {{.window}} for its range")
	case !q.Windowed && strings.HasPrefix(key, "events."):
		c.Problem(place, "no {{.window}}", "write it in place of the range, as in rate(http_requests_total[{{.window}}])")
	default:
		return q, true
	}
	return q, false
}

func (c *converter) events() {
	in, at := c.in.sli, c.at.Child("sli")
	failed, ok1 := c.query(in.errorKey, in.errors, at)
	total, ok2 := c.query(in.totalKey, in.total, at)
	c.Places["spec.sli.events"], c.Places["spec.sli.promql"] = at.Child("events"), at.Child("events")
	c.Places["spec.sli.events.errors"], c.Places["spec.sli.promql.errors"] = at.Child(in.errorKey), at.Child(in.errorKey)
	c.Places["spec.sli.events.good"], c.Places["spec.sli.latency"] = at.Child(in.errorKey), at.Child(in.errorKey)
	c.Places["spec.sli.events.total"], c.Places["spec.sli.promql.total"] = at.Child(in.totalKey), at.Child(in.totalKey)
	c.Places["spec.group_by"] = at.Child(in.totalKey)
	if !ok1 || !ok2 {
		return
	}
	if failed.Text == total.Text {
		c.Problem(at.Child(in.errorKey), "the same as the total", "every event would be counted on both sides")
		return
	}
	if _, agree := foreign.Groups(failed, total); !agree {
		c.Problem(at.Child(in.errorKey), "not grouped by the same labels as the total", "group both by the same labels, or neither")
		return
	}
	c.Document.Spec.SLI, c.Document.Spec.GroupBy, _ = foreign.Events(foreign.Errors, failed, total)
}

func (c *converter) raw() {
	at := c.at.Child("sli")
	c.Places["spec.sli.ratio"], c.Places["spec.sli.ratio.errors"] = at.Child("raw"), at.Child(c.in.sli.rawKey)
	c.Places["spec.group_by"] = at.Child(c.in.sli.rawKey)
	q, ok := c.query(c.in.sli.rawKey, c.in.sli.raw, at)
	if !ok {
		return
	}
	c.Document.Spec.SLI.Ratio = &slo.RatioText{Errors: q.Text}
	c.Document.Spec.GroupBy, _ = foreign.Groups(q)
}

// labels carries over the labels of the group, of the SLO and of its alerts,
// each over those before it, and those of one alert over all of these.
func (c *converter) labels(g group) {
	a, at := c.in.alerting, c.at.Child("alerting")
	all, where := map[string]string{}, map[string]foreign.Place{}
	put := func(labels map[string]string, at foreign.Place) {
		for name, value := range labels {
			all[name], where[name] = value, at.Key(name)
		}
	}
	put(g.labels, c.group.Child("labels"))
	put(c.in.Labels, c.at.Child("labels"))
	put(a.Labels, at.Child("labels"))
	// As Sloth does, say what each alert is, unless the author's own severity
	// is there, which is carried under the same name.
	page, ticket := maps.Clone(a.page.Labels), maps.Clone(a.ticket.Labels)
	if all["severity"] == "" {
		page, ticket = severity(page, "page"), severity(ticket, "ticket")
	}
	common, page, ticket := foreign.Split(all, page, ticket)
	if a.Name != "" {
		common["sloth_alert"], where["sloth_alert"] = a.Name, at.Child("name")
	}
	c.Labels("sloth", func(name string) foreign.Place { return where[name] }, common)
	c.extra("page", a.pageKey, a.page, page, where)
	c.extra("ticket", a.ticketKey, a.ticket, ticket, where)
}

// severity adds Sloth's own severity to labels that have none.
func severity(labels map[string]string, own string) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	if labels["severity"] == "" {
		labels["severity"] = own
	}
	return labels
}

// extra carries over what only the page alerts, or only the tickets, have.
func (c *converter) extra(which, key string, a alert, labels map[string]string, where map[string]foreign.Place) {
	if a.Disable {
		return
	}
	at := c.at.Child("alerting").Child(key)
	c.Extra("sloth", which, func(name string) foreign.Place {
		if _, own := a.Labels[name]; !own && where[name].File != nil {
			return where[name]
		}
		return at.Child("labels").Key(name)
	}, labels, c.annotated(key), c.texts[which])
}

// annotations carries over the texts of all alerts, and those of one over
// them.
func (c *converter) annotations() {
	a := c.in.alerting
	common, page, ticket := foreign.Split(c.static(a.Annotations), c.static(a.page.Annotations), c.static(a.ticket.Annotations))
	c.Annotations("sloth", c.at.Child("alerting.annotations").Key, common)
	c.texts = map[string]map[string]string{"page": page, "ticket": ticket}
}

// annotated says where an annotation of a page or a ticket is.
func (c *converter) annotated(key string) foreign.Placer {
	own, all := c.at.Child("alerting").Child(key).Child("annotations"), c.at.Child("alerting.annotations")
	return func(name string) foreign.Place {
		if p := own.Key(name); p.Node != own.Node {
			return p
		}
		return all.Key(name)
	}
}

// static writes out the templates in annotations whose values are the same on
// every alert of the SLO.
func (c *converter) static(annotations map[string]string) map[string]string {
	if !slices.ContainsFunc(slices.Collect(maps.Values(annotations)), func(text string) bool { return strings.Contains(text, "{{") }) {
		return annotations
	}
	service, name := c.Document.Spec.Service, c.Document.Metadata.Name
	var pairs []string
	for label, value := range map[string]string{"sloth_service": service, "sloth_slo": name, "sloth_id": service + "-" + name} {
		for _, form := range []string{"{{ $labels.%s }}", "{{$labels.%s}}", "{{ .Labels.%s }}", "{{.Labels.%s}}"} {
			pairs = append(pairs, fmt.Sprintf(form, label), value)
		}
	}
	replacer := strings.NewReplacer(pairs...)
	out := make(map[string]string, len(annotations))
	for name, text := range annotations {
		out[name] = replacer.Replace(text)
	}
	return out
}
