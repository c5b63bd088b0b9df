package slo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

// maxFileBytes bounds the size of one file.
const maxFileBytes = 4 << 20

// otherKinds are kinds of ours that may lie in the same folder and hold no
// SLO.
var otherKinds = []string{"OnCall", "HolidayCalendar"}

// Load reads SLOs from files and folders. In a folder it reads every *.yaml
// and *.yml, also of the folders below it, but nothing whose name begins with
// a dot. The SLOs are in the order of their files and documents.
//
// The error is a diag.Problems with every problem of every file. The SLOs
// that have none are returned also then.
func Load(paths []string) ([]SLO, error) {
	l := loader{seen: map[string]bool{}, places: map[string]SLO{}}
	for _, path := range paths {
		l.path(path)
	}
	if len(l.slos) == 0 && len(l.problems) == 0 {
		l.problems = append(l.problems, diag.Problem{
			File: strings.Join(paths, ", "), Message: "no SLO found",
			Hint: fmt.Sprintf("name files, or folders with *.yaml files, of apiVersion: %s, kind: %s", APIVersion, Kind),
		})
	}
	return l.slos, l.problems.Err()
}

// Parse reads the SLOs of one file's content, as Load does.
func Parse(name string, content []byte) ([]SLO, error) {
	l := loader{places: map[string]SLO{}}
	l.content(name, content)
	return l.slos, l.problems.Err()
}

// loader gathers the SLOs and the problems of all files.
type loader struct {
	seen     map[string]bool // files that were read, by their real paths
	places   map[string]SLO  // by ID, the first of each
	slos     []SLO
	problems diag.Problems
}

func (l *loader) problem(file, message string, err error) {
	l.problems = append(l.problems, diag.Problem{File: file, Message: fmt.Sprintf("%s: %v", message, reason(err))})
}

// reason returns the cause of a file system error without the path, which the
// problem already names.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func (l *loader) path(path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		l.problem(path, "open", err)
	case info.IsDir():
		l.folder(path)
	default:
		l.file(path)
	}
}

func (l *loader) folder(root string) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			l.problem(path, "read", err)
		case path != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && isYAML(path) && !leadsToFolder(path):
			l.file(path)
		}
		return nil
	})
	if err != nil {
		l.problem(root, "read", err)
	}
}

func isYAML(path string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(path)))
}

// leadsToFolder says whether path is a symbolic link to a folder.
func leadsToFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (l *loader) file(path string) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		l.problem(path, "open", err)
		return
	}
	if l.seen[real] {
		return
	}
	l.seen[real] = true
	content, err := read(path)
	if err != nil {
		l.problem(path, "read", err)
		return
	}
	l.content(path, content)
}

// read returns the content of a regular file that is not too large.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("larger than %d MiB", maxFileBytes>>20)
	}
	return content, err
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
	s, ps := decode(f, n)
	l.problems = append(l.problems, ps...)
	if s.Name == "" || s.Service == "" {
		return
	}
	if first, dup := l.places[s.ID()]; dup {
		l.problems = append(l.problems, f.At(yamldoc.Lookup(n, "metadata.name"), "metadata.name",
			fmt.Sprintf("SLO %s is already in %s, line %d", s.ID(), first.File, first.Line), "name and service together are unique: rename one or remove it"))
		return
	}
	l.places[s.ID()] = s
	if len(ps) == 0 {
		l.slos = append(l.slos, s)
	}
}

// identify says whether a document is an SLO of ours. A document of another
// kind that is known holds none; any other is a problem.
func identify(f *yamldoc.File, n *yaml.Node) (*diag.Problem, bool) {
	if n.Kind != yaml.MappingNode {
		p := f.At(n, "", "not an SLO: want a mapping", fmt.Sprintf("begin with apiVersion: %s and kind: %s", APIVersion, Kind))
		return &p, false
	}
	version, hasVersion := scalarAt(n, "apiVersion")
	kind, hasKind := scalarAt(n, "kind")
	var p diag.Problem
	switch {
	case !hasVersion:
		p = f.At(n, "apiVersion", "no apiVersion", "want "+APIVersion)
	case version.Value != APIVersion:
		p = f.At(version, "apiVersion", fmt.Sprintf("apiVersion %q cannot be read", clip(version.Value)), "this version reads "+APIVersion)
	case !hasKind:
		p = f.At(n, "kind", "no kind", "want "+Kind)
	case kind.Value == Kind:
		return nil, true
	case slices.Contains(otherKinds, kind.Value):
		return nil, false
	default:
		p = f.At(kind, "kind", fmt.Sprintf("kind %q is not known", clip(kind.Value)), "want "+Kind)
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
