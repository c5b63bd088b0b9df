package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// explainFlags say what is explained, and with what pace.
type explainFlags struct {
	clusters         clusterFlags
	interval, scrape duration
	traffic, output  string
}

func explainCommand() *cobra.Command {
	f := &explainFlags{interval: duration(30 * time.Second), scrape: duration(15 * time.Second)}
	c := &cobra.Command{
		Use:   "explain [SERVICE/NAME] PATH…",
		Short: "say every number of an SLO, and what would page when",
		Long: `Says what an SLO means: what is counted and how it is recorded, its objective
and error budget, its alerts with their thresholds, and at which error rate
who is woken after how long. The name may be left out where the files hold one
SLO, and its service where no other has an SLO of that name.

Times are for errors that begin at once and stay at the same share of steady
traffic, where nothing failed before: the first for scrapes and evaluations
that come just in time, the second for those that come as late as they can.

With --prometheus or --config it also asks how the SLO stands now, in one
Prometheus or in all clusters of a configuration; what does not answer in time
is named.

Exit code 0: explained; 1: the files are not valid, there is no such SLO, or
somebody who was asked did not answer; 2: called wrongly.`,
		Example: `  midwatch explain payments/availability slo/
  midwatch explain --traffic 0.2 slo/payments.yaml
  midwatch explain availability slo/ --prometheus http://localhost:9090 -o json`,
		Args: cobra.MinimumNArgs(1),
		RunE: f.run,
	}
	outputFlag(c, &f.output)
	f.clusters.bind(c)
	c.Flags().Var(&f.interval, "interval", "how often the rules are evaluated")
	c.Flags().Var(&f.scrape, "scrape-interval", "how often Prometheus scrapes what the SLO counts")
	c.Flags().StringVar(&f.traffic, "traffic", "", "events a second, such as 0.2; without it, what the clusters say, or enough for every tier")
	return c
}

func (f *explainFlags) run(cmd *cobra.Command, args []string) error {
	o := explain.Options{Now: time.Now(), Pace: explain.Pace{Scrape: time.Duration(f.scrape), Interval: time.Duration(f.interval)}}
	if f.traffic != "" {
		var err error
		if o.Traffic, err = strconv.ParseFloat(f.traffic, 64); err != nil || !(o.Traffic > 0) {
			return usageError{fmt.Errorf("--traffic %q is no number of events a second above 0", f.traffic)}
		}
	}
	s, all, err := oneSLO(args)
	if err != nil {
		return err
	}
	e, err := f.explain(cmd.Context(), s, all, o)
	if err != nil {
		return err
	}
	if f.output == "json" {
		err = writeJSON(cmd.OutOrStdout(), e)
	} else {
		err = newExplanationText(palette(cmd), e).write(cmd.OutOrStdout())
	}
	if err == nil && e.Current != nil && len(e.Current.Missing) > 0 {
		err = fmt.Errorf("how %s stands is not known in full", s.ID())
	}
	return err
}

// explain explains an SLO, with how it stands where somebody is to be asked.
func (f *explainFlags) explain(ctx context.Context, s slo.SLO, all []slo.SLO, o explain.Options) (explain.Explanation, error) {
	clusters, done, err := f.clusters.federation()
	if err != nil {
		return explain.Explanation{}, err
	}
	defer done()
	e, err := explain.Of(s, all, o)
	if err != nil || clusters == nil {
		return e, err
	}
	current := explain.Ask(ctx, clusters, e, o.Now, time.Duration(f.clusters.timeout))
	if o.Traffic == 0 {
		if o.Traffic = current.Quietest(); o.Traffic > 0 {
			e, err = explain.Of(s, all, o)
		}
	}
	e.Current = &current
	return e, err
}

// oneSLO reads the SLO that arguments name, and all those in their files. The
// first argument is a name where there is no file of it.
func oneSLO(args []string) (slo.SLO, []slo.SLO, error) {
	name, paths := "", args
	if _, err := os.Stat(args[0]); errors.Is(err, os.ErrNotExist) && len(args) > 1 {
		name, paths = args[0], args[1:]
	}
	all, err := source.Load(paths)
	if err != nil {
		return slo.SLO{}, nil, err
	}
	var found []slo.SLO
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID())
		if name == "" || s.ID() == name || s.Name == name {
			found = append(found, s)
		}
	}
	slices.Sort(ids)
	switch {
	case len(found) == 1:
		return found[0], all, nil
	case len(found) == 0:
		return slo.SLO{}, nil, fmt.Errorf("no SLO %q in %s: there are %s", name, strings.Join(paths, ", "), some(ids))
	case name != "":
		return slo.SLO{}, nil, usageError{fmt.Errorf("%s have an SLO %q: say which as SERVICE/NAME", count(len(found), "service"), name)}
	}
	return slo.SLO{}, nil, usageError{fmt.Errorf("%s in the files: say which as SERVICE/NAME: %s", count(len(all), "SLO"), some(ids))}
}

// some returns the first words, and how many others there are.
func some(words []string) string {
	const most = 10
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(words[:most], ", "), len(words)-most)
}
