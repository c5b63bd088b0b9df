package yamldoc

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// form is how a type takes what it is decoded from.
type form int

const (
	byKind    form = iota // by what it is: a struct, a list, a number…
	readsNode             // it is a yaml.Unmarshaler
	readsText             // it is an encoding.TextUnmarshaler
	isScalar              // it is a Scalar
)

// typeInfo is what there is to know of a type.
type typeInfo struct {
	form   form
	fields map[string][]int // of a struct: by key, where it is
}

// types keeps what is known of types.
type types map[reflect.Type]*typeInfo

var (
	yamlUnmarshaler = reflect.TypeFor[yaml.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	scalarType      = reflect.TypeFor[Scalar]()
)

// of returns what there is to know of a type that is no pointer.
func (ts types) of(t reflect.Type) *typeInfo {
	if known := ts[t]; known != nil {
		return known
	}
	info := &typeInfo{}
	switch p := reflect.PointerTo(t); {
	case p.Implements(scalarType):
		info.form = isScalar
	case p.Implements(yamlUnmarshaler):
		info.form = readsNode
	case p.Implements(textUnmarshaler):
		info.form = readsText
	}
	if t.Kind() == reflect.Struct {
		info.fields = map[string][]int{}
		collect(t, nil, info.fields)
	}
	ts[t] = info
	return info
}

// collect notes the fields of a struct, and of those inline in it.
func collect(t reflect.Type, outer []int, fields map[string][]int) {
	for sf := range t.Fields() {
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		index := slices.Concat(outer, sf.Index)
		switch {
		case strings.Contains(opts, "inline"):
			collect(sf.Type, index, fields)
		case name == "-" || !sf.IsExported():
		case name == "":
			fields[strings.ToLower(sf.Name)] = index
		default:
			fields[name] = index
		}
	}
}

// kindName names what a type that is a scalar wants, for a message.
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

// nodeName names what a node is, for a message.
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
