package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// auditPart is how many lines of the audit are asked for at a time.
const auditPart = 1000

func auditCommand() *cobra.Command {
	var (
		s      server
		limit  int
		before int64
		output string
	)
	c := &cobra.Command{
		Use:     "audit",
		Short:   "print who did what, newest first",
		Long:    "Prints who acknowledged, silenced, overrode, reloaded … and by which way: the UI,\nthe API, a chat, a file or this command line.\n\n" + speaks,
		Example: "  midwatch audit --limit 200\n  midwatch audit --before 1412 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || before < 0 {
				return usageError{fmt.Errorf("--limit and --before are numbers from 1")}
			}
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				deeds, err := auditLog(ctx, c, before, limit)
				switch {
				case err != nil:
					return err
				case output == "json":
					return writeJSON(cmd.OutOrStdout(), deeds)
				}
				return printDeeds(cmd.OutOrStdout(), deeds)
			})
		},
	}
	s.bind(c)
	c.Flags().IntVar(&limit, "limit", 50, "how many lines")
	c.Flags().Int64Var(&before, "before", 0, "only lines older than that with this ID")
	outputFlag(c, &output)
	return c
}

// auditLog reads up to limit lines, part by part.
func auditLog(ctx context.Context, c *client.Client, before int64, limit int) ([]wire.Deed, error) {
	all := []wire.Deed{}
	for len(all) < limit {
		part := min(limit-len(all), auditPart)
		deeds, err := c.Audit(ctx, before, part)
		if err != nil {
			return nil, err
		}
		all = append(all, deeds...)
		if len(deeds) < part {
			break
		}
		before = deeds[len(deeds)-1].ID
	}
	return all, nil
}

func printDeeds(w io.Writer, deeds []wire.Deed) error {
	if len(deeds) == 0 {
		_, err := fmt.Fprintln(w, "nobody did anything yet")
		return err
	}
	t := table{{"ID", "AT", "WHO", "VIA", "WHAT", "TO", "DETAIL"}}
	for _, d := range deeds {
		t = append(t, []string{strconv.FormatInt(d.ID, 10), stamp(d.At), orDash(d.Actor), orDash(d.Via), orDash(d.Action), orDash(d.Target), orDash(d.Detail)})
	}
	return t.print(w)
}

func deliveryCommand() *cobra.Command {
	var (
		s      server
		output string
	)
	c := &cobra.Command{
		Use:   "delivery",
		Short: "print how pages go out: each channel, its queue, and the pages that nobody got",
		Long:  "Prints of each channel how many pages wait and since when, when its provider last\ntook one and last did not, and the pages that no provider took.\n\n" + speaks,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				d, err := c.Delivery(ctx)
				switch {
				case err != nil:
					return err
				case output == "json":
					return writeJSON(cmd.OutOrStdout(), d)
				}
				return printDelivery(cmd.OutOrStdout(), d, time.Now())
			})
		},
	}
	s.bind(c)
	outputFlag(c, &output)
	return c
}

func printDelivery(w io.Writer, d wire.Delivery, now time.Time) error {
	t := table{{"CHANNEL", "QUEUED", "OLDEST", "LAST SENT", "LAST FAILED", "PROBLEM"}}
	for _, ch := range d.Channels {
		oldest, problem := "-", ch.Problem
		if !ch.Oldest.IsZero() {
			oldest = seconds(now.Sub(ch.Oldest))
		}
		if problem == "" {
			problem = ch.LastError
		}
		t = append(t, []string{plain(ch.Name), strconv.Itoa(ch.Queued), oldest, stamp(ch.SentAt), stamp(ch.FailedAt), orDash(problem)})
	}
	if err := t.print(w); err != nil {
		return err
	}
	if len(d.Dead) == 0 {
		_, err := fmt.Fprintln(w, "\nno page is dead")
		return err
	}
	fmt.Fprintf(w, "\n%s that nobody got:\n", count(len(d.Dead), "page"))
	return deadTable(d.Dead).print(w)
}

func deadTable(dead []page.Record) table {
	t := table{{"AT", "INCIDENT", "LEVEL", "KIND", "TO", "CHANNEL", "WHY"}}
	for _, p := range dead {
		to := p.To.FullName
		if to == "" {
			to = p.To.User
		}
		t = append(t, []string{stamp(p.At), strconv.FormatInt(p.Incident.ID, 10), p.Incident.Level.String(), string(p.Kind), orDash(to), orDash(p.To.Channel), orDash(p.Reason)})
	}
	return t
}
