package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/rules/simulate"
	"github.com/midwatch-slo/midwatch/rules/simulate/picture"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// simulation is what the flags of simulate say.
type simulation struct {
	from, until, tsdb    string
	prometheus, http     string
	clusters             string
	only                 []string
	incidents, spent     string
	png, output, against string
	interval, scrape     duration
	timeout              duration
	place                *time.Location
}

func simulateCommand() *cobra.Command {
	return simulateCommandAt(time.Local) //nolint:gosmopolitan // whoever types and reads it here.
}

// simulateCommandAt is the command where times are those of a place.
func simulateCommandAt(place *time.Location) *cobra.Command {
	s := simulation{place: place, interval: duration(30 * time.Second), scrape: duration(15 * time.Second), timeout: duration(time.Minute)}
	c := &cobra.Command{
		Use:   "simulate --from T --to T (--prometheus URL | --config FILE | --tsdb DIR) PATH…",
		Short: "which alerts SLOs would have sent on real history",
		Long: `Evaluates the rules of SLO files over a time that is past, on the history of a
Prometheus, and says which alerts they would have sent, which incidents they
would have missed, and how the budgets would have stood.

The history is asked from a Prometheus over HTTP: the rates that SLOs count,
and nothing else of the rules. Or it is asked from all clusters of a
configuration as if they were one Prometheus: the SLOs are then those of all of
them together, and a cluster that does not answer is an error. Or it is read
from the data folder of a Prometheus, which may be running: nothing is ever
written there.

An incident is a time in which more failed than the objective allows, and that
took more than a share of the budget (--spent); or those of a file
(--incidents: a list of name, from, to and, for one SLO alone, slo). It is
missed when no alert fired in it. An alert about a burn is false when there was
no incident within its long window.

Windows are filled with the history before --from, as far back as there is any
and they reach. Where there is too little, that is said: what is not known
counts as without errors, as it does for a new SLO.

Exit code 0: simulated; 1: the files are not valid or the history cannot be
read; 2: called wrongly.`,
		Example: `  midwatch simulate --from 2026-10-01 --to 2026-11-01 --prometheus http://localhost:9090 slo/
  midwatch simulate --from 2026-10-01 --to 2026-11-01 --tsdb /var/lib/prometheus --png october.png slo/
  midwatch simulate --from 2026-10-01 --to 2026-11-01 --config midwatch.yaml slo/
  midwatch simulate --from 2026-10-01 --prometheus http://localhost:9090 --slo payments/availability --against old/ slo/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error { return s.run(cmd, paths, time.Now()) },
	}
	s.bind(c)
	return c
}

func (s *simulation) bind(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.from, "from", "", "when it begins, such as 2026-10-01")
	f.StringVar(&s.until, "to", "", "when it ends, such as 2026-11-01; now, if it is not given")
	f.StringVar(&s.prometheus, "prometheus", "", "address of a Prometheus, or of what answers like one, that has the history")
	f.StringVar(&s.clusters, "config", "", "configuration file whose clusters have the history, all together")
	f.StringVar(&s.http, "http.config.file", "", "how to reach it: a file of Prometheus' HTTP client settings, as promtool takes")
	f.Var(&s.timeout, "timeout", "how long each answer is waited for")
	f.StringVar(&s.tsdb, "tsdb", "", "data folder of a Prometheus that has the history")
	f.StringArrayVar(&s.only, "slo", nil, "only this SLO, as SERVICE/NAME; may be given again")
	f.StringVar(&s.incidents, "incidents", "", "YAML file of the incidents that there were")
	f.StringVar(&s.spent, "spent", "2%", "share of the budget above which a time of errors is an incident")
	f.StringVar(&s.against, "against", "", "file or folder of other SLOs: print what changes from theirs to these")
	f.StringVar(&s.png, "png", "", "file to draw a picture to")
	f.Var(&s.interval, "interval", "how often the rules are evaluated")
	f.Var(&s.scrape, "scrape-interval", "how often Prometheus scraped what the SLOs count")
	outputFlag(c, &s.output)
	_ = c.MarkFlagDirname("tsdb") // these fail only for a flag that is not there
	_ = c.MarkFlagFilename("png", "png")
	_ = c.MarkFlagFilename("incidents", "yaml", "yml")
	_ = c.MarkFlagFilename("http.config.file", "yaml", "yml")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	_ = c.RegisterFlagCompletionFunc("prometheus", cobra.NoFileCompletions)
	_ = c.RegisterFlagCompletionFunc("spent", cobra.NoFileCompletions)
	_ = c.RegisterFlagCompletionFunc("slo", func(_ *cobra.Command, paths []string, _ string) ([]string, cobra.ShellCompDirective) {
		slos, _ := source.Load(paths) // those that are valid
		return ids(slos), cobra.ShellCompDirectiveNoFileComp
	})
}

// requestsAtOnce is how many requests a Prometheus is asked at once.
const requestsAtOnce = 4

func ids(slos []slo.SLO) (all []string) {
	for _, s := range slos {
		all = append(all, s.ID())
	}
	slices.Sort(all)
	return all
}

func (s *simulation) run(cmd *cobra.Command, paths []string, now time.Time) error {
	c, err := s.config(paths, now)
	if err != nil {
		return err
	}
	history, done, err := s.source()
	if err != nil {
		return err
	}
	c.Source = history
	if s.tsdb == "" {
		// One request of each expression for each span, several at once.
		c.Span, c.Workers = replay.LongestRange*time.Duration(s.interval), requestsAtOnce
	}
	bar := newAdvance(cmd.ErrOrStderr(), "simulating")
	c.Progress = bar.replayed
	report, err := simulate.Run(cmd.Context(), c)
	var other *simulate.Report
	if err == nil && s.against != "" {
		other, err = s.other(cmd.Context(), c)
	}
	bar.end()
	report.Warnings = append(report.Warnings, done()...)
	if err != nil {
		return err
	}
	if s.png != "" {
		if err := s.draw(report); err != nil {
			return err
		}
	}
	return s.print(cmd, report, other)
}

func (s *simulation) print(cmd *cobra.Command, report simulate.Report, other *simulate.Report) error {
	switch {
	case s.output == "json" && other != nil:
		return writeJSON(cmd.OutOrStdout(), simulate.Compare(*other, report))
	case s.output == "json":
		return writeJSON(cmd.OutOrStdout(), report)
	}
	t := simulationText{w: cmd.OutOrStdout(), ink: palette(cmd), place: s.place}
	if other != nil {
		return t.changes(simulate.Compare(*other, report))
	}
	return t.report(report)
}

// other simulates the SLOs that are compared with.
func (s *simulation) other(ctx context.Context, c simulate.Config) (*simulate.Report, error) {
	slos, err := source.Load([]string{s.against})
	if err != nil {
		return nil, err
	}
	c.SLOs = slos
	report, err := simulate.Run(ctx, c)
	return &report, err
}

// config reads files and flags.
func (s *simulation) config(paths []string, now time.Time) (c simulate.Config, err error) {
	c.Options = rules.Options{Interval: time.Duration(s.interval), ScrapeInterval: time.Duration(s.scrape)}
	if len(slices.DeleteFunc([]string{s.prometheus, s.clusters, s.tsdb}, func(place string) bool { return place == "" })) != 1 {
		return c, usageError{errors.New("say where the history is: --prometheus, --config or --tsdb, one of them")}
	}
	if s.http != "" && s.prometheus == "" {
		return c, usageError{errors.New("--http.config.file says how to reach --prometheus, which is not given")}
	}
	if c.From, c.To, err = s.times(now); err != nil {
		return c, err
	}
	percent, err := strconv.ParseFloat(strings.TrimSuffix(s.spent, "%"), 64)
	if err != nil || !(percent > 0) || math.IsInf(percent, 1) {
		return c, usageError{fmt.Errorf("--spent %q is no percentage above 0, such as 2%%", s.spent)}
	}
	c.Spent = percent / 100
	if c.SLOs, err = source.Load(paths); err != nil {
		return c, err
	}
	if len(s.only) > 0 {
		for _, id := range s.only {
			if !slices.Contains(ids(c.SLOs), id) {
				return c, fmt.Errorf("no SLO %q in %s: there are %s", id, strings.Join(paths, ", "), some(ids(c.SLOs)))
			}
		}
		c.Only = func(id string) bool { return slices.Contains(s.only, id) }
	}
	if s.incidents != "" {
		c.Incidents, err = knownIncidents(s.incidents, ids(c.SLOs))
	}
	return c, err
}

func (s *simulation) times(now time.Time) (from, to time.Time, err error) {
	if s.from == "" {
		return from, to, usageError{errors.New("--from is missing: say when it begins, such as 2026-10-01")}
	}
	to = now
	if s.until != "" {
		if to, err = instant("--to", s.until, now, s.place); err != nil {
			return from, to, err
		}
	}
	if from, err = instant("--from", s.from, now, s.place); err != nil {
		return from, to, err
	}
	every := time.Duration(s.interval)
	from, to = from.Truncate(every), to.Truncate(every)
	switch {
	case to.After(now):
		err = usageError{fmt.Errorf("it ends at %s, which is not past", local(to))}
	case !from.Before(to):
		err = usageError{fmt.Errorf("it begins at %s, which is not before it ends at %s", local(from), local(to))}
	}
	return from, to, err
}

// source opens the history. done lets go of it and returns what it warned of.
func (s *simulation) source() (history replay.Source, done func() []string, err error) {
	switch {
	case s.tsdb != "":
		return s.folder()
	case s.clusters != "":
		return s.fleet()
	}
	client, err := asked{url: s.prometheus, httpConfig: s.http}.client()
	if err != nil {
		return nil, nil, err
	}
	p, err := replay.NewPrometheus(replay.PrometheusConfig{URL: s.prometheus, Transport: client.http.Transport, Deadline: time.Duration(s.timeout)})
	if err != nil {
		return nil, nil, err
	}
	return p, func() []string {
		client.http.CloseIdleConnections()
		return p.Warnings()
	}, nil
}

// folder opens the data folder of a Prometheus.
func (s *simulation) folder() (replay.Source, func() []string, error) {
	db, err := replay.OpenTSDB(s.tsdb)
	if err != nil {
		return nil, nil, err
	}
	return db, func() []string {
		warnings := []string{}
		if db.Warning != "" {
			warnings = append(warnings, db.Warning)
		}
		if err := db.Close(); err != nil {
			warnings = append(warnings, err.Error())
		}
		return warnings
	}, nil
}

// fleet returns what asks the clusters of a configuration.
func (s *simulation) fleet() (replay.Source, func() []string, error) {
	all, done, err := clusterFlags{config: s.clusters, timeout: s.timeout}.federation()
	if err != nil {
		return nil, nil, err
	}
	h := &historyOf{all: all, pause: firstPause}
	return h, func() []string {
		done()
		return h.told()
	}, nil
}

// draw writes the picture whole or not at all.
func (s *simulation) draw(report simulate.Report) error {
	f, err := os.CreateTemp(filepath.Dir(s.png), ".midwatch-*.png")
	if err != nil {
		return fmt.Errorf("draw %s: %w", s.png, err)
	}
	err = errors.Join(picture.Write(f, report, s.place), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.png)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("draw %s: %w", s.png, err), os.Remove(f.Name()))
	}
	return nil
}

// knownIncident is an incident as people write it.
type knownIncident struct {
	Name string    `yaml:"name"`
	SLO  string    `yaml:"slo"`
	From time.Time `yaml:"from"`
	To   time.Time `yaml:"to"`
}

// knownIncidents reads a file of incidents.
func knownIncidents(name string, known []string) ([]simulate.Known, error) {
	content, err := readSome(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	f, err := yamldoc.Parse(name, content)
	if err != nil {
		return nil, err
	}
	var problems diag.Problems
	out := []simulate.Known{}
	for _, doc := range f.Docs {
		var list []knownIncident
		problems = append(problems, f.Decode(doc, &list)...)
		for i, k := range list {
			if p := checkIncident(f, doc, i, k, known); p != nil {
				problems = append(problems, *p)
			}
			out = append(out, simulate.Known{Name: k.Name, SLO: k.SLO, From: k.From, To: k.To})
		}
	}
	return out, problems.Err()
}

func checkIncident(f *yamldoc.File, doc *yaml.Node, i int, k knownIncident, known []string) *diag.Problem {
	at := func(field, message, hint string) *diag.Problem {
		field = fmt.Sprintf("%d.%s", i, field)
		p := f.At(yamldoc.Lookup(doc, field), field, message, hint)
		return &p
	}
	switch {
	case k.From.IsZero():
		return at("from", "missing", "when it began, such as 2026-10-03T02:10:00Z")
	case !k.From.Before(k.To):
		return at("to", "not after from", "when it ended, such as 2026-10-03T02:57:00Z")
	case k.SLO != "" && !slices.Contains(known, k.SLO):
		return at("slo", fmt.Sprintf("no SLO %q", k.SLO), "SERVICE/NAME of one that is simulated, or leave it out for all")
	default:
		return nil
	}
}
