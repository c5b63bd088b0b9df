// Package terminal prints the demo's timeline: each line with the time since
// the demo began, in colours where somebody looks. It decides nothing.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Terminal is where the demo's timeline is printed.
type Terminal struct {
	mu     sync.Mutex
	w      io.Writer
	colour bool
	began  time.Time
}

// New returns a terminal that counts from began. Colours are used when w is
// a terminal, unless NO_COLOR is set (no-color.org).
func New(w io.Writer, began time.Time) *Terminal {
	t := &Terminal{w: w, began: began}
	if f, ok := w.(*os.File); ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		info, err := f.Stat()
		t.colour = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return t
}

// Style is how a line looks.
type Style string

// The styles of lines.
const (
	Plain Style = ""
	Bold  Style = "\x1b[1m"
	Dim   Style = "\x1b[2m"
	Good  Style = "\x1b[32m"
	Bad   Style = "\x1b[31m"
)

// Paint returns text in a style, as it is where there are no colours.
func (t *Terminal) Paint(s Style, text string) string {
	if !t.colour || s == Plain {
		return text
	}
	return string(s) + text + "\x1b[0m"
}

// Tell prints a line of the timeline; further lines of it are indented.
func (t *Terminal) Tell(format string, args ...any) { t.Say(Plain, format, args...) }

// Say prints a line of the timeline in a style.
func (t *Terminal) Say(s Style, format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	at := fmt.Sprintf("%7.1fs  ", time.Since(t.began).Seconds())
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(t.w, t.Paint(Dim, at)+t.Paint(s, line))
		at = strings.Repeat(" ", len(at))
	}
}

// Print prints text without a time.
func (t *Terminal) Print(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.w, strings.TrimRight(text, "\n"))
}
