package lint_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/rules/lint"
	"github.com/midwatch-slo/midwatch/slo"
)

// FuzzValidFiles looks at whatever is valid: each finding has a place in the
// file, and everything can be explained.
func FuzzValidFiles(f *testing.F) {
	for _, pattern := range []string{folder + "/*/*.yaml", "../../testdata/slo/valid/*.yaml", "../../testdata/slo/kinds/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files: %v", pattern, len(files), err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		slos, _ := slo.Parse("fuzz.yaml", content)
		found, err := lint.Run(t.Context(), slos, lint.Options{Now: now, Read: func(string) ([]byte, error) { return content, nil }})
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range found {
			if finding.Line < 1 || finding.Message == "" || finding.Rule == "" {
				t.Fatalf("%+v", finding)
			}
		}
		for _, s := range slos {
			for _, ratio := range explain.Ratios(s) {
				for _, fires := range explain.At(s, ratio, explain.Pace{}).Fires {
					if fires.Soonest < 0 || fires.Latest < fires.Soonest || fires.Resolves < 0 {
						t.Fatalf("%s at %g: %+v", s.ID(), ratio, fires)
					}
				}
			}
		}
	})
}
