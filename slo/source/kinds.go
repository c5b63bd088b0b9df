package source

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
	"github.com/midwatch-slo/midwatch/slo/openslo"
	"github.com/midwatch-slo/midwatch/slo/pyrra"
	"github.com/midwatch-slo/midwatch/slo/sloth"
)

// otherKinds are kinds of ours that may lie in the same folder and hold no
// SLO.
var otherKinds = []string{"OnCall", "HolidayCalendar", "SLOTest"}

// maxItems bounds the objects of one list.
const maxItems = 10_000

// supported says what is read, for hints.
const supported = slo.APIVersion + ", " + openslo.APIVersion + ", " + sloth.APIVersion + ", " + pyrra.APIVersion + ", or version: " + sloth.Version

func (l *loader) content(name string, content []byte) {
	l.number++
	f := l.yaml.Open(name, content)
	for doc, err := range f.Documents() {
		if ps, ok := diag.Of(err); ok {
			l.problems = append(l.problems, ps...)
			return
		}
		l.document(foreign.Place{File: f, Node: doc})
	}
}

// document reads one document, or each object of one that is a list: of
// OpenSLO's tools, or of Kubernetes.
func (l *loader) document(at foreign.Place) {
	switch {
	case at.Node.Kind == yaml.SequenceNode:
		l.items(at)
	case at.Node.Kind != yaml.MappingNode:
		l.problem(at, "not an SLO: want a mapping", fmt.Sprintf("begin with apiVersion: %s and kind: %s", slo.APIVersion, slo.Kind))
	case isList(at):
		l.items(at.Child("items"))
	default:
		l.object(at)
	}
}

func (l *loader) items(list foreign.Place) {
	if list.Node.Kind != yaml.SequenceNode {
		l.problem(list, "want a list", "")
		return
	}
	if len(list.Node.Content) > maxItems {
		l.problem(list, fmt.Sprintf("more than %d objects", maxItems), "make several files of it")
		return
	}
	for i := range list.Node.Content {
		item := list.Item(i)
		if item.Node.Kind != yaml.MappingNode {
			l.problem(item, "not an SLO: want a mapping", "")
			continue
		}
		l.object(item)
	}
}

// isList says whether a document is a list of Kubernetes' objects.
func isList(at foreign.Place) bool {
	version, kind := scalar(at, "apiVersion"), scalar(at, "kind")
	switch version {
	case "v1":
		return kind == "List"
	case sloth.APIVersion:
		return kind == sloth.KindServiceLevel+"List"
	case pyrra.APIVersion:
		return kind == pyrra.Kind+"List"
	default:
		return false
	}
}

func (l *loader) problem(at foreign.Place, message, hint string) {
	l.problems = append(l.problems, at.Problem(message, hint))
}

// object reads one object by its apiVersion or version.
func (l *loader) object(at foreign.Place) {
	version := scalar(at, "apiVersion")
	switch {
	case version == slo.APIVersion:
		l.ours(at)
		return
	case version == openslo.APIVersion:
		l.keep(at)
		l.parts += l.openslo.Add(at)
	case version == sloth.APIVersion, version == "" && scalar(at, "version") == sloth.Version:
		l.keep(at)
		l.parts += l.sloth.Add(at)
	case version == pyrra.APIVersion:
		l.keep(at)
		l.pyrra.Add(at)
	case version != "":
		l.problem(at.Child("apiVersion"), fmt.Sprintf("apiVersion %q cannot be read", foreign.Clip(version)), "this version reads "+supported)
	case scalar(at, "version") != "":
		l.problem(at.Child("version"), fmt.Sprintf("version %q cannot be read", foreign.Clip(scalar(at, "version"))), "this version reads "+supported)
	default:
		l.problem(at.Child("apiVersion"), "no apiVersion", "want "+supported)
	}
}

// keep notes the number of a file whose SLOs are checked later.
func (l *loader) keep(at foreign.Place) { l.order[at.File] = l.number }

// ours reads an object of Midwatch. Those of another kind that is known hold
// no SLO.
func (l *loader) ours(at foreign.Place) {
	switch kind := scalar(at, "kind"); {
	case kind == slo.Kind:
		l.native(at.File, at.Node)
	case slices.Contains(otherKinds, kind):
	case kind == "":
		l.problem(at.Child("kind"), "no kind", "want "+slo.Kind)
	default:
		l.problem(at.Child("kind"), fmt.Sprintf("kind %q is not known", foreign.Clip(kind)), "want "+slo.Kind+"; passed over are "+strings.Join(otherKinds, ", "))
	}
}

// scalar returns the text of a key of an object, "" for none.
func scalar(at foreign.Place, key string) string {
	v := yamldoc.Lookup(at.Node, key)
	if v == at.Node || v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		return ""
	}
	return v.Value
}
