package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFirstPageIsValid writes the files that the document shows to its reader,
// and validates them as it says.
func TestFirstPageIsValid(t *testing.T) {
	text := read(t, filepath.Join(repository(t), "docs", "start.md"))
	t.Chdir(t.TempDir())
	if err := os.WriteFile("token", []byte("a-token-of-the-test"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := regexp.MustCompile("(?s)```yaml\n# ([a-z.]+)\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(files) != 3 {
		t.Fatalf("the document shows %d files, want 3", len(files))
	}
	for _, m := range files {
		if err := os.WriteFile(m[1], []byte(m[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := regexp.MustCompile(`(?m)^midwatch (validate [^#]*?) +# (.*)$`).FindStringSubmatch(text)
	if line == nil {
		t.Fatal("the document validates nothing")
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), strings.Fields(line[1]), &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
		t.Errorf("%s: exit code %d\n%s", line[1], code, &stderr)
	}
	if got := strings.TrimSpace(stdout.String()); got != line[2] {
		t.Errorf("%s prints %q, want %q", line[1], got, line[2])
	}
}
