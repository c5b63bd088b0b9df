// Package source reads SLOs from files and folders, whatever format they are
// in: Midwatch's own or another tool's. It tells the formats apart and knows
// nothing else of them: what a document says is read by package slo and by
// those of the formats.
package source

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/slo"
)

// otherKinds are kinds of ours that may lie in the same folder and hold no
// SLO.
var otherKinds = []string{"OnCall", "HolidayCalendar"}

// Load reads SLOs from files and folders. In a folder it reads every *.yaml
// and *.yml, also of the folders below it, but nothing whose name begins with
// a dot. The SLOs are in the order of their files and documents.
//
// The error is a diag.Problems with every problem of every file. The SLOs
// that have none are returned also then.
func Load(paths []string) ([]slo.SLO, error) {
	l := loader{seen: map[string]bool{}}
	for _, path := range paths {
		l.path(path)
	}
	if len(l.slos) == 0 && len(l.problems) == 0 {
		l.problems = append(l.problems, diag.Problem{
			File: strings.Join(paths, ", "), Message: "no SLO found",
			Hint: fmt.Sprintf("name files, or folders with *.yaml files, of apiVersion: %s, kind: %s", slo.APIVersion, slo.Kind),
		})
	}
	return l.slos, l.problems.Err()
}

// Parse reads the SLOs of one file's content, as Load does.
func Parse(name string, content []byte) ([]slo.SLO, error) {
	var l loader
	l.content(name, content)
	return l.slos, l.problems.Err()
}

// loader gathers the SLOs and the problems of all files.
type loader struct {
	seen     map[string]bool // files that were read, by their real paths
	unique   slo.Unique
	slos     []slo.SLO
	problems diag.Problems
}

func (l *loader) content(name string, content []byte) {
	if !utf8.Valid(content) {
		valid := content[:len(content)-len(afterValid(content))]
		l.problems = append(l.problems, diag.Problem{File: name, Line: 1 + bytes.Count(valid, []byte("\n")), Message: "not UTF-8", Hint: "save the file as UTF-8"})
		return
	}
	f, err := yamldoc.Parse(name, content)
	if ps, ok := diag.Of(err); ok {
		l.problems = append(l.problems, ps...)
		return
	}
	for _, doc := range f.Docs {
		l.document(f, doc)
	}
}

// afterValid returns b from its first byte that is not UTF-8.
func afterValid(b []byte) []byte {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			break
		}
		b = b[n:]
	}
	return b
}

func (l *loader) document(f *yamldoc.File, n *yaml.Node) {
	p, ours := identify(f, n)
	if p != nil {
		l.problems = append(l.problems, *p)
		return
	}
	if !ours {
		return
	}
	s, ps := slo.Decode(f, n)
	l.problems = append(l.problems, ps...)
	if p := l.unique.Add(s, f.At(yamldoc.Lookup(n, "metadata.name"), "metadata.name", "", "")); p != nil {
		l.problems = append(l.problems, *p)
	} else if len(ps) == 0 {
		l.slos = append(l.slos, s)
	}
}

// identify says whether a document is an SLO of ours. A document of another
// kind that is known holds none; any other is a problem.
func identify(f *yamldoc.File, n *yaml.Node) (*diag.Problem, bool) {
	if n.Kind != yaml.MappingNode {
		p := f.At(n, "", "not an SLO: want a mapping", fmt.Sprintf("begin with apiVersion: %s and kind: %s", slo.APIVersion, slo.Kind))
		return &p, false
	}
	version, hasVersion := scalarAt(n, "apiVersion")
	kind, hasKind := scalarAt(n, "kind")
	var p diag.Problem
	switch {
	case !hasVersion:
		p = f.At(n, "apiVersion", "no apiVersion", "want "+slo.APIVersion)
	case version.Value != slo.APIVersion:
		p = f.At(version, "apiVersion", fmt.Sprintf("apiVersion %q cannot be read", clip(version.Value)), "this version reads "+slo.APIVersion)
	case !hasKind:
		p = f.At(n, "kind", "no kind", "want "+slo.Kind)
	case kind.Value == slo.Kind:
		return nil, true
	case slices.Contains(otherKinds, kind.Value):
		return nil, false
	default:
		p = f.At(kind, "kind", fmt.Sprintf("kind %q is not known", clip(kind.Value)), "want "+slo.Kind)
	}
	return &p, false
}

// scalarAt returns the value of a key of a mapping, if it has one that is a
// scalar and not empty; else the mapping itself.
func scalarAt(n *yaml.Node, key string) (*yaml.Node, bool) {
	v := yamldoc.Lookup(n, key)
	return v, v != n && v.Kind == yaml.ScalarNode && v.Value != ""
}

// clip shortens a text of the file for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
