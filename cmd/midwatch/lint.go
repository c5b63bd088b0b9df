package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/rules/lint"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// lintFlags say what is looked for.
type lintFlags struct {
	output          string
	asked           asked
	disabled        []string
	strict          bool
	scrape, timeout duration
}

func lintCommand() *cobra.Command {
	f := &lintFlags{scrape: duration(15 * time.Second), timeout: duration(10 * time.Second)}
	c := &cobra.Command{
		Use:   "lint PATH…",
		Short: "find what is valid in SLO files and will not do what its author thinks",
		Long: `Looks in SLO files, and folders of them, for what is valid and yet will not do
what its author thinks: errors that are no part of the total, a threshold in the
wrong unit, a tier that can never fire. Each finding has its place, what comes of
it and what to do; docs/lint.md lists the checks.

With --prometheus it also asks whether the series, labels and buckets are there
that the files name, of what type they are, how often they are scraped, and
whether their traffic is enough for the objective.

A check is turned off by --disable, and for one document by a comment in it:
# midwatch-lint: disable=NAME

Exit code 0: nothing found but warnings and notes; 1: an error was found (with
--strict also a warning), the files are not valid, or the Prometheus did not
answer; 2: called wrongly.`,
		Example: `  midwatch lint slo/
  midwatch lint --strict --disable critical-without-runbook slo/payments.yaml
  midwatch lint --prometheus http://localhost:9090 slo/ -o json`,
		Args: cobra.MinimumNArgs(1),
		RunE: f.run,
	}
	outputFlag(c, &f.output)
	c.Flags().StringVar(&f.asked.url, "prometheus", "", "address of a Prometheus, or of what answers like one, to ask about what the files name")
	c.Flags().StringVar(&f.asked.httpConfig, "http.config.file", "", "how to reach it: a file of Prometheus' HTTP client settings, as promtool takes")
	_ = c.MarkFlagFilename("http.config.file", "yaml", "yml")
	c.Flags().Var(&f.timeout, "timeout", "how long each answer of it is waited for")
	c.Flags().StringSliceVar(&f.disabled, "disable", nil, "checks that are turned off")
	c.Flags().BoolVar(&f.strict, "strict", false, "warnings too make the exit code 1")
	c.Flags().Var(&f.scrape, "scrape-interval", "how often Prometheus scrapes what the SLOs count")
	_ = c.RegisterFlagCompletionFunc("disable", cobra.FixedCompletions(lint.Names(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (f *lintFlags) run(cmd *cobra.Command, paths []string) error {
	o := lint.Options{Now: time.Now(), Read: os.ReadFile, Disabled: f.disabled, Scrape: time.Duration(f.scrape), Timeout: time.Duration(f.timeout)}
	server, done, err := f.server()
	if err != nil {
		return err
	}
	defer done()
	o.Server = server
	slos, err := source.Load(paths)
	if err != nil {
		return err
	}
	found, unanswered := lint.Run(cmd.Context(), slos, o)
	if errors.Is(unanswered, lint.ErrUnknownCheck) {
		return usageError{fmt.Errorf("--disable: %w", unanswered)}
	}
	if err := f.print(cmd, found, len(slos)); err != nil {
		return err
	}
	if unanswered != nil {
		return fmt.Errorf("not all was asked: %w", shortened(unanswered))
	}
	for _, finding := range found {
		if finding.Severity == lint.Error || f.strict && finding.Severity == lint.Warning {
			return errReported
		}
	}
	return nil
}

// server returns whom to ask, nil for nobody, and what lets go of it.
func (f *lintFlags) server() (lint.Server, func(), error) {
	switch {
	case f.asked.url == "" && f.asked.httpConfig != "":
		return nil, nil, usageError{errors.New("--http.config.file says how to reach --prometheus, which is not given")}
	case f.asked.url == "":
		return nil, func() {}, nil
	}
	client, err := f.asked.client()
	if err != nil {
		return nil, nil, err
	}
	server, err := lint.NewPrometheus(f.asked.url, client.http)
	return server, client.http.CloseIdleConnections, err
}

// shortened returns an error without what repeats itself: a server that does
// not answer one question answers none.
func shortened(err error) error {
	lines := strings.Split(err.Error(), "\n")
	const most = 3
	if len(lines) <= most {
		return err
	}
	return fmt.Errorf("%s\nand %d others", strings.Join(lines[:most], "\n"), len(lines)-most)
}

func (f *lintFlags) print(cmd *cobra.Command, found []lint.Finding, slos int) error {
	w := cmd.OutOrStdout()
	if f.output == "json" {
		return writeJSON(w, findingsJSON(found))
	}
	p := palette(cmd)
	counts := map[lint.Severity]int{}
	why := reasons()
	for _, finding := range found {
		counts[finding.Severity]++
		if err := printFinding(w, p, finding, why[finding.Rule]); err != nil {
			return err
		}
		delete(why, finding.Rule) // once is enough
	}
	var parts []string
	for _, s := range []lint.Severity{lint.Error, lint.Warning, lint.Info} {
		if n := counts[s]; n > 0 {
			parts = append(parts, p.level(string(s), count(n, map[lint.Severity]string{lint.Error: "error", lint.Warning: "warning", lint.Info: "note"}[s])))
		}
	}
	if len(parts) == 0 {
		parts = []string{p.green("nothing found")}
	}
	_, err := fmt.Fprintf(w, "%s in %s\n", strings.Join(parts, ", "), count(slos, "SLO"))
	return err
}

// reasons returns what comes of what each check finds.
func reasons() map[string]string {
	why := map[string]string{}
	for _, c := range lint.Checks() {
		why[c.Name] = c.Why
	}
	return why
}

// printFinding prints a finding as problems are printed, with its severity,
// its check and, if it is not told yet, what comes of it.
func printFinding(w io.Writer, p ink, f lint.Finding, why string) error {
	shown := f.Problem
	shown.Field = ""
	shown.Message = fmt.Sprintf("%s: %s %s", p.level(string(f.Severity), string(f.Severity)), plain(f.Message), p.dim("["+f.Rule+"]"))
	if err := (diag.Problems{shown}).Print(w); err != nil || why == "" {
		return err
	}
	_, err := fmt.Fprintf(w, "        %s\n", p.dim("why: "+why))
	return err
}

// findingJSON is a finding as scripts read it.
type findingJSON struct {
	Rule     string        `json:"rule"`
	Severity lint.Severity `json:"severity"`
	SLO      string        `json:"slo"`
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Column   int           `json:"column,omitempty"`
	Field    string        `json:"field,omitempty"`
	Message  string        `json:"message"`
	Why      string        `json:"why,omitempty"`
	Remedy   string        `json:"remedy,omitempty"`
}

func findingsJSON(found []lint.Finding) []findingJSON {
	out, why := []findingJSON{}, reasons()
	for _, f := range found {
		out = append(out, findingJSON{
			Rule: f.Rule, Severity: f.Severity, SLO: f.SLO, File: f.File, Line: f.Line, Column: f.Column,
			Field: f.Field, Message: f.Message, Why: why[f.Rule], Remedy: f.Hint,
		})
	}
	return out
}
