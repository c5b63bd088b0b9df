package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/report"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/store"
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

// figuresOf gathers what a report tells.
func figuresOf(ctx context.Context, c app.Config, from, until time.Time) (report.Figures, error) {
	f := report.Figures{From: from, Until: until}
	slos, err := configuredSLOs(c)
	if err != nil {
		return f, err
	}
	where, err := stateOf(c)
	if err != nil {
		return f, err
	}
	if err := recorded(ctx, where, &f); err != nil {
		return f, fmt.Errorf("read what happened: %w", err)
	}
	return f, budgets(ctx, c, slos, &f)
}

// configuredSLOs reads the SLO files of a configuration.
func configuredSLOs(c app.Config) ([]slo.SLO, error) {
	var files []string
	for _, glob := range c.SLOFiles {
		found, err := filepath.Glob(glob)
		if err != nil {
			return nil, fmt.Errorf("slo_files: %s: %w", glob, err)
		}
		files = append(files, found...)
	}
	return slo.Load(files)
}

// recorded reads what happened from the store.
func recorded(ctx context.Context, where store.Config, f *report.Figures) error {
	s, done, err := openCopy(ctx, where, os.TempDir())
	if err != nil {
		return err
	}
	err = s.View(ctx, func(tx *store.Tx) (err error) {
		if f.Incidents, err = tx.OpenedBetween(f.From, f.Until); err != nil {
			return err
		}
		sent, err := tx.SentBetween(f.From, f.Until)
		for _, p := range sent {
			f.Pages = append(f.Pages, report.Page{User: p.User, FullName: p.FullName, At: p.At, Level: p.Level})
		}
		return err
	})
	return errors.Join(err, s.Close(), done())
}

// budgets asks the clusters how the SLOs stand at the end of the report, and
// what they spent in its time. What cannot be learned is named in it.
func budgets(ctx context.Context, c app.Config, slos []slo.SLO, f *report.Figures) error {
	clusters, err := federation.New(federation.Config{
		Clusters: c.Clusters, QueryTimeout: time.Duration(c.Federation.Timeout), MaxSamples: c.Federation.MaxSamples,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	defer clusters.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ask := func(query string) map[string]float64 {
		found := map[string]float64{}
		vector, notes, err := clusters.Instant(ctx, query, f.Until)
		warnings, _ := notes.AsStrings(query, 0, 0)
		if err != nil {
			warnings = append(warnings, withoutQuery(err).Error())
		}
		f.Missing = append(f.Missing, warnings...)
		for _, s := range vector {
			found[s.Metric.Get(alert.LabelService)+"/"+s.Metric.Get(alert.LabelSLO)] = s.F
		}
		return found
	}
	left, spent := ask(leftQuery), ask(spentQuery(f.Until.Sub(f.From)))
	slices.Sort(f.Missing)
	f.Missing = slices.Compact(f.Missing)
	for _, def := range slos {
		f.SLOs = append(f.SLOs, report.SLO{
			Service: def.Service, Name: def.Name, Objective: def.Objective.String(),
			Left: known(left, def.ID()), Spent: known(spent, def.ID()),
		})
	}
	return nil
}

// withoutQuery returns an error without the query, which says nothing to who
// reads a report.
func withoutQuery(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
}

func known(values map[string]float64, id string) float64 {
	if v, ok := values[id]; ok {
		return v
	}
	return math.NaN()
}

// leftQuery asks how much of its budget each SLO has left, where least is.
const leftQuery = `min by (service, slo) (slo:period_error_budget_remaining:ratio{slo!=""})`

// spentQuery asks how much of its budget each SLO spent over a span, in whole
// days: the share of its events that failed, over the share that may fail, for
// that part of the window. Of several clusters the worst counts.
func spentQuery(span time.Duration) string {
	days := max(1, int(span/(24*time.Hour)))
	events := func(series string) string {
		return fmt.Sprintf("sum by (cluster, service, slo) (sum_over_time(last_over_time(%s[15m])[%dd:1d]))", series, days)
	}
	of := func(series string) string { return fmt.Sprintf("max by (cluster, service, slo) (%s)", series) }
	return fmt.Sprintf("max by (service, slo) (%s / (%s > 0) / %s * %d / %s)",
		events("slo:sli_errors:rate1d"), events("slo:sli_total:rate1d"), of("slo:error_budget:ratio"), days, of("slo:time_period:days"))
}
