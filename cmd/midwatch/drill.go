package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

const (
	drillWait = 15 * time.Minute // after which the server ends a drill
	drillPoll = 500 * time.Millisecond
	// drillLost is how long the server may be away while a drill is watched.
	drillLost = time.Minute
)

func drillCommand() *cobra.Command {
	var (
		s    server
		what wire.DrillRequest
		wait time.Duration
	)
	c := &cobra.Command{
		Use:   "drill [--schedule S | --user U]",
		Short: "page whoever is on call with an exercise, and see how long it takes",
		Long: `Sends a page, marked as an exercise, by the real path to whoever is on call by a
schedule, or to one person, and shows when it was delivered and acknowledged.
The schedule can be left out where there is but one.

Exit code 0: acknowledged in time; 1: not; 2: called wrongly. Ctrl-C stops the
watching, not the drill.

` + speaks,
		Example: `  midwatch drill --schedule payments
  midwatch drill --user li.na --level P2 --wait 5m
  midwatch drill list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if what.Schedule != "" && what.User != "" {
				return usageError{errors.New("either --schedule or --user, not both")}
			}
			level, err := parseLevels([]string{what.Level})
			if err != nil {
				return err
			}
			if level[0] == alert.Info {
				return usageError{errors.New("--level Info pages nobody: P1, P2 or P3")}
			}
			what.Level = level[0].String()
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				return runDrill(ctx, cmd.OutOrStdout(), c, what, wait)
			})
		},
	}
	s.bind(c)
	flags := c.Flags()
	flags.StringVar(&what.Schedule, "schedule", "", "page whoever is on call by this schedule")
	flags.StringVar(&what.User, "user", "", "page this person")
	flags.StringVar(&what.Level, "level", alert.P1.String(), "P1, P2 or P3: by which rules people are reached")
	flags.DurationVar(&wait, "wait", drillWait, "how long to wait for somebody to acknowledge; 0 starts it only")
	byFlag(c, &what.By)
	_ = c.RegisterFlagCompletionFunc("schedule", s.complete(schedules))
	_ = c.RegisterFlagCompletionFunc("user", s.complete(people))
	_ = c.RegisterFlagCompletionFunc("level", cobra.FixedCompletions(levels()[:3], cobra.ShellCompDirectiveNoFileComp))
	c.AddCommand(drillList(&s))
	return c
}

func runDrill(ctx context.Context, w io.Writer, c *client.Client, what wire.DrillRequest, wait time.Duration) error {
	if what.Schedule == "" && what.User == "" {
		names, err := schedules(ctx, c)
		if err != nil {
			return err
		}
		if len(names) != 1 {
			return usageError{fmt.Errorf("--schedule or --user is needed; the schedules are %s", strings.Join(names, ", "))}
		}
		what.Schedule = names[0]
	}
	begun, err := c.StartDrill(ctx, what)
	if err != nil {
		return err
	}
	to := begun.To
	if what.Schedule != "" {
		to += ", on call by " + what.Schedule
	}
	fmt.Fprintf(w, "drill %d (%s) to %s\n", begun.Incident, what.Level, plain(to))
	if wait <= 0 {
		return nil
	}
	watched, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	d := drill{client: c, out: w, id: begun.Incident, began: begun.StartedAt}
	return d.watch(watched, wait)
}

// drill is an exercise that somebody watches.
type drill struct {
	client *client.Client
	out    io.Writer
	id     int64
	began  time.Time
	shown  int // events of its story
	heard  time.Time
}

// watch prints what happens until somebody acknowledges or the time is over.
func (d *drill) watch(ctx context.Context, wait time.Duration) error {
	d.heard = time.Now()
	tick := time.NewTicker(drillPoll)
	defer tick.Stop()
	for {
		done, err := d.look(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return d.unanswered(ctx, wait)
		}
	}
}

func (d *drill) unanswered(ctx context.Context, wait time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("nobody acknowledged the drill within %s", seconds(wait))
	}
	return fmt.Errorf("the drill goes on: `midwatch incident show %d` has its story", d.id)
}

// look prints what is new.
func (d *drill) look(ctx context.Context) (done bool, err error) {
	story, err := d.client.Get(ctx, d.id)
	switch {
	case ctx.Err() != nil:
		return false, nil
	case err != nil && time.Since(d.heard) < drillLost:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("the server was lost: %w", err)
	}
	d.heard = time.Now()
	for _, e := range story.Events[min(d.shown, len(story.Events)):] {
		if line := d.line(e); line != "" {
			fmt.Fprintln(d.out, line)
		}
	}
	d.shown = len(story.Events)
	switch inc := story.Incident; {
	case !inc.AckedAt.IsZero():
		return true, nil
	case inc.Status == alert.Closed:
		return false, errors.New("the drill ended, and nobody acknowledged it")
	}
	return false, nil
}

// line tells of an event, "" of one that says nothing of how a drill goes.
func (d *drill) line(e alert.Event) string {
	after := seconds(e.At.Sub(d.began))
	switch e.Kind {
	case alert.EventPaged:
		_, to, _ := strings.Cut(e.Text, ": ") // "opened: Li Na by wecom"
		return fmt.Sprintf("delivered after %s to %s", after, plain(to))
	case alert.EventPageFailed:
		return fmt.Sprintf("not delivered, after %s: %s", after, plain(e.Text))
	case alert.EventAcknowledged:
		return fmt.Sprintf("acknowledged after %s by %s", after, plain(e.Actor))
	case alert.EventEscalated:
		return fmt.Sprintf("escalated after %s: %s", after, plain(e.Text))
	default:
		return ""
	}
}

func drillList(s *server) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "list",
		Short: "list past drills and how they went, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				all, err := c.Drills(ctx)
				switch {
				case err != nil:
					return err
				case output == "json":
					return writeJSON(cmd.OutOrStdout(), all)
				case len(all) == 0:
					_, err = fmt.Fprintln(cmd.OutOrStdout(), "no drills")
					return err
				}
				t := table{{"N", "STARTED", "BY", "TO", "DELIVERED", "ACKNOWLEDGED", "PROBLEM"}}
				for _, d := range all {
					t = append(t, drillRow(d))
				}
				return t.print(cmd.OutOrStdout())
			})
		},
	}
	outputFlag(c, &output)
	return c
}

func drillRow(d wire.Drill) []string {
	to := d.Users
	if !slices.Contains(to, d.To) {
		to = append([]string{d.To}, to...)
	}
	acked := after(d.StartedAt, d.AckedAt)
	if d.AckedBy != "" {
		acked += " by " + plain(d.AckedBy)
	}
	return []string{
		fmt.Sprint(d.Incident), stamp(d.StartedAt), orDash(d.StartedBy), orDash(strings.Join(to, ", ")),
		after(d.StartedAt, d.DeliveredAt), acked, orDash(d.Problem),
	}
}

// after writes how long after another an instant is, "never" for none.
func after(from, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return seconds(at.Sub(from))
}
