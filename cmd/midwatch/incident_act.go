package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/web/client"
)

func actCommands(s *server) []*cobra.Command {
	return []*cobra.Command{
		ackCommand(s), resolveCommand(s), escalateCommand(s), snoozeCommand(s),
		assignCommand(s), addCommand(s), noteCommand(s), mergeCommand(s),
	}
}

// act changes an incident in somebody's name.
type act func(c *client.Client, ctx context.Context, id int64, by string) (alert.Incident, error) //nolint:revive // a method expression has its receiver first.

func ackCommand(s *server) *cobra.Command {
	return actCommand(s, "ack N…", "acknowledge incidents: paging stops", (*client.Client).Acknowledge, func(inc alert.Incident) string {
		return "acknowledged by " + inc.AckedBy
	})
}

func resolveCommand(s *server) *cobra.Command {
	return actCommand(s, "resolve N…", "resolve incidents by hand", (*client.Client).Resolve, func(inc alert.Incident) string {
		return "resolved by " + inc.ResolvedBy
	})
}

func escalateCommand(s *server) *cobra.Command {
	return actCommand(s, "escalate N…", "page the next step of the policy now", (*client.Client).Escalate, func(inc alert.Incident) string {
		return "escalated" + policyOf(inc)
	})
}

func policyOf(inc alert.Incident) string {
	if inc.Policy == "" || len(inc.Assigned) > 0 {
		return ""
	}
	return " by the policy " + inc.Policy
}

// actCommand makes a command that does one thing about each incident it is
// given. What cannot be done about one keeps nobody from the others.
func actCommand(s *server, use, short string, do act, done func(alert.Incident) string) *cobra.Command {
	var by string
	name, _, _ := strings.Cut(use, " ")
	c := &cobra.Command{
		Use:               use,
		Short:             short,
		Example:           fmt.Sprintf("  midwatch incident %s 7\n  midwatch incident %[1]s 7 8 9", name),
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: s.complete(openIncidents),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ids []int64
			for _, arg := range args {
				id, err := incidentID(arg)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				var errs []error
				for _, id := range ids {
					inc, err := do(c, ctx, id, by)
					if err == nil {
						err = tell(cmd, inc, done(inc))
					}
					errs = append(errs, elsewhere(err))
				}
				return errors.Join(errs...)
			})
		},
	}
	byFlag(c, &by)
	return c
}

// tell says what became of an incident.
func tell(cmd *cobra.Command, inc alert.Incident, done string) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "incident %d (%s) %s\n", inc.ID, plain(inc.Title), plain(done))
	return err
}

// change does something about one incident and says so.
func (s *server) change(cmd *cobra.Command, arg string, do func(ctx context.Context, c *client.Client, id int64) (alert.Incident, string, error)) error {
	return s.callOne(cmd, arg, func(ctx context.Context, c *client.Client, id int64) error {
		inc, done, err := do(ctx, c, id)
		if err != nil {
			return elsewhere(err)
		}
		return tell(cmd, inc, done)
	})
}

func snoozeCommand(s *server) *cobra.Command {
	var by, lasts, until string
	c := &cobra.Command{
		Use:               "snooze N (--for DURATION | --until TIME)",
		Short:             "page nobody for an incident for a while",
		Long:              "Pages nobody for an incident for a while, at most 30 days. When the time is over\nand nobody has acknowledged or resolved it, paging goes on.",
		Example:           "  midwatch incident snooze 7 --for 30m\n  midwatch incident snooze 7 --until 09:30\n  midwatch incident snooze 7 --until 2026-12-24T09:00:00+08:00",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: firstThen(s.complete(openIncidents), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := span(lasts, until, time.Now(), time.Local) //nolint:gosmopolitan // whoever types a time means their own.
			if err != nil {
				return err
			}
			return s.change(cmd, args[0], func(ctx context.Context, c *client.Client, id int64) (alert.Incident, string, error) {
				inc, err := c.Snooze(ctx, id, end, by)
				return inc, "snoozed until " + local(inc.SnoozedUntil), err
			})
		},
	}
	c.Flags().StringVar(&lasts, "for", "", "how long, such as 30m, 2h or 1d")
	c.Flags().StringVar(&until, "until", "", "until when: 09:30 (the next), 2026-12-24 09:00 or RFC 3339")
	byFlag(c, &by)
	return c
}

func assignCommand(s *server) *cobra.Command {
	return usersCommand(s, &cobra.Command{
		Use:     "assign N USER…",
		Short:   "hand an incident to these people: they are paged instead of the policy's",
		Example: "  midwatch incident assign 7 li.na\n  midwatch incident assign 7 li.na zhang.wei",
	}, (*client.Client).Reassign, func(inc alert.Incident) string { return "assigned to " + strings.Join(inc.Assigned, ", ") })
}

func addCommand(s *server) *cobra.Command {
	return usersCommand(s, &cobra.Command{
		Use:     "add N USER…",
		Short:   "page these people too",
		Example: "  midwatch incident add 7 zhang.wei",
	}, (*client.Client).AddResponders, func(inc alert.Incident) string {
		return "also looked after by " + strings.Join(inc.Responders, ", ")
	})
}

// summon brings users to an incident.
type summon func(c *client.Client, ctx context.Context, id int64, users []string, by string) (alert.Incident, error) //nolint:revive // a method expression has its receiver first.

func usersCommand(s *server, c *cobra.Command, do summon, done func(alert.Incident) string) *cobra.Command {
	var by string
	c.Args = cobra.MinimumNArgs(2)
	c.ValidArgsFunction = firstThen(s.complete(openIncidents), s.complete(people))
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return s.change(cmd, args[0], func(ctx context.Context, c *client.Client, id int64) (alert.Incident, string, error) {
			inc, err := do(c, ctx, id, args[1:], by)
			return inc, done(inc), err
		})
	}
	byFlag(c, &by)
	return c
}

func noteCommand(s *server) *cobra.Command {
	var by string
	c := &cobra.Command{
		Use:               "note N TEXT…",
		Short:             "add a line to an incident's story",
		Example:           "  midwatch incident note 7 rolled 2.4.1 back\n  midwatch incident note 7 \"it's the new index\"",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: firstThen(s.complete(openIncidents), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(cmd, args[0], func(ctx context.Context, c *client.Client, id int64) (alert.Incident, string, error) {
				inc, err := c.Note(ctx, id, strings.Join(args[1:], " "), by)
				return inc, "noted", err
			})
		},
	}
	byFlag(c, &by)
	return c
}

func mergeCommand(s *server) *cobra.Command {
	var by, into string
	c := &cobra.Command{
		Use:               "merge FROM --into N",
		Short:             "move an incident's alerts to another, and close it",
		Example:           "  midwatch incident merge 8 --into 7",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: firstThen(s.complete(openIncidents), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			if into == "" {
				return usageError{errors.New("--into N is needed: the incident that takes the alerts")}
			}
			other, err := incidentID(into)
			if err != nil {
				return err
			}
			return s.change(cmd, args[0], func(ctx context.Context, c *client.Client, id int64) (alert.Incident, string, error) {
				inc, err := c.Merge(ctx, id, other, by)
				return inc, fmt.Sprintf("has the alerts of incident %d", id), err
			})
		},
	}
	c.Flags().StringVar(&into, "into", "", "the incident that takes the alerts")
	_ = c.RegisterFlagCompletionFunc("into", s.complete(openIncidents))
	byFlag(c, &by)
	return c
}
