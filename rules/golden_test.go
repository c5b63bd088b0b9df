package rules_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// Each folder of testdata/rules holds an SLO file and, below out, the rules
// that it becomes.
func TestGolden(t *testing.T) {
	options := map[string]rules.Options{
		"catch-up":      {CatchUp: true},
		"scrape-1m":     {ScrapeInterval: time.Minute},
		"interval-10s":  {Interval: 10 * time.Second},
		"first-example": {},
	}
	folders, err := filepath.Glob("../testdata/rules/*/slo.yaml")
	if err != nil || len(folders) < len(options) {
		t.Fatalf("%d folders: %v", len(folders), err)
	}
	for _, file := range folders {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			slos, err := source.Load([]string{file})
			if err != nil {
				t.Fatal(err)
			}
			set, err := rules.Compile(slos, options[name])
			if err != nil {
				t.Fatal(err)
			}
			want := filepath.Join(filepath.Dir(file), "out")
			if golden.Updating() {
				if err := set.WriteDir(want); err != nil {
					t.Fatal(err)
				}
			}
			got := t.TempDir()
			if err := set.WriteDir(got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" {
				t.Error(diff)
			}
			accepted(t, got)
		})
	}
}

// contents returns the files of a folder, and of those below it, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// accepted fails unless promtool finds nothing to say about the rules.
func accepted(t *testing.T, dir string) {
	t.Helper()
	promtool, err := servers.Binary("promtool")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	args := append([]string{"check", "rules", "--lint-fatal"}, files...)
	out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
	if err != nil || strings.Count(string(out), "SUCCESS") != len(files) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWriteDirReplacesAndRemovesItsOwn(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "other.yaml")
	if err := os.WriteFile(foreign, []byte("groups: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := availability(t, "a", "99.9", nil)
	b := availability(t, "b", "99.9", func(s *slo.SLO) { s.Service = "bakery" })
	for _, slos := range [][]slo.SLO{{a, b}, {a}} {
		if err := compile(t, rules.Options{}, slos...).WriteDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	got := contents(t, dir)
	for _, name := range []string{"midwatch-slo-shop.yaml", "midwatch-windows.yaml", "other.yaml"} {
		if got[name] == "" {
			t.Errorf("%s is gone", name)
		}
	}
	if len(got) != 3 {
		t.Errorf("want three files, got %d", len(got))
	}
}

func TestWriteDirLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "midwatch-windows.yaml")
	if err := os.WriteFile(path, []byte("groups: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := compile(t, rules.Options{}, availability(t, "a", "99.9", nil)).WriteDir(dir)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("want an error that names %s, got %v", path, err)
	}
	if got := contents(t, dir); len(got) != 1 || got["midwatch-windows.yaml"] != "groups: []\n" {
		t.Errorf("the folder changed: %v", got)
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	for _, o := range []rules.Options{
		{Interval: 40 * time.Second},
		{Interval: 2 * time.Minute},
		{Interval: -time.Second},
		{ScrapeInterval: 2 * time.Minute},
	} {
		if _, err := rules.Compile(nil, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestCompileRefusesWhatLoadRefuses(t *testing.T) {
	a := availability(t, "a", "99.9", nil)
	if _, err := rules.Compile([]slo.SLO{a, a}, rules.Options{}); err == nil {
		t.Error("one SLO twice is accepted")
	}
	a.SLI.Events.Total = "sum(x)"
	if _, err := rules.Compile([]slo.SLO{a}, rules.Options{}); err == nil {
		t.Error("a total that is no selector is accepted")
	}
}
