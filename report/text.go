package report

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Bounds of a report: who wants more opens the incidents' list.
const (
	maxSLOs      = 20
	maxIncidents = 10
	maxPeople    = 20
)

// words are the report's, in one language.
type words struct {
	title, slos, noSLOs, slo, sloUnknown, spent, more        string
	incidents, noIncidents, level, open, acked, repaired     string
	longest, incident, going                                 string
	people, noPages, person, nights, busiest, missing, clock string
	day, hour, minute, second                                string
}

func english() words {
	return words{
		title: "Week of %s to %s", clock: "Mon 2 Jan",
		slos: "Error budgets (least left first)", noSLOs: "No SLO is defined.",
		slo: "%s/%s (%s%%): %s of the budget left", sloUnknown: "%s/%s (%s%%): unknown", spent: ", this week spent %s", more: "… and %d more",
		incidents: "Incidents", noIncidents: "No incident.",
		level: "%s: %d", open: ", %d still open", acked: ", acknowledged after %s (median)", repaired: ", repaired after %s (median)",
		longest: "What took longest", incident: "#%d %s %s: %s, %s", going: "going on for %s",
		people: "Who was paged", noPages: "Nobody was paged.", person: "%s: paged %d×", nights: ", %d of them at night", busiest: ", most between %d and %d o'clock",
		missing: "Not known: %s",
		day:     "%dd", hour: "%dh", minute: "%dm", second: "%ds",
	}
}

func chinese() words {
	return words{
		title: "值班周报 %s 至 %s", clock: "1月2日",
		slos: "错误预算（剩余最少的在前）", noSLOs: "没有定义 SLO。",
		slo: "%s/%s（%s%%）：剩余预算 %s", sloUnknown: "%s/%s（%s%%）：未知", spent: "，本周消耗 %s", more: "……另有 %d 项",
		incidents: "事件", noIncidents: "本周没有事件。",
		level: "%s：%d 起", open: "，%d 起仍未恢复", acked: "，确认用时中位数 %s", repaired: "，恢复用时中位数 %s",
		longest: "耗时最长", incident: "#%d %s %s：%s，%s", going: "已持续 %s",
		people: "被呼叫的人", noPages: "没有人被呼叫。", person: "%s：%d 次", nights: "，其中夜间 %d 次", busiest: "，集中在 %d 点到 %d 点",
		missing: "未能获知：%s",
		day:     "%d天", hour: "%d小时", minute: "%d分", second: "%d秒",
	}
}

// Title returns the report's first line.
func (f Figures) Title(r Reader) string {
	w := r.words()
	return fmt.Sprintf(w.title, f.From.In(r.location()).Format(w.clock), f.Until.Add(-time.Second).In(r.location()).Format(w.clock))
}

// Text returns the report in lines of text, without its title: paragraphs are
// apart by an empty line, a heading begins with "# " and a line of a list with
// "- ".
func (f Figures) Text(r Reader) string {
	w := r.words()
	parts := [][]string{f.budgets(w), f.counts(w), f.worst(w), f.paged(w, r.location())}
	if len(f.Missing) > 0 {
		parts = append(parts, []string{fmt.Sprintf(w.missing, strings.Join(f.Missing, ", "))})
	}
	var paragraphs []string
	for _, lines := range parts {
		if len(lines) > 0 {
			paragraphs = append(paragraphs, paragraph(lines))
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// paragraph joins a heading and what is under it; a line alone is a sentence.
func paragraph(lines []string) string {
	if len(lines) == 1 {
		return lines[0]
	}
	return "# " + strings.Join(lines, "\n- ")
}

func (r Reader) words() words {
	if r.Language == "zh" {
		return chinese()
	}
	return english()
}

func (r Reader) location() *time.Location {
	if r.Location == nil {
		return time.UTC
	}
	return r.Location
}

func (f Figures) budgets(w words) []string {
	if len(f.SLOs) == 0 {
		return []string{w.noSLOs}
	}
	lines := []string{w.slos}
	for i, s := range f.byNeed() {
		if i == maxSLOs {
			return append(lines, fmt.Sprintf(w.more, len(f.SLOs)-i))
		}
		lines = append(lines, s.line(w))
	}
	return lines
}

func (s SLO) line(w words) string {
	if math.IsNaN(s.Left) {
		return fmt.Sprintf(w.sloUnknown, s.Service, s.Name, s.Objective)
	}
	line := fmt.Sprintf(w.slo, s.Service, s.Name, s.Objective, percent(s.Left))
	if !math.IsNaN(s.Spent) {
		line += fmt.Sprintf(w.spent, percent(s.Spent))
	}
	return line
}

func percent(v float64) string { return fmt.Sprintf("%.1f%%", 100*v) }

func (f Figures) counts(w words) []string {
	all := f.summaries()
	if len(all) == 0 {
		return []string{w.noIncidents}
	}
	lines := []string{w.incidents}
	for _, s := range all {
		line := fmt.Sprintf(w.level, s.level, s.count)
		if took, ok := median(s.acknowledged); ok {
			line += fmt.Sprintf(w.acked, w.span(took))
		}
		if took, ok := median(s.repaired); ok {
			line += fmt.Sprintf(w.repaired, w.span(took))
		}
		if s.open > 0 {
			line += fmt.Sprintf(w.open, s.open)
		}
		lines = append(lines, line)
	}
	return lines
}

func (f Figures) worst(w words) []string {
	found := f.longest(maxIncidents)
	if len(found) == 0 {
		return nil
	}
	lines := []string{w.longest}
	for _, inc := range found {
		took := fmt.Sprintf(w.going, w.span(f.Until.Sub(inc.OpenedAt)))
		if !inc.ResolvedAt.IsZero() {
			took = w.span(inc.ResolvedAt.Sub(inc.OpenedAt))
		}
		lines = append(lines, fmt.Sprintf(w.incident, inc.ID, inc.Level, inc.Service, inc.Title, took))
	}
	return lines
}

func (f Figures) paged(w words, loc *time.Location) []string {
	everybody := f.people(loc)
	if len(everybody) == 0 {
		return []string{w.noPages}
	}
	lines := []string{w.people}
	for i, p := range everybody {
		if i == maxPeople {
			return append(lines, fmt.Sprintf(w.more, len(everybody)-i))
		}
		line := fmt.Sprintf(w.person, p.name, p.pages)
		if p.nights > 0 {
			line += fmt.Sprintf(w.nights, p.nights)
		}
		if hour, n := p.busiest(); n > 1 {
			line += fmt.Sprintf(w.busiest, hour, (hour+1)%24)
		}
		lines = append(lines, line)
	}
	return lines
}

// busiest returns the hour with the most pages, and how many those are.
func (p person) busiest() (hour, pages int) {
	for h, n := range p.byHour {
		if n > pages {
			hour, pages = h, n
		}
	}
	return hour, pages
}

// span tells a duration by its two largest units.
func (w words) span(d time.Duration) string {
	day := 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf(w.day, d/day) + fmt.Sprintf(w.hour, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf(w.hour, d/time.Hour) + fmt.Sprintf(w.minute, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf(w.minute, d/time.Minute) + fmt.Sprintf(w.second, d%time.Minute/time.Second)
	}
	return fmt.Sprintf(w.second, max(0, d)/time.Second)
}
