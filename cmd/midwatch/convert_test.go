package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// What is read from files of other tools is compiled to rules that Prometheus
// loads.
func TestFilesOfOtherToolsCompile(t *testing.T) {
	var paths []string
	for _, format := range []string{"openslo", "sloth", "pyrra"} {
		entries, err := os.ReadDir(filepath.Join("..", "..", "testdata", format))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".golden") {
				paths = append(paths, filepath.Join("..", "..", "testdata", format, e.Name()))
			}
		}
	}
	compiled := 0
	for _, path := range paths {
		slos, err := source.Load([]string{path})
		if err != nil {
			continue // the golden files say why
		}
		compiled++
		set, err := rules.Compile(slos, rules.Options{Interval: 30 * time.Second, ScrapeInterval: 15 * time.Second})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		dir := t.TempDir()
		if err := set.WriteDir(dir); err != nil {
			t.Fatal(err)
		}
		loads(t, dir)
	}
	if compiled < 15 {
		t.Errorf("only %d files were compiled", compiled)
	}
}

// loads reads the rules of a folder as Prometheus does.
func loads(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		_, problems := rulefmt.ParseFile(file, false, model.UTF8Validation, parser.NewParser(parser.Options{}), promslog.NewNopLogger())
		for _, problem := range problems {
			t.Errorf("%s: %v", file, problem)
		}
	}
}
