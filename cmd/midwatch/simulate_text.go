package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/rules/simulate"
	"github.com/midwatch-slo/midwatch/rules/simulate/picture"
)

// simulationText prints reports for people.
type simulationText struct {
	w     io.Writer
	ink   ink
	place *time.Location
	err   error
}

func (t *simulationText) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *simulationText) table(g grid) {
	if t.err == nil {
		t.err = g.write(t.w)
	}
}

func (t *simulationText) report(r simulate.Report) error {
	t.line("%s to %s", t.time(r.From), t.time(r.To))
	for _, s := range r.SLOs {
		t.line("")
		t.slo(s, r.To)
	}
	for _, w := range r.Warnings {
		t.line("\n%s %s", t.ink.yellow("warning:"), w)
	}
	return t.err
}

func (t *simulationText) time(at time.Time) string {
	return at.In(t.place).Format("2006-01-02 15:04:05")
}

func title(id string, labels map[string]string) string {
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		id += fmt.Sprintf(" %s=%q", k, labels[k])
	}
	return id
}

func (t *simulationText) slo(s simulate.SLO, last time.Time) {
	t.line("%s  %s", t.ink.bold(title(s.ID(), s.Labels)), t.ink.dim(fmt.Sprintf("%v%% over %s", s.Objective, s.Window)))
	t.line("  %s", picture.Summary(s))
	switch {
	case s.History == nil:
		t.line("  %s", t.ink.yellow("nothing was counted in this time"))
	case s.Short():
		t.line("  %s", t.ink.yellow(fmt.Sprintf("its history begins %s, %s later than its windows do: what is not known counts as without errors",
			t.time(*s.History), explain.Span(s.History.Sub(s.Needed).Round(time.Minute)))))
	}
	t.incidents(s)
	t.alerts(s, last)
	t.budget(s)
}

func (t *simulationText) incidents(s simulate.SLO) {
	if len(s.Incidents) == 0 {
		return
	}
	t.line("")
	g := grid{ink: t.ink, indent: 2}
	g.row("INCIDENT", "LASTED", "SPENT", "WORST", "FIRST ALERT", "AFTER")
	for _, i := range s.Incidents {
		first, after := t.ink.red("missed"), ""
		if i.First != nil {
			a := s.Alerts[*i.First]
			first, after = t.severity(a), explain.Span(i.After).String()
		}
		g.row(strings.TrimSpace(t.time(i.From)+" "+i.Name), explain.Span(i.To.Sub(i.From)).String(), explain.Ratio(i.Spent), explain.Ratio(i.Worst), first, after)
	}
	t.table(g)
}

func (t *simulationText) severity(a simulate.Alert) string {
	return strings.TrimSpace(t.ink.level(a.Severity, a.Severity) + " " + what(a))
}

// what names an alert by what tells it from others of its SLO.
func what(a simulate.Alert) string {
	switch {
	case a.Tier != "":
		return a.Tier
	case a.Percent != "":
		return a.Percent + "% spent"
	default:
		return a.Name
	}
}

func (t *simulationText) alerts(s simulate.SLO, last time.Time) {
	if len(s.Alerts) == 0 {
		return
	}
	t.line("")
	g := grid{ink: t.ink, indent: 2}
	g.row("ALERT", "LASTED", "", "", "")
	for _, a := range s.Alerts {
		note := ""
		if a.False {
			note = t.ink.yellow("false")
		}
		g.row(t.time(a.From), lasted(a, last), t.ink.level(a.Severity, a.Severity), what(a), note)
	}
	t.table(g)
}

func lasted(a simulate.Alert, last time.Time) string {
	if a.To == nil {
		return explain.Span(last.Sub(a.From)).String() + "…"
	}
	return explain.Span(a.To.Sub(a.From)).String()
}

func (t *simulationText) budget(s simulate.SLO) {
	if len(s.Budget.Points) == 0 {
		return
	}
	b := s.Budget
	end := explain.Ratio(b.End)
	if b.End < 0 {
		end = t.ink.red(end)
	}
	t.line("")
	t.line("  budget left  %s %s %s  %s", explain.Ratio(b.Begin), t.spark(b), end, t.ink.dim(fmt.Sprintf("lowest %s on %s", explain.Ratio(b.Lowest.Value), t.time(b.Lowest.At))))
}

// sparkWidth is how many columns a sparkline has.
const sparkWidth = 48

// spark draws a budget: full blocks are all of it, none is what is overspent.
func (t *simulationText) spark(b simulate.Budget) string {
	n := min(sparkWidth, len(b.Points))
	var out strings.Builder
	for i := range n {
		low := math.Inf(1)
		for _, p := range b.Points[i*len(b.Points)/n : (i+1)*len(b.Points)/n] {
			low = min(low, p.Value)
		}
		if low < 0 {
			out.WriteString(t.ink.red("▁"))
			continue
		}
		out.WriteString(t.ink.green(string([]rune("▁▂▃▄▅▆▇█")[min(7, int(low*8))])))
	}
	return out.String()
}

// changes prints what changes between two versions of SLOs.
func (t *simulationText) changes(c simulate.Changes) error {
	t.line("%s to %s", t.time(c.From), t.time(c.To))
	for _, s := range c.SLOs {
		t.line("")
		t.line("%s", t.ink.bold(title(s.ID(), s.Labels)))
		t.line("  %s as before, %d not any more, %d new", count(s.Kept, "alert"), len(s.Gone), len(s.New))
		if s.Missed != s.MissedBefore {
			t.line("  incidents missed: %d before, %d now", s.MissedBefore, s.Missed)
		}
		g := grid{ink: t.ink, indent: 2}
		for _, a := range s.Gone {
			g.row(t.ink.red("-"), t.time(a.From), lasted(a, c.To), t.ink.level(a.Severity, a.Severity), what(a))
		}
		for _, a := range s.New {
			g.row(t.ink.green("+"), t.time(a.From), lasted(a, c.To), t.ink.level(a.Severity, a.Severity), what(a))
		}
		t.table(g)
	}
	return t.err
}
