package yamldoc

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is read without the library: how deep a document nests, and
// how long a key and a line are, in bytes. Where a node is in its line is
// counted from the line's beginning.
const (
	maxPlainDepth = 24
	maxPlainKey   = 200
	maxPlainLine  = 8000
)

// plain reads the part of YAML that nearly all files of its kind are written
// in, many times faster than the library: block mappings and lists, flow ones
// on one line, scalars of one line that need no escapes, and literal blocks.
// It gives the nodes that the library would, without comments, or gives up.
type plain struct {
	text  string // of one document
	next  int    // where the next line begins
	line  int    // of the file, from 1: the one that is read
	cur   string // that line, without what ends it
	start int    // where in it what is left to read begins
	done  bool   // no line is left
	odd   bool   // this is not for us
	depth int
	slab  []yaml.Node
	nodes func() []yaml.Node // more of them
	stack []*yaml.Node       // children of the nodes that are not complete
}

// readPlain returns the root of a document whose text begins on a line, or
// false when it is for the library. nodes makes some at a time.
func readPlain(text string, line int, nodes func() []yaml.Node) (*yaml.Node, bool) {
	if !isPlainText(text) {
		return nil, false
	}
	p := plain{text: text, line: line - 1, nodes: nodes}
	p.advance()
	if p.done {
		return nil, false
	}
	root := p.block()
	return root, !p.odd && p.done
}

// isPlainText says whether a text has nothing but what can be printed and line
// feeds.
func isPlainText(text string) bool {
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case b >= utf8.RuneSelf:
			return strings.IndexFunc(text[i:], isOddRune) < 0
		case b < ' ' && b != '\n' || b == 0x7f:
			return false
		}
	}
	return true
}

// isOddRune says whether a character is none that can be printed, or one that
// YAML breaks lines at.
func isOddRune(r rune) bool {
	switch {
	case r == '\n', r >= ' ' && r <= '~':
		return false
	case r < 0xA0, r == 0x2028, r == 0x2029, r == 0xFEFF, r == 0xFFFE, r == 0xFFFF:
		return true
	default:
		return false
	}
}

// giveUp leaves the document to the library.
func (p *plain) giveUp() *yaml.Node {
	p.odd, p.done = true, true
	return &yaml.Node{}
}

// advance goes to the next line that is neither blank nor a comment.
func (p *plain) advance() {
	for p.next < len(p.text) {
		line, _, _ := strings.Cut(p.text[p.next:], "\n")
		p.next += len(line) + 1
		p.line++
		if len(line) > maxPlainLine {
			p.giveUp()
			return
		}
		p.cur = strings.TrimRight(line, " ")
		p.start = len(p.cur) - len(strings.TrimLeft(p.cur, " "))
		if p.start < len(p.cur) && p.cur[p.start] != '#' {
			return
		}
	}
	p.done = true
}

// node returns a node that begins at a byte of the line.
func (p *plain) node(kind yaml.Kind, tag, value string, at int, style yaml.Style) *yaml.Node {
	if len(p.slab) == 0 {
		p.slab = p.nodes()
	}
	n := &p.slab[0]
	p.slab = p.slab[1:]
	n.Kind, n.Tag, n.Value, n.Style, n.Line = kind, tag, value, style, p.line
	n.Column = utf8.RuneCountInString(p.cur[:at]) + 1
	return n
}

// collect gives a node the children that are on the stack from a place on.
func (p *plain) collect(n *yaml.Node, from int) *yaml.Node {
	if children := p.stack[from:]; len(children) > 0 {
		n.Content = append(make([]*yaml.Node, 0, len(children)), children...)
	}
	p.stack = p.stack[:from]
	p.depth--
	return n
}

// block reads a mapping or a list that begins where the line is read.
func (p *plain) block() *yaml.Node {
	switch {
	case p.atItem():
		return p.list()
	case p.atKey():
		return p.mapping()
	default:
		return p.giveUp()
	}
}

// atItem says whether the line goes on with an item of a list.
func (p *plain) atItem() bool {
	return p.cur[p.start] == '-' && (p.start+1 == len(p.cur) || p.cur[p.start+1] == ' ')
}

// atKey says whether the line goes on with a key.
func (p *plain) atKey() bool { return p.keyEnd(p.start) > 0 }

// keyEnd returns where the colon after a plain key is, 0 where there is none.
func (p *plain) keyEnd(at int) int {
	i := at
	for i < len(p.cur) && isWord(p.cur[i]) {
		i++
	}
	if i == at || i == len(p.cur) || i-at > maxPlainKey || p.cur[i] != ':' || p.cur[at] == '-' || p.cur[at] == '.' || p.cur[at] >= '0' && p.cur[at] <= '9' {
		return 0
	}
	if i+1 < len(p.cur) && p.cur[i+1] != ' ' || isWordOfYAML(p.cur[at:i]) {
		return 0
	}
	return i
}

func isWord(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '-' || b == '.' || b == '/'
}

// isWordOfYAML says whether a text is no text to YAML.
func isWordOfYAML(text string) bool {
	if len(text) > 5 {
		return false
	}
	lower := strings.ToLower(text)
	return lower == "true" || lower == "false" || lower == "null"
}

func (p *plain) mapping() *yaml.Node {
	indent, from := p.start, len(p.stack)
	m := p.node(yaml.MappingNode, "!!map", "", indent, 0)
	if p.depth++; p.depth > maxPlainDepth {
		return p.giveUp()
	}
	for !p.done && p.start == indent {
		colon := p.keyEnd(indent)
		if colon == 0 {
			return p.giveUp()
		}
		p.stack = append(p.stack, p.node(yaml.ScalarNode, "!!str", p.cur[indent:colon], indent, 0))
		p.stack = append(p.stack, p.valueOf(colon+1, indent))
	}
	if !p.done && p.start > indent {
		return p.giveUp()
	}
	return p.collect(m, from)
}

// valueOf reads what follows the colon of a key, and goes to the line after
// it.
func (p *plain) valueOf(after, indent int) *yaml.Node {
	if at := p.skipSpaces(after); at < len(p.cur) {
		return p.inline(at, indent)
	}
	p.advance()
	switch {
	case p.done || p.start < indent:
		return p.giveUp() // null
	case p.start > indent:
		return p.block()
	case p.atItem():
		return p.list()
	default:
		return p.giveUp()
	}
}

func (p *plain) skipSpaces(at int) int {
	for at < len(p.cur) && p.cur[at] == ' ' {
		at++
	}
	return at
}

func (p *plain) list() *yaml.Node {
	indent, from := p.start, len(p.stack)
	l := p.node(yaml.SequenceNode, "!!seq", "", indent, 0)
	if p.depth++; p.depth > maxPlainDepth {
		return p.giveUp()
	}
	for !p.done && p.start == indent && p.atItem() {
		p.stack = append(p.stack, p.item(indent))
	}
	if !p.done && p.start > indent {
		return p.giveUp()
	}
	return p.collect(l, from)
}

// item reads what follows the dash of a list's item, and goes to the line
// after it.
func (p *plain) item(indent int) *yaml.Node {
	at := p.skipSpaces(indent + 1)
	if at == len(p.cur) {
		if p.advance(); p.done || p.start <= indent {
			return p.giveUp() // null
		}
		return p.block()
	}
	if p.start = at; p.atItem() || p.atKey() {
		return p.block()
	}
	return p.inline(at, indent)
}

// inline reads a value that begins on the line of its key or dash, and goes to
// the line after it.
func (p *plain) inline(at, indent int) *yaml.Node {
	if p.cur[at:] == "|" {
		return p.literal(at, indent)
	}
	n, end := p.flowValue(at, false)
	if end != len(p.cur) {
		return p.giveUp()
	}
	if p.advance(); !p.done && p.start > indent {
		return p.giveUp() // a value that goes on
	}
	return n
}

// flowValue reads a value on one line, in a flow or not, and returns where it
// ends.
func (p *plain) flowValue(at int, inFlow bool) (*yaml.Node, int) {
	switch p.cur[at] {
	case '\'':
		return p.quoted(at, '\'', yaml.SingleQuotedStyle)
	case '"':
		return p.quoted(at, '"', yaml.DoubleQuotedStyle)
	case '{':
		return p.flow(at, '}', p.node(yaml.MappingNode, "!!map", "", at, yaml.FlowStyle))
	case '[':
		return p.flow(at, ']', p.node(yaml.SequenceNode, "!!seq", "", at, yaml.FlowStyle))
	}
	text := p.cur[at:]
	if inFlow {
		if end := strings.IndexAny(text, ",[]{}?"); end >= 0 {
			text = strings.TrimRight(text[:end], " ")
		}
	}
	tag := plainTag(text, inFlow)
	if tag == "" {
		return p.giveUp(), 0
	}
	return p.node(yaml.ScalarNode, tag, text, at, 0), at + len(text)
}

// quoted reads a text in quotes in which nothing is escaped.
func (p *plain) quoted(at int, quote byte, style yaml.Style) (*yaml.Node, int) {
	text, rest, ok := strings.Cut(p.cur[at+1:], string(quote))
	if !ok || strings.HasPrefix(rest, string(quote)) || quote == '"' && strings.Contains(text, `\`) {
		return p.giveUp(), 0
	}
	return p.node(yaml.ScalarNode, "!!str", text, at, style), at + len(text) + 2
}

// flow reads the children of a flow mapping or list up to what closes it.
func (p *plain) flow(at int, closing byte, n *yaml.Node) (*yaml.Node, int) {
	from := len(p.stack)
	if p.depth++; p.depth > maxPlainDepth {
		return p.giveUp(), 0
	}
	at = p.skipSpaces(at + 1)
	if at < len(p.cur) && p.cur[at] == closing {
		return p.collect(n, from), at + 1
	}
	for at < len(p.cur) {
		if closing == '}' {
			colon := p.keyEnd(at)
			if colon == 0 {
				break
			}
			p.stack = append(p.stack, p.node(yaml.ScalarNode, "!!str", p.cur[at:colon], at, 0))
			if at = p.skipSpaces(colon + 1); at == len(p.cur) {
				break
			}
		}
		value, end := p.flowValue(at, true)
		if end == 0 {
			break
		}
		p.stack = append(p.stack, value)
		if at = p.skipSpaces(end); at == len(p.cur) {
			break
		}
		if p.cur[at] == closing {
			return p.collect(n, from), at + 1
		}
		if p.cur[at] != ',' {
			break
		}
		at = p.skipSpaces(at + 1)
	}
	return p.giveUp(), 0
}

// literal reads the lines of a literal block, and goes to the line after it.
func (p *plain) literal(at, indent int) *yaml.Node {
	n := p.node(yaml.ScalarNode, "!!str", "", at, yaml.LiteralStyle)
	var b strings.Builder
	blank, deep := 0, 0
	for p.next < len(p.text) {
		line, _, ended := strings.Cut(p.text[p.next:], "\n")
		own := len(line) - len(strings.TrimLeft(line, " "))
		if line == "" && deep > 0 {
			blank++
		} else if own == len(line) || !ended {
			return p.giveUp() // spaces alone, or no end of the line
		} else {
			if deep == 0 {
				deep = own
			}
			if own < deep || deep <= indent {
				break
			}
			for ; blank > 0; blank-- {
				b.WriteByte('\n')
			}
			b.WriteString(line[deep:])
			b.WriteByte('\n')
		}
		p.next += len(line) + 1
		p.line++
	}
	if b.Len() == 0 {
		return p.giveUp()
	}
	n.Value = b.String()
	if p.advance(); !p.done && p.start > indent {
		return p.giveUp()
	}
	return n
}

// plainTag returns what a scalar without quotes is to YAML, or "" for what is
// the library's to say.
func plainTag(text string, inFlow bool) string {
	if text == "" || strings.IndexByte("-?:,[]{}#&*!|>'\"%@`~.+", text[0]) >= 0 {
		return ""
	}
	if text == "<<" || text[len(text)-1] == ':' || strings.Contains(text, ": ") || strings.Contains(text, " #") {
		return ""
	}
	if inFlow && !areColonsInside(text) {
		return ""
	}
	switch first := text[0]; {
	case first >= '0' && first <= '9':
		return numberTag(text)
	case !isWordOfYAML(text):
		return "!!str"
	case text == "true" || text == "false":
		return "!!bool"
	default:
		return ""
	}
}

// areColonsInside says whether no colon of a scalar in a flow may end a key.
func areColonsInside(text string) bool {
	for i := range len(text) {
		if text[i] == ':' && (i+1 == len(text) || !isWord(text[i+1])) {
			return false
		}
	}
	return true
}

// numberTag is plainTag of what begins with a digit: a decimal number, or a
// duration.
func numberTag(text string) string {
	const longest = 18 // digits that fit
	points, letters := 0, 0
	for i := range len(text) {
		switch b := text[i]; {
		case b >= '0' && b <= '9':
		case b == '.':
			points++
		case strings.IndexByte("smhdwy", b) >= 0:
			letters++
		default:
			return ""
		}
	}
	switch {
	case len(text) > longest || text[0] == '0' && len(text) > 1 && text[1] != '.' || text[len(text)-1] == '.':
		return ""
	case letters > 0 && points == 0:
		return "!!str"
	case letters > 0 || points > 1:
		return ""
	case points == 1:
		return "!!float"
	default:
		return "!!int"
	}
}
