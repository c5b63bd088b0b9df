package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// peersOn is when others measured the peers that are quoted.
const peersOn = "2026-11-21"

// table is what was measured.
type table struct {
	names  []string // of subjects
	lines  []line
	memory map[string]float64 // in the large runs, MiB
}

// line is what was measured of a row.
type line struct {
	row
	took    map[string]time.Duration // p50
	differs map[string]string        // in what the answer of a peer differs
}

// share returns how many times what it is compared with a subject takes.
func (l line) share(of, than string) float64 {
	return l.took[of].Seconds() / l.took[than].Seconds()
}

// base returns what Midwatch is compared with.
func (l line) base() string {
	if l.floor {
		return floor
	}
	return onePrometheus
}

func (t *table) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\np50")
	for _, name := range t.names {
		fmt.Fprintf(w, "\t%s", name)
	}
	fmt.Fprint(w, "\tmay take\tpromxy*\tThanos*\n")
	for _, l := range t.lines {
		fmt.Fprint(w, l.title)
		for _, name := range t.names {
			fmt.Fprintf(w, "\t%s", l.cell(name))
		}
		fmt.Fprintf(w, "\t%s\t%s×\t%s×\n", l.may(), l.promxy, l.thanos)
	}
	if len(t.memory) > 0 {
		fmt.Fprint(w, "peak memory, large")
		for _, name := range t.names {
			fmt.Fprintf(w, "\t%s", t.mebibytes(name))
		}
		fmt.Fprintf(w, "\t%d MiB\t757 MB\t5.3 GB\n", maxMemory)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "× is times what one Prometheus takes\n* as others measured them elsewhere, quoted on %s\n%s", peersOn, t.wrong())
	return err
}

// cell returns what a subject took, and how many times that is what one
// Prometheus took.
func (l line) cell(name string) string {
	text := fmt.Sprintf("%.2f ms", l.took[name].Seconds()*1000)
	if name == onePrometheus {
		return text
	}
	text += fmt.Sprintf(" %.2f×", l.share(name, onePrometheus))
	if l.floor && name == midwatch {
		text += fmt.Sprintf(" (%.2f× the floor)", l.share(name, floor))
	}
	return text
}

func (l line) may() string {
	if l.floor {
		return fmt.Sprintf("%g× the floor", l.asked)
	}
	return fmt.Sprintf("%g×", l.asked)
}

func (t *table) mebibytes(name string) string {
	if m, ok := t.memory[name]; ok {
		return fmt.Sprintf("%.0f MiB", m)
	}
	return "-"
}

// wrong tells in what peers answered something else than one Prometheus.
func (t *table) wrong() string {
	var b strings.Builder
	for _, l := range t.lines {
		for _, name := range t.names {
			if d := l.differs[name]; d != "" {
				fmt.Fprintf(&b, "%s answers %q otherwise than one Prometheus: %s\n", name, l.title, d)
			}
		}
	}
	return b.String()
}

// judge returns an error when something costs more than it may.
func (t *table) judge() error {
	var over []string
	for _, l := range t.lines {
		if l.share(midwatch, l.base()) > l.asked {
			over = append(over, fmt.Sprintf("%s: %.2f×, want at most %s", l.title, l.share(midwatch, l.base()), l.may()))
		}
	}
	if t.memory[midwatch] > maxMemory {
		over = append(over, fmt.Sprintf("memory: %.0f MiB, want at most %d", t.memory[midwatch], maxMemory))
	}
	if len(over) > 0 {
		return fmt.Errorf("%w: %s", errTooSlow, strings.Join(over, "; "))
	}
	return nil
}
