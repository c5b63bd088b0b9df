package ical

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Calendar is one to be written.
type Calendar struct {
	Name    string
	Stamp   time.Time     // when it was made
	Refresh time.Duration // how often whoever subscribes should ask again; 0 leaves it to them
	Events  []Event
}

// Write writes a calendar by RFC 5545: lines end in CRLF and are folded at 75
// octets between characters, text is escaped. It has the extensions by which
// phones learn its name and how often to ask (RFC 7986, and X-WR-CALNAME).
func Write(w io.Writer, c Calendar) error {
	l := lines{w: bufio.NewWriter(w)}
	l.put("BEGIN", "VCALENDAR")
	l.put("VERSION", "2.0")
	l.put("PRODID", "-//Midwatch//On call//EN")
	l.put("CALSCALE", "GREGORIAN")
	l.put("METHOD", "PUBLISH")
	l.text("NAME", c.Name)
	l.text("X-WR-CALNAME", c.Name)
	if minutes := int(c.Refresh / time.Minute); minutes > 0 {
		l.put("REFRESH-INTERVAL;VALUE=DURATION", fmt.Sprintf("PT%dM", minutes))
		l.put("X-PUBLISHED-TTL", fmt.Sprintf("PT%dM", minutes))
	}
	for _, e := range c.Events {
		l.event(e, c.Stamp)
	}
	l.put("END", "VCALENDAR")
	if err := l.w.Flush(); err != nil {
		return fmt.Errorf("write calendar: %w", err)
	}
	return nil
}

// lines writes content lines; the writer keeps the first error.
type lines struct{ w *bufio.Writer }

func (l lines) event(e Event, stamp time.Time) {
	l.put("BEGIN", "VEVENT")
	l.text("UID", e.UID)
	l.put("DTSTAMP", instant(stamp))
	l.put("DTSTART", instant(e.Start))
	l.put("DTEND", instant(e.End))
	l.text("SUMMARY", e.Summary)
	l.text("DESCRIPTION", e.Description)
	if e.URL != "" && !strings.ContainsAny(e.URL, "\r\n") {
		l.put("URL", e.URL)
	}
	l.put("TRANSP", "TRANSPARENT") // being on call is no meeting
	l.put("END", "VEVENT")
}

func instant(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

var escape = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`)

// text writes a property that is text, unless it is empty.
func (l lines) text(name, value string) {
	if value == "" {
		return
	}
	clean := strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\n' && r != '\r' && r != '\t') || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, "\uFFFD"))
	l.put(name, escape.Replace(clean))
}

// put writes one content line, folded.
func (l lines) put(name, value string) {
	const width = 75
	line := name + ":" + strings.ToValidUTF8(value, "\uFFFD")
	for room := width; len(line) > room; room = width - 1 { // folded lines begin with a space
		end := room
		for !utf8.RuneStart(line[end]) {
			end--
		}
		fmt.Fprintf(l.w, "%s\r\n ", line[:end])
		line = line[end:]
	}
	fmt.Fprintf(l.w, "%s\r\n", line)
}
