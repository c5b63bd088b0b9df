// Package yamldoc decodes YAML strictly and reports every problem of a file
// at once, each with its line, column and field. It knows nothing of what the
// documents mean.
package yamldoc

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

// maxDepth bounds how deep a document may nest.
const maxDepth = 64

// File is a parsed YAML file.
type File struct {
	Name   string
	Docs   []*yaml.Node // the root value of each document, where Parse read it
	text   string
	lines  []string      // of text, once one is asked for
	shared *shared       // with the other files of a Reader
	nodes  [][]yaml.Node // of the document that was read last
}

// A Reader reads files one after the other and keeps what they share: what is
// known of the types that documents are decoded into, and time zones. The zero
// Reader is ready. It is not for several goroutines at once.
type Reader struct{ shared *shared }

// shared is what the files of a Reader share.
type shared struct {
	free  [][]yaml.Node // that were released
	types types
	zones map[string]*time.Location
}

// Parse reads all documents of a file. A syntax error is a diag.Problem.
// Documents without a value are left out.
func (r *Reader) Parse(name string, content []byte) (*File, error) {
	f := r.Open(name, content)
	return f, f.readAll()
}

// Open returns a file whose documents are read by its method Documents.
func (r *Reader) Open(name string, content []byte) *File {
	if r.shared == nil {
		r.shared = newShared()
	}
	return &File{Name: name, text: string(content), shared: r.shared}
}

func newShared() *shared { return &shared{types: types{}, zones: map[string]*time.Location{}} }

// Location is time.LoadLocation, which loads each time zone once for all files
// of a Reader.
func (f *File) Location(name string) (*time.Location, error) {
	if f.shared == nil {
		f.shared = newShared()
	}
	if zone := f.shared.zones[name]; zone != nil {
		return zone, nil
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		f.shared.zones[name] = zone
	}
	return zone, err
}

// Parse reads all documents of a file. A syntax error is a diag.Problem.
// Documents without a value are left out.
func Parse(name string, content []byte) (*File, error) { return new(Reader).Parse(name, content) }

func (f *File) readAll() error {
	for n, err := range f.Documents() {
		if err != nil {
			return err
		}
		f.Docs = append(f.Docs, n)
	}
	return nil
}

// notUTF8 returns the problem of a file that is not UTF-8, nil when it is.
func (f *File) notUTF8() *diag.Problem {
	if utf8.ValidString(f.text) {
		return nil
	}
	line := 1
	for i, r := range f.text {
		if _, size := utf8.DecodeRuneInString(f.text[i:]); r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
	}
	return &diag.Problem{File: f.Name, Line: line, Message: "not UTF-8", Hint: "save the file as UTF-8"}
}

var lineOf = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax returns the problem that an error of the library is, in a part of the
// file after so many lines.
func (f *File) syntax(err error, after int) diag.Problem {
	p := diag.Problem{File: f.Name, Message: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		p.Line, _ = strconv.Atoi(m[1])
		p.Line += after
		p.Message = "not YAML: " + m[2]
		p.Source = f.source(p.Line)
	}
	return p
}

func (f *File) tooDeep(n *yaml.Node, depth int) *diag.Problem {
	if depth > maxDepth {
		p := f.At(n, "", fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
		return &p
	}
	if n.Kind == yaml.AliasNode {
		p := f.At(n, "", "aliases are not allowed", "write the value out")
		return &p
	}
	for _, c := range n.Content {
		if p := f.tooDeep(c, depth+1); p != nil {
			return p
		}
	}
	return nil
}

// At returns a problem at a node; n may be nil.
func (f *File) At(n *yaml.Node, field, message, hint string) diag.Problem {
	p := diag.Problem{File: f.Name, Field: field, Message: message, Hint: hint}
	if n != nil {
		p.Line, p.Column, p.Source = n.Line, n.Column, f.source(n.Line)
	}
	return p
}

// maxSource bounds the lines that are shown beside problems, in bytes: a file
// may have one of megabytes, and thousands of problems in it.
const maxSource = 2000

// source returns the text of a line, "" for one that is too long to show.
func (f *File) source(line int) string {
	if f.lines == nil {
		f.lines = strings.Split(f.text, "\n")
	}
	if line < 1 || line > len(f.lines) || len(f.lines[line-1]) > maxSource {
		return ""
	}
	return strings.TrimRight(f.lines[line-1], "\r")
}

// Raw is a part of a document that is decoded later, by DecodeAt, when it is
// known what it is.
type Raw struct{ Node *yaml.Node }

// UnmarshalYAML keeps the node.
func (r *Raw) UnmarshalYAML(n *yaml.Node) error {
	r.Node = n
	return nil
}

// Lookup returns the node at a dotted path ("spec.sli.events", "users.0.name")
// below n, or the deepest one on the way that exists.
func Lookup(n *yaml.Node, path string) *yaml.Node {
	for key := range strings.SplitSeq(path, ".") {
		next := child(n, key)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func child(n *yaml.Node, key string) *yaml.Node {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	default: // has no children
	}
	return nil
}
