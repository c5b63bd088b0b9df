package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"
)

// yamlWriter writes groups of rules as YAML, byte for byte as the yaml
// package's encoder does with an indent of two, at a small part of its cost.
// Scalars that are not plainly harmless it leaves to that package.
type yamlWriter struct {
	b      []byte
	indent int // spaces before what is written
	err    error
}

// groups writes the sequence that is the value of a key "groups".
func (w *yamlWriter) groups(groups []rulefmt.RuleGroup) {
	if len(groups) == 0 {
		w.line("groups: []")
		return
	}
	w.line("groups:")
	for i := range groups {
		w.group(&groups[i])
	}
}

func (w *yamlWriter) group(g *rulefmt.RuleGroup) {
	w.indent += 2
	w.item("name", g.Name)
	w.indent += 2
	w.duration("interval", g.Interval)
	if g.QueryOffset != nil {
		w.field("query_offset", g.QueryOffset.String())
	}
	if g.Limit != 0 {
		w.line(fmt.Sprintf("limit: %d", g.Limit))
	}
	if len(g.Rules) == 0 {
		w.line("rules: []")
	} else {
		w.line("rules:")
	}
	for i := range g.Rules {
		w.rule(&g.Rules[i])
	}
	w.texts("labels", g.Labels)
	w.indent -= 4
}

func (w *yamlWriter) rule(r *rulefmt.Rule) {
	w.indent += 2
	kind, name := "alert", r.Alert
	if r.Record != "" {
		kind, name = "record", r.Record
	}
	w.item(kind, name)
	w.indent += 2
	w.field("expr", r.Expr)
	w.duration("for", r.For)
	w.duration("keep_firing_for", r.KeepFiringFor)
	w.texts("labels", r.Labels)
	w.texts("annotations", r.Annotations)
	w.indent -= 4
}

const manySpaces = "                                        "

func (w *yamlWriter) spaces(n int) { w.b = append(w.b, manySpaces[:n]...) }

// item writes the first field of an element of a sequence.
func (w *yamlWriter) item(key, value string) {
	w.spaces(w.indent)
	w.b = append(w.b, "- "...)
	w.b = append(append(w.b, key...), ": "...)
	w.scalar(value, w.indent+2)
}

func (w *yamlWriter) field(key, value string) {
	w.spaces(w.indent)
	w.b = append(append(w.b, key...), ": "...)
	w.scalar(value, w.indent)
}

func (w *yamlWriter) line(text string) {
	w.spaces(w.indent)
	w.b = append(append(w.b, text...), '\n')
}

func (w *yamlWriter) duration(key string, d model.Duration) {
	if d != 0 {
		w.line(key + ": " + d.String())
	}
}

// texts writes a mapping of strings.
func (w *yamlWriter) texts(key string, of map[string]string) {
	if len(of) == 0 {
		return
	}
	keys := slices.Sorted(maps.Keys(of))
	w.line(key + ":")
	w.indent += 2
	for _, k := range keys {
		w.spaces(w.indent)
		w.key(k)
		w.b = append(w.b, ": "...)
		w.scalar(of[k], w.indent)
	}
	w.indent -= 2
}

// longestKey is what YAML has for a key on one line, in characters.
const longestKey = 1000

func (w *yamlWriter) key(k string) {
	switch {
	case isPlain(k):
		w.b = append(w.b, k...)
	case len(k) > longestKey:
		w.err = fmt.Errorf("the name of a label has %d bytes, more than %d", len(k), longestKey)
	default:
		w.b = append(w.b, w.encoded(k)...)
	}
}

// scalar writes a string and the end of its line; indent is that of its key.
func (w *yamlWriter) scalar(s string, indent int) {
	switch {
	case isPlain(s):
		w.b = append(w.b, s...)
	case isBlock(s):
		w.b = append(w.b, "|-"...)
		for line := range strings.SplitSeq(s, "\n") {
			w.b = append(w.b, '\n')
			w.spaces(indent + 2)
			w.b = append(w.b, line...)
		}
	default:
		w.b = append(w.b, w.encoded(s)...)
	}
	w.b = append(w.b, '\n')
}

// encoded returns a scalar on one line as the yaml package writes it.
func (w *yamlWriter) encoded(s string) string {
	n := yaml.Node{Kind: yaml.ScalarNode}
	n.SetString(s)
	if s == "<<" || strings.ContainsAny(s, "\n\r\u0085\u2028\u2029") || n.Tag == "!!binary" {
		n.Style = yaml.DoubleQuotedStyle
	}
	if n.Tag == "!!binary" && w.err == nil {
		w.err = fmt.Errorf("%q is not UTF-8", s)
	}
	out, err := yaml.Marshal(&n)
	if err != nil && w.err == nil {
		w.err = err
	}
	return strings.TrimSuffix(string(out), "\n")
}

// isPlain says whether s is a line that YAML takes for nothing but a string as
// it stands: it begins with a letter, is no word of another type, and has
// nothing that begins a comment or a key.
func isPlain(s string) bool {
	if s == "" || !isLetter(s[0]) || s[len(s)-1] == ' ' || s[len(s)-1] == ':' || isReserved(s) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == ' ' && s[i+1] == '#' || c == ':' && s[i+1] == ' ' {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// isReserved says whether s is null or a boolean, of YAML 1.1 or 1.2.
func isReserved(s string) bool {
	if len(s) > len("false") {
		return false
	}
	switch strings.ToLower(s) {
	case "y", "yes", "on", "n", "no", "off", "true", "false", "null":
		return true
	}
	return false
}

// isBlock says whether s has several lines of which none is empty, begins the
// text with a space or ends with one, and that have nothing but what prints.
func isBlock(s string) bool {
	if s == "" || s[0] == ' ' {
		return false
	}
	before, lines := byte('\n'), false
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return isBlockOfAny(s)
		case c == '\n':
			if before == '\n' || before == ' ' {
				return false
			}
			lines = true
		case c < ' ' || c == 0x7f:
			return false
		}
		before = c
	}
	return lines && before != '\n' && before != ' '
}

// isBlockOfAny is isBlock for a text that is not all ASCII and does not begin
// with a space.
func isBlockOfAny(s string) bool {
	if !strings.Contains(s, "\n") || s[0] == '\n' || strings.HasSuffix(s, "\n") ||
		strings.HasSuffix(s, " ") || strings.Contains(s, " \n") || strings.Contains(s, "\n\n") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && (r == utf8.RuneError || !unicode.IsPrint(r)) })
}
