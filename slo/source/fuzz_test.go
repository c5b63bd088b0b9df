package source_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// fuzz reads whatever there is as files of one format. What is read is the
// same again when it is converted; what is not has a problem with a message.
func fuzz(f *testing.F, format string) {
	for _, pattern := range []string{"/*.yaml", "/*/*.yaml"} {
		files, err := filepath.Glob(data + format + pattern)
		if err != nil {
			f.Fatal(err)
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
		found := source.ReadContent("fuzz.yaml", content)
		for _, p := range found.Problems {
			if p.File != "fuzz.yaml" || p.Message == "" {
				t.Fatalf("a problem without place or message: %+v", p)
			}
		}
		for _, s := range found.SLOs {
			sameWhenConverted(t, s)
		}
		if slos, err := source.Parse("fuzz.yaml", content); len(slos) != len(found.SLOs) {
			t.Fatalf("%d SLOs, or %d: %v", len(found.SLOs), len(slos), err)
		} else if _, ok := diag.Of(err); err != nil && !ok {
			t.Fatalf("an error without problems: %v", err)
		}
	})
}

func FuzzOpenSLO(f *testing.F) { fuzz(f, "openslo") }

func FuzzSloth(f *testing.F) { fuzz(f, "sloth") }

func FuzzPyrra(f *testing.F) { fuzz(f, "pyrra") }
