package yamldoc

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

// Scalar is a type that is written as a scalar, such as a number whose digits
// are kept. A struct that is one is written either as a scalar or as a mapping
// of its fields.
type Scalar interface {
	// SetScalar takes the text of a scalar.
	SetScalar(text string)
}

// Decode decodes a node into out, a pointer to a struct with yaml tags, and
// returns every unknown key, key given twice and value of the wrong type.
// What could be decoded is in out even when there are problems.
func (f *File) Decode(n *yaml.Node, out any) diag.Problems { return f.DecodeAt(n, "", out) }

// DecodeAt is Decode for a node that is at a field of its document.
func (f *File) DecodeAt(n *yaml.Node, field string, out any) diag.Problems {
	if f.shared == nil {
		f.shared = newShared()
	}
	d := decoder{file: f}
	var at *path
	if field != "" {
		at = &path{key: field}
	}
	d.value(n, reflect.ValueOf(out).Elem(), at)
	return d.problems
}

// decoder sets a value of Go from a node, in one pass over both.
type decoder struct {
	file     *File
	problems diag.Problems
}

// path is a field of a document: a key, or an index, below its parent.
type path struct {
	parent *path
	key    string
	index  int // where key is ""
}

func (p *path) String() string {
	if p == nil {
		return ""
	}
	key := p.key
	if key == "" && p.index >= 0 {
		key = strconv.Itoa(p.index)
	}
	if p.parent == nil {
		return key
	}
	return p.parent.String() + "." + key
}

func (d *decoder) add(n *yaml.Node, at *path, message, hint string) {
	d.problems = append(d.problems, d.file.At(n, at.String(), message, hint))
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, at *path) {
	if n.Tag == "!!null" {
		_ = n.Decode(v.Addr().Interface()) // null fits everything: it leaves or empties it
		return
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	t := d.file.shared.types.of(v.Type())
	switch t.form {
	case byKind:
	case readsNode, readsText:
		d.custom(n, v, t.form, at)
		return
	case isScalar:
		if d.setScalar(n, v, at) {
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, t, at)
	case reflect.Map:
		d.mapping(n, v, at)
	case reflect.Slice:
		d.list(n, v, at)
	case reflect.Interface:
		d.library(n, v, at)
	default:
		d.scalar(n, v, at)
	}
}

// setScalar sets a type that is written as a scalar; it is false for a node
// that is to be decoded by the fields of its type.
func (d *decoder) setScalar(n *yaml.Node, v reflect.Value, at *path) bool {
	switch {
	case n.Kind == yaml.ScalarNode:
		v.Addr().Interface().(Scalar).SetScalar(n.Value)
	case v.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		return false
	case v.Kind() == reflect.Struct:
		d.add(n, at, "want one value or a mapping, found "+nodeName(n), "")
	default:
		d.add(n, at, "want one value, found "+nodeName(n), "")
	}
	return true
}

// custom decodes what reads its node or its text itself.
func (d *decoder) custom(n *yaml.Node, v reflect.Value, form form, at *path) {
	// The library never shows a mapping or a list to what reads texts: it
	// would be taken for no text at all.
	if n.Kind != yaml.ScalarNode && form == readsText {
		d.add(n, at, "want a string, found "+nodeName(n), "")
		return
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		d.add(n, at, strings.TrimPrefix(err.Error(), "yaml: "), "")
	}
}

// library leaves a node to the library: what fits anything has problems only
// inside.
func (d *decoder) library(n *yaml.Node, v reflect.Value, at *path) {
	err := n.Decode(v.Addr().Interface())
	if te, ok := errors.AsType[*yaml.TypeError](err); ok {
		for _, e := range te.Errors {
			d.problems = append(d.problems, d.file.syntax(errors.New("yaml: "+e), 0))
		}
	} else if err != nil {
		d.add(n, at, err.Error(), "")
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, t *typeInfo, at *path) {
	if !d.isKind(n, yaml.MappingNode, "a mapping", at) {
		return
	}
	seen := keys{in: n}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		below := path{parent: at, key: key.Value, index: -1}
		if first := seen.before(i); first != nil {
			d.add(key, &below, fmt.Sprintf("key %q is given twice", key.Value), fmt.Sprintf("the first is in line %d", first.Line))
			continue
		}
		index, ok := t.fields[key.Value]
		if !ok {
			d.add(key, &below, fmt.Sprintf("unknown key %q", key.Value), suggest(key.Value, t.fields))
			continue
		}
		d.value(value, v.FieldByIndex(index), &below)
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, at *path) {
	if !d.isKind(n, yaml.MappingNode, "a mapping", at) {
		return
	}
	t := v.Type()
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(t, len(n.Content)/2))
	}
	seen := keys{in: n}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		below := path{parent: at, key: key.Value, index: -1}
		if first := seen.before(i); first != nil {
			d.add(key, &below, fmt.Sprintf("key %q is given twice", key.Value), fmt.Sprintf("the first is in line %d", first.Line))
			continue
		}
		k := reflect.New(t.Key()).Elem()
		if k.Kind() == reflect.String && key.Kind == yaml.ScalarNode && key.Tag != "!!merge" {
			k.SetString(key.Value)
		} else if err := key.Decode(k.Addr().Interface()); err != nil || key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			d.add(key, &below, "not a key of this mapping", "")
			continue
		}
		element := reflect.New(t.Elem()).Elem()
		d.value(value, element, &below)
		v.SetMapIndex(k, element)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, at *path) {
	if !d.isKind(n, yaml.SequenceNode, "a list", at) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		d.value(c, v.Index(i), &path{parent: at, index: i})
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, at *path) {
	text := v.Kind() == reflect.String
	switch {
	case n.Kind != yaml.ScalarNode:
		d.add(n, at, "want "+kindName(v.Type())+", found "+nodeName(n), "")
	case text && (n.Tag == "!!str" || n.Tag == "!!timestamp"):
		v.SetString(n.Value)
	case text:
		d.add(n, at, "want a string, found "+strings.TrimPrefix(n.Tag, "!!"), fmt.Sprintf("quote it: %q", n.Value))
	default:
		if err := n.Decode(v.Addr().Interface()); err != nil {
			d.add(n, at, fmt.Sprintf("want %s, found %q", kindName(v.Type()), n.Value), "")
		}
	}
}

func (d *decoder) isKind(n *yaml.Node, kind yaml.Kind, want string, at *path) bool {
	if n.Kind == kind {
		return true
	}
	d.add(n, at, "want "+want+", found "+nodeName(n), "")
	return false
}

// keys finds the keys of a mapping that are given twice.
type keys struct {
	in   *yaml.Node
	seen map[string]*yaml.Node // of a mapping with many keys
}

// before returns the key that is like the one at an index of the mapping's
// content and stands before it, nil when there is none. It is asked for each
// key in turn.
func (k *keys) before(i int) *yaml.Node {
	const few = 32 // nodes, which are faster compared one by one
	key := k.in.Content[i]
	if len(k.in.Content) <= few {
		for j := 0; j < i; j += 2 {
			if k.in.Content[j].Value == key.Value {
				return k.in.Content[j]
			}
		}
		return nil
	}
	if first := k.seen[key.Value]; first != nil {
		return first
	}
	if k.seen == nil {
		k.seen = map[string]*yaml.Node{}
	}
	k.seen[key.Value] = key
	return nil
}
