package slo

import (
	"fmt"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

// Parse reads the SLOs of one file's content, which is in the native format.
// The error is a diag.Problems with every problem of it. The SLOs that have
// none are returned also then.
func Parse(name string, content []byte) ([]SLO, error) {
	f, err := yamldoc.Parse(name, content)
	if err != nil {
		return nil, err
	}
	var slos []SLO
	var problems diag.Problems
	var unique Unique
	for _, n := range f.Docs {
		if p := identify(f, n); p != nil {
			problems = append(problems, *p)
			continue
		}
		s, ps := Decode(f, n)
		problems = append(problems, ps...)
		if p := unique.Add(s, f.At(yamldoc.Lookup(n, "metadata.name"), "metadata.name", "", "")); p != nil {
			problems = append(problems, *p)
		} else if len(ps) == 0 {
			slos = append(slos, s)
		}
	}
	return slos, problems.Err()
}

// Decode reads one document of the native format. With problems, the SLO is
// not to be used for anything but its ID.
func Decode(f *yamldoc.File, n *yaml.Node) (SLO, diag.Problems) { return decode(f, n) }

// Unique notes which SLOs there are, to find two of one ID. The zero Unique
// has none.
type Unique struct{ places map[string]place }

// place is where an SLO is.
type place struct {
	file string
	line int
}

// Add notes an SLO. If there is one of its ID already, it returns the problem,
// which is at a place; an SLO without a name or a service has none.
func (u *Unique) Add(s SLO, at diag.Problem) *diag.Problem {
	if s.Name == "" || s.Service == "" {
		return nil
	}
	if first, dup := u.places[s.ID()]; dup {
		at.Message = fmt.Sprintf("SLO %s is already in %s, line %d", s.ID(), first.file, first.line)
		at.Hint = "name and service together are unique: rename one or remove it"
		return &at
	}
	if u.places == nil {
		u.places = map[string]place{}
	}
	u.places[s.ID()] = place{s.File, s.Line}
	return nil
}

// identify returns what is wrong with a document that is no SLO of the native
// format.
func identify(f *yamldoc.File, n *yaml.Node) *diag.Problem {
	version, kind := yamldoc.Lookup(n, "apiVersion"), yamldoc.Lookup(n, "kind")
	if version.Value == APIVersion && kind.Value == Kind {
		return nil
	}
	p := f.At(n, "", "not an SLO of Midwatch", fmt.Sprintf("begin with apiVersion: %s and kind: %s", APIVersion, Kind))
	return &p
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
