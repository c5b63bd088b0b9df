package page

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	eastasian "golang.org/x/text/width"
)

// escapes are terminal control sequences, which leave debris when only their
// first character is taken away.
var escapes = regexp.MustCompile("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|.)?")

// maxMarks is how many combining marks one character may carry.
const maxMarks = 3

// clean returns text on one line, in valid UTF-8, without control and format
// characters (which can turn text around or hide it), at most limit
// characters long.
func clean(text string, limit int) string {
	if most := (limit + 1) * 8 * utf8.UTFMax; len(text) > most {
		text = text[:most]
	}
	text = escapes.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "")
	var b strings.Builder
	space, marks := false, 0
	for _, r := range text {
		switch {
		case unicode.IsSpace(r) || r == '\u2028' || r == '\u2029' || unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			continue
		case unicode.Is(unicode.M, r):
			if marks++; marks > maxMarks {
				continue
			}
		default:
			marks = 0
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return shorten(b.String(), limit)
}

// shorten cuts text to limit characters, the last of which is then "…".
func shorten(text string, limit int) string {
	if width(text) <= limit {
		return text
	}
	runes := []rune(text)
	return strings.TrimRightFunc(string(runes[:max(limit-1, 0)]), unicode.IsSpace) + "…"
}

// fit cuts text to limit columns, the last of which is then "…".
func fit(text string, limit int) string {
	if columns(text) <= limit {
		return text
	}
	n := 0
	for i, r := range text {
		if n += columnsOf(r); n > limit-1 {
			return strings.TrimRightFunc(text[:i], unicode.IsSpace) + "…"
		}
	}
	return text
}

// columns counts what text takes of a line: East Asian wide characters take
// two (Unicode Standard Annex 11).
func columns(text string) (n int) {
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch eastasian.LookupRune(r).Kind() {
	case eastasian.EastAsianWide, eastasian.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// width counts characters.
func width(text string) int { return utf8.RuneCountInString(text) }

var tag = regexp.MustCompile(`<([A-Za-z/!?])`)

// inert takes away what a chat would read as HTML.
func inert(text string) string { return tag.ReplaceAllString(text, "‹$1") }
