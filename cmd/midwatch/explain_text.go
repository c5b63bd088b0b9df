package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/rules/explain"
)

// explanationText writes an explanation for people.
type explanationText struct {
	ink ink
	e   explain.Explanation
	b   strings.Builder
}

func newExplanationText(p ink, e explain.Explanation) *explanationText {
	return &explanationText{ink: p, e: e}
}

func (t *explanationText) write(w io.Writer) error {
	t.head()
	t.counted()
	t.budget()
	t.alerts()
	t.outcomes()
	t.chart()
	t.now()
	_, err := io.WriteString(w, t.b.String())
	return err
}

func (t *explanationText) line(format string, args ...any) { fmt.Fprintf(&t.b, format+"\n", args...) }

func (t *explanationText) title(text string) { t.line("\n%s", t.ink.bold(text)) }

func (t *explanationText) grid(indent int) *grid { return &grid{ink: t.ink, indent: indent} }

func (t *explanationText) flush(g *grid) { _ = g.write(&t.b) } // a Builder takes everything

func (t *explanationText) head() {
	e := t.e
	t.line("%s  %s", t.ink.bold(e.Service+"/"+e.Name), t.ink.dim(plain(e.Place)))
	if e.Description != "" {
		t.line("%s", plain(e.Description))
	}
}

func (t *explanationText) counted() {
	e := t.e
	t.title("What is counted: " + e.Kind)
	g := t.grid(2)
	for _, c := range e.Counts {
		g.row(c.What, plain(c.Expr))
	}
	for _, c := range e.Components {
		what := fmt.Sprintf("weight %s: %s%% of all is bad when all of it is", c.Weight, c.Share)
		if !c.Known {
			what += " (not among the files)"
		}
		g.row(c.SLO, what)
	}
	if len(e.GroupBy) > 0 {
		g.row("a budget for each", strings.Join(e.GroupBy, ", "))
	}
	switch e.Scope {
	case "fleet":
		g.row("budget", "of all clusters together")
	case "both":
		g.row("budget", "of each cluster, and of all together")
	}
	t.flush(g)
	t.line("  %s", t.ink.dim("recorded, in events a second, as"))
	for _, r := range e.Records {
		t.line("    %s every %s", r.Name, r.Every)
		for expr := range strings.SplitSeq(r.Expr, "\n") {
			t.line("      %s", t.ink.dim(strings.TrimRight(expr, " ")))
		}
	}
	t.exclusions()
}

func (t *explanationText) exclusions() {
	for _, x := range t.e.Exclusions {
		now := ""
		if x.Now {
			now = t.ink.yellow(", and that is now")
		}
		t.line("  does not count: %s, %s%s", plain(x.Name), x.When, now)
		for _, p := range x.Next {
			t.line("    %s to %s", p.From.Format(time.RFC3339), p.To.Format(time.RFC3339))
		}
		if len(x.Next) == 0 {
			t.line("    never again")
		}
	}
}

func (t *explanationText) budget() {
	e := t.e
	t.title("Objective: " + e.Objective + "% over " + t.window())
	g := t.grid(2)
	g.row("error budget", e.Budget.Percent+"% of all ("+e.Budget.Share+")")
	g.row("", fmt.Sprintf("%s of total outage in %s", e.Budget.Outage, e.Budget.Length))
	if e.Budget.Events != nil {
		g.row("", fmt.Sprintf("%s events in %s, at %s events a second", explain.Count(*e.Budget.Events), e.Budget.Length, explain.Count(e.Pace.Traffic)))
	}
	if u := e.Calendar; u != nil {
		g.row("this "+u.Unit, u.From.Format(time.RFC3339)+" to "+u.To.Format(time.RFC3339))
	}
	t.flush(g)
}

func (t *explanationText) window() string {
	if u := t.e.Calendar; u != nil {
		return "a calendar " + u.Unit + " in " + u.Zone
	}
	return "the last " + t.e.Budget.Window
}

func (t *explanationText) alerts() {
	e := t.e
	t.title("What alerts")
	if len(e.Tiers) > 0 {
		g := t.grid(2)
		g.row("TIER", "SEVERITY", "OVER", "BURN RATE", "FIRES ABOVE", "BUDGET SPENT THEN", "FOR")
		for _, tier := range e.Tiers {
			g.row(tier.Tier, t.ink.level(tier.Severity, tier.Severity), tier.Long.String()+" and "+tier.Short.String(),
				orDash(tier.BurnRate), above(tier), percentOrDash(tier.BudgetSpent), forOrDash(tier.For))
		}
		t.flush(g)
	}
	for _, b := range e.BudgetSpent {
		t.line("  %s when %s%% of the budget is spent: %s of total outage", t.ink.level(b.Severity, b.Severity), b.Percent, b.Outage)
	}
	if n := e.NoData; n != nil {
		t.line("  %s when what is counted has been gone for %s", t.ink.level(n.Severity, n.Severity), n.After)
	}
	if len(e.Tiers)+len(e.BudgetSpent) == 0 && e.NoData == nil {
		t.line("  %s", t.ink.yellow("nothing"))
	}
	t.lowTraffic()
}

func above(t explain.Tier) string {
	if t.Threshold == t.ThresholdShort {
		return t.Threshold
	}
	return t.Threshold + " and " + t.ThresholdShort
}

func percentOrDash(p string) string {
	if p == "" {
		return "-"
	}
	return p + "%"
}

func forOrDash(d explain.Span) string {
	if d == 0 {
		return "-"
	}
	return d.String()
}

func (t *explanationText) lowTraffic() {
	low := t.e.LowTraffic
	if low == nil || len(t.e.Tiers) == 0 {
		return
	}
	if low.Z > 0 {
		t.line("  Where there is little traffic, it takes %d failures at least, and %s%% certainty that it is no chance (z = %.4f):", low.MinFailures, low.Confidence, low.Z)
	} else {
		t.line("  Where there is little traffic, it takes %d failures at least:", low.MinFailures)
	}
	g := t.grid(4)
	for _, tier := range t.e.Tiers {
		if t.e.CountsTime {
			g.row(tier.Tier, timeChance(tier))
			continue
		}
		g.row(tier.Tier, chance(tier), fmt.Sprintf("no alert below %s events in %s", explain.Count(tier.FewestEvents), tier.Long))
	}
	t.flush(g)
}

// timeChance says whether the conditions of low traffic decide where a second
// is an event.
func timeChance(t explain.Tier) string {
	if t.ChanceBelow == nil || *t.ChanceBelow > time.Duration(t.Long).Seconds() {
		return "decides: a second is an event, and " + t.Long.String() + " has too few of them for the threshold alone"
	}
	return "never decides: a second is an event"
}

// chance says at which traffic the conditions of low traffic decide.
func chance(t explain.Tier) string {
	if t.ChanceBelow == nil {
		return "decides at any traffic"
	}
	return fmt.Sprintf("decides below %s events in %s (%s a second)", explain.Count(*t.ChanceBelow), t.Long, explain.Count(*t.ChanceRate))
}

func (t *explanationText) outcomes() {
	e := t.e
	if len(e.Tiers) == 0 {
		return
	}
	t.title("What happens at which error rate")
	traffic := "traffic enough for every tier"
	if e.Pace.Traffic > 0 {
		traffic = explain.Count(e.Pace.Traffic) + " events a second"
	}
	t.line("  %s", t.ink.dim(fmt.Sprintf("%s, scrapes each %s, evaluations each %s; nothing failed before", traffic, e.Pace.Scrape, e.Pace.Interval)))
	g := t.grid(2)
	g.row("FAIL", "FIRST ALERT", "AFTER", "FIRST PAGE", "AFTER", "BUDGET GONE", "RESOLVES WITHIN")
	for _, o := range e.Outcomes {
		g.row(t.outcome(o)...)
	}
	t.flush(g)
}

func (t *explanationText) outcome(o explain.Outcome) []string {
	gone := "never"
	if o.BudgetGone != nil {
		gone = "after " + o.BudgetGone.String()
	}
	resolves := "-"
	first, ok := o.First()
	if ok {
		resolves = first.Resolves.String()
	}
	page, pages := o.Page()
	return append(append([]string{explain.Ratio(o.Ratio)}, append(t.firing(first, ok), t.firing(page, pages)...)...), gone, resolves)
}

func (t *explanationText) firing(f explain.Firing, ok bool) []string {
	if !ok {
		return []string{"none", "-"}
	}
	after := f.Soonest.String() + " to " + f.Latest.String()
	if f.Soonest.String() == f.Latest.String() {
		after = f.Latest.String()
	}
	return []string{t.ink.level(f.Severity, f.Severity) + " " + f.Tier, after}
}

func (t *explanationText) now() {
	c := t.e.Current
	if c == nil {
		return
	}
	t.title("Now, " + c.At.Format(time.RFC3339))
	if len(c.Standings) == 0 {
		t.line("  nothing of it is recorded")
	}
	for _, s := range c.Standings {
		t.line("  %s", t.ink.bold(plain(s.Where())))
		g := t.grid(4)
		for _, window := range t.windows(s) {
			g.row("error ratio over "+window, explain.Ratio(s.Ratios[window]))
		}
		if s.Burn != nil {
			g.row("burn rate", explain.Count(*s.Burn))
		}
		if s.BudgetLeft != nil {
			g.row("budget left", explain.Ratio(*s.BudgetLeft))
		}
		if s.Traffic != nil {
			g.row("traffic", explain.Count(*s.Traffic)+" events a second, "+explain.Count(*s.Traffic*time.Duration(t.e.Budget.Length).Seconds())+" in "+t.e.Budget.Length.String())
		}
		firing := t.ink.green("nothing")
		if len(s.Firing) > 0 {
			firing = t.ink.red(strings.Join(s.Firing, ", "))
		}
		g.row("firing", firing)
		t.flush(g)
	}
	for _, m := range c.Missing {
		t.line("  %s", t.ink.yellow("not answered: "+plain(m)))
	}
}

// windows returns the windows of a standing, shortest first, those of a
// calendar last.
func (t *explanationText) windows(s explain.Standing) []string {
	all := slices.Collect(maps.Keys(s.Ratios))
	slices.SortFunc(all, func(a, b string) int {
		if c := windowLength(a) - windowLength(b); c != 0 {
			return int(c / time.Second)
		}
		return strings.Compare(a, b)
	})
	return all
}

func windowLength(name string) time.Duration {
	var d duration
	if err := d.Set(name); err != nil {
		return 1 << 50 // about 13 days: units of a calendar have no length
	}
	return time.Duration(d)
}
