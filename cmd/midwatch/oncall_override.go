package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

func oncallOverride() *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:     "override",
		Aliases: []string{"overrides"},
		Short:   "put somebody on call for a while, in a running Midwatch",
		Long: `Puts somebody on call for a while, whatever the on-call files say. Of several
overrides the one made last wins. Speaks to a running Midwatch: its address is
--url or MIDWATCH_URL; what acts needs a token: --token-file,
MIDWATCH_TOKEN_FILE or MIDWATCH_TOKEN.`,
	}
	s.bind(c)
	c.AddCommand(overrideAdd(&s), overrideList(&s), overrideEnd(&s))
	return c
}

// overrideFlags are an override as it is typed.
type overrideFlags struct {
	wire.Override
	from, until, lasts string
}

func overrideAdd(s *server) *cobra.Command {
	var f overrideFlags
	c := &cobra.Command{
		Use:   "add --schedule NAME --user NAME (--until TIME | --for DURATION)",
		Short: "put somebody on call from now, or from a time, on",
		Example: "  midwatch oncall override add --schedule payments --user li.na --for 8h --reason dentist\n" +
			"  midwatch oncall override add --schedule payments --user li.na --from 2026-12-24T09:00:00+08:00 --until 2026-12-25T09:00:00+08:00",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.resolve(time.Now()); err != nil {
				return usageError{err}
			}
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				made, err := c.AddOverride(ctx, f.Override)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "override %d: %s is on call in %s from %s to %s\n", made.ID, plain(made.User), plain(made.Schedule), local(made.From), local(made.Until))
				return err
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.Schedule, "schedule", "", "schedule")
	flags.StringVar(&f.User, "user", "", "user who is on call instead")
	flags.StringVar(&f.from, "from", "", "when it begins (RFC 3339); now, if it is not given")
	flags.StringVar(&f.until, "until", "", "when it ends (RFC 3339)")
	flags.StringVar(&f.lasts, "for", "", "how long it lasts, such as 8h or 1d")
	flags.StringVar(&f.Reason, "reason", "", "why")
	byFlag(c, &f.CreatedBy)
	_ = c.RegisterFlagCompletionFunc("schedule", s.complete(schedules))
	_ = c.RegisterFlagCompletionFunc("user", s.complete(people))
	return c
}

// resolve makes times of what was typed.
func (f *overrideFlags) resolve(now time.Time) (err error) {
	switch {
	case f.Schedule == "" || f.User == "":
		return errors.New("--schedule and --user are needed")
	case (f.until == "") == (f.lasts == ""):
		return errors.New("either --until or --for is needed")
	}
	f.From = now
	if f.from != "" {
		if f.From, err = time.Parse(time.RFC3339, f.from); err != nil {
			return fmt.Errorf("--from %q is no RFC 3339 time, such as 2026-12-24T09:00:00+08:00", f.from)
		}
	}
	if f.lasts != "" {
		d, err := model.ParseDuration(f.lasts)
		if err != nil || d == 0 {
			return fmt.Errorf("--for %q is no duration, such as 8h or 1d", f.lasts)
		}
		f.Until = f.From.Add(time.Duration(d))
	} else if f.Until, err = time.Parse(time.RFC3339, f.until); err != nil {
		return fmt.Errorf("--until %q is no RFC 3339 time, such as 2026-12-25T09:00:00+08:00", f.until)
	}
	if !f.Until.After(f.From) {
		return fmt.Errorf("it ends at %s, before it begins", local(f.Until))
	}
	return nil
}

func local(at time.Time) string { return at.Local().Format(instantFormat) }

func overrideList(s *server) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "list",
		Short: "list the overrides that are not over",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				all, err := c.Overrides(ctx)
				switch {
				case err != nil:
					return err
				case output == "json":
					return writeJSON(cmd.OutOrStdout(), all)
				case len(all) == 0:
					_, err = fmt.Fprintln(cmd.OutOrStdout(), "no overrides")
					return err
				}
				t := table{{"N", "SCHEDULE", "USER", "FROM", "UNTIL", "BY", "REASON"}}
				for _, o := range all {
					t = append(t, []string{strconv.FormatInt(o.ID, 10), plain(o.Schedule), plain(o.User), local(o.From), local(o.Until), plain(o.CreatedBy), plain(o.Reason)})
				}
				return t.print(cmd.OutOrStdout())
			})
		},
	}
	outputFlag(c, &output)
	return c
}

func overrideEnd(s *server) *cobra.Command {
	return &cobra.Command{
		Use:   "end N",
		Short: "end an override now: who is on call by the files is so again",
		Args:  cobra.ExactArgs(1),

		ValidArgsFunction: firstThen(s.complete(overrideIDs), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usageError{fmt.Errorf("%q is no override number", args[0])}
			}
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				if err := c.EndOverride(ctx, id); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "override %d is over\n", id)
				return err
			})
		},
	}
}
