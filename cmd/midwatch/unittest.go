package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/rules/slotest"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/source"
)

func testCommand() *cobra.Command {
	var pattern, output string
	c := &cobra.Command{
		Use:   "test PATH…",
		Short: "run unit tests of SLOs: series in, burn rates and alerts out",
		Long: `Runs the tests in files and folders: documents of kind SLOTest, which name SLO
files, the series that these would count, and what is expected then: error
ratios, burn rates, budgets, and the alerts that fire, from when to when. The
rules are evaluated as Prometheus does, in memory; nothing is asked of anybody.
docs/unit-tests.md has the format.

Exit code 0: all passed; 1: one failed, or a file is not valid; 2: called
wrongly.`,
		Example: `  midwatch test slo/
  midwatch test --run 'outage|slow' slo/payments_test.yaml
  midwatch test -o json slo/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			wanted, err := regexp.Compile(pattern)
			if err != nil {
				return usageError{fmt.Errorf("--run %q is no regular expression: %w", pattern, err)}
			}
			tests, err := loadTests(paths, wanted)
			if err != nil {
				return err
			}
			return runTests(cmd, tests, output)
		},
	}
	c.Flags().StringVar(&pattern, "run", "", "only tests whose name this regular expression matches")
	_ = c.RegisterFlagCompletionFunc("run", func(_ *cobra.Command, paths []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		tests, _ := loadTests(paths, regexp.MustCompile("")) // those that are valid
		for _, t := range tests {
			names = append(names, t.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	outputFlag(c, &output)
	return c
}

// loadTests reads the tests of files and folders whose names are wanted.
func loadTests(paths []string, wanted *regexp.Regexp) (tests []slotest.Test, err error) {
	var problems diag.Problems
	all := 0
	for _, path := range paths {
		for _, name := range filesIn(path) {
			found, err := testsOf(name)
			if ps, ok := diag.Of(err); ok {
				problems = append(problems, ps...)
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, t := range found {
				all++
				if wanted.MatchString(t.Name) {
					tests = append(tests, t)
				}
			}
		}
	}
	switch {
	case len(problems) > 0:
		return tests, problems.Err()
	case all == 0:
		return nil, fmt.Errorf("no test in %s: want documents of apiVersion: %s, kind: %s", strings.Join(paths, ", "), slo.APIVersion, slotest.Kind)
	case len(tests) == 0:
		return nil, fmt.Errorf("none of %s matches %q", count(all, "test"), wanted)
	}
	return tests, nil
}

func testsOf(name string) ([]slotest.Test, error) {
	content, err := readSome(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return slotest.Parse(name, content)
}

// outcome is how a test went.
type outcome struct {
	Name     string            `json:"name"`
	File     string            `json:"file"`
	Line     int               `json:"line"`
	Passed   bool              `json:"passed"`
	Seconds  float64           `json:"seconds"`
	Error    string            `json:"error,omitempty"` // that kept it from running
	Failures []slotest.Failure `json:"failures"`
}

func runTests(cmd *cobra.Command, tests []slotest.Test, output string) error {
	outcomes := make([]outcome, 0, len(tests))
	failed := 0
	for _, t := range tests {
		o := runTest(cmd.Context(), t)
		if cmd.Context().Err() != nil {
			return context.Cause(cmd.Context())
		}
		if !o.Passed {
			failed++
		}
		outcomes = append(outcomes, o)
		if output == "text" {
			if err := printOutcome(cmd.OutOrStdout(), palette(cmd), o); err != nil {
				return err
			}
		}
	}
	err := printTotal(cmd.OutOrStdout(), palette(cmd), output, outcomes, failed)
	if err == nil && failed > 0 {
		err = errReported
	}
	return err
}

func runTest(ctx context.Context, t slotest.Test) outcome {
	began := time.Now()
	o := outcome{Name: t.Name, File: t.File, Line: t.Line, Failures: []slotest.Failure{}}
	slos, err := sloFiles(t)
	if err == nil {
		var failures []slotest.Failure
		failures, err = t.Run(ctx, slos)
		o.Failures = append(o.Failures, failures...)
	}
	if err != nil {
		o.Error = err.Error()
	}
	o.Passed = err == nil && len(o.Failures) == 0
	o.Seconds = time.Since(began).Seconds()
	return o
}

// sloFiles reads the SLOs of a test: those of the files that it names,
// relative to its own, or of its own.
func sloFiles(t slotest.Test) ([]slo.SLO, error) {
	if len(t.SLOFiles) == 0 {
		return source.Load([]string{t.File})
	}
	paths := make([]string, len(t.SLOFiles))
	for i, name := range t.SLOFiles {
		paths[i] = name
		if !filepath.IsAbs(name) {
			paths[i] = filepath.Join(filepath.Dir(t.File), name)
		}
	}
	return source.Load(paths)
}

func printOutcome(w io.Writer, p ink, o outcome) error {
	word := p.green("PASS")
	if !o.Passed {
		word = p.red("FAIL")
	}
	_, err := fmt.Fprintf(w, "%s  %s  %s\n", word, p.bold(o.Name), p.dim(fmt.Sprintf("%s:%d", o.File, o.Line)))
	if o.Error != "" {
		_, more := fmt.Fprintf(w, "      %s\n", strings.ReplaceAll(o.Error, "\n", "\n      "))
		err = errors.Join(err, more)
	}
	for _, f := range o.Failures {
		_, more := fmt.Fprintf(w, "      %s: %s\n          want %s\n          got  %s\n", f.Place, f.What, p.green(f.Want), p.red(f.Got))
		err = errors.Join(err, more)
	}
	return err
}

func printTotal(w io.Writer, p ink, output string, outcomes []outcome, failed int) error {
	if output == "json" {
		return writeJSON(w, struct {
			Passed int       `json:"passed"`
			Failed int       `json:"failed"`
			Tests  []outcome `json:"tests"`
		}{len(outcomes) - failed, failed, outcomes})
	}
	text := p.green(count(len(outcomes), "test") + " passed")
	if failed > 0 {
		text = p.red(fmt.Sprintf("%d of %s failed", failed, count(len(outcomes), "test")))
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
