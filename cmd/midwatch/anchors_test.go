package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// TestAnchorsLead finds links of the documents, those of channels among them,
// to files or headings that are not there.
func TestAnchorsLead(t *testing.T) {
	root := repository(t)
	documents := []string{filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"), filepath.Join(root, "CHANGELOG.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			documents = append(documents, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#\s:]*)(#[^)]+)?\)`)
	for _, name := range documents {
		for _, m := range link.FindAllStringSubmatch(prose(t, name), -1) {
			to := name
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(name), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			} else if m[2] != "" && !headings(t, to)[m[2]] {
				t.Errorf("%s links to %s%s: there is no such heading", name, m[1], m[2])
			}
		}
	}
}

// prose is a document without its blocks of code.
func prose(t *testing.T, path string) string {
	t.Helper()
	return regexp.MustCompile("(?ms)^ *```.*?^ *```").ReplaceAllString(read(t, path), "")
}

// headings are the anchors of a document, as GitHub makes them.
func headings(t *testing.T, path string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose(t, path), -1) {
		all["#"+strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))] = true
	}
	return all
}
