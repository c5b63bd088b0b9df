package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/rules/compare"
	"github.com/midwatch-slo/midwatch/rules/explain"
)

// writeDiff writes what is different, for people. Lost pages come first.
func writeDiff(w io.Writer, p ink, d compare.Diff, verbose bool) error {
	if d.Nothing() {
		_, err := fmt.Fprintln(w, "nothing changes")
		return err
	}
	var b strings.Builder
	writeLost(&b, p, d)
	writeSLOs(&b, p, d)
	writeWakes(&b, p, d)
	r := d.Rules
	fmt.Fprintf(&b, "%s  %d before, %d after: %d added, %d removed, %d changed\n", p.bold("Rules"), r.Before, r.After, r.Added, r.Removed, r.Changed)
	if verbose && r.Unified != "" {
		b.WriteString("\n")
		for line := range strings.Lines(r.Unified) {
			b.WriteString(colourLine(p, line))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func colourLine(p ink, line string) string {
	text := strings.TrimSuffix(line, "\n")
	switch {
	case strings.HasPrefix(text, "+"):
		return p.green(text) + "\n"
	case strings.HasPrefix(text, "-"):
		return p.red(text) + "\n"
	case strings.HasPrefix(text, "@@"):
		return p.cyan(text) + "\n"
	}
	return line
}

func writeLost(b *strings.Builder, p ink, d compare.Diff) {
	if len(d.Lost) == 0 {
		return
	}
	fmt.Fprintln(b, p.level("P1", "Pages that nobody gets any more"))
	for _, id := range sloIDs(d.Lost) {
		var ratios []string
		for _, l := range d.Lost {
			if l.SLO == id {
				ratios = append(ratios, fmt.Sprintf("%s (%s %s)", explain.Ratio(l.Ratio), l.Before.Severity, l.Before.Tier))
			}
		}
		why := ""
		if slices.Contains(d.Removed, id) {
			why = "it is gone; "
		}
		fmt.Fprintf(b, "  %s\n", p.red(fmt.Sprintf("%s: %snobody is woken when %s fail", id, why, strings.Join(ratios, ", "))))
	}
	fmt.Fprintln(b)
}

func sloIDs(wakes []compare.Wake) (ids []string) {
	for _, w := range wakes {
		if !slices.Contains(ids, w.SLO) {
			ids = append(ids, w.SLO)
		}
	}
	return ids
}

func writeSLOs(b *strings.Builder, p ink, d compare.Diff) {
	if len(d.Added)+len(d.Removed)+len(d.Renamed)+len(d.Changed) == 0 {
		return
	}
	fmt.Fprintln(b, p.bold("SLOs"))
	for _, id := range d.Added {
		fmt.Fprintf(b, "  %s\n", p.green("+ "+id))
	}
	for _, id := range d.Removed {
		fmt.Fprintf(b, "  %s\n", p.red("- "+id))
	}
	for _, r := range d.Renamed {
		fmt.Fprintf(b, "  %s\n", p.yellow(r.From+" → "+r.To))
	}
	for _, c := range d.Changed {
		fmt.Fprintf(b, "  %s\n", p.yellow("~ "+c.SLO))
		g := grid{ink: p, indent: 6}
		for _, f := range c.Fields {
			g.row(f.Name, plain(cmp.Or(f.Old, "none"))+" → "+plain(cmp.Or(f.New, "none")))
		}
		_ = g.write(b) // a Builder takes everything
		for _, why := range c.Anew {
			fmt.Fprintf(b, "      %s\n", p.yellow("begins anew: "+why))
		}
	}
	fmt.Fprintln(b)
}

func writeWakes(b *strings.Builder, p ink, d compare.Diff) {
	if len(d.Wakes) == 0 {
		return
	}
	fmt.Fprintln(b, p.bold("Who gets woken, at the latest after how long"))
	for _, id := range sloIDs(d.Wakes) {
		fmt.Fprintf(b, "  %s\n", id)
		g := grid{ink: p, indent: 4}
		g.row("FAIL", "BEFORE", "AFTER")
		for _, w := range d.Wakes {
			if w.SLO == id {
				g.row(explain.Ratio(w.Ratio), woken(p, w.Before), woken(p, w.After))
			}
		}
		_ = g.write(b) // a Builder takes everything
	}
	fmt.Fprintln(b)
}

func woken(p ink, f *explain.Firing) string {
	if f == nil {
		return "nobody"
	}
	return fmt.Sprintf("%s %s %s", p.level(f.Severity, f.Severity), f.Tier, f.Latest)
}
