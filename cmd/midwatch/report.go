package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/report"
)

// week is what a report tells of, unless it is told otherwise.
const week = 7 * 24 * time.Hour

// reportFlags say of which time a report is, and for whom.
type reportFlags struct {
	config, from, until, language string
}

func reportCommand() *cobra.Command {
	var f reportFlags
	c := &cobra.Command{
		Use:   "report",
		Short: "print the weekly report",
		Long: `Prints what the weekly report says, of the last seven days or of any other time:
budgets spent, incidents, time to acknowledge and to repair, and who was paged
when. It reads the state that the configuration names, also while Midwatch
serves, and asks the clusters how the SLOs stand. Language, time zone and span
are those of the configuration's report, unless they are given.`,
		Example: `  midwatch report --config midwatch.yaml
  midwatch report --from 2026-11-01 --until 2026-12-01 --language zh`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.print(cmd, time.Now()) },
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.from, "from", "", "when it begins, such as 2026-11-01")
	c.Flags().StringVar(&f.until, "until", "", "when it ends, such as 2026-12-01; now, if it is not given")
	c.Flags().StringVar(&f.language, "language", "", "zh or en")
	_ = c.RegisterFlagCompletionFunc("language", cobra.FixedCompletions([]string{"zh", "en"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (f reportFlags) print(cmd *cobra.Command, now time.Time) error {
	c, err := app.LoadConfig(f.config)
	if err != nil {
		return err
	}
	reader, from, until, err := f.resolve(c.Report, now)
	if err != nil {
		return err
	}
	figures, err := figuresOf(cmd.Context(), c, from, until)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s\n", figures.Title(reader), figures.Text(reader))
	return err
}

// resolve makes times and a reader of what was typed and configured.
func (f reportFlags) resolve(configured *app.Report, now time.Time) (reader report.Reader, from, until time.Time, err error) {
	length := week
	reader = report.Reader{Language: f.language, Location: time.Local} //nolint:gosmopolitan // whoever reads it here.
	if configured != nil {
		length = time.Duration(configured.Span)
		if reader.Location, err = time.LoadLocation(configured.Timezone); err != nil {
			return reader, from, until, fmt.Errorf("time zone of the report: %w", err)
		}
		if f.language == "" {
			reader.Language = configured.Language
		}
	}
	if f.language != "" && f.language != "zh" && f.language != "en" {
		return reader, from, until, usageError{fmt.Errorf("--language %q is none of zh, en", f.language)}
	}
	until = now
	if f.until != "" {
		if until, err = instant("--until", f.until, now, reader.Location); err != nil {
			return reader, from, until, err
		}
	}
	from = until.Add(-length)
	if f.from != "" {
		if from, err = instant("--from", f.from, now, reader.Location); err != nil {
			return reader, from, until, err
		}
	}
	if !from.Before(until) {
		err = usageError{fmt.Errorf("it begins at %s, which is not before it ends at %s", local(from), local(until))}
	}
	return reader, from, until, err
}

// figuresOf gathers what a report tells, from a copy of the state.
func figuresOf(ctx context.Context, c app.Config, from, until time.Time) (f report.Figures, err error) {
	where, err := stateOf(c)
	if err != nil {
		return f, err
	}
	s, done, err := openCopy(ctx, where, os.TempDir())
	if err != nil {
		return f, err
	}
	f, err = app.ReportFigures(ctx, c, s, from, until)
	return f, errors.Join(err, s.Close(), done())
}
