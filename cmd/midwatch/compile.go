package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// compiling is what the flags of compile say.
type compiling struct {
	output           rules.Output
	format, compat   string
	labels           []string // key=value
	out              string
	interval, scrape duration
	catchUp          bool
	asked            asked
}

func compileCommand() *cobra.Command {
	o := compiling{interval: duration(30 * time.Second), scrape: duration(15 * time.Second)}
	c := &cobra.Command{
		Use:   "compile --out DIR PATH…",
		Short: "write the rules of SLO files",
		Long: `Reads SLO files, and folders of them, and writes their recording and alerting
rules to a folder. Files there that an earlier run wrote and that are no longer
made are removed; other files are left alone. Nothing is written unless every
SLO is valid, and no file is ever half written.

SLO files are those of Midwatch, OpenSLO v1, Sloth (prometheus/v1 and its
Kubernetes objects) and Pyrra (pyrra.dev/v1alpha1), told apart by their content.

Formats: prometheus (rule files, also of Thanos' ruler), operator (PrometheusRule
objects of Prometheus Operator), mimir (files as mimirtool rules load takes
them), victoriametrics (rule files of vmalert). What is evaluated over the series
of all clusters is written to the folder fleet in it, and what Loki's ruler
evaluates to the folder loki, where there is any.

With --prometheus, a Prometheus is asked how often it scrapes what the SLOs
count, and how often it evaluates rules, unless a flag says so.

Exit code 0: written; 1: an SLO is not valid, the Prometheus did not answer or
the folder cannot be written; 2: called wrongly.`,
		Example: `  midwatch compile --out /etc/prometheus/rules slo/
  midwatch compile --out rules --prometheus http://prometheus:9090 slo/
  midwatch compile --out manifests --format operator --namespace monitoring --label release=kube-prometheus slo/`,
		Args: cobra.MinimumNArgs(1),
		RunE: o.run,
	}
	o.bind(c)
	return c
}

func (o *compiling) bind(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.format, "format", "prometheus", "what to write: "+strings.Join(formats(), ", "))
	f.StringVar(&o.out, "out", "", "folder to write to; it is made if there is none")
	f.StringVar(&o.output.Namespace, "namespace", "", "of the objects (operator)")
	f.StringArrayVar(&o.labels, "label", nil, "of the objects, as key=value, for a ruleSelector (operator); may be given again")
	f.StringVar(&o.compat, "compat", "", "add the labels that the dashboards of another tool read: sloth")
	f.Var(&o.interval, "interval", "how often the rules are evaluated")
	f.Var(&o.scrape, "scrape-interval", "how often Prometheus scrapes what the SLOs count")
	f.BoolVar(&o.catchUp, "catch-up", false, "add rules that read raw series where recorded ones are not complete yet; they cost what rules of other tools cost, so compile without it after the longest alert window")
	f.StringVar(&o.asked.url, "prometheus", "", "Prometheus to ask how often it scrapes and evaluates")
	f.StringVar(&o.asked.httpConfig, "http.config.file", "", "how to reach it: a file of Prometheus' HTTP client settings, as promtool takes")
	_ = c.MarkFlagDirname("out") // these fail only for a flag that is not there
	_ = c.MarkFlagFilename("http.config.file", "yaml", "yml")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("compat", cobra.FixedCompletions([]string{"sloth"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("prometheus", cobra.NoFileCompletions)
	_ = c.RegisterFlagCompletionFunc("namespace", cobra.NoFileCompletions)
	_ = c.RegisterFlagCompletionFunc("label", cobra.NoFileCompletions)
}

func formats() (names []string) {
	for _, f := range rules.Formats() {
		names = append(names, string(f))
	}
	return names
}

func (o *compiling) run(cmd *cobra.Command, paths []string) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	defer collectLess()()
	slos, err := source.Load(paths)
	if err != nil {
		return err
	}
	if err := o.ask(cmd, slos); err != nil {
		return err
	}
	options := rules.Options{Interval: time.Duration(o.interval), ScrapeInterval: time.Duration(o.scrape), CatchUp: o.catchUp}
	if _, err := rules.CompileTo(o.out, slos, options, o.output); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "rules of %s written to %s\n", count(len(slos), "SLO"), o.out)
	return nil
}

// collectLate is up to how much memory garbage is hardly collected, and
// collectLive how much may be in use then, in bytes: what 5,000 SLOs need.
const (
	collectLate = 46 << 20
	collectLive = 30 << 20
)

// collectLess lets garbage lie until there is much of it, unless GOGC or
// GOMEMLIMIT say otherwise: the command ends soon, and a collection costs as
// much as hundreds of SLOs. What needs more memory than that is collected as
// usual, so that it does not collect without end. What it returns undoes it.
func collectLess() (undo func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(collectLate)
	undo = sync.OnceFunc(func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	})
	afterCollection(func() (again bool) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if live[0].Value.Uint64() > collectLive {
			undo()
			return false
		}
		return true
	})
	return undo
}

// afterCollection calls f after each collection of garbage, until it says that
// it need not be called again.
func afterCollection(f func() (again bool)) {
	runtime.AddCleanup(new([64]byte), func(f func() bool) {
		if f() {
			afterCollection(f)
		}
	}, f)
}

// check finds what is wrong with the flags.
func (o *compiling) check() error {
	if o.out == "" {
		return errors.New("--out is missing: name the folder to write to")
	}
	if o.compat != "" && o.compat != "sloth" {
		return fmt.Errorf("--compat %q is not to be had: there is sloth", o.compat)
	}
	if o.asked.httpConfig != "" && o.asked.url == "" {
		return errors.New("--http.config.file says how to reach --prometheus, which is not given")
	}
	for _, l := range o.labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return fmt.Errorf("--label %q is not key=value", l)
		}
		if o.output.Labels == nil {
			o.output.Labels = map[string]string{}
		}
		if before, twice := o.output.Labels[key]; twice && before != value {
			return fmt.Errorf("--label %s is given as %q and as %q", key, before, value)
		}
		o.output.Labels[key] = value
	}
	o.output.Format, o.output.Sloth = rules.Format(o.format), o.compat == "sloth"
	return o.output.Check()
}

// ask asks a Prometheus for what no flag says.
func (o *compiling) ask(cmd *cobra.Command, slos []slo.SLO) error {
	if o.asked.url == "" {
		return nil
	}
	client, err := o.asked.client()
	if err != nil {
		return err
	}
	if !cmd.Flags().Changed("scrape-interval") {
		every, who, err := client.scrapeInterval(cmd.Context(), slos)
		if err != nil {
			return err
		}
		o.scrape = duration(every)
		fmt.Fprintf(cmd.OutOrStdout(), "scrape interval %s, of %s\n", &o.scrape, who)
	}
	if !cmd.Flags().Changed("interval") {
		every, err := client.evaluationInterval(cmd.Context())
		if err != nil {
			return err
		}
		o.interval = duration(every)
		fmt.Fprintf(cmd.OutOrStdout(), "evaluation interval %s\n", &o.interval)
	}
	return nil
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
