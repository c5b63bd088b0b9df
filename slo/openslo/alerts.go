package openslo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// severities are Midwatch's levels of the words that alert conditions use for
// theirs.
var severities = map[string]string{
	"p1": "P1", "sev0": "P1", "sev1": "P1", "critical": "P1", "emergency": "P1",
	"p2": "P2", "sev2": "P2", "page": "P2", "high": "P2", "major": "P2", "error": "P2",
	"p3": "P3", "sev3": "P3", "ticket": "P3", "warning": "P3", "medium": "P3", "minor": "P3",
	"p4": "Info", "p5": "Info", "sev4": "Info", "sev5": "Info", "low": "Info", "info": "Info", "notice": "Info",
}

const severityHint = "P1 (or critical, sev1), P2 (page, high, sev2), P3 (ticket, warning, medium, sev3) or Info (low, sev4)"

// extras are what the alerts of one kind have besides, a page or a ticket.
type extras struct {
	targets, policies, descriptions []string
	at                              foreign.Place
}

// policies carries over what the SLO alerts on. One that says nothing of it
// alerts as Midwatch's SLOs do; one with an empty list does not.
func (c *converter) policies() {
	at := c.from("spec.alerts", "spec.alertPolicies")
	if !c.at.Has("spec.alertPolicies") {
		c.Default(slo.PresetWorkbook, func(slo.Tier) bool { return true })
		return
	}
	if c.tooLong(at, len(c.in.Spec.AlertPolicies)) {
		return
	}
	out := c.Alerts()
	of := map[string]*extras{"page": {}, "ticket": {}}
	for i, item := range c.in.Spec.AlertPolicies {
		place := at.Item(i)
		switch {
		case item.AlertPolicyRef != "" && item.Kind != "":
			c.Problem(place, "a policy and a reference to one", "keep one of them")
		case item.AlertPolicyRef != "":
			if p, ok := find(c, c.r.policies, kindPolicy, item.AlertPolicyRef, place.Child("alertPolicyRef")); ok {
				c.policy(p.spec(), p.Metadata, p.Spec, of)
			}
		case c.isKind(place, item.Kind, kindPolicy, "alertPolicyRef"):
			c.policy(place.Child("spec"), item.Metadata, item.Spec, of)
		}
	}
	if len(out.Tiers) == 0 {
		out.Preset = string(slo.PresetNone)
	}
	c.extra("page", *of["page"])
	c.extra("ticket", *of["ticket"])
}

// tooLong says whether a list has more than it may, and notes that.
func (c *converter) tooLong(at foreign.Place, n int) bool {
	if n > maxList {
		c.Problem(at, fmt.Sprintf("more than %d", maxList), "")
	}
	return n > maxList
}

// isKind says whether an object within another is of its kind, or notes that
// it is not.
func (c *converter) isKind(at foreign.Place, kind, want, ref string) bool {
	if kind == want {
		return true
	}
	if kind == "" && !at.Has("spec") {
		c.Problem(at.Child(ref), "missing", fmt.Sprintf("the name of an %s; or kind: %s, metadata and spec", want, want))
	} else {
		c.Problem(at.Child("kind"), fmt.Sprintf("kind %q is not known here", foreign.Clip(kind)), "want "+want)
	}
	return false
}

// extra carries over who is told, as labels, and what the policies say, as
// annotations.
func (c *converter) extra(which string, e extras) {
	labels, annotations := map[string]string{}, map[string]string{}
	put := func(into map[string]string, name, sep string, texts []string) {
		if len(texts) > 0 {
			into[name] = strings.Join(texts, sep)
		}
	}
	put(labels, "notification_targets", ",", e.targets)
	put(annotations, "alert_policy", ", ", e.policies)
	put(annotations, "alert_condition", "; ", e.descriptions)
	at := func(string) foreign.Place { return e.at }
	c.Extra("openslo", which, at, labels, at, annotations)
}

// add notes a text once.
func add(list *[]string, text string) {
	if text = strings.TrimSpace(text); text != "" && !slices.Contains(*list, text) {
		*list = append(*list, text)
	}
}

// policy carries over one policy.
func (c *converter) policy(at foreign.Place, meta metadata, in policySpec, of map[string]*extras) {
	if len(in.Conditions) == 0 {
		c.Problem(at.Child("conditions"), "no condition", "list one")
	}
	if c.tooLong(at.Child("conditions"), len(in.Conditions)) || c.tooLong(at.Child("notificationTargets"), len(in.NotificationTargets)) {
		return
	}
	targets := c.targets(at.Child("notificationTargets"), in.NotificationTargets)
	for i, item := range in.Conditions {
		place := at.Child("conditions").Item(i)
		switch {
		case item.ConditionRef != "" && item.Kind != "":
			c.Problem(place, "a condition and a reference to one", "keep one of them")
			continue
		case item.ConditionRef != "":
			found, ok := find(c, c.r.conditions, kindCondition, item.ConditionRef, place.Child("conditionRef"))
			if !ok {
				continue
			}
			place, item.Metadata, item.Spec = found.spec(), found.Metadata, found.Spec
		case !c.isKind(place, item.Kind, kindCondition, "conditionRef"):
			continue
		default:
			place = place.Child("spec")
		}
		which := c.condition(place, in, item.Spec)
		if which == "" {
			continue
		}
		e := of[which]
		if e.at.File == nil {
			e.at = at
		}
		e.targets = append(e.targets, missing(e.targets, targets)...)
		add(&e.policies, firstOf(meta.DisplayName, meta.Name))
		add(&e.descriptions, firstOf(item.Spec.Description, in.Description, item.Metadata.DisplayName))
	}
}

// missing returns those of some texts that a list does not have.
func missing(list, texts []string) (rest []string) {
	for _, text := range texts {
		if !slices.Contains(list, text) {
			rest = append(rest, text)
		}
	}
	return rest
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}

// targets returns the names of notification targets.
func (c *converter) targets(at foreign.Place, items []targetItem) (names []string) {
	for i, item := range items {
		place := at.Item(i)
		switch {
		case item.TargetRef != "":
			if _, ok := find(c, c.r.targets, kindTarget, item.TargetRef, place.Child("targetRef")); ok {
				add(&names, item.TargetRef)
			}
		case c.isKind(place, item.Kind, kindTarget, "targetRef"):
			add(&names, item.Metadata.Name)
		}
	}
	return names
}

// condition carries over one condition, and says whether its alerts are pages
// or tickets, "" where it could not.
func (c *converter) condition(at foreign.Place, policy policySpec, in conditionSpec) (which string) {
	severity, ok := severities[strings.ToLower(strings.ReplaceAll(in.Severity, "-", ""))]
	switch {
	case in.Severity == "":
		c.Problem(at.Child("severity"), "missing", severityHint)
	case !ok:
		c.Problem(at.Child("severity"), fmt.Sprintf("%q is none of Midwatch's levels", foreign.Clip(in.Severity)), severityHint)
	}
	breaching := policy.AlertWhenBreaching == nil || *policy.AlertWhenBreaching
	tier, valid := c.tier(at.Child("condition"), in.Condition, severity)
	if !ok || !valid {
		return ""
	}
	out := c.Alerts()
	if breaching {
		c.place(fmt.Sprintf("spec.alerts.tiers.%d", len(out.Tiers)), at)
		out.Tiers = append(out.Tiers, tier)
	}
	if policy.AlertWhenNoData && (out.NoData == nil || severity < out.NoData.Severity || out.NoData.Severity == "Info") {
		out.NoData = &slo.NoDataText{Severity: severity}
	}
	if !breaching && !policy.AlertWhenNoData {
		return ""
	}
	if severity == "P1" || severity == "P2" {
		return "page"
	}
	return "ticket"
}

// place notes where the parts of a tier are from.
func (c *converter) place(field string, at foreign.Place) {
	c.Places[field] = at
	for native, theirs := range map[string]string{
		"long": "condition.lookbackWindow", "short": "condition.lookbackWindow", "burn_rate": "condition.threshold",
		"for": "condition.alertAfter", "severity": "severity",
	} {
		c.Places[field+"."+native] = at.Child(theirs)
	}
}

// tier makes a tier of a condition on the burn rate.
func (c *converter) tier(at foreign.Place, in condition, severity string) (slo.TierText, bool) {
	before := len(c.Problems)
	if in.Kind != "" && in.Kind != "burnrate" {
		c.Problem(at.Child("kind"), fmt.Sprintf("%q is not known", foreign.Clip(in.Kind)), "burnrate")
	}
	switch in.Op {
	case "", "gt", "gte": // a burn rate is a real number: it is never exactly so much
	case "lt", "lte":
		c.Problem(at.Child("op"), in.Op+": an alert while the budget burns slowly", "gt or gte")
	default:
		c.Problem(at.Child("op"), fmt.Sprintf("%q is not known", foreign.Clip(in.Op)), "gt or gte")
	}
	if in.Threshold == "" {
		c.Problem(at.Child("threshold"), "missing", "how fast the budget burns, such as 14.4")
	}
	long := c.lookback(at.Child("lookbackWindow"), in.LookbackWindow)
	out := slo.TierText{BurnRate: in.Threshold, Severity: severity}
	if long != 0 {
		out.Long, out.Short = slo.FormatDuration(long), slo.FormatDuration(short(long))
	}
	out.For = c.after(at.Child("alertAfter"), in.AlertAfter)
	return out, len(c.Problems) == before
}

func (c *converter) lookback(at foreign.Place, text string) time.Duration {
	if text == "" {
		c.Problem(at, "missing", "over which time the budget burns, such as 1h")
		return 0
	}
	d, err := parseShorthand(text)
	if err != nil {
		c.Problem(at, err.Error(), shorthandHint)
		return 0
	}
	return d.length()
}

// short returns the window that says that a budget still burns: a twelfth of
// the long one, as the SRE Workbook has it (chapter 5), in whole minutes and
// at least one.
func short(long time.Duration) time.Duration {
	return max(time.Minute, (long / 12).Round(time.Minute))
}

// after returns how long a condition must hold, "" for not at all.
func (c *converter) after(at foreign.Place, text string) string {
	if text == "" || text == "0" || text == "0m" {
		return ""
	}
	d, err := parseShorthand(text)
	if err != nil {
		c.Problem(at, err.Error(), shorthandHint)
		return ""
	}
	return d.native()
}
