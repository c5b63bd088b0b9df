package correlate

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Hole stands for a variable part in a template.
const Hole = "<*>"

const (
	maxTemplated = 1 << 10 // bytes of a message that a template is made of
	maxQuoted    = 512     // bytes of a quoted string that is one variable part
	maxWord      = 64      // letters of a word; what is longer is variable
)

// Template returns the first line of a message with its variable parts
// (numbers, identifiers, addresses, times, quoted strings) as Hole and each
// run of spaces as one. It is at most 3 KiB of valid UTF-8.
func Template(message string) string {
	in := firstLine(message)
	whole := len(in) <= maxTemplated
	m := masker{in: cut(in, maxTemplated)}
	for m.pos < len(m.in) {
		m.next()
	}
	if !whole {
		m.hole()
	}
	return strings.TrimRight(string(m.out), " ")
}

// Expression returns an RE2 expression that matches a whole message if it has
// the template. It may match messages of other templates too: a hole matches
// anything within a line.
func Expression(template string) string {
	var b strings.Builder
	b.WriteString(`(?s)^\s*`)
	for i, part := range strings.Split(template, Hole) {
		if i > 0 {
			b.WriteString(`[^\r\n]*`)
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(part), " ", `[ \t]+`))
	}
	b.WriteString(`[ \t]*(?:[\r\n].*)?$`)
	return b.String()
}

func firstLine(s string) string {
	s = strings.TrimLeft(s, " \t\r\n")
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		s = s[:i]
	}
	return s
}

// masker copies a line and leaves its variable parts out.
type masker struct {
	in  string
	pos int
	out []byte
}

func (m *masker) next() {
	switch c := m.in[m.pos]; {
	case c == ' ' || c == '\t':
		m.space()
	case c == '"' || c == '`' || c == '\'':
		m.quoted(c)
	case alphanumeric(c):
		m.word()
	case c == ':' && m.address():
	default:
		m.copyRune()
	}
}

func (m *masker) space() {
	m.pos++
	if n := len(m.out); n > 0 && m.out[n-1] != ' ' {
		m.out = append(m.out, ' ')
	}
}

func (m *masker) copyRune() {
	r, n := utf8.DecodeRuneInString(m.in[m.pos:])
	if r >= ' ' && r != 0x7F {
		m.out = append(m.out, m.in[m.pos:m.pos+n]...)
	}
	m.pos += n
}

// hole writes a Hole. A sign before it belongs to it, and holes with one
// separator between them are one: dates, addresses, decimals, lists.
func (m *masker) hole() {
	n := len(m.out)
	if n > 0 && (m.out[n-1] == '-' || m.out[n-1] == '+') && (n == 1 || strings.IndexByte(" =([,:_/", m.out[n-2]) >= 0) {
		m.out = m.out[:n-1]
		n--
	}
	if m.endsInHole(n) {
		return
	}
	if n > 0 && strings.IndexByte(".:,-+", m.out[n-1]) >= 0 && m.endsInHole(n-1) {
		m.out = m.out[:n-1]
		return
	}
	m.out = append(m.out, Hole...)
}

func (m *masker) endsInHole(n int) bool {
	return n >= len(Hole) && string(m.out[n-len(Hole):n]) == Hole
}

// quoted masks what stands between two quotes, which stay. A quoted key
// (before a colon) is copied; an apostrophe in a word opens nothing.
func (m *masker) quoted(quote byte) {
	end := m.closing(quote)
	if end < 0 {
		m.copyRune()
		return
	}
	after := end + 1
	if quote == '"' && after < len(m.in) && m.in[after] == ':' {
		m.out = append(m.out, printable(m.in[m.pos:after])...)
		m.pos = after
		return
	}
	m.out = append(m.out, quote)
	m.out = append(m.out, Hole...)
	m.out = append(m.out, quote)
	m.pos = after
}

// closing returns where the quote that opens at the current position closes,
// or -1.
func (m *masker) closing(quote byte) int {
	if quote == '\'' && m.pos > 0 && alphanumeric(m.in[m.pos-1]) {
		return -1
	}
	for i := m.pos + 1; i < len(m.in) && i-m.pos <= maxQuoted; i++ {
		switch {
		case m.in[i] == '\\':
			i++
		case m.in[i] == quote && (quote != '\'' || i+1 == len(m.in) || !alphanumeric(m.in[i+1])):
			return i
		}
	}
	return -1
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return -1
		}
		return r
	}, s)
}

// word copies or masks a run of ASCII letters and digits, or an address or
// UUID that begins with it.
func (m *masker) word() {
	if m.uuid() || m.address() {
		return
	}
	end := m.pos
	for end < len(m.in) && alphanumeric(m.in[end]) {
		end++
	}
	w := m.in[m.pos:end]
	m.pos = end
	head, variable := constantPart(w)
	m.out = append(m.out, head...)
	if variable {
		m.hole()
	}
}

// constantPart returns how much of a word is constant, and whether the rest
// of it is variable.
func constantPart(w string) (head string, variable bool) {
	digits, runs, hex, vowel := 0, 0, true, false
	for i := range len(w) {
		c := w[i]
		isDigit := c >= '0' && c <= '9'
		if isDigit {
			digits++
			if i == 0 || w[i-1] < '0' || w[i-1] > '9' {
				runs++
			}
		}
		hex = hex && (isDigit || isHexLetter(c))
		vowel = vowel || strings.IndexByte("aeiouAEIOU", c) >= 0
	}
	letters := strings.TrimRight(w, "0123456789")
	switch {
	case digits == 0:
		if len(w) > maxWord {
			return "", true
		}
		return w, false
	case w[0] <= '9', hex && len(w) >= 6, len(w) > maxWord:
		return "", true
	case len(letters)+digits == len(w) && runs == 1: // a word and a number
		if (letters == "v" || letters == "V") && digits <= 2 { // of an API's path
			return w, false
		}
		return letters, true
	case runs == 1 && digits <= 2 && vowel: // log4j, OAuth2Token
		return w, false
	}
	return "", true
}

const uuidForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"

// uuid masks a UUID that begins here.
func (m *masker) uuid() bool {
	rest := m.in[m.pos:]
	if len(rest) < len(uuidForm) || rest[8] != '-' || (len(rest) > len(uuidForm) && alphanumeric(rest[len(uuidForm)])) {
		return false
	}
	for i := range len(uuidForm) {
		c := rest[i]
		if dash := uuidForm[i] == '-'; dash != (c == '-') || (!dash && !isHexLetter(c) && (c < '0' || c > '9')) {
			return false
		}
	}
	m.pos += len(uuidForm)
	m.hole()
	return true
}

// address masks an IPv6 address that begins here. Those of IPv4 are masked as
// the numbers that they are made of.
func (m *masker) address() bool {
	end, colons := m.pos, 0
	for end < len(m.in) && end-m.pos < 46 {
		c := m.in[end]
		if c == ':' {
			colons++
		} else if c != '.' && !isHexLetter(c) && (c < '0' || c > '9') {
			break
		}
		end++
	}
	if colons < 2 || (end < len(m.in) && alphanumeric(m.in[end])) {
		return false
	}
	for _, candidate := range []string{m.in[m.pos:end], strings.TrimRight(m.in[m.pos:end], ":.")} {
		if _, err := netip.ParseAddr(candidate); err == nil {
			m.pos += len(candidate)
			m.hole()
			return true
		}
	}
	return false
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isHexLetter(c byte) bool {
	return c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
