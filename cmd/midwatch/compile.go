package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo/source"
)

func compileCommand() *cobra.Command {
	interval, scrape := duration(30*time.Second), duration(15*time.Second)
	var format, out string
	var catchUp bool
	c := &cobra.Command{
		Use:   "compile --out DIR PATH…",
		Short: "write the Prometheus rules of SLO files",
		Long: `Reads SLO files, and folders of them, and writes their recording and alerting
rules to a folder. Files there that an earlier run wrote and that are no longer
made are removed; other files are left alone. Nothing is written unless every
SLO is valid.

Exit code 0: written; 1: an SLO is not valid or the folder cannot be written;
2: called wrongly.`,
		Example: "  midwatch compile --out /etc/prometheus/rules slo/",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			if out == "" {
				return usageError{errors.New("--out is missing: name the folder to write to")}
			}
			if format != "prometheus" {
				return usageError{fmt.Errorf("--format %q is not to be had: this version writes prometheus", format)}
			}
			slos, err := source.Load(paths)
			if err != nil {
				return err
			}
			set, err := rules.Compile(slos, rules.Options{Interval: time.Duration(interval), ScrapeInterval: time.Duration(scrape), CatchUp: catchUp})
			if err != nil {
				return err
			}
			if err := set.WriteDir(out); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "rules of %s written to %s\n", count(len(slos), "SLO"), out)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&format, "format", "prometheus", "what to write: prometheus (rule files)")
	f.StringVar(&out, "out", "", "folder to write to; it is made if there is none")
	f.Var(&interval, "interval", "how often the rules are evaluated")
	f.Var(&scrape, "scrape-interval", "how often Prometheus scrapes what the SLOs count")
	f.BoolVar(&catchUp, "catch-up", false, "add rules that read raw series where recorded ones are not complete yet; they cost what rules of other tools cost, so compile without it after the longest alert window")
	_ = c.MarkFlagDirname("out") // it fails only for a flag that is not there
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"prometheus"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// duration is a flag in Prometheus' notation, such as 30s or 1m30s.
type duration model.Duration

func (d *duration) String() string { return model.Duration(*d).String() }
func (d *duration) Type() string   { return "duration" }

func (d *duration) Set(s string) error {
	parsed, err := model.ParseDuration(s)
	if err != nil {
		return err
	}
	if parsed <= 0 {
		return fmt.Errorf("%q is not above 0", s)
	}
	*d = duration(parsed)
	return nil
}
