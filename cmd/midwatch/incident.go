package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

func incidentCommand() *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:     "incident",
		Aliases: []string{"incidents"},
		Short:   "list, show, acknowledge and resolve incidents, and hand them on",
		Long:    "Lists incidents, shows all that is known of one, and does what the person on call\ndoes: acknowledges, snoozes, hands on, notes, merges, resolves.\n\n" + speaks,
		Example: `  midwatch incident list --level P1,P2
  midwatch incident show 7
  midwatch incident ack 7 8
  midwatch incident snooze 7 --until 09:30
  midwatch incident assign 7 li.na`,
	}
	s.bind(c)
	c.AddCommand(listCommand(&s), showCommand(&s))
	c.AddCommand(actCommands(&s)...)
	return c
}

func listCommand(s *server) *cobra.Command {
	var (
		all    bool
		level  []string
		output string
	)
	c := &cobra.Command{
		Use:     "list",
		Short:   "list open incidents, newest first",
		Example: "  midwatch incident list\n  midwatch incident list --all --level P1 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := parseLevels(level)
			if err != nil {
				return err
			}
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				incidents, err := c.List(ctx, all)
				if err != nil {
					return err
				}
				incidents = slices.DeleteFunc(incidents, func(i alert.Incident) bool { return len(wanted) > 0 && !slices.Contains(wanted, i.Level) })
				if output == "json" {
					return writeJSON(cmd.OutOrStdout(), incidents)
				}
				return printIncidents(cmd.OutOrStdout(), incidents)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "resolved ones too")
	c.Flags().StringSliceVar(&level, "level", nil, "only these levels, such as P1,P2")
	_ = c.RegisterFlagCompletionFunc("level", cobra.FixedCompletions(levels(), cobra.ShellCompDirectiveNoFileComp))
	outputFlag(c, &output)
	return c
}

func parseLevels(names []string) (all []alert.Level, err error) {
	for _, name := range names {
		l, err := alert.ParseLevel(name)
		if err != nil {
			return nil, usageError{fmt.Errorf("--level: %w", err)}
		}
		all = append(all, l)
	}
	return all, nil
}

func showCommand(s *server) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:               "show N",
		Short:             "show an incident: its story, its evidence, and why nobody is paged",
		Example:           "  midwatch incident show 7\n  midwatch incident show 7 --json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: firstThen(s.complete(openIncidents), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.callOne(cmd, args[0], func(ctx context.Context, c *client.Client, id int64) error {
				story, err := c.Get(ctx, id)
				if err != nil {
					return elsewhere(err)
				}
				if output == "json" {
					return writeJSON(cmd.OutOrStdout(), story)
				}
				return printStory(cmd.OutOrStdout(), story)
			})
		},
	}
	outputFlag(c, &output)
	return c
}

// elsewhere says where to look for an incident that is not there.
func elsewhere(err error) error {
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.Type == wire.NotFound {
		return fmt.Errorf("%w: `midwatch incident list --all` has those that are", err)
	}
	return err
}

func printIncidents(w io.Writer, incidents []alert.Incident) error {
	if len(incidents) == 0 {
		_, err := fmt.Fprintln(w, "no incidents")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "N\tLEVEL\tSTATUS\tSINCE\tCLUSTERS\tWHAT")
	for _, i := range incidents {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.Level, status(i), stamp(i.Since), plain(strings.Join(i.Clusters(), ",")), plain(i.Title))
	}
	return t.Flush()
}

func status(i alert.Incident) string {
	words := []string{string(i.Status)}
	if i.AckedBy != "" && i.Status == alert.Acknowledged {
		words[0] += " by " + plain(i.AckedBy)
	}
	done := i.Status == alert.Closed
	for _, also := range []struct {
		word string
		is   bool
	}{
		{"stale", i.Stale},
		{"muted", !done && i.Muted != ""},
		{"snoozed", !done && i.SnoozedUntil.After(time.Now())},
		{"drill", i.Drill},
	} {
		if also.is {
			words = append(words, also.word)
		}
	}
	return strings.Join(words, ", ")
}

func printStory(w io.Writer, s wire.Story) error {
	i := s.Incident
	fmt.Fprintf(w, "incident %d  %s  %s\n%s\n", i.ID, i.Level, status(i), plain(i.Title))
	fmt.Fprintf(w, "service %s, SLO %s, in %s\n", orDash(i.Service), orDash(i.SLO), orDash(strings.Join(i.Clusters(), ", ")))
	for _, line := range standing(i, time.Now()) {
		fmt.Fprintln(w, plain(line))
	}
	for _, st := range s.SLO.Standings {
		fmt.Fprintln(w, plain(figures(st)))
	}
	if s.SLO.Runbook != "" {
		fmt.Fprintln(w, "runbook: "+plain(s.SLO.Runbook))
	}
	for _, l := range s.SLO.Links {
		fmt.Fprintln(w, plain(l.Title+": "+l.URL))
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range s.Events {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", stamp(e.At), e.Kind, plain(e.Text), plain(e.Actor))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, e := range s.Evidence {
		if err := printEvidence(w, e.Source, e.Problem); err != nil {
			return err
		}
		for _, p := range e.Patterns {
			fmt.Fprintf(w, "  %6d lines, %d before  %s\n", p.Count, p.Before, plain(strings.TrimSpace(p.Code+" "+p.Template)))
		}
		if e.Link != "" {
			fmt.Fprintf(w, "  %s\n", plain(e.Link))
		}
	}
	return nil
}

// figures says how an SLO stands in a cluster, as far as it is known.
func figures(s page.Standing) string {
	var parts []string
	for _, p := range []struct {
		format string
		value  float64
	}{
		{"%.2f%% errors", 100 * s.ErrorRatio},
		{"burning %.1f× as fast as it may", s.BurnRate},
		{"%.1f%% of the budget left", 100 * s.BudgetLeft},
	} {
		if !math.IsNaN(p.value) {
			parts = append(parts, fmt.Sprintf(p.format, p.value))
		}
	}
	if len(parts) == 0 {
		parts = []string{"how the SLO stands is not known"}
	}
	return s.Cluster + ": " + strings.Join(parts, ", ")
}

// standing says who looks after an incident, and why nobody is paged, a line
// for each.
func standing(i alert.Incident, now time.Time) (lines []string) {
	add := func(is bool, format string, args ...any) {
		if is {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	add(i.Policy != "", "policy: %s", i.Policy)
	add(len(i.Assigned) > 0, "assigned to: %s", strings.Join(i.Assigned, ", "))
	add(len(i.Responders) > 0, "also paged: %s", strings.Join(i.Responders, ", "))
	add(i.Reopened > 0, "fired again: %d times", i.Reopened)
	add(i.MergedInto > 0, "merged into: incident %d", i.MergedInto)
	if i.Status == alert.Closed {
		return lines
	}
	add(i.Muted != "", "nobody is paged: %s", i.Muted)
	add(i.SnoozedUntil.After(now), "nobody is paged: snoozed until %s", stamp(i.SnoozedUntil))
	add(i.NextPageAt.After(now), "next page: %s, step %d of the policy", stamp(i.NextPageAt), i.Step+1)
	return lines
}

func printEvidence(w io.Writer, source, problem string) error {
	if problem != "" {
		source += ": " + problem
	}
	_, err := fmt.Fprintf(w, "\n%s\n", plain(source))
	return err
}

// plain returns text on one line and without what a terminal would obey or
// turn around: anybody may send alerts, and write logs.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		}
		return r
	}, text)
}
