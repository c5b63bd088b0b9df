package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

const (
	callTimeout     = 30 * time.Second // of one call of the server
	completeTimeout = 2 * time.Second  // of one that a shell waits for
)

// speaks says, in a help text, how a command reaches the server.
const speaks = `Speaks to a running Midwatch. Its address is --url or MIDWATCH_URL; what acts
needs a token: --token-file, MIDWATCH_TOKEN_FILE or MIDWATCH_TOKEN.`

// server is how commands reach a running Midwatch.
type server struct {
	url, tokenFile string
}

// bind gives a command, and those below it, the flags.
func (s *server) bind(c *cobra.Command) {
	p := c.PersistentFlags()
	p.StringVar(&s.url, "url", env("MIDWATCH_URL", "http://127.0.0.1:9193"), "address of the server")
	p.StringVar(&s.tokenFile, "token-file", os.Getenv("MIDWATCH_TOKEN_FILE"), "file with the token")
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func (s *server) client(timeout time.Duration) (*client.Client, error) {
	token, err := secret.Resolve("token", secret.Secret{}, s.tokenFile)
	if err != nil {
		return nil, err
	}
	if s.tokenFile == "" {
		token = secret.New(os.Getenv("MIDWATCH_TOKEN"))
	}
	return client.New(client.Config{URL: s.url, Token: token, Timeout: timeout})
}

func (s *server) call(cmd *cobra.Command, do func(ctx context.Context, c *client.Client) error) error {
	c, err := s.client(callTimeout)
	if err != nil {
		return err
	}
	return remedy(do(cmd.Context(), c))
}

// remedy says what to do about a refusal.
func remedy(err error) error {
	refused, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	switch refused.Type {
	case wire.Unauthorized:
		return fmt.Errorf("%w: name a file with the token by --token-file or MIDWATCH_TOKEN_FILE", err)
	case wire.Forbidden:
		return fmt.Errorf("%w: configure one under api.tokens", err)
	}
	return err
}

func (s *server) callOne(cmd *cobra.Command, arg string, do func(ctx context.Context, c *client.Client, id int64) error) error {
	id, err := incidentID(arg)
	if err != nil {
		return err
	}
	return s.call(cmd, func(ctx context.Context, c *client.Client) error { return do(ctx, c, id) })
}

// incidentID reads the number of an incident; #7 is one too.
func incidentID(arg string) (int64, error) {
	id, err := strconv.ParseInt(strings.TrimPrefix(arg, "#"), 10, 64)
	if err != nil || id < 1 {
		return 0, usageError{fmt.Errorf("%q is no incident number", arg)}
	}
	return id, nil
}

// login is the name of whoever runs the command, "" when unknown.
func login() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// byFlag lets somebody act in a name.
func byFlag(c *cobra.Command, by *string) {
	c.Flags().StringVar(by, "by", login(), "who acts, where the token has no name of its own")
}

// complete returns what a shell may put in an argument or a flag, as the
// server says. A shell is told nothing of errors.
func (s *server) complete(of func(ctx context.Context, c *client.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		c, err := s.client(completeTimeout)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		words, err := of(cmd.Context(), c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return without(words, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// without leaves out what was typed already. What follows a tab describes a
// word.
func without(words, typed []string) (rest []string) {
	for _, w := range words {
		word, _, _ := strings.Cut(w, "\t")
		known := false
		for _, t := range typed {
			known = known || t == word
		}
		if !known {
			rest = append(rest, w)
		}
	}
	return rest
}

func openIncidents(ctx context.Context, c *client.Client) (words []string, err error) {
	all, err := c.List(ctx, false)
	for _, i := range all {
		words = append(words, fmt.Sprintf("%d\t%s %s", i.ID, i.Level, plain(i.Title)))
	}
	return words, err
}

func schedules(ctx context.Context, c *client.Client) (names []string, err error) {
	all, err := c.OnCall(ctx)
	for _, w := range all {
		names = append(names, plain(w.Schedule))
	}
	return names, err
}

func overrideIDs(ctx context.Context, c *client.Client) (words []string, err error) {
	all, err := c.Overrides(ctx)
	for _, o := range all {
		words = append(words, fmt.Sprintf("%d\t%s", o.ID, plain(o.User+" in "+o.Schedule)))
	}
	return words, err
}

// people returns who is on call in the next four weeks.
func people(ctx context.Context, c *client.Client) (names []string, err error) {
	now := time.Now()
	all, err := c.Rotas(ctx, now, now.Add(4*7*24*time.Hour))
	known := map[string]bool{}
	for _, rota := range all {
		for _, shift := range rota.Shifts {
			if shift.User != "" && !known[shift.User] {
				known[shift.User] = true
				names = append(names, plain(shift.User)+"\t"+plain(shift.FullName))
			}
		}
	}
	return names, err
}

// firstThen completes the first argument in one way and all others in
// another.
func firstThen(first, others cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return first(cmd, args, typed)
		case others == nil:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return others(cmd, args[1:], typed)
	}
}

// span reads --for or --until, of which there must be one: the instant at
// which something ends that begins at an instant.
func span(lasts, until string, from time.Time, loc *time.Location) (time.Time, error) {
	switch {
	case (lasts == "") == (until == ""):
		return time.Time{}, usageError{errors.New("either --for (such as 2h) or --until is needed")}
	case lasts != "":
		d, err := model.ParseDuration(lasts)
		if err != nil || d == 0 {
			return time.Time{}, usageError{fmt.Errorf("--for %q is no duration, such as 30m, 2h or 1d", lasts)}
		}
		return from.Add(time.Duration(d)), nil
	}
	end, err := instant("--until", until, from, loc)
	if err == nil && !end.After(from) {
		err = usageError{fmt.Errorf("it would end at %s, before it begins", local(end))}
	}
	return end, err
}

// instant reads a time as people type it. A time of day is the next one after
// an instant.
func instant(flag, text string, after time.Time, loc *time.Location) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, loc); err == nil {
			return at, nil
		}
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("%s %q is no time, such as 18:30, 2026-12-24 09:00 or 2026-12-24T09:00:00+08:00", flag, text)}
	}
	year, month, day := after.In(loc).Date()
	at := time.Date(year, month, day, clock.Hour(), clock.Minute(), 0, 0, loc)
	if !at.After(after) {
		at = time.Date(year, month, day+1, clock.Hour(), clock.Minute(), 0, 0, loc)
	}
	return at, nil
}

// seconds writes a short length of time as people say it.
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return roughly(d)
}

// stamp writes an instant, or nothing.
func stamp(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.Local().Format(time.DateTime)
}

func orDash(text string) string {
	if text = plain(text); text != "" {
		return text
	}
	return "-"
}

func levels() []string {
	return []string{alert.P1.String(), alert.P2.String(), alert.P3.String(), alert.Info.String()}
}
