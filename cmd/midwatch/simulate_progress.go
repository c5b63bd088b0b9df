package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/midwatch-slo/midwatch/rules/replay"
)

// advance says how far something is: as a bar on a terminal, else as a line
// now and then.
type advance struct {
	w        io.Writer
	what     string
	terminal bool
	began    time.Time
	said     time.Time
	drawn    int // columns
}

func newAdvance(w io.Writer, what string) *advance {
	f, ok := w.(*os.File)
	now := time.Now()
	return &advance{w: w, what: what, began: now, said: now, terminal: ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))}
}

// How often it is said, and how wide the bar is.
const (
	sayEvery  = 10 * time.Second
	drawEvery = 100 * time.Millisecond
	barWidth  = 32
)

// replayed takes how far a replay is.
func (p *advance) replayed(at replay.Progress) {
	if at.Total == 0 {
		return
	}
	p.at(time.Now(), float64(at.Done)/float64(at.Total), local(at.At))
}

// at says that a share is done.
func (p *advance) at(now time.Time, share float64, where string) {
	least := sayEvery
	if p.terminal {
		least = drawEvery
	}
	if now.Sub(p.said) < least {
		return
	}
	p.said = now
	line := fmt.Sprintf("%s %3.0f%%  %s", p.what, share*100, where)
	if left := time.Duration(float64(now.Sub(p.began)) * (1/max(share, 0.001) - 1)); share > 0.02 && left > time.Second {
		line += fmt.Sprintf("  %s left", left.Round(time.Second))
	}
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	line = "▕" + padded(blocks(share*barWidth), barWidth) + "▏ " + line
	fmt.Fprint(p.w, "\r"+padded(line, p.drawn))
	p.drawn = columns(line)
}

// end takes the bar away.
func (p *advance) end() {
	if p.drawn > 0 {
		fmt.Fprint(p.w, "\r"+strings.Repeat(" ", p.drawn)+"\r")
		p.drawn = 0
	}
}

func padded(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-columns(text)))
}
