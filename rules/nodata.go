package rules

import (
	"maps"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// noData returns the alert that what an SLO counts is gone: all of it, also
// when it never was there, and of an SLO with groups each group that had
// traffic within the window of the budget.
func (c *compiler) noData(e events) rulefmt.Rule {
	const name = "SLONoData"
	policy := e.slo.Alerts.NoData
	gone := call("absent", e.seen())
	had := maxBy(e.groups, above(e.ownSeries(e.longHistory), num(0)))
	switch {
	case e.slo.Scope == slo.ScopeFleet: // a cluster need not have any of it
		gone = unless(had, e.seen())
	case len(e.groups) > 0:
		gone = either(unless(had, e.seen()), onNothing(parser.LUNLESS, gone, had))
	}
	if len(e.slo.Exclusions) > 0 {
		excluded := equals(series("slo:excluded:bool", eq("service", e.service), eq("slo", e.name)), num(1))
		gone = onNothing(parser.LUNLESS, gone, excluded)
	}
	labels, texts := alertTexts(e.slo, policy.Severity)
	verbatim(labels)
	verbatim(texts)
	maps.Copy(labels, e.labels)
	labels["severity"] = policy.Severity
	annotations := map[string]string{
		"summary":     "{{ $labels.service }}: nothing is known of {{ $labels.slo }}",
		"description": "What it counts has had no series for " + span(policy.After) + ": neither a failure nor a success would be noticed.",
	}
	maps.Copy(annotations, texts)
	return rulefmt.Rule{
		Alert: name, Expr: c.print(name, gone), For: model.Duration(policy.After),
		Labels: labels, Annotations: annotations,
	}
}

// verbatim keeps texts of people from being read as templates.
func verbatim(texts map[string]string) {
	for name, text := range texts {
		texts[name] = strings.ReplaceAll(text, "{{", `{{"{{"}}`)
	}
}

// onNothing joins every series of the left side with any of the right one.
func onNothing(op parser.ItemType, l, r parser.Expr) parser.Expr {
	b := binary(op, l, r).(*parser.BinaryExpr)
	b.VectorMatching.On = true
	return b
}

// alertTexts returns the labels and annotations that alerts of an SLO carry
// at a severity besides their own.
func alertTexts(s slo.SLO, severity string) (labels, annotations map[string]string) {
	labels, annotations = map[string]string{}, map[string]string{}
	maps.Copy(labels, s.Labels)
	for name, value := range map[string]string{"owner": s.Owner, "team": s.Team} {
		if value != "" {
			labels[name] = value
		}
	}
	maps.Copy(annotations, s.Annotations)
	if s.Runbook != "" {
		annotations["runbook_url"] = s.Runbook
	}
	extra := s.Alerts.Ticket
	if severity == "P1" || severity == "P2" {
		extra = s.Alerts.Page
	}
	maps.Copy(labels, extra.Labels)
	maps.Copy(annotations, extra.Annotations)
	return labels, annotations
}
