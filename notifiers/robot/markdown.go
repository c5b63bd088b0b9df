package robot

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/page"
)

// Dialect is how a provider writes Markdown.
type Dialect struct {
	Break   string // ends a line within a paragraph
	Heading string // begins the first line; "" leaves the first line out
	Quote   string // begins what others wrote
	Buttons bool   // the first link and the one to acknowledge by are buttons beside the text
}

// line is one line of a message: its content may be cut, its markup may not.
type line struct {
	before, content, after string
	rank                   int  // 0 matters most
	whole                  bool // there all or not at all
	section                int
}

func (l line) size() int { return len(l.before) + len(l.content) + len(l.after) }

// The ranks of lines.
const (
	rankLead = iota
	rankMention
	rankIncident
	rankNotice
	rankFact
	rankPattern
	rankDo
	rankLink
	rankTitle
	rankSample
	rankWhere
)

// Markdown returns the page as Markdown of at most limit bytes of UTF-8; 0 is
// no limit. mention is a line of the provider's own markup that is kept
// whole. When there is not enough room the lines that matter least are left
// out: no character, markup or link is cut in half. What others wrote cannot
// make markup, mentions or links.
func Markdown(p page.Page, d Dialect, mention string, limit int) string {
	lines := d.lines(p, mention)
	for limit > 0 && d.size(lines) > limit && len(lines) > 1 {
		lines = withoutLeast(lines, d.size(lines)-limit)
	}
	if over := d.size(lines) - limit; limit > 0 && over > 0 && len(lines) == 1 {
		lines[0].content = cut(lines[0].content, max(len(lines[0].content)-over, 0))
	}
	return d.join(lines)
}

// lines lays out what Message composes.
func (d Dialect) lines(p page.Page, mention string) []line {
	b := builder{}
	m := p.Message()
	if d.Heading != "" {
		b.add(line{before: d.Heading, content: Inert(m.Lead)})
	}
	b.add(line{content: mention, rank: rankMention, whole: true})
	for _, n := range m.Notices {
		b.add(line{before: "**", content: Inert(n), after: "**", rank: rankNotice})
	}
	b.section++
	for _, f := range m.Facts {
		b.add(line{before: "**" + Inert(f.Label) + "** ", content: Inert(f.Text), rank: rankFact})
	}
	for _, s := range m.Standings {
		b.add(line{before: "- ", content: Inert(s), rank: rankFact})
	}
	for _, f := range m.Findings {
		b.finding(f, d)
	}
	b.contents(m, d)
	b.section++
	b.add(line{content: Inert(m.Do), rank: rankDo})
	if !d.Buttons {
		b.link(m.Ack, rankDo)
	}
	for i, l := range m.Links {
		switch {
		case i > 0:
			b.link(l, rankLink)
		case !d.Buttons:
			b.link(l, rankIncident)
		}
	}
	return b.lines
}

// builder collects lines.
type builder struct {
	lines   []line
	section int
}

func (b *builder) add(l line) {
	if l.content != "" {
		l.section = b.section
		b.lines = append(b.lines, l)
	}
}

func (b *builder) link(l page.Link, rank int) {
	if l.URL != "" {
		b.add(line{content: Link(l.Label, l.URL), rank: rank, whole: true})
	}
}

func (b *builder) finding(f page.Finding, d Dialect) {
	b.section++
	b.add(line{before: "**", content: Inert(f.Title), after: "**", rank: rankTitle})
	for _, p := range f.Patterns {
		before := "- "
		if p.Counts != "" {
			before = "- " + Inert(p.Counts) + ": "
		}
		b.add(line{before: before, content: Inert(p.Text), rank: rankPattern})
		b.add(line{before: d.Quote, content: Inert(p.Sample), rank: rankSample})
		b.add(line{before: d.Quote, content: Inert(p.Where), rank: rankWhere})
	}
}

// contents are the incidents of a bundle, and what a report says.
func (b *builder) contents(m page.Message, d Dialect) {
	if len(m.Others) > 0 {
		b.section++
	}
	for _, o := range m.Others {
		l := line{before: "- ", content: Inert(o.Text), rank: rankPattern}
		if o.URL != "" {
			l = line{before: "- ", content: Link(o.Text, o.URL), rank: rankPattern, whole: true}
		}
		b.add(l)
	}
	for i, block := range m.Body {
		if i == 0 || block.Style == page.Heading || block.First && m.Body[i-1].Style != page.Heading {
			b.section++
		}
		b.add(d.block(block))
	}
}

func (d Dialect) block(b page.Block) line {
	l := line{content: Inert(b.Text), rank: rankPattern}
	switch b.Style {
	case page.Heading:
		l.before, l.after = "**", "**"
	case page.Item:
		l.before = "- "
	case page.Row:
		l.before, l.content = "- ", Inert(strings.Join(b.Cells, " | "))
	default:
	}
	return l
}

// Link writes a link whose address cannot end it.
func Link(label, address string) string {
	return "[" + Inert(label) + "](" + strings.NewReplacer("(", "%28", ")", "%29").Replace(address) + ")"
}

// Inert returns text with look-alikes for the characters that make markup,
// links and mentions: escapes are not the same in any two providers, and some
// have none.
func Inert(text string) string {
	return strings.NewReplacer(
		"<", "‹", ">", "›", "[", "［", "]", "］", "*", "∗", "`", "'", "~", "∼", "#", "＃", "\\", "＼", "&", "＆", "@", "＠",
	).Replace(text)
}

// between returns what separates a line from the one before it.
func (d Dialect) between(before, l line) string {
	if before.section != l.section {
		return "\n\n"
	}
	return d.Break
}

func (d Dialect) size(lines []line) int {
	n := 0
	for i, l := range lines {
		n += l.size()
		if i > 0 {
			n += len(d.between(lines[i-1], l))
		}
	}
	return n
}

func (d Dialect) join(lines []line) string {
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteString(d.between(lines[i-1], l))
		}
		b.WriteString(l.before + l.content + l.after)
	}
	return b.String()
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
	if l := &lines[least]; !l.whole && len(l.content)-excess >= worthKeeping {
		l.content = cut(l.content, len(l.content)-excess)
		return lines
	}
	return slices.Delete(lines, least, least+1)
}

// cut returns at most limit bytes of text, ending with "…" when it was longer
// and there is room for it.
func cut(text string, limit int) string {
	const mark = "…"
	if len(text) <= limit {
		return text
	}
	end := limit - len(mark)
	if end < 0 {
		return ""
	}
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
