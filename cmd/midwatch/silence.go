package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

func silenceCommand() *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:     "silence",
		Aliases: []string{"silences"},
		Short:   "list, make and end silences, also recurring ones",
		Long: `A silence keeps alerts that all its matchers match from paging; they are taken
in and shown all the same.

` + speaks,
		Example: `  midwatch silence list
  midwatch silence add service=payments 'cluster=~"h.*"' --for 2h --comment "moving to the new database"
  midwatch silence expire 5f4c9f6e`,
	}
	s.bind(c)
	c.AddCommand(silenceList(&s), silenceShow(&s), silenceAdd(&s), silenceExpire(&s))
	return c
}

// silenceFlags are a silence as it is typed.
type silenceFlags struct {
	from, until, lasts   string
	cron, each, timezone string
	comment, by          string
}

func silenceAdd(s *server) *cobra.Command {
	var f silenceFlags
	c := &cobra.Command{
		Use:   "add MATCHER… (--for DURATION | --until TIME)",
		Short: "silence alerts, once or again and again",
		Long: `Silences alerts that all matchers match. Matchers are Alertmanager's: a label,
one of = != =~ !~, and a value; quotes of the shell are needed around * | and ".
A first word that is no matcher is the name of an alert.

With --cron it silences from each time of five fields (minute, hour, day of
month, month, weekday) on, for --each, from now until --until. Times without a
zone are those of --timezone, or of this machine.`,
		Example: `  midwatch silence add service=payments 'cluster=~"h.*"' --for 2h --comment "moving to the new database"
  midwatch silence add DiskFull node=node-7 --until 18:30
  midwatch silence add service=batch --cron "0 2 * * sun" --each 3h --timezone Asia/Shanghai --until 2027-06-30`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := f.silence(args, time.Now())
			if err != nil {
				return err
			}
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				kept, err := c.SaveSilence(ctx, made)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "silence %s %s\n", kept.ID, effect(kept))
				return printMeant(ctx, cmd.OutOrStdout(), c, kept)
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.from, "from", "", "when it begins; now, if it is not given")
	flags.StringVar(&f.until, "until", "", "when it ends: 18:30 (the next), 2026-12-24 09:00, 2027-06-30 or RFC 3339")
	flags.StringVar(&f.lasts, "for", "", "how long it lasts, such as 2h or 1d")
	flags.StringVar(&f.cron, "cron", "", "when each span of a recurring silence begins, such as \"0 2 * * sun\"")
	flags.StringVar(&f.each, "each", "", "how long each span of a recurring silence lasts, such as 3h")
	flags.StringVar(&f.timezone, "timezone", "", "of --cron and of times without a zone, such as Asia/Shanghai; --cron's default is UTC")
	flags.StringVar(&f.comment, "comment", "", "why")
	flags.StringVar(&f.by, "by", "", "who makes it; whose the token is, if it is not given")
	return c
}

// silence makes a silence of what was typed.
func (f silenceFlags) silence(args []string, now time.Time) (made silence.Silence, err error) {
	made = silence.Silence{CreatedBy: f.by, Comment: f.comment}
	if made.Matchers, err = silence.ParseMatchers(matchers(args)); err != nil {
		return made, usageError{err}
	}
	loc := time.Local //nolint:gosmopolitan // whoever types a time means their own.
	if f.timezone != "" {
		if loc, err = time.LoadLocation(f.timezone); err != nil {
			return made, usageError{fmt.Errorf("--timezone %q is none, such as Asia/Shanghai", f.timezone)}
		}
	}
	begins := now
	if f.from != "" {
		if begins, err = instant("--from", f.from, now, loc); err != nil {
			return made, err
		}
		made.StartsAt = begins
	}
	if made.EndsAt, err = span(f.lasts, f.until, begins, loc); err != nil {
		return made, err
	}
	made.Recurrence, err = f.recurrence()
	return made, err
}

// matchers takes a first word without an operator as the name of an alert, as
// amtool does.
func matchers(args []string) []string {
	if strings.ContainsAny(args[0], "=~!") {
		return args
	}
	return append([]string{fmt.Sprintf("alertname=%q", args[0])}, args[1:]...)
}

func (f silenceFlags) recurrence() (*silence.Recurrence, error) {
	switch {
	case f.cron == "" && f.each == "":
		return nil, nil
	case f.cron == "" || f.each == "":
		return nil, usageError{errors.New("a recurring silence needs both --cron and --each")}
	}
	each, err := model.ParseDuration(f.each)
	if err != nil {
		return nil, usageError{fmt.Errorf("--each %q is no duration, such as 3h", f.each)}
	}
	r := &silence.Recurrence{Cron: f.cron, Duration: time.Duration(each), Timezone: f.timezone}
	if err := r.Validate(); err != nil {
		return nil, usageError{err}
	}
	return r, nil
}

// effect says what a silence does now, and until when.
func effect(s wire.Silence) string {
	switch {
	case s.State == silence.Expired:
		return "is over since " + local(s.EndsAt)
	case s.Silencing && s.Recurrence != nil:
		return fmt.Sprintf("silences until %s, and recurs until %s", local(s.Until), local(s.EndsAt))
	case s.Silencing:
		return "silences until " + local(s.Until)
	case s.Next.IsZero():
		return "never silences before its end at " + local(s.EndsAt)
	}
	return fmt.Sprintf("silences next from %s, and ends at %s", local(s.Next), local(s.EndsAt))
}

// printMeant says which open incidents a silence is about.
func printMeant(ctx context.Context, w io.Writer, c *client.Client, s wire.Silence) error {
	open, err := c.List(ctx, false)
	if err != nil {
		return fmt.Errorf("the silence is made; which incidents it is about is not known: %w", err)
	}
	meant := slices.DeleteFunc(open, func(i alert.Incident) bool {
		return !slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool { return a.State != alert.Resolved && s.Matches(a.Labels) })
	})
	if len(meant) == 0 {
		_, err = fmt.Fprintln(w, "no open incident has alerts that it matches")
		return err
	}
	fmt.Fprintln(w, "it matches alerts of:")
	return printIncidents(w, meant)
}

func silenceList(s *server) *cobra.Command {
	var (
		all    bool
		output string
	)
	c := &cobra.Command{
		Use:     "list",
		Short:   "list the silences that are not over, active ones first",
		Example: "  midwatch silence list\n  midwatch silence list --all --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				list, err := c.Silences(ctx)
				if err != nil {
					return err
				}
				if !all {
					list = slices.DeleteFunc(list, func(s wire.Silence) bool { return s.State == silence.Expired })
				}
				if output == "json" {
					return writeJSON(cmd.OutOrStdout(), list)
				}
				return printSilences(cmd.OutOrStdout(), list)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "those too that ended less than five days ago")
	outputFlag(c, &output)
	return c
}

func printSilences(w io.Writer, list []wire.Silence) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no silences")
		return err
	}
	t := table{{"ID", "STATE", "ENDS", "MATCHERS", "RECURS", "BY", "COMMENT"}}
	for _, s := range list {
		state, recurs := string(s.State), "-"
		if s.Recurrence != nil {
			recurs = recurrence(s.Recurrence)
			if s.State == silence.Active && !s.Silencing {
				state += ", waiting"
			}
		}
		t = append(t, []string{s.ID, state, stamp(s.EndsAt), plain(strings.Join(silence.Texts(s.Matchers), " ")), recurs, orDash(s.CreatedBy), orDash(s.Comment)})
	}
	return t.print(w)
}

func recurrence(r *silence.Recurrence) string {
	zone := r.Timezone
	if zone == "" {
		zone = "UTC"
	}
	return plain(fmt.Sprintf("%s for %s (%s)", r.Cron, model.Duration(r.Duration), zone))
}

func silenceShow(s *server) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:               "show ID",
		Short:             "show a silence, and the open incidents that it is about",
		Long:              "Shows a silence, and the open incidents that it is about. The beginning of an ID\nis enough where no other begins so.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: firstThen(s.complete(silenceIDs), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				id, err := wholeID(ctx, c, args[0])
				if err != nil {
					return err
				}
				one, err := c.Silence(ctx, id)
				switch {
				case err != nil:
					return err
				case output == "json":
					return writeJSON(cmd.OutOrStdout(), one)
				}
				return printSilence(ctx, cmd.OutOrStdout(), c, one)
			})
		},
	}
	outputFlag(c, &output)
	return c
}

func printSilence(ctx context.Context, w io.Writer, c *client.Client, s wire.Silence) error {
	fmt.Fprintf(w, "silence %s %s\n", s.ID, effect(s))
	for _, m := range s.Matchers {
		fmt.Fprintf(w, "  %s\n", plain(m.String()))
	}
	if s.Recurrence != nil {
		fmt.Fprintf(w, "recurs: %s\n", recurrence(s.Recurrence))
	}
	fmt.Fprintf(w, "from %s, by %s: %s\n", local(s.StartsAt), orDash(s.CreatedBy), orDash(s.Comment))
	if s.State == silence.Expired {
		return nil
	}
	return printMeant(ctx, w, c, s)
}

func silenceExpire(s *server) *cobra.Command {
	return &cobra.Command{
		Use:               "expire ID…",
		Aliases:           []string{"end"},
		Short:             "end silences now",
		Long:              "Ends silences now. The beginning of an ID is enough where no other begins so.",
		Example:           "  midwatch silence expire 5f4c9f6e",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: s.complete(silenceIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				var errs []error
				for _, arg := range args {
					id, err := wholeID(ctx, c, arg)
					if err == nil {
						err = c.ExpireSilence(ctx, id)
					}
					if err == nil {
						_, err = fmt.Fprintf(cmd.OutOrStdout(), "silence %s is over\n", id)
					}
					errs = append(errs, err)
				}
				return errors.Join(errs...)
			})
		},
	}
}

func silenceIDs(ctx context.Context, c *client.Client) (words []string, err error) {
	all, err := c.Silences(ctx)
	for _, s := range all {
		if s.State != silence.Expired {
			words = append(words, s.ID+"\t"+plain(strings.Join(silence.Texts(s.Matchers), " ")))
		}
	}
	return words, err
}

// wholeID returns the ID of the one silence whose ID begins so.
func wholeID(ctx context.Context, c *client.Client, begin string) (string, error) {
	const whole = 36 // characters of a UUID
	if len(begin) >= whole {
		return begin, nil
	}
	all, err := c.Silences(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, s := range all {
		if begin != "" && strings.HasPrefix(s.ID, begin) {
			found = append(found, s.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("there is no silence %q: `midwatch silence list --all` has those that are", begin)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%d silences begin with %q: %s", len(found), begin, strings.Join(found, ", "))
}
