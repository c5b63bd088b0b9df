package slo

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/prometheus/common/model"
)

// Limits of what people write, in bytes and items.
const (
	maxName        = 100
	maxDescription = 2000
	maxText        = 200 // of a label's value, an owner, a title
	maxAnnotation  = 2000
	maxURL         = 2000
	maxLabels      = 50
	maxLinks       = 20
)

// reserved are labels that rules set or match on.
var reserved = []string{
	"alertname", "calendar", "late", "parameter", "parameters", "percent", "period", "scope", "service", "severity", "slo", "tier", "timezone",
}

const namePatternText = `^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`

// metadata checks what names the SLO.
func (c *checker) metadata() {
	c.out.File = c.from.File.Name
	if n, _ := c.from.Find("metadata.name"); n != nil {
		c.out.Line = n.Line
	}
	c.out.Name = c.name("metadata.name", c.in.Metadata.Name)
	c.out.Service = c.name("spec.service", c.in.Spec.Service)
}

// isName says whether a text is as namePatternText says.
func isName(text string) bool {
	inside := func(r rune) bool { return isNameRune(r) || r == '.' || r == '-' }
	atEnd := func(b byte) bool { return b != '.' && b != '-' && b != '_' }
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !inside(r) }) && atEnd(text[0]) && atEnd(text[len(text)-1])
}

// name checks a name that becomes a label value and part of a file's name.
func (c *checker) name(field, value string) string {
	const hint = "letters, digits, '-', '_' and '.', such as payment-availability"
	switch {
	case value == "":
		c.missing(field, hint)
	case len(value) > maxName:
		c.add(field, fmt.Sprintf("longer than %d characters", maxName), "")
	case !isName(value):
		c.add(field, fmt.Sprintf("%q is not a name", clip(value)), hint+"; the first and the last are a letter or a digit")
	default:
		return value
	}
	return ""
}

// texts checks what is for people alone.
func (c *checker) texts() {
	in := c.in.Spec
	c.out.Description, c.out.Critical = in.Description, in.Critical
	if len(in.Description) > maxDescription {
		c.add("spec.description", fmt.Sprintf("longer than %d bytes", maxDescription), "put what is longer in the runbook")
	}
	c.out.Owner, c.out.Team = in.Owner, in.Team
	c.text("spec.owner", in.Owner)
	c.text("spec.team", in.Team)
	c.out.Runbook = in.Runbook
	if in.Runbook != "" {
		c.url("spec.runbook", in.Runbook, "https://runbooks.example.com/payments")
	}
	c.links()
	c.streams("spec.logs", strings.TrimSpace(in.Logs))
}

// text checks a short text of one line.
func (c *checker) text(field, text string) {
	switch {
	case len(text) > maxText:
		c.add(field, fmt.Sprintf("longer than %d bytes", maxText), "")
	case strings.ContainsFunc(text, unicode.IsControl):
		c.add(field, "a line break or another control character", "one line of text")
	}
}

func (c *checker) url(field, text, example string) {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		c.add(field, fmt.Sprintf("%q is not a URL", clip(text)), "http:// or https://, such as "+example)
	}
}

func (c *checker) links() {
	c.out.Links = c.in.Spec.Links
	if len(c.out.Links) > maxLinks {
		c.add("spec.links", fmt.Sprintf("more than %d links", maxLinks), "")
		return
	}
	for i, link := range c.out.Links {
		field := fmt.Sprintf("spec.links.%d", i)
		if link.Title == "" {
			c.missing(field+".title", "what the page is, such as Dashboard")
		}
		c.text(field+".title", link.Title)
		if link.URL == "" {
			c.missing(field+".url", "such as https://grafana.example.com/d/payments")
			continue
		}
		c.url(field+".url", link.URL, "https://grafana.example.com/d/payments")
	}
}

// labels checks the SLO's own labels and annotations.
func (c *checker) labels() {
	c.out.Labels, c.out.Annotations = c.in.Metadata.Labels, c.in.Metadata.Annotations
	c.labelSet("metadata.labels", c.out.Labels)
	c.ownLabel("owner", c.out.Owner)
	c.ownLabel("team", c.out.Team)
	c.annotationSet("metadata.annotations", c.out.Annotations)
}

// ownLabel checks a field that becomes a label of alerts.
func (c *checker) ownLabel(name, value string) {
	if value == "" {
		return
	}
	if _, twice := c.out.Labels[name]; twice {
		c.add("metadata.labels."+name, "spec."+name+" sets this label too", "remove one")
	}
	if slices.Contains(c.out.GroupBy, name) {
		c.add("spec."+name, fmt.Sprintf("label %q is in group_by", name), "the alerts of each group have it from their series: remove one")
	}
}

// labelSet checks labels that alerts carry.
func (c *checker) labelSet(field string, set map[string]string) {
	if len(set) > maxLabels {
		c.add(field, fmt.Sprintf("more than %d labels", maxLabels), "")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		at := field + "." + name
		c.label(at, name)
		if slices.Contains(c.out.GroupBy, name) {
			c.add(at, fmt.Sprintf("label %q is in group_by", clip(name)), "the alerts of each group have it from their series: remove one")
		}
		if set[name] == "" {
			c.add(at, "a label without a value", "Prometheus keeps no empty label: give a value or remove it")
		}
		c.text(at, set[name])
	}
}

// label checks the name of a label that an SLO adds or groups by.
func (c *checker) label(field, name string) {
	switch {
	case slices.Contains(reserved, name) || strings.HasPrefix(name, "__"):
		c.add(field, fmt.Sprintf("label %q is set by Midwatch's rules", clip(name)), "choose another name; taken are "+strings.Join(reserved, ", ")+" and names that begin with __")
	case len(name) > maxName:
		c.add(field, fmt.Sprintf("label %q is longer than %d characters", clip(name), maxName), "")
	case !model.LegacyValidation.IsValidLabelName(name):
		c.add(field, fmt.Sprintf("%q is not a label name", clip(name)), "letters, digits and '_', not first a digit")
	}
}

// annotationSet checks annotations, which rules carry as the labels of a
// series beside the SLO's own labels.
func (c *checker) annotationSet(field string, set map[string]string) {
	if len(set) > maxLabels {
		c.add(field, fmt.Sprintf("more than %d annotations", maxLabels), "")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		at := field + "." + name
		c.label(at, name)
		switch value := set[name]; {
		case c.isOwnLabel(name):
			c.add(at, fmt.Sprintf("%q is a label of this SLO too", clip(name)), "choose another name")
		case name == "runbook_url" && c.out.Runbook != "":
			c.add(at, "spec.runbook sets this annotation too", "remove one")
		case value == "":
			c.add(at, "an annotation without a text", "give a text or remove it")
		case len(value) > maxAnnotation:
			c.add(at, fmt.Sprintf("longer than %d bytes", maxAnnotation), "")
		case strings.Contains(value, "{{"):
			c.add(at, "a template, which is not filled in", "write the text out: the page itself names the SLO, the groups and the values")
		}
	}
}

// isOwnLabel says whether all alerts of the SLO carry a label.
func (c *checker) isOwnLabel(name string) bool {
	_, given := c.out.Labels[name]
	return given || name == "owner" && c.out.Owner != "" || name == "team" && c.out.Team != ""
}
