// Package diag holds problems found in files that people write: where each
// is, what is wrong and how to mend it. It knows nothing of what the files
// mean.
package diag

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one thing wrong in one file.
type Problem struct {
	File    string // as the caller named it
	Line    int    // from 1; 0 when the problem is of the whole file
	Column  int    // from 1; 0 when unknown
	Field   string // dotted path, such as spec.sli.events.total
	Message string // what is wrong, lower case, no full stop
	Hint    string // how to mend it; may be empty
	Source  string // the text of the line, for the caret; may be empty
}

// Error returns "file:line:column: field: message (hint)" without the parts
// that are unknown.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Place())
	if p.Field != "" {
		fmt.Fprintf(&b, "%s: ", p.Field)
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	return b.String()
}

// Place returns "file:line:column: ", as far as it is known.
func (p Problem) Place() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File + ": "
	case p.Column == 0:
		return fmt.Sprintf("%s:%d: ", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
}

// Problems is an error made of all problems of a run.
type Problems []Problem

// Error returns one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns ps as an error, sorted by place, or nil when there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return ps
}

// Of returns the problems that err carries, and whether it carries any.
func Of(err error) (Problems, bool) {
	if ps, ok := errors.AsType[Problems](err); ok {
		return ps, true
	}
	if p, ok := errors.AsType[Problem](err); ok {
		return Problems{p}, true
	}
	return nil, false
}

// mostPrinted is how many problems of one file are printed: whoever has more
// has another kind of file.
const mostPrinted = 1000

// Print writes every problem with the line it is in, a caret under the
// column, and the hint on a line of its own. Of a file that has more than a
// thousand it writes the first thousand, and how many more there are.
func (ps Problems) Print(w io.Writer) error {
	of := map[string]int{}
	for _, p := range ps {
		if of[p.File]++; of[p.File] > mostPrinted {
			continue
		}
		if err := p.print(w); err != nil {
			return err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(of)) {
		if more := of[file] - mostPrinted; more > 0 {
			if err := (Problem{File: file, Message: fmt.Sprintf("%d more problems", more)}).print(w); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p Problem) print(w io.Writer) error {
	bare := p
	bare.Hint = ""
	bare.File = printable(p.File)
	var b strings.Builder
	fmt.Fprintln(&b, bare.Error())
	if p.Source != "" {
		number := fmt.Sprintf("%5d | ", p.Line)
		fmt.Fprintf(&b, "%s%s\n", number, p.Source)
		if p.Column > 0 {
			fmt.Fprintf(&b, "%*s| %s^\n", len(number)-2, "", indent(p.Source, p.Column-1))
		}
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "        hint: %s\n", p.Hint)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable returns a file's name without what a terminal would obey.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, name)
}

// indent returns white space as wide as the first n characters of line, with
// its tabs kept.
func indent(line string, n int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= n {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteRune(' ')
		}
	}
	return b.String()
}
