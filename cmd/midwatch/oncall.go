package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/oncall"
)

func oncallCommand() *cobra.Command {
	var config, at string
	c := &cobra.Command{
		Use:   "oncall [PATH…]",
		Short: "print who is on call now, and who is next",
		Long: `Prints for every schedule who is on call, until when, and who comes next. The
on-call files are those of the configuration, unless they are named.`,
		Example: "  midwatch oncall\n  midwatch oncall oncall.yaml --at 2026-12-24T03:00:00+08:00",
		RunE: func(cmd *cobra.Command, paths []string) error {
			now := time.Now()
			if at != "" {
				parsed, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return usageError{fmt.Errorf("--at %q is no RFC 3339 time, such as 2026-12-24T03:00:00+08:00", at)}
				}
				now = parsed
			}
			roster, err := loadRoster(config, paths)
			if err != nil {
				return err
			}
			return printOnCall(cmd, roster, now)
		},
	}
	c.Flags().StringVar(&config, "config", "midwatch.yaml", "configuration file")
	c.Flags().StringVar(&at, "at", "", "instant to ask for (RFC 3339) instead of now")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // it fails only for a flag that is not there
	return c
}

func loadRoster(config string, paths []string) (*oncall.Roster, error) {
	if len(paths) > 0 {
		return oncall.Load(paths)
	}
	c, err := app.LoadConfig(config)
	if err != nil {
		return nil, err
	}
	return c.Roster()
}

func printOnCall(cmd *cobra.Command, roster *oncall.Roster, now time.Time) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCHEDULE\tNOW\tUNTIL\tNEXT")
	for _, name := range roster.Schedules() {
		shift := roster.At(name, now)
		next := roster.At(name, shift.Until)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, person(shift), shift.Until.In(roster.Location(name)).Format("Mon 2006-01-02 15:04 MST"), person(next))
	}
	return w.Flush()
}

func person(s oncall.Shift) string {
	name := s.FullName
	if name == "" {
		name = s.User
	}
	if s.Override {
		name += " (override)"
	}
	return name
}
