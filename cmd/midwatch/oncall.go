package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/oncall"
)

// rosterFlags say which on-call files a command reads, and for when.
type rosterFlags struct {
	config, at, schedule string
}

func oncallCommand() *cobra.Command {
	var f rosterFlags
	c := &cobra.Command{
		Use:   "oncall [PATH…]",
		Short: "say who is on call, and when",
		Long: `Says who is on call, from the on-call files alone: those of the configuration,
unless they are named. Calendars behind a URL are fetched. Overrides made while
Midwatch runs ("oncall override") are not in them.

Without a command it prints who is on call now, until when, and who is next.`,
		Example: "  midwatch oncall\n  midwatch oncall oncall.yaml --at 2026-12-24T03:00:00+08:00\n  midwatch oncall calendar --schedule payments",
		RunE:    f.run(printOnCall),
	}
	f.bind(c, true)
	c.AddCommand(oncallWho(), oncallNext(), oncallWhen(), oncallCalendar(), oncallLint(), oncallOverride())
	return c
}

// bind gives a command the flags, --schedule among them if it is asked for.
func (f *rosterFlags) bind(c *cobra.Command, schedule bool) {
	c.Flags().StringVar(&f.config, "config", "midwatch.yaml", "configuration file")
	c.Flags().StringVar(&f.at, "at", "", "instant to ask for (RFC 3339) instead of now")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // it fails only for a flag that is not there
	if !schedule {
		return
	}
	c.Flags().StringVar(&f.schedule, "schedule", "", "only this schedule")
	_ = c.RegisterFlagCompletionFunc("schedule", func(_ *cobra.Command, paths []string, _ string) ([]string, cobra.ShellCompDirective) {
		roster, err := f.roster(paths)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return roster.Schedules(), cobra.ShellCompDirectiveNoFileComp
	})
}

// run returns a command that reads the files that its arguments name.
func (f *rosterFlags) run(do func(cmd *cobra.Command, roster *oncall.Roster, schedules []string, at time.Time) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, paths []string) error {
		at, err := f.instant()
		if err != nil {
			return err
		}
		roster, err := f.roster(paths)
		if err != nil {
			return err
		}
		roster = withCalendars(cmd, roster)
		schedules := roster.Schedules()
		if f.schedule != "" {
			if !slices.Contains(schedules, f.schedule) {
				return usageError{fmt.Errorf("--schedule %q is none of %s", f.schedule, strings.Join(schedules, ", "))}
			}
			schedules = []string{f.schedule}
		}
		return do(cmd, roster, schedules, at)
	}
}

// withCalendars fetches the calendars that layers name by a URL. Where one is
// not to be had, it is said who is on call without it.
func withCalendars(cmd *cobra.Command, roster *oncall.Roster) *oncall.Roster {
	if len(roster.Feeds()) == 0 {
		return roster
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), fetchTimeout)
	defer cancel()
	fed, err := app.FetchCalendars(ctx, roster)
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\nnobody is on call here by what is not fetched\n", strings.ReplaceAll(err.Error(), "\n", "\nwarning: "))
	}
	return fed
}

func (f *rosterFlags) instant() (time.Time, error) {
	if f.at == "" {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, f.at)
	if err != nil {
		return at, usageError{fmt.Errorf("--at %q is no RFC 3339 time, such as 2026-12-24T03:00:00+08:00", f.at)}
	}
	return at, nil
}

func (f *rosterFlags) roster(paths []string) (*oncall.Roster, error) {
	if len(paths) > 0 {
		return oncall.Load(paths)
	}
	c, err := app.LoadConfig(f.config)
	if err != nil {
		return nil, err
	}
	return c.Roster()
}

func oncallWho() *cobra.Command {
	var f rosterFlags
	c := &cobra.Command{
		Use:     "who [PATH…]",
		Short:   "print who is on call, until when, and who is next",
		Example: "  midwatch oncall who --schedule payments --at 2026-12-24T03:00:00+08:00",
		RunE:    f.run(printOnCall),
	}
	f.bind(c, true)
	return c
}

func printOnCall(cmd *cobra.Command, roster *oncall.Roster, schedules []string, at time.Time) error {
	t := table{{"SCHEDULE", "NOW", "UNTIL", "NEXT"}}
	for _, name := range schedules {
		shift := roster.At(name, at)
		next := "-"
		if !shift.Endless() {
			next = person(roster.At(name, shift.Until))
		}
		t = append(t, []string{name, person(shift), ending(roster, shift), next})
	}
	return t.print(cmd.OutOrStdout())
}

// table is lines of columns, which are aligned also where characters are two
// columns wide.
type table [][]string

func (t table) print(w io.Writer) error {
	widths := make([]int, len(t[0]))
	for _, line := range t {
		for i, cell := range line {
			widths[i] = max(widths[i], textWidth(cell))
		}
	}
	var b strings.Builder
	for _, line := range t {
		for i, cell := range line {
			b.WriteString(cell)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-textWidth(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const instantFormat = "Mon 2006-01-02 15:04 MST"

func ending(roster *oncall.Roster, s oncall.Shift) string {
	if s.Endless() {
		return "for ever"
	}
	return s.Until.In(roster.Location(s.Schedule)).Format(instantFormat)
}

func person(s oncall.Shift) string {
	switch {
	case s.Gap():
		return "nobody"
	case s.Override:
		return s.FullName + " (override)"
	}
	return s.FullName
}

// lookAhead is how far ahead shifts are looked for.
const lookAhead = 8 * 7 * 24 * time.Hour

func oncallNext() *cobra.Command {
	var f rosterFlags
	c := &cobra.Command{
		Use:   "next [PATH…]",
		Short: "print the next hand-off of every schedule",
		Args:  cobra.ArbitraryArgs,
		RunE: f.run(func(cmd *cobra.Command, roster *oncall.Roster, schedules []string, at time.Time) error {
			t := table{{"SCHEDULE", "HAND-OFF", "IN", "FROM", "TO", "UNTIL"}}
			for _, name := range schedules {
				now := roster.At(name, at)
				if now.Endless() {
					t = append(t, []string{name, "never", "-", person(now), "-", "-"})
					continue
				}
				next := roster.At(name, now.Until)
				t = append(t, []string{name, ending(roster, now), roughly(now.Until.Sub(at)), person(now), person(next), ending(roster, next)})
			}
			return t.print(cmd.OutOrStdout())
		}),
	}
	f.bind(c, true)
	return c
}

// roughly writes a length of time in its two largest units.
func roughly(d time.Duration) string {
	minutes := int(d.Round(time.Minute).Minutes())
	days, hours := minutes/(24*60), minutes/60%24
	switch {
	case days > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes%60)
	}
	return fmt.Sprintf("%dm", minutes)
}

func oncallWhen() *cobra.Command {
	var f rosterFlags
	c := &cobra.Command{
		Use:     "when USER [PATH…]",
		Short:   "print when a person is on call in the next eight weeks",
		Long:    "Prints the shifts of a person in the next eight weeks, in the person's time zone.",
		Example: "  midwatch oncall when li.na",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(func(cmd *cobra.Command, roster *oncall.Roster, schedules []string, at time.Time) error {
				return printWhen(cmd, roster, schedules, args[0], at)
			})(cmd, args[1:])
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			roster, err := f.roster(nil)
			if len(args) > 0 || err != nil {
				return nil, cobra.ShellCompDirectiveDefault
			}
			var names []string
			for _, u := range roster.Users() {
				names = append(names, u.Name+"\t"+u.FullName)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	f.bind(c, true)
	return c
}

func printWhen(cmd *cobra.Command, roster *oncall.Roster, schedules []string, name string, at time.Time) error {
	users := roster.Users()
	i := slices.IndexFunc(users, func(u oncall.User) bool { return u.Name == name || u.FullName == name })
	if i < 0 {
		return usageError{fmt.Errorf("nobody is called %q in the on-call files", name)}
	}
	loc, err := time.LoadLocation(users[i].Timezone)
	if err != nil {
		return fmt.Errorf("time zone of %s: %w", name, err)
	}
	var shifts []oncall.Shift
	for _, s := range schedules {
		shifts = append(shifts, roster.Shifts(s, at, at.Add(lookAhead))...)
	}
	shifts = slices.DeleteFunc(shifts, func(s oncall.Shift) bool { return s.User != users[i].Name })
	slices.SortStableFunc(shifts, func(a, b oncall.Shift) int { return a.From.Compare(b.From) })
	if len(shifts) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%s is not on call in the next eight weeks\n", users[i].FullName)
		return nil
	}
	t := table{{"FROM", "UNTIL", "FOR", "SCHEDULE"}}
	for _, s := range shifts {
		schedule := s.Schedule
		if s.Override {
			schedule += " (override)"
		}
		t = append(t, []string{s.From.In(loc).Format(instantFormat), s.Until.In(loc).Format(instantFormat), roughly(s.Until.Sub(s.From)), schedule})
	}
	return t.print(cmd.OutOrStdout())
}

func oncallLint() *cobra.Command {
	var f rosterFlags
	c := &cobra.Command{
		Use:   "lint [PATH…]",
		Short: "find what will let somebody down",
		Long: `Finds what is valid and yet will let somebody down in the next eight weeks:
gaps in which nobody is on call, people who cannot be reached at a level,
policies whose steps have nobody, schedules and policies that nothing uses,
holidays and calendars that are not known, events that name nobody. It exits
with 1 when one is an error.`,
		Args: cobra.ArbitraryArgs,
		RunE: f.run(func(cmd *cobra.Command, roster *oncall.Roster, _ []string, at time.Time) error {
			found, errors := roster.Lint(at, oncall.Horizon), 0
			for _, one := range found {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", one.Severity, one.Error())
				if one.Severity == oncall.Error {
					errors++
				}
			}
			switch {
			case errors > 0:
				return errReported
			case len(found) == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "nothing found")
			}
			return nil
		}),
	}
	f.bind(c, false)
	return c
}
