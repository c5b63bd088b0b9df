package layers

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/midwatch-slo/midwatch"

// layerOf is the table of the design: a package imports lower layers, or its
// own top-level folder.
var layerOf = map[string]int{
	"cmd": 5, "demo": 5,
	"app":   4,
	"rules": 3, "federation": 3, "fleet": 3, "incident": 3, "oncall": 3, "correlate": 3, "notifiers": 3, "store": 3, "web": 3, "dashboards": 3, "report": 3,
	"page": 2, "silence": 2, "ingest": 2,
	"slo": 1, "alert": 1,
	"internal": 0,
}

type pkg struct {
	Dir          string
	ImportPath   string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestImportsGoDownward(t *testing.T) {
	for _, p := range packages(t) {
		from := topFolder(p.ImportPath)
		if from == "" {
			continue // the root holds no code
		}
		layer, ok := layerOf[from]
		if !ok {
			t.Errorf("%s: the folder %q is in no layer: add it to the table of the design and to this test", p.ImportPath, from)
			continue
		}
		for _, imp := range append(p.Imports, p.TestImports...) {
			if to, ours := ourFolder(imp); ours && to != from && layerOf[to] >= layer && layer < layerOf["cmd"] {
				t.Errorf("%s (layer %d) imports %s (layer %d): declare the interface that it needs, and pass the implementation in from app", p.ImportPath, layer, imp, layerOf[to])
			}
		}
		// A test from outside the package may use a real sibling, nothing above.
		for _, imp := range p.XTestImports {
			if to, ours := ourFolder(imp); ours && layerOf[to] > layer {
				t.Errorf("the tests of %s (layer %d) import %s (layer %d)", p.ImportPath, layer, imp, layerOf[to])
			}
		}
	}
}

// Loki brings 1,300 packages: everything that imports it builds for minutes.
func TestOnlyItsSourceImportsLoki(t *testing.T) {
	const loki = "github.com/grafana/loki"
	for _, p := range packages(t) {
		if p.ImportPath == module+"/correlate/loki" {
			continue
		}
		for _, imp := range append(append(p.Imports, p.TestImports...), p.XTestImports...) {
			if strings.HasPrefix(imp, loki) {
				t.Errorf("%s imports %s: only correlate/loki may", p.ImportPath, imp)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && !hasPackageComment(t, p) {
			t.Errorf("%s has no package comment: say what it is, and what it is not", p.ImportPath)
		}
	}
}

func hasPackageComment(t *testing.T, p pkg) bool {
	t.Helper()
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			return true
		}
	}
	return false
}

func ourFolder(importPath string) (folder string, ours bool) {
	return topFolder(importPath), strings.HasPrefix(importPath, module)
}

func topFolder(importPath string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
	top, _, _ := strings.Cut(rest, "/")
	return top
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=Dir,ImportPath,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(fmt.Errorf("list packages: %w", err))
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}
