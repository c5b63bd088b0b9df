// Package foreign has what the readers of other tools' SLO files share: an SLO
// as the native format would have it beside the places that it was made from,
// the shapes of PromQL that are no more than counters, and names that
// Prometheus takes. It knows none of the formats.
package foreign

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/slo"
)

// missing is the message of a field that is not there.
const missing = "missing"

// Place is a part of a document of another tool.
type Place struct {
	File  *yamldoc.File
	Node  *yaml.Node
	Field string // its dotted path in the document, "" for the document
}

// Child returns the place of a dotted path below p. Where a part of the path
// is not there, it is the deepest one on the way that exists, under the name
// that was asked for.
func (p Place) Child(path string) Place {
	field := path
	if p.Field != "" {
		field = p.Field + "." + path
	}
	return Place{File: p.File, Node: yamldoc.Lookup(p.Node, path), Field: field}
}

// Key returns the place of a key of a mapping, which may have dots in it.
func (p Place) Key(key string) Place {
	field := key
	if p.Field != "" {
		field = p.Field + "." + key
	}
	for i := 0; p.Node.Kind == yaml.MappingNode && i+1 < len(p.Node.Content); i += 2 {
		if p.Node.Content[i].Value == key {
			return Place{File: p.File, Node: p.Node.Content[i+1], Field: field}
		}
	}
	return Place{File: p.File, Node: p.Node, Field: field}
}

// Item returns the place of an item of a list.
func (p Place) Item(i int) Place { return p.Child(fmt.Sprint(i)) }

// Has says whether there is a value at a dotted path below p. An empty one,
// such as "alerting:", is none.
func (p Place) Has(path string) bool {
	n := p.Node
	for key := range strings.SplitSeq(path, ".") {
		next := yamldoc.Lookup(n, key)
		if next == n || next.Tag == "!!null" {
			return false
		}
		n = next
	}
	return true
}

// Problem returns a problem at a place.
func (p Place) Problem(message, hint string) diag.Problem {
	return p.File.At(p.Node, p.Field, message, hint)
}

// Entry is one SLO of another tool's file, as the native format has it.
type Entry struct {
	Document slo.Document
	Format   string // the name of the format, such as Sloth
	From     string // which SLO of the file it is, such as slos.1
	// Place is where the SLO is, and Places where its parts are from: by the
	// path of the native field, such as spec.sli.events.total.
	Place    Place
	Places   map[string]Place
	Problems diag.Problems // that its reader found
}

// NewEntry returns an SLO that is at a place, with nothing in it.
func NewEntry(format, from string, at Place) Entry {
	return Entry{
		Document: slo.Document{APIVersion: slo.APIVersion, Kind: slo.Kind},
		Format:   format, From: from, Place: at, Places: map[string]Place{},
	}
}

// Problem notes what cannot be carried over. That a field is missing is not
// said where one that is there looks like it misspelt.
func (e *Entry) Problem(at Place, message, hint string) {
	name := at.Field[strings.LastIndexByte(at.Field, '.')+1:]
	for _, known := range e.Problems {
		if message == missing && strings.Contains(known.Hint, fmt.Sprintf("did you mean %q", name)) {
			return
		}
	}
	e.Problems = append(e.Problems, at.Problem(message, hint))
}

// Find returns what a field was made from: the place that was noted for it or
// for the nearest field that holds it.
func (e *Entry) Find(field string) Place {
	for prefix := field; prefix != ""; {
		if p, ok := e.Places[prefix]; ok {
			return p
		}
		cut := strings.LastIndexByte(prefix, '.')
		prefix = prefix[:max(cut, 0)]
	}
	return e.Place
}

// Check makes an SLO of an entry. Its problems, and those that its reader
// found, name what the entry was made from, in the words of its own format.
func (e *Entry) Check() (slo.SLO, diag.Problems) {
	named, native := map[string]Place{}, map[string]string{}
	s, found := slo.Check(e.Document, slo.Origin{File: e.Place.File, Find: func(field string) (*yaml.Node, string) {
		p := e.Find(field)
		named[p.Field], native[p.Field] = p, field
		return p.Node, p.Field
	}})
	problems := e.Problems
	for _, p := range found {
		if e.follows(p, native[p.Field]) {
			continue
		}
		// A part may be from another file than the SLO.
		if at, ok := named[p.Field]; ok && at.File != e.Place.File {
			p = at.Problem(p.Message, p.Hint)
		}
		problems = append(problems, p)
	}
	return s, problems
}

// follows says whether a problem is likely to be there only because of one
// that the reader found: at the same field, above or below it, of a field that
// is missing beside one that is not known, or of an SLI that was not made.
func (e *Entry) follows(p diag.Problem, native string) bool {
	for _, known := range e.Problems {
		unknown := strings.HasPrefix(known.Message, "unknown key")
		if within(p.Field, known.Field) || within(known.Field, p.Field) || p.Message == missing && (unknown || native == "spec.sli") {
			return true
		}
	}
	return false
}

// within says whether a field is another, or below it.
func within(field, other string) bool {
	return field == other || other == "" || strings.HasPrefix(field, other+".")
}
