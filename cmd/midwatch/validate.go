package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/rules/slotest"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// fetchTimeout bounds how long calendars are waited for.
const fetchTimeout = 20 * time.Second

func validateCommand() *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use:   "validate PATH…",
		Short: "check SLO files, on-call files and configurations",
		Long: `Reads SLO files, on-call files, holiday calendars and configuration files of
"midwatch serve", and folders of them, told apart by their content, and prints
every problem of every file with its place and how to mend it. A configuration
is checked with all files that it names.

SLO files are those of Midwatch, OpenSLO v1, Sloth (prometheus/v1 and its
Kubernetes objects) and Pyrra (pyrra.dev/v1alpha1). What only SLOs of other
files use, such as OpenSLO's SLIs or Sloth's AlertWindows, is valid on its own.

What is valid in on-call files and yet lets somebody down in the next eight
weeks is reported too, as "midwatch oncall lint" does: gaps, people who cannot
be reached, holidays that are not known. On-call files are read as one, and
calendars behind a URL are fetched.

Exit code 0: all are valid, though there may be warnings; 1: they are not, or
somebody will not be told; 2: called wrongly.`,
		Example: "  midwatch validate slo/\n  midwatch validate slo/payments.yaml oncall/\n  midwatch validate --strict midwatch.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			v := validation{at: time.Now()}
			v.check(cmd.Context(), paths)
			return v.report(cmd, strict)
		},
	}
	c.Flags().BoolVar(&strict, "strict", false, "warnings too make the exit code 1")
	return c
}

// validation gathers what is right and what is wrong in files.
type validation struct {
	at       time.Time
	problems diag.Problems
	findings []oncall.Finding

	slos, parts, tests, oncall, configs int // that are valid
}

func (v *validation) check(ctx context.Context, paths []string) {
	found := sortFiles(paths)
	for _, name := range found.configs {
		slos, oncalls, ok := v.config(ctx, name)
		found.slos, found.oncall = exclude(found.slos, slos), exclude(found.oncall, oncalls)
		if ok {
			v.configs++
		}
	}
	if len(found.oncall) > 0 {
		v.roster(ctx, found.oncall, found.people)
	}
	if len(found.slos) > 0 || len(found.oncall)+len(found.configs) == 0 {
		v.readSLOs("", append(found.slos, found.empty...))
	}
}

// readSLOs checks files of SLOs. Those that hold only what SLOs of other files
// use are valid, but for a configuration that names no others.
func (v *validation) readSLOs(config string, paths []string) {
	v.readTests(config, paths)
	content := source.Read(paths)
	v.slos += len(content.SLOs)
	v.parts += content.Parts
	err := content.Problems.Err()
	if err == nil && len(content.SLOs) == 0 && (content.Parts+v.tests == 0 || config != "") {
		_, err = source.Load(paths) // says that there is none
	}
	v.valid(config, err)
}

// readTests checks the unit tests in files of SLOs, without running them.
func (v *validation) readTests(config string, paths []string) {
	for _, name := range paths {
		content, err := readSome(name)
		if err != nil || !bytes.Contains(content, []byte(slotest.Kind)) {
			continue // whoever reads the SLOs says what is wrong with the file
		}
		tests, err := slotest.Parse(name, content)
		v.valid(config, err)
		v.tests += len(tests)
	}
}

// roster checks on-call files that no configuration names. Calendars alone
// page nobody, and need not say whom.
func (v *validation) roster(ctx context.Context, files []string, people bool) {
	roster, err := oncall.Load(files)
	if found, ok := diag.Of(err); ok && !people {
		err = slices.DeleteFunc(found, func(p diag.Problem) bool { return p.Line == 0 && p.Field == "default_schedule" }).Err()
	}
	if !v.valid("", err) {
		return
	}
	v.oncall += len(files)
	if roster != nil && people {
		v.lint(ctx, roster)
	}
}

// config checks a configuration and the files that it names, which it
// returns. ok tells whether all is valid.
func (v *validation) config(ctx context.Context, name string) (slos, oncalls []string, ok bool) {
	c, err := app.LoadConfig(name)
	if !v.valid(name, err) {
		return nil, nil, false
	}
	before := len(v.problems)
	slos = v.globs(name, "slo_files", c.SLOFiles)
	if len(slos) > 0 {
		v.readSLOs(name, slos)
	}
	oncalls = v.globs(name, "oncall_files", c.OnCallFiles)
	if roster, err := c.Roster(); len(oncalls) > 0 && v.valid(name, err) {
		v.oncall += len(oncalls)
		channels := slices.Sorted(maps.Keys(c.Notifiers))
		v.channels(name, roster, channels)
		v.lint(ctx, roster, channels...)
	}
	return slos, oncalls, len(v.problems) == before
}

// lint notes what will let somebody down. Where a calendar behind a URL is not
// to be had, nobody knows.
func (v *validation) lint(ctx context.Context, roster *oncall.Roster, channels ...string) {
	if len(roster.Feeds()) > 0 {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		fed, err := app.FetchCalendars(ctx, roster)
		if err != nil {
			message := strings.ReplaceAll(err.Error(), "\n", "; ") + ": what will let somebody down was not looked for"
			v.findings = append(v.findings, oncall.Finding{Severity: oncall.Warning, Problem: diag.Problem{Message: message}})
			return
		}
		roster = fed
	}
	v.findings = append(v.findings, roster.Lint(v.at, oncall.Horizon, channels...)...)
}

// channels finds contacts through channels that are not configured, with
// which Midwatch does not start.
func (v *validation) channels(config string, roster *oncall.Roster, configured []string) {
	for _, ch := range roster.Channels() {
		if !slices.Contains(configured, ch) {
			v.problem(config, "notifiers", fmt.Sprintf("the on-call files have contacts by %q, which is not configured", ch), "")
		}
	}
}

// globs returns the files that a configuration names in a field.
func (v *validation) globs(config, field string, globs []string) (files []string) {
	for _, glob := range globs {
		found, err := filepath.Glob(glob)
		switch {
		case err != nil:
			v.problem(config, field, fmt.Sprintf("%q: %v", glob, err), "")
		case len(found) == 0:
			v.problem(config, field, glob+" matches no file", "paths are relative to the configuration file")
		}
		files = append(files, found...)
	}
	return files
}

// problem notes a problem at a field of a configuration.
func (v *validation) problem(config, field, message, hint string) {
	p := diag.Problem{File: config, Field: field, Message: message, Hint: hint}
	if content, err := readSome(config); err == nil {
		if f, err := yamldoc.Parse(config, content); err == nil && len(f.Docs) == 1 {
			p = f.At(yamldoc.Lookup(f.Docs[0], field), field, message, hint)
			p.Source = "" // a secret may stand in it
		}
	}
	v.problems = append(v.problems, p)
}

// valid notes what an error says, and tells whether there is none.
func (v *validation) valid(name string, err error) bool {
	if err == nil {
		return true
	}
	found, ok := diag.Of(err)
	if !ok {
		found = diag.Problems{{File: name, Message: err.Error()}}
	}
	v.problems = append(v.problems, found...)
	return false
}

func (v *validation) report(cmd *cobra.Command, strict bool) error {
	wrong := false
	for _, f := range v.findings {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", f.Severity, f.Error())
		wrong = wrong || strict || f.Severity == oncall.Error
	}
	if err := v.problems.Err(); err != nil {
		return err
	}
	var parts []string
	for _, part := range []struct {
		n    int
		noun string
	}{{v.slos, "SLO"}, {v.parts, "supporting object"}, {v.tests, "unit test"}, {v.oncall, "on-call file"}, {v.configs, "configuration"}} {
		if part.n > 0 {
			parts = append(parts, count(part.n, part.noun))
		}
	}
	if wrong {
		return errReported
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(parts, ", "), "valid")
	return err
}

// count returns "1 SLO" or "3 SLOs".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
