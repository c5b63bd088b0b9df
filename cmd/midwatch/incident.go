package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// callTimeout bounds one call of the server.
const callTimeout = 30 * time.Second

// server is how the incident commands reach a running Midwatch.
type server struct {
	url, tokenFile string
}

func incidentCommand() *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:     "incident",
		Aliases: []string{"incidents"},
		Short:   "list, show, acknowledge and resolve incidents",
		Long: `Speaks to a running Midwatch. Its address is --url or MIDWATCH_URL; what acts
needs a token: --token-file, MIDWATCH_TOKEN_FILE or MIDWATCH_TOKEN.`,
	}
	p := c.PersistentFlags()
	p.StringVar(&s.url, "url", env("MIDWATCH_URL", "http://127.0.0.1:9193"), "address of the server")
	p.StringVar(&s.tokenFile, "token-file", os.Getenv("MIDWATCH_TOKEN_FILE"), "file with the token")
	c.AddCommand(listCommand(&s), showCommand(&s), ackCommand(&s), resolveCommand(&s))
	return c
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func (s *server) client() (*client.Client, error) {
	token, err := secret.Resolve("token", secret.Secret{}, s.tokenFile)
	if err != nil {
		return nil, err
	}
	if s.tokenFile == "" {
		token = secret.New(os.Getenv("MIDWATCH_TOKEN"))
	}
	return client.New(client.Config{URL: s.url, Token: token, Timeout: callTimeout})
}

func listCommand(s *server) *cobra.Command {
	var all bool
	var output string
	c := &cobra.Command{
		Use:   "list",
		Short: "list open incidents, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd, func(ctx context.Context, c *client.Client) error {
				incidents, err := c.List(ctx, all)
				if err != nil {
					return err
				}
				if output == "json" {
					return writeJSON(cmd.OutOrStdout(), incidents)
				}
				return printIncidents(cmd.OutOrStdout(), incidents)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "resolved ones too")
	outputFlag(c, &output)
	return c
}

func showCommand(s *server) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "show N",
		Short: "show an incident and its story",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.callOne(cmd, args[0], func(ctx context.Context, c *client.Client, id int64) error {
				story, err := c.Get(ctx, id)
				if err != nil {
					return err
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

func ackCommand(s *server) *cobra.Command {
	return actCommand(s, "ack N", "acknowledge an incident: paging stops", (*client.Client).Acknowledge, func(inc alert.Incident) string {
		return "acknowledged by " + inc.AckedBy
	})
}

func resolveCommand(s *server) *cobra.Command {
	return actCommand(s, "resolve N", "resolve an incident by hand", (*client.Client).Resolve, func(inc alert.Incident) string {
		return "resolved by " + inc.ResolvedBy
	})
}

// act changes an incident in somebody's name.
type act func(c *client.Client, ctx context.Context, id int64, by string) (alert.Incident, error) //nolint:revive // a method expression has its receiver first.

func actCommand(s *server, use, short string, do act, done func(alert.Incident) string) *cobra.Command {
	var by string
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.callOne(cmd, args[0], func(ctx context.Context, c *client.Client, id int64) error {
				inc, err := do(c, ctx, id, by)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "incident %d (%s) %s\n", inc.ID, plain(inc.Title), plain(done(inc)))
				return nil
			})
		},
	}
	c.Flags().StringVar(&by, "by", login(), "who acts, where the token has no name of its own")
	return c
}

func outputFlag(c *cobra.Command, output *string) {
	c.Flags().StringVarP(output, "output", "o", "text", "text or json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	c.PreRunE = func(*cobra.Command, []string) error {
		if *output != "text" && *output != "json" {
			return usageError{fmt.Errorf("--output %q is neither text nor json", *output)}
		}
		return nil
	}
}

// login is the name of whoever runs the command, "" when unknown.
func login() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func (s *server) call(cmd *cobra.Command, do func(ctx context.Context, c *client.Client) error) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	return do(cmd.Context(), c)
}

func (s *server) callOne(cmd *cobra.Command, arg string, do func(ctx context.Context, c *client.Client, id int64) error) error {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return usageError{fmt.Errorf("%q is no incident number", arg)}
	}
	return s.call(cmd, func(ctx context.Context, c *client.Client) error { return do(ctx, c, id) })
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func printIncidents(w io.Writer, incidents []alert.Incident) error {
	if len(incidents) == 0 {
		_, err := fmt.Fprintln(w, "no open incidents")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "N\tLEVEL\tSTATUS\tSINCE\tCLUSTERS\tWHAT")
	for _, i := range incidents {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.Level, status(i), i.Since.Local().Format(time.DateTime), plain(strings.Join(i.Clusters(), ",")), plain(i.Title))
	}
	return t.Flush()
}

func status(i alert.Incident) string {
	s := string(i.Status)
	if i.AckedBy != "" && i.Status == alert.Acknowledged {
		s += " by " + plain(i.AckedBy)
	}
	if i.Stale {
		s += ", stale"
	}
	return s
}

func printStory(w io.Writer, s wire.Story) error {
	i := s.Incident
	fmt.Fprintf(w, "incident %d  %s  %s\n%s\n", i.ID, i.Level, status(i), plain(i.Title))
	fmt.Fprintf(w, "service %s, SLO %s, in %s\n\n", plain(i.Service), plain(i.SLO), plain(strings.Join(i.Clusters(), ", ")))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range s.Events {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.At.Local().Format(time.DateTime), e.Kind, plain(e.Text), plain(e.Actor))
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
	}
	return nil
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
