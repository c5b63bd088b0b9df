package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// command is a line of the README that begins with "$", and what the README
// says that it prints.
type command struct{ line, output string }

// TestReadmeCommands runs what the README tells its reader to type.
func TestReadmeCommands(t *testing.T) {
	commands := readmeCommands(t)
	root := repository(t)
	t.Chdir(t.TempDir())
	if err := os.Symlink(filepath.Join(root, "examples"), "examples"); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range commands {
		args, ours := strings.CutPrefix(c.line, "bin/midwatch ")
		if !ours {
			continue
		}
		ran++
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &stdout, &stderr); code != exitOK {
			t.Errorf("%s: exit code %d\n%s", c.line, code, &stderr)
		}
		if strings.TrimSpace(stdout.String()) != strings.TrimSpace(c.output) {
			t.Errorf("%s prints\n%swhere the README says\n%s", c.line, &stdout, c.output)
		}
	}
	if ran < 3 {
		t.Errorf("only %d commands of the README begin with bin/midwatch", ran)
	}
}

// TestReadmeTargets asks make for what the README and the other documents
// tell their reader to make.
func TestReadmeTargets(t *testing.T) {
	root := repository(t)
	target := regexp.MustCompile(`(?m)^(?:\$ |    )make ([a-z-]+)`)
	for _, name := range []string{"README.md", "CONTRIBUTING.md"} {
		for _, m := range target.FindAllStringSubmatch(read(t, filepath.Join(root, name)), -1) {
			cmd := exec.CommandContext(t.Context(), "make", "--dry-run", m[1])
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: make %s: %v\n%s", name, m[1], err, out)
			}
		}
	}
}

// TestLinksLead finds links of the documents to files that are not there.
func TestLinksLead(t *testing.T) {
	root := repository(t)
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "demo/README.md"} {
		documents = append(documents, filepath.Join(root, name))
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, name := range documents {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

// TestExampleConfigurationIsValid reads the configuration that the README
// points to, and all files that it names.
func TestExampleConfigurationIsValid(t *testing.T) {
	c, err := app.LoadConfig(filepath.Join(repository(t), "examples", "shop", "midwatch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Roster(); err != nil {
		t.Error(err)
	}
}

func readmeCommands(t *testing.T) (all []command) {
	t.Helper()
	block := regexp.MustCompile("(?s)```console\n(.*?)```")
	for _, m := range block.FindAllStringSubmatch(read(t, filepath.Join(repository(t), "README.md")), -1) {
		for part := range strings.SplitSeq("\n"+m[1], "\n$ ") {
			line, output, _ := strings.Cut(part, "\n")
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, command{line, output})
			}
		}
	}
	return all
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := servers.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
