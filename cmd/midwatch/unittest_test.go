package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUnitTestsOfTheManual runs the examples of docs/unit-tests.md, which are
// those of testdata/unittests, and compares what is printed with the page.
func TestUnitTestsOfTheManual(t *testing.T) {
	root := repository(t)
	manual := read(t, filepath.Join(root, "docs", "unit-tests.md"))
	t.Chdir(t.TempDir())
	if err := os.Mkdir("slo", 0o755); err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n# ([a-z_]+\\.yaml)\n(.*?)```").FindAllStringSubmatch(manual, -1)
	for _, m := range examples {
		if err := os.WriteFile(filepath.Join("slo", m[1]), []byte(m[2]), 0o644); err != nil {
			t.Fatal(err)
		}
		if kept := read(t, filepath.Join(root, "testdata", "unittests", m[1])); kept != m[2] {
			t.Errorf("testdata/unittests/%s is not what the manual shows", m[1])
		}
	}
	if len(examples) < 2 {
		t.Fatalf("%d examples", len(examples))
	}
	prints := func(args ...string) string {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code == exitUsage || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d\n%s", strings.Join(args, " "), code, &stderr)
		}
		return stdout.String()
	}
	if out := prints("test", "slo/"); !strings.Contains(manual, "$ midwatch test slo/\n"+out) {
		t.Errorf("the manual does not show what is printed:\n%s", out)
	}
	if out := prints("validate", "slo/"); out != "1 SLO, 2 unit tests valid\n" {
		t.Errorf("validate: %s", out)
	}
	changed := strings.Replace(examples[1][2], "to: 3h22m", "to: 3h20m", 1)
	if err := os.WriteFile("slo/checkout_test.yaml", []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	out := prints("test", "slo/")
	if failed, _, _ := strings.Cut(out, "PASS"); !strings.Contains(manual, failed) || !strings.HasPrefix(failed, "FAIL") {
		t.Errorf("the manual does not show the failure:\n%s", out)
	}
}
