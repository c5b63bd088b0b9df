package page

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// line is one line of text and how much it matters: what matters less goes
// first when there is not enough room. A link is whole or absent.
type line struct {
	text    string
	rank    int // 0 matters most
	link    bool
	section int // an empty line is between sections
}

// The ranks of lines.
const (
	rankLead = iota
	rankIncident
	rankNotice
	rankOther
	rankFor
	rankStanding
	rankSince
	rankPattern
	rankDo
	rankAck
	rankLink
	rankTitle
	rankFact
	rankSample
	rankWhere
)

// Text returns the message as plain lines for a phone, at most limit bytes of
// UTF-8; 0 is no limit. When there is not enough room, the lines that matter
// least are left out; a character is never cut, nor is a link.
func (p Page) Text(limit int) string {
	lines := p.lines()
	if limit <= 0 {
		return joined(lines)
	}
	for size(lines) > limit && len(lines) > 1 {
		lines = withoutLeast(lines, size(lines)-limit)
	}
	if size(lines) > limit {
		lines[0].text = cut(lines[0].text, limit)
	}
	return joined(lines)
}

func (p Page) lines() []line {
	if p.Rendered.Text == "" {
		return p.Message().lines(p.words())
	}
	var lines []line
	section := 0
	for text := range strings.SplitSeq(p.Rendered.Text, "\n") {
		l := line{text: inert(text), rank: rankOther, section: section, link: strings.Contains(text, "https://") || strings.Contains(text, "http://")}
		switch {
		case text == "":
			section++
			continue
		case len(lines) == 0:
			l.rank = rankLead
		case p.Link != "" && strings.Contains(text, p.Link):
			l.rank = rankIncident
		}
		lines = append(lines, l)
	}
	return lines
}

func (m Message) lines(w words) []line {
	lines := []line{{text: inert(m.Lead)}}
	section := 0
	add := func(rank int, text string) {
		if text != "" {
			lines = append(lines, line{text: inert(text), rank: rank, section: section})
		}
	}
	for _, n := range m.Notices {
		add(rankNotice, n)
	}
	section++
	for _, f := range m.Facts {
		add(w.rank(f.Label), f.Label+w.colon+f.Text)
	}
	for _, s := range m.Standings {
		add(rankStanding, "· "+s)
	}
	for _, f := range m.Findings {
		section++
		add(rankTitle, f.Title)
		for _, p := range f.Patterns {
			add(rankPattern, "· "+prefixed(p.Counts, w.colon)+p.Text)
			add(rankSample, prefixed(w.sample+" ", p.Sample))
			add(rankWhere, p.Where)
		}
	}
	lines = append(lines, m.contents(&section)...)
	section++
	add(rankDo, m.Do)
	if m.Ack.URL != "" {
		lines = append(lines, line{text: m.Ack.Label + ": " + m.Ack.URL, rank: rankAck, link: true, section: section})
	}
	for i, l := range m.Links {
		rank := rankLink
		if i == 0 {
			rank = rankIncident
		}
		lines = append(lines, line{text: l.Label + ": " + l.URL, rank: rank, link: true, section: section})
	}
	return lines
}

// contents are the incidents of a bundle, and what a report says.
func (m Message) contents(section *int) (lines []line) {
	if len(m.Others) > 0 {
		*section++
	}
	for _, o := range m.Others {
		lines = append(lines, line{text: inert("· " + o.Text), rank: rankOther, section: *section})
		if o.URL != "" {
			lines = append(lines, line{text: o.URL, rank: rankWhere, link: true, section: *section})
		}
	}
	for i, b := range m.Body {
		if i == 0 || b.Style == Heading || b.First && m.Body[i-1].Style != Heading {
			*section++
		}
		lines = append(lines, line{text: inert(b.text()), rank: rankOther, section: *section})
	}
	return lines
}

func (w words) rank(label string) int {
	switch label {
	case w.forWhom:
		return rankFor
	case w.since:
		return rankSince
	case w.slo, w.clusters:
		return rankStanding
	}
	return rankFact
}

// prefixed joins two texts, neither of which is wanted without the other.
func prefixed(prefix, text string) string {
	if prefix == "" || text == "" {
		return ""
	}
	return prefix + text
}

// withoutLeast leaves out the last of the lines that matter least, or cuts it
// when that is enough and something of it remains.
func withoutLeast(lines []line, excess int) []line {
	least := 1
	for i := range lines {
		if i > 0 && lines[i].rank >= lines[least].rank {
			least = i
		}
	}
	const worthKeeping = 24 // bytes
	if l := &lines[least]; !l.link && len(l.text)-excess >= worthKeeping {
		l.text = cut(l.text, len(l.text)-excess)
		return lines
	}
	return slices.Delete(lines, least, least+1)
}

// cut returns at most limit bytes of text, ending with "…" when it was longer
// and there is room for it.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	end := limit - len(mark)
	if end < 0 {
		end = limit
	}
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	if limit < len(mark) {
		return text[:end]
	}
	return text[:end] + mark
}

// between returns what separates a line from the one before it.
func between(before, l line) string {
	if before.section != l.section {
		return "\n\n"
	}
	return "\n"
}

func size(lines []line) int {
	n := 0
	for i, l := range lines {
		n += len(l.text)
		if i > 0 {
			n += len(between(lines[i-1], l))
		}
	}
	return n
}

func joined(lines []line) string {
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteString(between(lines[i-1], l))
		}
		b.WriteString(l.text)
	}
	return b.String()
}
