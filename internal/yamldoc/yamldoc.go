// Package yamldoc decodes YAML strictly and reports every problem of a file
// at once, each with its line, column and field. It knows nothing of what the
// documents mean.
package yamldoc

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

// maxDepth bounds how deep a document may nest.
const maxDepth = 64

// File is a parsed YAML file.
type File struct {
	Name  string
	Docs  []*yaml.Node // the root value of each document
	lines []string
}

// Parse reads all documents of a file. A syntax error is a diag.Problem.
// Documents without a value are left out.
func Parse(name string, content []byte) (*File, error) {
	f := &File{Name: name, lines: strings.Split(string(content), "\n")}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return f, f.syntax(err)
		}
		if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		if p := f.tooDeep(doc.Content[0], 0); p != nil {
			return f, *p
		}
		f.Docs = append(f.Docs, doc.Content[0])
	}
}

var lineOf = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func (f *File) syntax(err error) diag.Problem {
	p := diag.Problem{File: f.Name, Message: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		p.Line, _ = strconv.Atoi(m[1])
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

func (f *File) source(line int) string {
	if line < 1 || line > len(f.lines) {
		return ""
	}
	return strings.TrimRight(f.lines[line-1], "\r")
}

// Decode decodes a node into out, a pointer to a struct with yaml tags, and
// returns every unknown key, key given twice and value of the wrong type.
// What could be decoded is in out even when there are problems.
func (f *File) Decode(n *yaml.Node, out any) diag.Problems { return f.DecodeAt(n, "", out) }

// Raw is a part of a document that is decoded later, by DecodeAt, when it is
// known what it is.
type Raw struct{ Node *yaml.Node }

// UnmarshalYAML keeps the node.
func (r *Raw) UnmarshalYAML(n *yaml.Node) error {
	r.Node = n
	return nil
}

// DecodeAt is Decode for a node that is at a field of its document.
func (f *File) DecodeAt(n *yaml.Node, field string, out any) diag.Problems {
	var ps diag.Problems
	f.check(n, reflect.TypeOf(out).Elem(), field, &ps)
	err := n.Decode(out)
	var te *yaml.TypeError
	switch {
	case err == nil || len(ps) > 0:
	case errors.As(err, &te):
		for _, e := range te.Errors {
			ps = append(ps, f.syntax(errors.New("yaml: "+e)))
		}
	default:
		ps = append(ps, f.At(n, "", err.Error(), ""))
	}
	return ps
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

var (
	yamlUnmarshaler = reflect.TypeFor[yaml.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// check walks a node beside the type that it will be decoded into.
func (f *File) check(n *yaml.Node, t reflect.Type, field string, ps *diag.Problems) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(yamlUnmarshaler) || reflect.PointerTo(t).Implements(textUnmarshaler) {
		f.checkCustom(n, t, field, ps)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		f.checkStruct(n, t, field, ps)
	case reflect.Map:
		f.checkMap(n, t, field, ps)
	case reflect.Slice, reflect.Array:
		f.checkList(n, t, field, ps)
	case reflect.Interface:
	default:
		f.checkScalar(n, t, field, ps)
	}
}

func (f *File) checkCustom(n *yaml.Node, t reflect.Type, field string, ps *diag.Problems) {
	// The library never shows a mapping or a list to what reads texts: it
	// would be taken for no text at all.
	if n.Kind != yaml.ScalarNode && !reflect.PointerTo(t).Implements(yamlUnmarshaler) {
		*ps = append(*ps, f.At(n, field, "want a string, found "+nodeName(n), ""))
		return
	}
	if err := n.Decode(reflect.New(t).Interface()); err != nil {
		msg := strings.TrimPrefix(err.Error(), "yaml: ")
		*ps = append(*ps, f.At(n, field, msg, ""))
	}
}

func (f *File) checkStruct(n *yaml.Node, t reflect.Type, field string, ps *diag.Problems) {
	if !f.isKind(n, yaml.MappingNode, "a mapping", field, ps) {
		return
	}
	known := map[string]reflect.Type{}
	collect(t, known)
	f.eachKey(n, field, ps, func(key, value *yaml.Node, path string) {
		ft, ok := known[key.Value]
		if !ok {
			*ps = append(*ps, f.At(key, path, fmt.Sprintf("unknown key %q", key.Value), suggest(key.Value, known)))
			return
		}
		f.check(value, ft, path, ps)
	})
}

func (f *File) checkMap(n *yaml.Node, t reflect.Type, field string, ps *diag.Problems) {
	if !f.isKind(n, yaml.MappingNode, "a mapping", field, ps) {
		return
	}
	f.eachKey(n, field, ps, func(_, value *yaml.Node, path string) { f.check(value, t.Elem(), path, ps) })
}

func (f *File) checkList(n *yaml.Node, t reflect.Type, field string, ps *diag.Problems) {
	if !f.isKind(n, yaml.SequenceNode, "a list", field, ps) {
		return
	}
	for i, c := range n.Content {
		f.check(c, t.Elem(), join(field, strconv.Itoa(i)), ps)
	}
}

func (f *File) checkScalar(n *yaml.Node, t reflect.Type, field string, ps *diag.Problems) {
	if n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.ScalarNode {
		*ps = append(*ps, f.At(n, field, "want "+kindName(t)+", found "+nodeName(n), ""))
		return
	}
	if t.Kind() == reflect.String && n.Tag != "!!str" && n.Tag != "!!timestamp" {
		*ps = append(*ps, f.At(n, field, "want a string, found "+strings.TrimPrefix(n.Tag, "!!"), fmt.Sprintf("quote it: %q", n.Value)))
		return
	}
	if err := n.Decode(reflect.New(t).Interface()); err != nil {
		*ps = append(*ps, f.At(n, field, fmt.Sprintf("want %s, found %q", kindName(t), n.Value), ""))
	}
}

func (f *File) isKind(n *yaml.Node, kind yaml.Kind, want, field string, ps *diag.Problems) bool {
	if n.Tag == "!!null" {
		return false
	}
	if n.Kind != kind {
		*ps = append(*ps, f.At(n, field, "want "+want+", found "+nodeName(n), ""))
		return false
	}
	return true
}

func (f *File) eachKey(n *yaml.Node, field string, ps *diag.Problems, visit func(key, value *yaml.Node, path string)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path := join(field, key.Value)
		if first, dup := seen[key.Value]; dup {
			*ps = append(*ps, f.At(key, path, fmt.Sprintf("key %q is given twice", key.Value), fmt.Sprintf("the first is in line %d", first)))
			continue
		}
		seen[key.Value] = key.Line
		visit(key, value, path)
	}
}

func collect(t reflect.Type, known map[string]reflect.Type) {
	for sf := range t.Fields() {
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(opts, "inline"):
			collect(sf.Type, known)
		case name == "-" || !sf.IsExported():
		case name == "":
			known[strings.ToLower(sf.Name)] = sf.Type
		default:
			known[name] = sf.Type
		}
	}
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

func nodeName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return strconv.Quote(n.Value)
	}
}
