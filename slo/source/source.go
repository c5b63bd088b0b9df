// Package source reads SLOs from files and folders, whatever format they are
// in: Midwatch's own, OpenSLO, Sloth's or Pyrra's. It tells the formats apart,
// document by document, and knows nothing else of them: what a document says
// is read by package slo and by those of the formats.
package source

import (
	"cmp"
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

// Load reads SLOs from files and folders. In a folder it reads every *.yaml
// and *.yml, also of the folders below it, but nothing whose name begins with
// a dot. The SLOs are in the order of their files and documents. What refers to
// other documents, as OpenSLO's do, finds those of all the files.
//
// The error is a diag.Problems with every problem of every file. The SLOs
// that have none are returned also then.
func Load(paths []string) ([]slo.SLO, error) {
	content := load(paths, false)
	problems := content.Problems
	if len(content.SLOs) == 0 && len(problems) == 0 {
		problems = diag.Problems{none(paths, content.Parts)}
	}
	return content.plain(), problems.Err()
}

func none(paths []string, parts int) diag.Problem {
	p := diag.Problem{File: strings.Join(paths, ", "), Message: "no SLO found"}
	if parts > 0 {
		p.Hint = "what is there is for SLOs to refer to: name the files with the SLOs too"
		return p
	}
	p.Hint = fmt.Sprintf("name files, or folders with *.yaml files, of apiVersion: %s, kind: %s, or those of OpenSLO, Sloth or Pyrra", slo.APIVersion, slo.Kind)
	return p
}

// Parse reads the SLOs of one file's content, as Load does.
func Parse(name string, content []byte) ([]slo.SLO, error) {
	l := newLoader(false)
	l.content(name, content)
	c := l.finish()
	return c.plain(), c.Problems.Err()
}

// Content is what files hold.
type Content struct {
	SLOs  []SLO // that have no problem, in the order of their files and documents
	Parts int   // documents that are no SLO but for SLOs to refer to, such as OpenSLO's SLIs
	// Problems are all problems of all files, sorted by place.
	Problems diag.Problems
}

// plain returns the SLOs alone.
func (c Content) plain() []slo.SLO {
	slos := make([]slo.SLO, len(c.SLOs))
	for i, s := range c.SLOs {
		slos[i] = s.SLO
	}
	return slos
}

// SLO is an SLO beside what it was read from.
type SLO struct {
	slo.SLO
	Document slo.Document // as the native format has it
	Format   string       // the tool whose format it was in, "" for the native one
	From     string       // which one of its file it is, such as slos.1; "" for a native one
}

// Read reads what files and folders hold, as Load does.
func Read(paths []string) Content {
	c := load(paths, true)
	_ = c.Problems.Err() // sorts them
	return c
}

// ReadContent reads what one file's content holds, as Read does.
func ReadContent(name string, content []byte) Content {
	l := newLoader(true)
	l.content(name, content)
	c := l.finish()
	_ = c.Problems.Err() // sorts them
	return c
}

func load(paths []string, documents bool) Content {
	l := newLoader(documents)
	for _, path := range paths {
		l.path(path)
	}
	return l.finish()
}

// loader gathers the SLOs and the problems of all files.
type loader struct {
	documents bool            // whether the documents of native SLOs are kept
	seen      map[string]bool // files that were read, by their real paths
	yaml      yamldoc.Reader
	number    int // of the file that is read
	order     map[*yamldoc.File]int
	openslo   openslo.Reader
	sloth     sloth.Reader
	pyrra     pyrra.Reader

	unique   slo.Unique
	slos     []*placed
	parts    int
	problems diag.Problems
}

// placed is an SLO and where it is among all that are read.
type placed struct {
	SLO
	file, line int
}

func newLoader(documents bool) *loader {
	return &loader{documents: documents, seen: map[string]bool{}, order: map[*yamldoc.File]int{}}
}

// finish reads what had to wait for all files to be there.
func (l *loader) finish() Content {
	for _, read := range []func() ([]foreign.Entry, diag.Problems){l.openslo.Read, l.sloth.Read, l.pyrra.Read} {
		entries, problems := read()
		l.problems = append(l.problems, problems...)
		for i := range entries {
			l.entry(&entries[i])
		}
	}
	slices.SortStableFunc(l.slos, func(a, b *placed) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	})
	c := Content{SLOs: make([]SLO, len(l.slos)), Parts: l.parts, Problems: l.problems}
	slos := make([]slo.SLO, len(l.slos))
	for i, s := range l.slos {
		c.SLOs[i], slos[i] = s.SLO, s.SLO.SLO
	}
	if len(c.Problems) == 0 {
		c.Problems = slo.CheckSet(slos)
	}
	c.Problems = once(c.Problems)
	return c
}

// once returns problems without those that are there twice: what SLOs share,
// such as the window of an OpenSLO SLO's objectives, is said once.
func once(problems diag.Problems) diag.Problems {
	seen := map[diag.Problem]bool{}
	return slices.DeleteFunc(problems, func(p diag.Problem) bool {
		known := seen[p]
		seen[p] = true
		return known
	})
}

// entry checks an SLO of another tool.
func (l *loader) entry(e *foreign.Entry) {
	s, problems := e.Check()
	at := e.Find("metadata.name")
	l.add(&placed{SLO: SLO{SLO: s, Document: e.Document, Format: e.Format, From: e.From}, file: l.order[e.Place.File], line: e.Place.Node.Line}, at.Problem("", ""), problems)
}

// native reads an SLO of the native format.
func (l *loader) native(f *yamldoc.File, n *yaml.Node) {
	s, problems := slo.Decode(f, n)
	found := SLO{SLO: s}
	if l.documents {
		_ = f.Decode(n, &found.Document) // its problems are known
	}
	l.add(&placed{SLO: found, file: l.number, line: n.Line}, f.At(yamldoc.Lookup(n, "metadata.name"), "metadata.name", "", ""), problems)
	f.Release() // of it, nothing but texts is kept
}

// add takes an SLO that is valid and the only one of its name.
func (l *loader) add(s *placed, at diag.Problem, problems diag.Problems) {
	l.problems = append(l.problems, problems...)
	if p := l.unique.Add(s.SLO.SLO, at); p != nil {
		l.problems = append(l.problems, *p)
	} else if len(problems) == 0 {
		l.slos = append(l.slos, s)
	}
}
