// Command midwatch compiles SLOs to Prometheus rules, answers queries over
// many clusters, and wakes the right person once when an error budget burns.
// This package has the flags, the signals and the exit codes; what they start
// is in the other folders.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	_ "time/tzdata" // schedules name time zones, and not every machine knows them

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/version"
)

// Exit codes, the same for every command.
const (
	exitOK      = 0
	exitProblem = 1 // it ran, and found something wrong
	exitUsage   = 2 // it was called wrongly
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := unknownBelow(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), err != nil && strings.HasPrefix(err.Error(), "unknown command"): // cobra's has no type
		fmt.Fprintf(stderr, "midwatch: %s\nSee \"midwatch --help\".\n", plainLines(err.Error()))
		return exitUsage
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if problems, ok := diag.Of(err); ok {
		_ = problems.Print(stderr)
		return exitProblem
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintf(stderr, "midwatch: %s\n", plainLines(err.Error()))
	}
	return exitProblem
}

// unknownBelow returns an error for a command that there is not below one that
// does nothing itself, for which cobra prints help.
func unknownBelow(root *cobra.Command, args []string) error {
	c, rest, err := root.Find(args)
	if err != nil || !c.HasParent() || c.Runnable() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil
	}
	return usageError{fmt.Errorf("unknown command %q for %q", rest[0], c.CommandPath())}
}

// plainLines is plain for what may have several lines.
func plainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = plain(line)
	}
	return strings.Join(lines, "\n")
}

// errReported ends a command that has already said what is wrong.
var errReported = errors.New("reported")

// exitCode ends a command that has already said what is wrong, and whose exit
// codes are not those of the others.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command called with the wrong flags or arguments.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "midwatch",
		Short: "SLOs over many clusters, and the right person woken once",
		Long: `Midwatch turns SLO files into Prometheus rules, answers queries over the
Prometheus of every cluster as if they were one, and when an error budget
burns it pages the person on call with the cause attached.`,
		Version:       version.Text(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		serveCommand(), validateCommand(), schemaCommand(), compileCommand(), convertCommand(), explainCommand(), simulateCommand(), testCommand(), diffCommand(), lintCommand(), rulesCommand(), oncallCommand(), incidentCommand(),
		silenceCommand(), drillCommand(), auditCommand(), deliveryCommand(),
		backupCommand(), restoreCommand(), reportCommand(),
	)
	for _, c := range root.Commands() {
		wrapArgs(c)
	}
	return root
}

// wrapArgs makes wrong arguments a usage error in a command and those below.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}
