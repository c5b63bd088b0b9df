package page

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
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

// width counts characters.
func width(text string) int { return utf8.RuneCountInString(text) }

var tag = regexp.MustCompile(`<([A-Za-z/!?])`)

// inert takes away what a chat would read as HTML.
func inert(text string) string { return tag.ReplaceAllString(text, "‹$1") }
