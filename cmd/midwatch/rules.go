package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

func rulesCommand() *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "rules",
		Short: "look at the rules that a running Midwatch keeps",
		Long:  "Looks at the rules that a running Midwatch keeps in step with the SLOs.\n\n" + speaks,
	}
	s.bind(c)
	c.AddCommand(ruleStatusCommand(&s))
	return c
}

func ruleStatusCommand(s *server) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "status",
		Short: "print whether rules are in step with the SLOs",
		Long: `Prints for each folder and ruler whether the rules there are those of the SLOs,
and for each cluster which groups of rules it has loaded otherwise.

Exit code 0: all is in step; 1: something is not, or the server does not answer;
2: called wrongly.`,
		Example: "  midwatch rules status\n  midwatch rules status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				status, err := c.RuleStatus(ctx)
				if err != nil {
					return err
				}
				if output == "json" {
					err = writeJSON(cmd.OutOrStdout(), status)
				} else {
					err = printRuleStatus(cmd.OutOrStdout(), status, time.Now())
				}
				if err == nil && !inStep(status) {
					return errReported
				}
				return err
			})
		},
	}
	outputFlag(c, &output)
	return c
}

// inStep says whether nothing is wrong, as far as that is known.
func inStep(s wire.RuleStatus) bool {
	for _, t := range s.Targets {
		if t.Error != "" {
			return false
		}
	}
	for _, c := range s.Clusters {
		if c.Error != "" || c.Different > 0 {
			return false
		}
	}
	return true
}

func printRuleStatus(w io.Writer, s wire.RuleStatus, now time.Time) error {
	p := printer{w: w}
	for _, t := range s.Targets {
		switch {
		case t.Error != "":
			p.printf("%s: not in step for %s: %s\n", plain(t.Name), age(now, t.FailingSince), plain(t.Error))
		default:
			p.printf("%s: in step, looked at %s ago\n", plain(t.Name), age(now, t.InStepAt))
		}
	}
	for _, c := range s.Clusters {
		switch {
		case c.Error != "":
			p.printf("cluster %s: not known: %s\n", plain(c.Name), plain(c.Error))
		case c.Different == 0:
			p.printf("cluster %s: has loaded the rules of the SLOs, looked at %s ago\n", plain(c.Name), age(now, c.CheckedAt))
		}
		if c.Different > 0 {
			p.printf("cluster %s: %s otherwise\n", plain(c.Name), count(c.Different, "group"))
		}
		for _, d := range c.Differences {
			p.difference(d)
		}
	}
	return p.err
}

// printer writes lines until one cannot be written.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) difference(d wire.RuleDifference) {
	p.printf("  %s %s: ", plain(d.Replica), plain(d.Group))
	if d.Rule != "" {
		p.printf("%s: ", plain(d.Rule))
	}
	p.printf("%s\n", plain(d.What))
	if d.Want != "" || d.Have != "" {
		p.printf("    want %s\n    have %s\n", plain(d.Want), plain(d.Have))
	}
}

// age returns how long ago an instant was, in seconds.
func age(now, at time.Time) string { return now.Sub(at).Round(time.Second).String() }
