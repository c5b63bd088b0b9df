package page

import (
	"strings"
	"time"
)

// maxBlocks is how many lines of a report are shown.
const maxBlocks = 1000

// Block is one line of a report: a heading ("# " before it in Page.Body), an
// item of a list ("- "), a row of a table (cells with tabs between them; the
// first row of a table is its head), or plain text. An empty line ends a list
// or a table and is no block.
type Block struct {
	Style BlockStyle
	Text  string   // "" in a row
	Cells []string // of a row
	First bool     // of its list or table, or after an empty line
}

// BlockStyle says what a line of a report is.
type BlockStyle string

// The styles of blocks.
const (
	Heading BlockStyle = "heading"
	Item    BlockStyle = "item"
	Row     BlockStyle = "row"
	Plain   BlockStyle = "plain"
)

func (c composer) report(w words) Message {
	m := Message{
		Lead:  w.report + " " + c.At.In(c.loc).Format(time.DateOnly),
		Body:  blocks(c.Body),
		Links: safe(Link{w.open, c.Link}),
	}
	if whom := clean(c.whom(w), maxField); whom != "" {
		m.Facts = []Fact{{w.forWhom, whom}}
	}
	return m
}

// blocks reads a report's lines.
func blocks(body string) (all []Block) {
	var before BlockStyle
	for line := range strings.Lines(body) {
		b := block(strings.TrimRight(line, "\r\n"))
		if len(all) == maxBlocks {
			break
		}
		if b.Text == "" && len(b.Cells) == 0 {
			before = ""
			continue
		}
		b.First = b.Style != before
		before = b.Style
		all = append(all, b)
	}
	return all
}

func block(line string) Block {
	if strings.Contains(line, "\t") {
		b := Block{Style: Row}
		for cell := range strings.SplitSeq(line, "\t") {
			b.Cells = append(b.Cells, clean(cell, maxField))
		}
		return b
	}
	if text, ok := strings.CutPrefix(line, "# "); ok {
		return Block{Style: Heading, Text: clean(text, maxField)}
	}
	if text, ok := strings.CutPrefix(line, "- "); ok {
		return Block{Style: Item, Text: clean(text, maxReportLine)}
	}
	return Block{Style: Plain, Text: clean(line, maxReportLine)}
}

const maxReportLine = 500 // characters

// text returns the block as a line of text.
func (b Block) text() string {
	switch b.Style {
	case Item:
		return "· " + b.Text
	case Row:
		return "· " + strings.Join(b.Cells, " | ")
	default:
		return b.Text
	}
}
