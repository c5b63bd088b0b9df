package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// maxOthers is how many incidents of a bundle are named.
const maxOthers = 100

// Other is one incident of a bundle, on one line.
type Other struct {
	Level alert.Level
	Text  string
	URL   string // to the incident's page; "" when there is none that is safe
}

// Level returns how urgent the page is: its incident's level, the highest of
// a bundle's, and Info for a report.
func (p Page) Level() alert.Level {
	switch p.Kind {
	case Report:
		return alert.Info
	case Bundle:
		level := p.Incident.Level
		for _, e := range p.Others {
			if e.Incident.Level.Outranks(level) {
				level = e.Incident.Level
			}
		}
		return level
	default:
		return p.Incident.Level
	}
}

func (c composer) bundle(w words) Message {
	entries := slices.Clone(c.Others)
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Incident.Level, b.Incident.Level) })
	m := Message{Notices: []string{fmt.Sprintf(w.levels, len(entries), levels(entries, w))}, Links: safe(Link{w.incidents, c.Link})}
	if whom := clean(c.whom(w), maxField); whom != "" {
		m.Facts = []Fact{{w.forWhom, whom}}
	}
	for i, e := range entries {
		if i == maxOthers {
			m.Others = append(m.Others, Other{Text: fmt.Sprintf(w.more, len(entries)-i)})
			break
		}
		m.Others = append(m.Others, c.other(e, w))
	}
	m.Lead = c.lead(w)
	if len(entries) > 0 {
		m.Lead = c.of(entries[0]).first(len(entries), w)
	}
	return m
}

// first is the lead of a bundle of n incidents: that of its first one, and how
// many there are besides.
func (c composer) first(n int, w words) string {
	more := ""
	if n > 1 {
		more = fmt.Sprintf(" +%d", n-1)
	}
	room := leadWidth - columns(more)
	return fit(headline(c.level(w), c.subjectName(), c.symptom(w), room), room) + more
}

// levels counts the incidents of each level, such as "2 P1, 3 P3".
func levels(entries []Entry, w words) string {
	var parts []string
	for i := 0; i < len(entries); {
		level, n := entries[i].Incident.Level, 0
		for ; i < len(entries) && entries[i].Incident.Level == level; i++ {
			n++
		}
		parts = append(parts, fmt.Sprintf(w.level, level, n))
	}
	return strings.Join(parts, w.comma)
}

// of returns the page that an entry stands for, as far as it is known.
func (c composer) of(e Entry) composer {
	return composer{Page{Kind: e.Kind, At: c.At, To: c.To, Incident: e.Incident, Link: e.Link}, c.loc}
}

func (c composer) other(e Entry, w words) Other {
	const room = 72 // columns
	one := c.of(e)
	o := Other{Level: e.Incident.Level, Text: headline(one.level(w), one.subjectName(), one.symptom(w), room)}
	if !one.isOver() && !e.Incident.Since.IsZero() {
		o.Text = fmt.Sprintf(w.sinceShort, o.Text, c.shortClock(e.Incident.Since))
	}
	if safeURL(e.Link) {
		o.URL = e.Link
	}
	return o
}

// shortClock shows an instant by the reader's clock without saying whose
// clock that is.
func (c composer) shortClock(at time.Time) string {
	at = at.In(c.loc)
	if y, m, d := at.Date(); !sameDay(c.At.In(c.loc), y, m, d) {
		return at.Format("01-02 15:04")
	}
	return at.Format("15:04")
}
