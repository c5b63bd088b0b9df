package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"golang.org/x/text/width"
)

// outputFlag lets a command print JSON. It keeps the PreRunE that the command
// has.
func outputFlag(c *cobra.Command, output *string) {
	asJSON := c.Flags().Bool("json", false, "print JSON, as -o json does")
	c.Flags().StringVarP(output, "output", "o", "text", "text or json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	before := c.PreRunE
	c.PreRunE = func(cmd *cobra.Command, args []string) error {
		if *asJSON {
			*output = "json"
		}
		if *output != "text" && *output != "json" {
			return usageError{fmt.Errorf("--output %q is neither text nor json", *output)}
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

// writeJSON prints a value as indented JSON.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// colourful tells whether colours would be seen: on a terminal whose user has
// not asked for none (no-color.org).
func colourful(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// ink colours text where colours are seen, and knows how wide a line may be.
// The zero ink does neither.
type ink struct {
	colour bool
	width  int // of the terminal, in columns; 0 where lines may be of any length
}

// palette returns the ink for what a command prints.
func palette(cmd *cobra.Command) ink { return inkFor(cmd.OutOrStdout()) }

func inkFor(w io.Writer) ink {
	p := ink{colour: colourful(w)}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	p.width, _, _ = term.GetSize(int(f.Fd())) // an unknown width is 0
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		p.width = n
	}
	return p
}

func (p ink) paint(sgr, text string) string {
	if !p.colour || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (p ink) bold(text string) string   { return p.paint("1", text) }
func (p ink) dim(text string) string    { return p.paint("2", text) }
func (p ink) red(text string) string    { return p.paint("31", text) }
func (p ink) green(text string) string  { return p.paint("32", text) }
func (p ink) yellow(text string) string { return p.paint("33", text) }
func (p ink) cyan(text string) string   { return p.paint("36", text) }

// level returns text in the colour of a severity: what wakes somebody is
// red, what waits for the day yellow.
func (p ink) level(severity, text string) string {
	switch severity {
	case "P1", "error":
		return p.paint("1;31", text)
	case "P2":
		return p.red(text)
	case "P3", "warning":
		return p.yellow(text)
	}
	return p.cyan(text)
}

// grid aligns cells in columns. Where it is wider than the terminal, the
// cells of its widest column that has room to give are broken at spaces.
type grid struct {
	ink    ink
	indent int // before each line
	rows   [][]string
}

// row adds a row; cells may have colours.
func (t *grid) row(cells ...string) { t.rows = append(t.rows, cells) }

const (
	tableGap  = 2  // between columns
	leastCell = 12 // no column is broken to less
)

// write prints the table.
func (t *grid) write(w io.Writer) error {
	widths := t.widths()
	var b strings.Builder
	for _, row := range t.rows {
		t.writeRow(&b, row, widths)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// widths returns how wide each column is, so that a line fits where it can.
func (t *grid) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(cell))
		}
	}
	total := t.indent + tableGap*(len(widths)-1)
	for _, n := range widths {
		total += n
	}
	for ; t.ink.width > 0 && total > t.ink.width; total-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= leastCell {
			break
		}
		widths[widest]--
	}
	return widths
}

func (t *grid) writeRow(b *strings.Builder, row []string, widths []int) {
	cells := make([][]string, len(row))
	height := 1
	for i, cell := range row {
		cells[i] = wrap(cell, widths[i])
		height = max(height, len(cells[i]))
	}
	for line := range height {
		var out strings.Builder
		out.WriteString(strings.Repeat(" ", t.indent))
		for i, cell := range cells {
			text := ""
			if line < len(cell) {
				text = cell[line]
			}
			out.WriteString(text)
			out.WriteString(strings.Repeat(" ", max(0, widths[i]-columns(text)+tableGap)))
		}
		b.WriteString(strings.TrimRight(out.String(), " "))
		b.WriteByte('\n')
	}
}

// wrap breaks text at spaces into lines of at most n columns; a word that is
// longer stays whole, and so does text with colours.
func wrap(text string, n int) []string {
	if columns(text) <= n || strings.ContainsRune(text, '\x1b') {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case columns(line)+1+columns(word) <= n:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// columns returns how many columns of a terminal text takes: two for the wide
// characters of East Asia, none for colours and combining marks.
func columns(text string) int {
	n := 0
	for i := 0; i < len(text); {
		if text[i] == '\x1b' {
			if end := strings.IndexByte(text[i:], 'm'); end >= 0 {
				i += end + 1
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.Is(unicode.Mn, r):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
