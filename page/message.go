package page

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// Bounds of what a message repeats of others' words.
const (
	maxPatterns = 3
	maxSample   = 300 // characters
	maxField    = 200 // characters
	maxURL      = 1500
)

// Message is what a page says, in the reader's words and time zone, safe to
// show: without control characters, text that changes direction, or more of a
// log line than a reader wants. HTML is left for whoever renders it to
// escape. Links are http or https, or absent.
type Message struct {
	Lead      string   // level, service and symptom within 40 characters
	Notices   []string // why it is sent, and what is unusual about it
	Facts     []Fact   // in the order of a reader's questions
	Standings []string // one line a cluster
	Findings  []Finding
	Do        string // what is expected of the reader; "" when nothing is
	Links     []Link
}

// Fact is one answer, under its question.
type Fact struct{ Label, Text string }

// Link is a place to go.
type Link struct{ Label, URL string }

// Finding is what one source of evidence had to say.
type Finding struct {
	Title    string
	Patterns []Pattern
}

// Pattern is one group of log lines.
type Pattern struct {
	Text   string // the template
	Counts string // lines now against before
	Sample string
	Where  string // trace, pod and cluster of the sample
}

// Message composes what the page says.
func (p Page) Message() Message {
	w, c := english(), p.composer()
	return Message{
		Lead:      c.lead(w),
		Notices:   c.notices(w),
		Facts:     c.facts(w),
		Standings: c.standings(w),
		Findings:  c.findings(w),
		Do:        c.do(w),
		Links:     c.links(w),
	}
}

// Subject returns the message's first line, for a mail's subject or a lock
// screen.
func (p Page) Subject() string { return p.Message().Lead }

// composer is a page and the clock of its reader.
type composer struct {
	Page
	loc *time.Location
}

func (p Page) composer() composer {
	loc, err := time.LoadLocation(p.To.Timezone)
	if err != nil || p.To.Timezone == "Local" {
		loc = time.UTC
	}
	return composer{p, loc}
}

// leadWidth is how much of a lock screen's line can be relied on, in
// characters.
const leadWidth = 40

// lead shortens the service, then the symptom, so that both are seen.
func (c composer) lead(w words) string {
	level := c.Incident.Level.String()
	if c.Kind == Resolved {
		level = w.resolved + " " + level
	}
	symptom := clean(c.symptom(w), maxField)
	service := clean(c.subjectName(), maxField)
	if service == "" || strings.HasPrefix(symptom, service) {
		return strings.TrimSpace(level + " " + symptom)
	}
	room := leadWidth - width(level) - width(symptom) - 3
	return fmt.Sprintf("%s %s: %s", level, shorten(service, max(room, 12)), symptom)
}

// subjectName is what fails: the service, else the SLO.
func (c composer) subjectName() string {
	if c.Incident.Service != "" {
		return c.Incident.Service
	}
	return c.Incident.SLO
}

// symptom is how fast the budget burns where that is known, else the
// incident's title.
func (c composer) symptom(w words) string {
	if c.Kind == Resolved {
		return fmt.Sprintf(w.over, w.span(c.end().Sub(c.Incident.Since)))
	}
	most := 0.0
	for _, s := range c.SLO.Standings {
		if isNumber(s.BurnRate) {
			most = max(most, s.BurnRate)
		}
	}
	switch {
	case most >= 1:
		return fmt.Sprintf(w.burns, times(most))
	case c.Incident.Title != "":
		return c.Incident.Title
	}
	return w.alertFires
}

func (c composer) end() time.Time {
	if c.Incident.ResolvedAt.IsZero() {
		return c.At
	}
	return c.Incident.ResolvedAt
}

func (c composer) notices(w words) (notices []string) {
	switch c.Kind {
	case Again:
		// The time also keeps a provider that drops what it has seen from
		// dropping a page that is about nothing new.
		notices = append(notices, fmt.Sprintf(w.again, c.clock(c.At)))
	case Raised:
		notices = append(notices, fmt.Sprintf(w.raised, c.Incident.Level))
	case Resolved:
		notices = append(notices, c.resolution(w))
	case Opened:
	}
	if c.Incident.Status == alert.Acknowledged && c.Kind != Resolved {
		notices = append(notices, fmt.Sprintf(w.acknowledged, clean(c.Incident.AckedBy, maxField)))
	}
	if c.Incident.Stale {
		notices = append(notices, w.stale)
	}
	return notices
}

func (c composer) resolution(w words) string {
	at := c.clock(c.end())
	if by := clean(c.Incident.ResolvedBy, maxField); by != "" {
		return fmt.Sprintf(w.resolvedBy, at, by)
	}
	return fmt.Sprintf(w.resolvedAlone, at)
}

func (c composer) facts(w words) (facts []Fact) {
	add := func(label, text string) {
		if text = clean(text, maxField); text != "" {
			facts = append(facts, Fact{label, text})
		}
	}
	add(w.forWhom, c.whom(w))
	if !strings.Contains(c.lead(w), clean(c.Incident.Service, maxField)) {
		add(w.service, c.Incident.Service)
	}
	if c.Incident.SLO == "" && !strings.Contains(c.lead(w), clean(c.Incident.Title, maxField)) {
		add(w.what, c.Incident.Title)
	}
	add(w.slo, c.objective(w))
	add(w.promise, c.SLO.Description)
	add(w.clusters, strings.Join(c.Incident.Clusters(), ", "))
	if !c.Incident.Since.IsZero() {
		add(w.since, c.since(w))
	}
	return facts
}

// since tells when the incident began, and how long ago unless that is no
// news.
func (c composer) since(w words) string {
	clock, ago := c.clock(c.Incident.Since), c.At.Sub(c.Incident.Since)
	if ago < time.Minute {
		return clock
	}
	return fmt.Sprintf(w.sinceAgo, clock, w.span(ago))
}

func (c composer) whom(w words) string {
	if c.To.FullName == "" {
		return c.To.User
	}
	return fmt.Sprintf(w.onCall, c.To.FullName)
}

func (c composer) objective(w words) string {
	switch {
	case c.SLO.Objective == "":
		return c.Incident.SLO
	case c.SLO.Window == "":
		return fmt.Sprintf("%s: %s%%", c.Incident.SLO, c.SLO.Objective)
	}
	return fmt.Sprintf(w.objective, c.Incident.SLO, c.SLO.Objective, c.SLO.Window)
}

// clock shows an instant as the reader's clock does, and whose clock that is.
func (c composer) clock(at time.Time) string {
	at = at.In(c.loc)
	layout := "15:04:05"
	if y, m, d := at.Date(); !sameDay(c.At.In(c.loc), y, m, d) {
		layout = "2006-01-02 15:04:05"
	}
	return at.Format(layout) + " " + c.loc.String()
}

func sameDay(at time.Time, y int, m time.Month, d int) bool {
	ay, am, ad := at.Date()
	return ay == y && am == m && ad == d
}

func (c composer) standings(w words) (lines []string) {
	worstFirst := slices.Clone(c.SLO.Standings)
	slices.SortStableFunc(worstFirst, func(a, b Standing) int { return cmp.Compare(b.BurnRate, a.BurnRate) })
	for _, s := range worstFirst {
		line := fmt.Sprintf(w.standing, Rate(s.BurnRate), Percent(s.ErrorRatio), w.budget(s.BudgetLeft))
		if s.Cluster != "" {
			line = clean(s.Cluster, maxField) + ": " + line
		}
		lines = append(lines, line)
	}
	return lines
}

func (c composer) findings(w words) (findings []Finding) {
	for _, e := range c.Evidence {
		source := w.source(clean(e.Source, maxField))
		f := Finding{Title: fmt.Sprintf(w.compared, source, w.span(e.Window))}
		switch problem := clean(e.Problem, maxField); {
		case problem != "" && len(e.Patterns) == 0:
			f.Title = fmt.Sprintf(w.unavailable, source, problem)
		case problem != "":
			f.Title = fmt.Sprintf(w.incomplete, source, problem)
		case len(e.Patterns) == 0:
			f.Title = fmt.Sprintf(w.nothing, source, w.span(e.Window))
		}
		for _, lp := range e.Patterns[:min(len(e.Patterns), maxPatterns)] {
			f.Patterns = append(f.Patterns, pattern(lp, w))
		}
		findings = append(findings, f)
	}
	return findings
}

func pattern(lp LogPattern, w words) Pattern {
	counts := fmt.Sprintf(w.counts, lp.Count, lp.Before)
	if lp.AtLeast {
		counts = fmt.Sprintf(w.countsAtLeast, lp.Count, lp.Before)
	}
	var where []string
	for _, part := range []struct{ format, value string }{
		{w.trace, lp.TraceID}, {w.pod, lp.Pod}, {w.cluster, lp.Cluster},
	} {
		if v := clean(part.value, maxField); v != "" {
			where = append(where, fmt.Sprintf(part.format, v))
		}
	}
	text := clean(lp.Template, maxField)
	if code := clean(lp.Code, maxField); code != "" && !strings.Contains(text, code) {
		text = code + ": " + text
	}
	return Pattern{
		Text: text, Counts: counts,
		Sample: clean(lp.Sample, maxSample), Where: strings.Join(where, ", "),
	}
}

func (c composer) do(w words) string {
	switch {
	case c.Kind == Resolved || c.Incident.Status == alert.Closed || c.Incident.Status == alert.Acknowledged:
		return ""
	case c.Link != "":
		return fmt.Sprintf(w.acknowledgeOnPage, c.Incident.ID)
	}
	return fmt.Sprintf(w.acknowledge, c.Incident.ID)
}

func (c composer) links(w words) []Link {
	links := []Link{{w.incident, c.Link}, {w.runbook, c.SLO.Runbook}}
	for _, e := range c.Evidence {
		links = append(links, Link{w.source(clean(e.Source, maxField)), e.Link})
	}
	links = slices.DeleteFunc(links, func(l Link) bool { return !safeURL(l.URL) })
	return links
}

// safeURL tells whether a link leads to a web page and is nothing else.
func safeURL(text string) bool {
	if len(text) > maxURL || strings.ContainsAny(text, "<>\"' \\`") || clean(text, maxURL) != text {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}
