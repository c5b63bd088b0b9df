package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/rules/lint"
	"github.com/midwatch-slo/midwatch/slo"
)

const folder = "../../testdata/lint"

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// load reads an SLO file, which must be valid.
func load(t *testing.T, path string) []slo.SLO {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	slos, err := slo.Parse(path, content)
	if err != nil {
		t.Fatalf("%s is not valid, and so is no file to lint: %v", path, err)
	}
	return slos
}

func run(t *testing.T, slos []slo.SLO, o lint.Options) []lint.Finding {
	t.Helper()
	o.Now, o.Read, o.Scrape = now, os.ReadFile, 30*time.Second
	found, err := lint.Run(t.Context(), slos, o)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// of returns the findings of one check.
func of(check string, found []lint.Finding) []lint.Finding {
	return slices.DeleteFunc(slices.Clone(found), func(f lint.Finding) bool { return f.Rule != check })
}

// text writes findings as people see them, with the lines that they are
// about.
func text(found []lint.Finding) string {
	var b strings.Builder
	for _, f := range found {
		f.File = filepath.Base(f.File)
		f.Message = fmt.Sprintf("%s: %s [%s]", f.Severity, f.Message, f.Rule)
		_ = diag.Problems{f.Problem}.Print(&b)
	}
	return b.String()
}

// Every check of files finds something in its bad file, as the golden says,
// and nothing in its good file.
func TestChecksOfFiles(t *testing.T) {
	for _, check := range lint.Checks() {
		if check.Asks() {
			continue
		}
		t.Run(check.Name, func(t *testing.T) {
			t.Parallel()
			bad := of(check.Name, run(t, load(t, filepath.Join(folder, check.Name, "bad.yaml")), lint.Options{}))
			if len(bad) == 0 {
				t.Error("nothing is found in the bad file")
			}
			golden.File(t, filepath.Join(folder, check.Name, "bad.txt"), text(bad))
			for _, f := range bad {
				if f.Line == 0 || f.Column == 0 || f.Hint == "" || f.Field == "" {
					t.Errorf("without a place or a remedy: %+v", f)
				}
			}
			if good := of(check.Name, run(t, load(t, filepath.Join(folder, check.Name, "good.yaml")), lint.Options{})); len(good) > 0 {
				t.Errorf("found in the good file: %s", text(good))
			}
		})
	}
}

// Each SLO of a bad file is there to be found.
func TestEverySLOOfABadFileIsFound(t *testing.T) {
	sets := []string{"duplicate-sli", "mixed-windows", "composite-of-one"} // whose others are there to be compared
	for _, check := range lint.Checks() {
		if check.Asks() || slices.Contains(sets, check.Name) {
			continue
		}
		slos := load(t, filepath.Join(folder, check.Name, "bad.yaml"))
		found := of(check.Name, run(t, slos, lint.Options{}))
		for _, s := range slos {
			if !slices.ContainsFunc(found, func(f lint.Finding) bool { return f.SLO == s.ID() }) {
				t.Errorf("%s: nothing found in %s", check.Name, s.ID())
			}
		}
	}
}

func TestAnExampleOfTheManualIsClean(t *testing.T) {
	found := run(t, load(t, "../../testdata/slo/valid/payment.yaml"), lint.Options{})
	if len(found) > 0 {
		t.Error(text(found))
	}
}

func TestChecksAreTurnedOff(t *testing.T) {
	path := filepath.Join(folder, "status-too-broad", "bad.yaml")
	rules := func(found []lint.Finding) (names []string) {
		for _, f := range found {
			names = append(names, fmt.Sprintf("%s %d", f.Rule, f.Line))
		}
		return names
	}
	all := rules(run(t, load(t, path), lint.Options{}))
	off := rules(run(t, load(t, path), lint.Options{Disabled: []string{"status-too-broad"}}))
	if len(all) != 3 || len(off) != 0 {
		t.Errorf("with %v, without %v", all, off)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	docs := strings.Split(string(content), "---\n")
	docs[1] = "# midwatch-lint: disable=status-too-broad, spelling\n" + docs[1]
	edited := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(edited, []byte(strings.Join(docs, "---\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	first := strings.Count(docs[0], "\n")
	second := first + strings.Count(docs[1], "\n") + 1
	want := []string{all[0], fmt.Sprintf("unknown-check %d", first+2), fmt.Sprintf("status-too-broad %d", second+10)}
	if diff := cmp.Diff(want, rules(run(t, load(t, edited), lint.Options{}))); diff != "" {
		t.Error(diff)
	}
	if _, err := lint.Run(t.Context(), nil, lint.Options{Disabled: []string{"spelling"}}); err == nil || !strings.Contains(err.Error(), `no such check: "spelling"`) {
		t.Errorf("disabling what there is not: %v", err)
	}
}

// A finding without its file is at the SLO's name.
func TestWithoutTheFile(t *testing.T) {
	slos := load(t, filepath.Join(folder, "same-selector", "bad.yaml"))
	found, err := lint.Run(t.Context(), slos[:1], lint.Options{Now: now})
	if err != nil || len(found) == 0 || found[0].Line != 3 {
		t.Errorf("%+v: %v", found, err)
	}
}

// The manual lists every check as the code has it.
func TestManual(t *testing.T) {
	var b strings.Builder
	b.WriteString(manual)
	for _, asks := range []bool{false, true} {
		b.WriteString(map[bool]string{false: "\n## Looked for in the files\n", true: "\n## Asked of a Prometheus\n"}[asks])
		for _, c := range lint.Checks() {
			if c.Asks() == asks {
				fmt.Fprintf(&b, "\n### %s\n\n%s. %s %s\n", c.Name, strings.ToUpper(string(c.Severity[:1]))+string(c.Severity[1:]), c.Finds, c.Why)
			}
		}
	}
	golden.File(t, "../../docs/lint.md", b.String())
}

const manual = `# Lint

` + "`midwatch lint PATH…`" + ` finds what is valid in SLO files and yet will not do what its author thinks. This page is made from the checks themselves; a test compares it with them.

Each finding has its check, its severity (**error**: it counts or alerts wrongly; **warning**: it probably does; **info**: good to know), its place, what comes of it, and what to do. The severity below is the check's own; some findings of it are milder or worse, and say so. The exit code is 1 when there is an error, with ` + "`--strict`" + ` also when there is a warning.

A check is turned off for all files by ` + "`--disable NAME`" + `, and for one document by a comment anywhere in it:

` + "```yaml\n# midwatch-lint: disable=critical-without-runbook\n```" + `

With ` + "`--prometheus URL`" + ` a Prometheus is asked about what the files name. What it does not answer in time is said, and makes the exit code 1.
`
