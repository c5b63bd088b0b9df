package slo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

// Origin says where a Document was read, for the problems of it.
type Origin struct {
	File *yamldoc.File
	// Find returns what a field of the Document, named by its path in the
	// native format such as spec.sli.events.total, was made from: its node, or
	// for a field that is not there the node that it belongs in, and the name
	// that problems call it by.
	Find func(field string) (n *yaml.Node, name string)
}

// Native returns the origin of a document of the native format.
func Native(f *yamldoc.File, n *yaml.Node) Origin {
	return Origin{File: f, Find: func(field string) (*yaml.Node, string) { return yamldoc.Lookup(n, field), field }}
}

// Check makes an SLO of a document and returns every problem of it, each at
// the place and under the name that the origin gives. With problems, the SLO
// is not to be used for anything but its ID.
func Check(d Document, from Origin) (SLO, diag.Problems) {
	c := checker{in: d, from: from}
	return c.check()
}

// decode reads one document that is an SLO of ours.
func decode(f *yamldoc.File, n *yaml.Node) (SLO, diag.Problems) {
	c := checker{from: Native(f, n)}
	c.problems = f.Decode(n, &c.in)
	for _, p := range c.problems {
		c.fields = append(c.fields, p.Field)
	}
	c.unread = len(c.fields)
	return c.check()
}

// checker turns one document into an SLO and notes what is wrong with it.
type checker struct {
	from     Origin
	in       Document
	out      SLO
	problems diag.Problems
	fields   []string // of the problems, as the native format names them
	unread   int      // so many of them could not be decoded
}

func (c *checker) check() (SLO, diag.Problems) {
	c.metadata()
	c.texts()
	c.groupBy()
	c.labels()
	c.objective()
	c.window()
	c.scope()
	c.sli()
	c.slices()
	c.exclusions()
	c.alerts()
	return c.out, c.problems
}

// add notes a problem of a field, unless the field's own value has one.
func (c *checker) add(field, message, hint string) {
	if p := c.problem(field, message, hint); p != nil {
		c.problems = append(c.problems, *p)
	}
}

// problem returns a problem of a field, nil when the field has one already.
func (c *checker) problem(field, message, hint string) *diag.Problem {
	if slices.Contains(c.fields, field) {
		return nil
	}
	c.fields = append(c.fields, field)
	n, name := c.from.Find(field)
	p := c.from.File.At(n, name, message, hint)
	return &p
}

// missing notes that a required field is not there, unless what it belongs in
// could not be decoded or has a field that looks like it misspelt.
func (c *checker) missing(field, hint string) {
	parent, name := field[:strings.LastIndexByte(field, '.')], field[strings.LastIndexByte(field, '.')+1:]
	if slices.Contains(c.fields[:c.unread], parent) {
		return
	}
	for _, p := range c.problems {
		if strings.HasPrefix(p.Field, parent+".") && strings.Contains(p.Hint, fmt.Sprintf("did you mean %q", name)) {
			return
		}
	}
	c.add(field, "missing", hint)
}

// hasProblemBelow says whether a field, or one in it, already has a problem.
func (c *checker) hasProblemBelow(field string) bool {
	for _, known := range c.fields {
		if known == field || strings.HasPrefix(known, field+".") {
			return true
		}
	}
	return false
}

// duration reads a duration of whole units between two bounds.
func (c *checker) duration(field, text string, unit, least, most time.Duration, hint string) time.Duration {
	parsed, err := model.ParseDuration(text)
	d := time.Duration(parsed)
	switch {
	case err != nil:
		c.add(field, fmt.Sprintf("%q is not a duration", clip(text)), hint)
	case d%unit != 0 || d < least || d > most:
		c.add(field, fmt.Sprintf("%s is not %s of whole %ss", clip(text), between(least, most), unitName(unit)), hint)
	default:
		return d
	}
	return 0
}

func between(least, most time.Duration) string {
	return FormatDuration(least) + " to " + FormatDuration(most)
}

func unitName(unit time.Duration) string {
	if unit == time.Minute {
		return "minute"
	}
	return "second"
}
