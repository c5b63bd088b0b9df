// Package golden holds tests against files of what is expected. "make golden"
// writes the files anew. Only tests import it.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Updating tells whether the files are to be written anew.
func Updating() bool { return *update }

// File fails the test where got differs from the file at path, which it
// writes first when the files are to be written anew.
func File(t *testing.T, path, got string) {
	t.Helper()
	if Updating() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (\"make golden\" rewrites it): %s", path, diff)
	}
}
