// Package openslo reads the objects of OpenSLO v1 (the specification is at
// github.com/OpenSLO/OpenSLO): SLO, and those that SLOs refer to, which are
// SLI, Service, DataSource, AlertPolicy, AlertCondition and
// AlertNotificationTarget. What an SLO says is carried over to the native
// format as docs/formats.md has it; what cannot be is a problem that names its
// field. The package writes nothing.
package openslo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// APIVersion marks the objects.
const APIVersion = "openslo/v1"

// The kinds of objects.
const (
	kindSLO       = "SLO"
	kindSLI       = "SLI"
	kindService   = "Service"
	kindSource    = "DataSource"
	kindPolicy    = "AlertPolicy"
	kindCondition = "AlertCondition"
	kindTarget    = "AlertNotificationTarget"
)

// Reader gathers objects. The zero Reader is ready.
type Reader struct {
	slos       []read[sloSpec]
	slis       registry[sliSpec]
	services   registry[serviceSpec]
	sources    registry[sourceSpec]
	policies   registry[policySpec]
	conditions registry[conditionSpec]
	targets    registry[targetSpec]
	problems   diag.Problems
}

// read is an object and where it is.
type read[S any] struct {
	object[S]
	at       foreign.Place
	problems diag.Problems
}

// spec returns the place of the object's spec.
func (r read[S]) spec() foreign.Place { return r.at.Child("spec") }

// registry are the objects of one kind by their names.
type registry[S any] map[string]read[S]

// Add takes an object whose apiVersion is APIVersion. It returns 1 for one
// that is there for SLOs to refer to, else 0.
func (r *Reader) Add(at foreign.Place) (parts int) {
	kind := ""
	if at.Has("kind") {
		kind = at.Child("kind").Node.Value
	}
	switch kind {
	case kindSLO:
		r.slos = append(r.slos, decode[sloSpec](at))
		return 0
	case kindSLI:
		r.slis = keep(r, r.slis, kind, at)
	case kindService:
		r.services = keep(r, r.services, kind, at)
	case kindSource:
		r.sources = keep(r, r.sources, kind, at)
	case kindPolicy:
		r.policies = keep(r, r.policies, kind, at)
	case kindCondition:
		r.conditions = keep(r, r.conditions, kind, at)
	case kindTarget:
		r.targets = keep(r, r.targets, kind, at)
	default:
		known := []string{kindSLO, kindSLI, kindService, kindSource, kindPolicy, kindCondition, kindTarget}
		r.problems = append(r.problems, at.Child("kind").Problem(fmt.Sprintf("kind %q is not known", foreign.Clip(kind)), "want one of "+strings.Join(known, ", ")))
		return 0
	}
	return 1
}

func decode[S any](at foreign.Place) read[S] {
	out := read[S]{at: at}
	out.problems = at.File.DecodeAt(at.Node, at.Field, &out.object)
	return out
}

// keep notes an object by its name. What is wrong with it is said here, once,
// however many SLOs refer to it.
func keep[S any](r *Reader, all registry[S], kind string, at foreign.Place) registry[S] {
	o := decode[S](at)
	r.problems = append(r.problems, o.problems...)
	name := at.Child("metadata.name")
	switch first, dup := all[o.Metadata.Name]; {
	case o.Metadata.Name == "":
		if len(o.problems) == 0 {
			r.problems = append(r.problems, name.Problem("missing", "the name by which SLOs refer to it"))
		}
		return all
	case dup:
		r.problems = append(r.problems, name.Problem(
			fmt.Sprintf("%s %q is already in %s, line %d", kind, foreign.Clip(o.Metadata.Name), first.at.File.Name, first.at.Node.Line), "rename one or remove it"))
		return all
	}
	if all == nil {
		all = registry[S]{}
	}
	all[o.Metadata.Name] = o
	return all
}

// find returns the object that a place refers to by its name, or notes that
// there is none.
func find[S any](c *converter, all registry[S], kind, name string, at foreign.Place) (read[S], bool) {
	o, ok := all[name]
	if !ok {
		hint := "it is in none of the files that are read: name its file too"
		if len(all) > 0 {
			hint = "there are: " + foreign.Clip(strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		}
		c.Problem(at, fmt.Sprintf("there is no %s %q", kind, foreign.Clip(name)), hint)
	}
	return o, ok
}

// Read returns the SLOs of all objects: one for each objective.
func (r *Reader) Read() ([]foreign.Entry, diag.Problems) {
	var entries []foreign.Entry
	for _, s := range r.slos {
		entries = append(entries, r.convert(s)...)
	}
	return entries, r.problems
}
