package yamldoc

import (
	"errors"
	"io"
	"iter"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Documents reads the documents of a file one after the other, so that none
// need be kept. It ends with the first syntax error, a diag.Problem. Documents
// without a value are left out.
func (f *File) Documents() iter.Seq2[*yaml.Node, error] {
	return func(yield func(*yaml.Node, error) bool) {
		if p := f.notUTF8(); p != nil {
			yield(nil, *p)
			return
		}
		if !isSplit(f.text) {
			f.library(f.text, 0, yield)
			return
		}
		for text, line := range split(f.text) {
			if strings.Trim(text, " \n") == "" {
				continue
			}
			if n, ok := f.readPlain(text, line); ok {
				if !yield(n, nil) {
					return
				}
			} else if !f.library(text, line-1, yield) {
				return
			}
		}
	}
}

// readPlain reads a document without the library, where that can be.
func (f *File) readPlain(text string, line int) (*yaml.Node, bool) {
	f.nodes = nil
	return readPlain(text, line, f.moreNodes)
}

// nodesAtOnce is how many nodes of a document are made at once.
const nodesAtOnce = 32

// moreNodes returns nodes that nothing uses.
func (f *File) moreNodes() []yaml.Node {
	var made []yaml.Node
	if f.shared != nil && len(f.shared.free) > 0 {
		last := len(f.shared.free) - 1
		made = f.shared.free[last]
		f.shared.free = f.shared.free[:last]
		clear(made)
	} else {
		made = make([]yaml.Node, nodesAtOnce)
	}
	f.nodes = append(f.nodes, made)
	return made
}

// Release says that the document that was read last is not needed any more,
// nor any node of it: the next one may be read into the same memory.
func (f *File) Release() {
	if f.shared != nil {
		f.shared.free = append(f.shared.free, f.nodes...)
	}
	f.nodes = nil
}

// library reads documents that begin after so many lines of the file with the
// YAML library, and says whether to go on.
func (f *File) library(text string, after int, yield func(*yaml.Node, error) bool) bool {
	f.nodes = nil // the library makes its own
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			yield(nil, f.syntax(err, after))
			return false
		case len(doc.Content) == 0 || doc.Content[0].Tag == "!!null":
			continue
		}
		root := doc.Content[0]
		if after > 0 {
			shift(root, after)
		}
		if p := f.tooDeep(root, 0); p != nil {
			yield(nil, *p)
			return false
		}
		if !yield(root, nil) {
			return false
		}
	}
}

// shift moves a node and what is below it by so many lines. An alias is left
// alone: it is refused.
func shift(n *yaml.Node, lines int) {
	n.Line += lines
	for _, c := range n.Content {
		shift(c, lines)
	}
}

// isSplit says whether documents are separated by lines that are --- alone,
// and by nothing else.
func isSplit(text string) bool {
	for _, odd := range []string{"\r", "\u0085", "\u2028", "\u2029", "\ufeff"} { // other ends of lines, and a byte order mark
		if strings.Contains(text, odd) {
			return false
		}
	}
	for _, mark := range []string{"...", "%", "--- ", "---\t"} {
		if strings.HasPrefix(text, mark) || strings.Contains(text, "\n"+mark) {
			return false
		}
	}
	return true
}

// split returns the documents of a text, and on which line each begins.
func split(text string) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		line := 1
		for {
			end, next := separator(text)
			if !yield(text[:end], line) || next < 0 {
				return
			}
			line += strings.Count(text[:next], "\n")
			text = text[next:]
		}
	}
}

// separator returns where the first line that is --- alone begins, and where
// what follows it does; the length of the text and -1 where there is none.
func separator(text string) (begin, next int) {
	const mark = "---"
	for at := 0; at < len(text); {
		if strings.HasPrefix(text[at:], mark) {
			switch rest := text[at+len(mark):]; {
			case rest == "":
				return at, len(text)
			case rest[0] == '\n':
				return at, at + len(mark) + 1
			}
		}
		end := strings.Index(text[at:], "\n---")
		if end < 0 {
			break
		}
		at += end + 1
	}
	return len(text), -1
}
