package slack

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/midwatch-slo/midwatch/page"
)

// builder collects blocks within Slack's limits.
type builder struct {
	blocks  []slack.Block
	rich    []slack.RichTextElement
	section []slack.RichTextSectionElement
	size    int // characters of the section
}

// reserved is how many blocks are kept for what comes last.
const reserved = 2

func (b *builder) add(block slack.Block) {
	if len(b.blocks) < maxBlocks-reserved {
		b.blocks = append(b.blocks, block)
	}
}

// last adds a block for which there is always room.
func (b *builder) last(block slack.Block) { b.blocks = append(b.blocks, block) }

func (b *builder) call(who slack.RichTextSectionElement) {
	if who != nil {
		b.line(who)
	}
}

// line adds a line of rich text.
func (b *builder) line(parts ...slack.RichTextSectionElement) {
	size := 1
	for _, p := range parts {
		size += length(p)
	}
	if b.size+size > maxRich {
		b.flush()
	}
	if len(b.section) > 0 {
		b.section = append(b.section, text("\n"))
	}
	b.section = append(b.section, parts...)
	b.size += size
}

func length(part slack.RichTextSectionElement) int {
	switch e := part.(type) {
	case *slack.RichTextSectionTextElement:
		return utf8.RuneCountInString(e.Text)
	case *slack.RichTextSectionLinkElement:
		return utf8.RuneCountInString(e.Text) + utf8.RuneCountInString(e.URL)
	}
	return 0
}

// fixed adds text whose spaces count.
func (b *builder) fixed(words string) {
	b.close()
	if words = strings.TrimRight(words, "\n"); words == "" {
		return
	}
	if n := utf8.RuneCountInString(words); b.size+n > maxRich {
		b.flush()
	}
	b.size += utf8.RuneCountInString(words)
	b.rich = append(b.rich, &slack.RichTextPreformatted{
		Type: slack.RTEPreformatted, Elements: []slack.RichTextSectionElement{text(shorten(words, maxRich))},
	})
}

// close ends the section, flush the block.
func (b *builder) close() {
	if len(b.section) > 0 {
		b.rich = append(b.rich, slack.NewRichTextSection(b.section...))
		b.section = nil
	}
}

func (b *builder) flush() {
	if b.close(); len(b.rich) > 0 {
		b.add(slack.NewRichTextBlock("", b.rich...))
	}
	b.rich, b.size = nil, 0
}

func (b *builder) finding(f page.Finding) {
	b.flush()
	b.line(bold(f.Title))
	for _, p := range f.Patterns {
		counts := ""
		if p.Counts != "" {
			counts = p.Counts + ": "
		}
		b.line(text("• "+counts), slack.NewRichTextSectionTextElement(cmp.Or(p.Text, "–"), &slack.RichTextSectionTextStyle{Code: true}))
		b.fixed(p.Sample)
		if p.Where != "" {
			b.line(text(p.Where))
		}
	}
}

// body adds the lines of a report, tables with their columns aligned.
func (b *builder) body(lines []page.Block) {
	for i := 0; i < len(lines); i++ {
		switch l := lines[i]; l.Style {
		case page.Heading:
			b.flush()
			b.line(bold(l.Text))
		case page.Item:
			b.line(text("• " + l.Text))
		case page.Plain:
			b.line(text(l.Text))
		case page.Row:
			rows := 1
			for i+rows < len(lines) && lines[i+rows].Style == page.Row && !lines[i+rows].First {
				rows++
			}
			b.table(lines[i : i+rows])
			i += rows - 1
		}
	}
}

func (b *builder) table(rows []page.Block) {
	var aligned strings.Builder
	w := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r.Cells, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	size, from := 0, 0
	lines := strings.SplitAfter(aligned.String(), "\n")
	for i, l := range lines {
		n := utf8.RuneCountInString(l)
		if size+n > maxRich {
			b.fixed(strings.Join(lines[from:i], ""))
			size, from = 0, i
		}
		size += n
	}
	b.fixed(strings.Join(lines[from:], ""))
}
