package page

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
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
	Lead      string   // level, service and symptom within 40 columns
	Notices   []string // why it is sent, and what is unusual about it
	Facts     []Fact   // in the order of a reader's questions
	Standings []string // one line a cluster
	Findings  []Finding
	Others    []Other // of a bundle: its incidents, P1s first
	Body      []Block // of a report
	Do        string  // what is expected of the reader; "" when nothing is
	Ack       Link    // to acknowledge by; its URL is "" when there is nothing to acknowledge
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
	m := p.message()
	m.Lead = cmp.Or(p.Rendered.Lead, m.Lead)
	return m
}

func (p Page) message() Message {
	w, c := p.words(), p.composer()
	switch p.Kind {
	case Bundle:
		return c.bundle(w)
	case Report:
		return c.report(w)
	default:
	}
	return Message{
		Lead:      c.lead(w),
		Notices:   c.notices(w),
		Facts:     c.facts(w),
		Standings: c.standings(w),
		Findings:  c.findings(w),
		Do:        c.do(w),
		Ack:       c.ack(w),
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
// columns.
const leadWidth = 40

func (c composer) lead(w words) string {
	return headline(c.level(w), c.subjectName(), c.symptom(w), leadWidth)
}

// headline shortens the service, then the symptom, so that both are seen in
// room columns.
func headline(level, service, symptom string, room int) string {
	service, symptom = clean(service, maxField), clean(symptom, maxField)
	if service == "" || strings.HasPrefix(symptom, service) {
		return strings.TrimSpace(level + " " + symptom)
	}
	room -= columns(level) + columns(symptom) + 3
	return fmt.Sprintf("%s %s: %s", level, fit(service, max(room, 12)), symptom)
}

// level is the level, after what makes it less than it seems.
func (c composer) level(w words) string {
	before := ""
	switch {
	case c.isOver() && c.Incident.MergedInto != 0:
		before = w.combined + " "
	case c.isOver():
		before = w.resolved + " "
	}
	if c.Incident.Drill {
		before = w.drill + " " + strings.ToLower(before)
	}
	return before + c.Incident.Level.String()
}

// isOver tells whether the page is about an incident that is over.
func (c composer) isOver() bool {
	return c.Kind == Resolved || c.Kind == Updated && c.Incident.Status == alert.Closed
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
	if c.isOver() && c.Incident.MergedInto == 0 {
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
		return c.title(w)
	}
	return w.alertFires
}

// title is the incident's title; of one that says no more than that a budget
// burns, in the reader's language.
func (c composer) title(w words) string {
	if c.Incident.SLO != "" && c.Incident.Title == c.Incident.SLO+" burns its error budget" {
		return w.budgetBurns
	}
	return c.Incident.Title
}

// Topic returns what the incident is called in all its pages of one level,
// however it stands: what a thread of mails is about. That of a bundle or a
// report is its lead.
func (p Page) Topic() string {
	w, c := p.words(), p.composer()
	if p.Kind == Bundle || p.Kind == Report {
		return p.Subject()
	}
	c.Kind, c.SLO.Standings = Opened, nil
	return c.lead(w)
}

func (c composer) end() time.Time {
	if c.Incident.ResolvedAt.IsZero() {
		return c.At
	}
	return c.Incident.ResolvedAt
}

func (c composer) notices(w words) (notices []string) {
	if c.Incident.Drill {
		notices = append(notices, w.exercise)
	}
	// A time also keeps a provider that drops what it has seen from dropping
	// a page that is about nothing new.
	switch c.Kind {
	case Again:
		notices = append(notices, fmt.Sprintf(w.again, c.clock(c.At)))
	case Raised:
		notices = append(notices, fmt.Sprintf(w.raised, c.Incident.Level))
	case Escalated:
		notices = append(notices, fmt.Sprintf(w.escalated, c.clock(c.At)))
	case Called:
		notices = append(notices, fmt.Sprintf(w.called, c.clock(c.At)))
	case Reopened:
		notices = append(notices, fmt.Sprintf(w.reopened, c.clock(c.At)))
	default:
	}
	if c.isOver() {
		return append(notices, c.resolution(w))
	}
	return append(notices, c.conditions(w)...)
}

// conditions tell what is unusual about an incident that goes on.
func (c composer) conditions(w words) (notices []string) {
	inc := c.Incident
	add := func(is bool, format string, args ...any) {
		if is {
			notices = append(notices, fmt.Sprintf(format, args...))
		}
	}
	add(inc.Reopened > 1, w.reopenedTimes, inc.Reopened)
	add(inc.Status == alert.Acknowledged, w.acknowledged, clean(inc.AckedBy, maxField))
	add(inc.SnoozedUntil.After(c.At), w.snoozed, c.clock(inc.SnoozedUntil))
	add(inc.Muted != "", w.muted, clean(inc.Muted, maxField))
	if inc.Stale {
		notices = append(notices, w.stale)
	}
	return notices
}

func (c composer) resolution(w words) string {
	if c.Incident.MergedInto != 0 {
		return fmt.Sprintf(w.merged, c.Incident.MergedInto)
	}
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
	add(w.answers, c.SLO.Answers)
	add(w.clusters, strings.Join(c.Incident.Clusters(), ", "))
	add(w.alerts, c.alerts(w))
	if !c.Incident.Since.IsZero() {
		add(w.since, c.since(w))
	}
	add(w.budget, c.gone(w))
	return facts
}

// alerts tells how many alerts there are, where that is more than one in each
// cluster.
func (c composer) alerts(w words) string {
	all, firing := max(c.Incident.AlertCount, len(c.Incident.Alerts)), 0
	for _, a := range c.Incident.Alerts {
		if a.State == alert.Firing {
			firing++
		}
	}
	switch {
	case all <= max(1, len(c.Incident.Clusters())):
		return ""
	case all > len(c.Incident.Alerts) || firing == all: // or not all are known
		return strconv.Itoa(all)
	}
	return fmt.Sprintf(w.alertsFiring, all, firing)
}

// gone tells when the budget runs out first if it burns on as it does now;
// "" when that is not before the window ends, or not known. A budget of the
// period P of which the part l is left, burning b times as fast as it may,
// lasts for P·l/b (SRE Workbook, chapter 5).
func (c composer) gone(w words) string {
	if c.isOver() || c.SLO.Period <= 0 {
		return ""
	}
	var (
		soonest = time.Duration(math.MaxInt64)
		where   string
	)
	for _, s := range c.SLO.Standings {
		if !isNumber(s.BurnRate) || s.BurnRate < 1 || !isNumber(s.BudgetLeft) || s.BudgetLeft <= 0 || s.BudgetLeft > 1 {
			continue
		}
		if left := time.Duration(s.BudgetLeft / s.BurnRate * float64(c.SLO.Period)); left < soonest {
			soonest, where = left, s.Cluster
		}
	}
	if soonest == math.MaxInt64 {
		return ""
	}
	text := fmt.Sprintf(w.goneIn, w.about(soonest))
	if len(c.SLO.Standings) > 1 && where != "" {
		text = fmt.Sprintf(w.ofCluster, clean(where, maxField), text)
	}
	return text
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
		line := fmt.Sprintf(w.standing, Rate(s.BurnRate), Percent(s.ErrorRatio), w.left(s.BudgetLeft))
		if s.Cluster != "" {
			line = clean(s.Cluster, maxField) + w.colon + line
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
	switch {
	case lp.Count == 0 && lp.Before == 0: // not of a kind that is counted
		counts = ""
	case lp.AtLeast:
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
		Sample: clean(lp.Sample, maxSample), Where: strings.Join(where, w.comma),
	}
}

// waits tells whether the incident waits for somebody to acknowledge it.
func (c composer) waits() bool {
	return c.Kind != Resolved && c.Incident.Status != alert.Closed && c.Incident.Status != alert.Acknowledged
}

func (c composer) ack(w words) Link {
	if !c.waits() || !safeURL(c.AckLink) {
		return Link{}
	}
	return Link{w.buttons.Acknowledge, c.AckLink}
}

func (c composer) do(w words) string {
	switch {
	case !c.waits():
		return ""
	case c.Link != "":
		return fmt.Sprintf(w.acknowledgeOnPage, c.Incident.ID)
	}
	return fmt.Sprintf(w.acknowledge, c.Incident.ID)
}

func (c composer) links(w words) []Link {
	links := []Link{{w.incident, c.Link}, {w.runbook, c.SLO.Runbook}}
	for _, l := range c.SLO.Links {
		links = append(links, Link{clean(l.Title, maxField), l.URL})
	}
	for _, e := range c.Evidence {
		links = append(links, Link{w.source(clean(e.Source, maxField)), e.Link})
	}
	return safe(links...)
}

func safe(links ...Link) []Link {
	return slices.DeleteFunc(links, func(l Link) bool { return !safeURL(l.URL) })
}

// safeURL tells whether a link leads to a web page and is nothing else.
func safeURL(text string) bool {
	if len(text) > maxURL || strings.ContainsAny(text, "<>\"' \\`") || clean(text, maxURL) != text {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}
