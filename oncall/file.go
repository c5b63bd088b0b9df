package oncall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

// APIVersion and Kind mark the documents that this package reads.
const (
	APIVersion = "midwatch.dev/v1"
	Kind       = "OnCall"

	KindHolidayCalendar = "HolidayCalendar"
)

// maxFile bounds an on-call file, in bytes.
const maxFile = 4 << 20

// Load reads on-call files into one roster. A path is a file, or a folder
// whose *.yaml and *.yml files are read, those of its folders too. Calendars in
// files that they name are read with them; those behind a URL are not known
// yet: see Feeds. The error is diag.Problems: all that is wrong in all files.
func Load(paths []string) (*Roster, error) {
	b := newBuilder()
	b.reads = true
	files, problems := expand(paths)
	b.problems = problems
	for _, name := range files {
		content, err := readFile(name)
		if err != nil {
			b.problems = append(b.problems, diag.Problem{File: name, Message: err.Error()})
			continue
		}
		b.file(name, content)
	}
	return b.roster(paths)
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, reason(err)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, reason(err)
	}
	return content, nil
}

// reason returns an error without the path that it repeats.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func expand(paths []string) (files []string, problems diag.Problems) {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir():
			case name == path || filepath.Ext(name) == ".yaml" || filepath.Ext(name) == ".yml":
				files = append(files, name)
			}
			return nil
		})
		if err != nil {
			problems = append(problems, diag.Problem{File: path, Message: reason(err).Error()})
		}
	}
	slices.Sort(files)
	return slices.Compact(files), problems
}

// source is where a document came from, for naming places in it.
type source struct {
	file *yamldoc.File
	root *yaml.Node
}

func (s source) at(field, message, hint string) diag.Problem {
	return discreet(s.file.At(yamldoc.Lookup(s.root, field), field, message, hint))
}

// value returns a problem of what stands at a field.
func (s source) value(field string, err error) diag.Problem {
	if p, ok := errors.AsType[problem](err); ok {
		return s.at(field, p.message, p.hint)
	}
	return s.at(field, err.Error(), "")
}

// place returns where a field stands.
func (s source) place(field string) place { return place{s.at(field, "", "")} }
