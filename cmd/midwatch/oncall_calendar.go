package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/oncall"
)

// What a day of the calendar looks like.
const (
	slotMinutes = 30
	slots       = 24 * 60 / slotMinutes
	maxWeeks    = 53
	maxGaps     = 10 // that are told in words
)

func oncallCalendar() *cobra.Command {
	var f rosterFlags
	var weeks int
	c := &cobra.Command{
		Use:   "calendar [PATH…]",
		Short: "draw who is on call, day by day",
		Long: `Draws a line a day, half an hour a character, on the clock of each schedule,
from the Monday of this week on. Where nobody is on call it says so, in red on
a terminal; a star marks overrides and swaps.`,
		Example: "  midwatch oncall calendar --weeks 4 --schedule payments",
		Args:    cobra.ArbitraryArgs,
		RunE: f.run(func(cmd *cobra.Command, roster *oncall.Roster, schedules []string, at time.Time) error {
			if weeks < 1 || weeks > maxWeeks {
				return usageError{fmt.Errorf("--weeks %d is not between 1 and %d", weeks, maxWeeks)}
			}
			var b strings.Builder
			for i, name := range schedules {
				if i > 0 {
					b.WriteByte('\n')
				}
				newMonth(roster, name, at, weeks, colourful(cmd.OutOrStdout())).draw(&b)
			}
			_, err := io.WriteString(cmd.OutOrStdout(), b.String())
			return err
		}),
	}
	f.bind(c, true)
	c.Flags().IntVar(&weeks, "weeks", 2, "how many weeks to draw")
	return c
}

// month is some weeks of one schedule, to be drawn.
type month struct {
	name    string
	loc     *time.Location
	today   time.Time
	days    []time.Time // midnights, one more than are drawn
	shifts  []oncall.Shift
	colours map[string]int // of people; nil: none
}

func newMonth(roster *oncall.Roster, name string, at time.Time, weeks int, colours bool) *month {
	m := &month{name: name, loc: roster.Location(name)}
	at = at.In(m.loc)
	m.today = time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, m.loc)
	monday := at.Day() - (int(at.Weekday())+6)%7
	for d := range 7*weeks + 1 {
		m.days = append(m.days, time.Date(at.Year(), at.Month(), monday+d, 0, 0, 0, 0, m.loc))
	}
	m.shifts = roster.Shifts(name, m.days[0], m.days[7*weeks])
	if colours {
		m.colours = map[string]int{}
		for _, s := range m.shifts {
			if _, ok := m.colours[s.User]; !ok && !s.Gap() {
				m.colours[s.User] = hues[len(m.colours)%len(hues)]
			}
		}
	}
	return m
}

// hues are colours of a terminal (SGR) for people; red is kept for gaps.
var hues = [...]int{36, 33, 32, 35, 34, 96, 93, 92, 95, 94}

func (m *month) draw(b *strings.Builder) {
	fmt.Fprintf(b, "%s, %s\n%12s", m.name, m.loc, "")
	for hour := 0; hour < 24; hour += 3 {
		fmt.Fprintf(b, "%-6s", fmt.Sprintf("%02d", hour))
	}
	b.WriteByte('\n')
	for d := range len(m.days) - 1 {
		if d > 0 && d%7 == 0 {
			b.WriteByte('\n')
		}
		mark := ' '
		if m.days[d].Equal(m.today) {
			mark = '>'
		}
		fmt.Fprintf(b, "%c%s ", mark, m.days[d].Format("Mon 02 Jan"))
		m.drawDay(b, m.days[d])
	}
	m.drawSums(b)
}

// slot returns the number of the shift that a slot of a day shows: a gap if
// there is any in it, else the first.
func (m *month) slot(day time.Time, slot int) int {
	instant := func(slot int) time.Time {
		return time.Date(day.Year(), day.Month(), day.Day(), 0, slot*slotMinutes, 0, 0, m.loc)
	}
	from, until := instant(slot), instant(slot+1)
	first := -1
	for i, s := range m.shifts {
		if !s.Until.After(from) || !s.From.Before(until) && first >= 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		if s.Gap() && s.From.Before(until) {
			return i
		}
	}
	return first
}

func (m *month) drawDay(b *strings.Builder, day time.Time) {
	before := m.slot(day.AddDate(0, 0, -1), slots-1)
	for from := 0; from < slots; {
		i, until := m.slot(day, from), from+1
		for until < slots && m.slot(day, until) == i {
			until++
		}
		edge := "│"
		if i == before && from == 0 {
			edge = "─"
		}
		m.drawShift(b, m.shifts[i], edge, until-from)
		from = until
	}
	b.WriteByte('\n')
}

// drawShift writes a shift, or what of it is on one day, so wide.
func (m *month) drawShift(b *strings.Builder, s oncall.Shift, edge string, width int) {
	text, filler := s.FullName, "─"
	switch {
	case s.Gap():
		text, filler = "nobody", "×"
		edge = filler
	case s.Override:
		text += "*"
	}
	text = fitWidth(text, width-1)
	line := edge + text + strings.Repeat(filler, width-1-textWidth(text))
	switch {
	case m.colours == nil:
	case s.Gap():
		line = "\x1b[1;37;41m" + line + "\x1b[0m"
	default:
		line = fmt.Sprintf("\x1b[%dm%s\x1b[0m", m.colours[s.User], line)
	}
	b.WriteString(line)
}

// drawSums writes how long everybody is on call, and every gap.
func (m *month) drawSums(b *strings.Builder) {
	sums, order := map[string]time.Duration{}, []string{}
	for _, s := range m.shifts {
		name := person(oncall.Shift{User: s.User, FullName: s.FullName})
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
		sums[name] += s.Until.Sub(s.From)
	}
	parts := make([]string, len(order))
	for i, name := range order {
		parts[i] = name + " " + roughly(sums[name])
	}
	fmt.Fprintf(b, "%s\n", strings.Join(parts, ", "))
	gaps := slices.DeleteFunc(slices.Clone(m.shifts), func(s oncall.Shift) bool { return !s.Gap() })
	for i, s := range gaps {
		if i == maxGaps {
			fmt.Fprintf(b, "and %d times more\n", len(gaps)-i)
			break
		}
		line := fmt.Sprintf("nobody from %s to %s", s.From.In(m.loc).Format(instantFormat), s.Until.In(m.loc).Format(instantFormat))
		if m.colours != nil {
			line = "\x1b[31m" + line + "\x1b[0m"
		}
		fmt.Fprintln(b, line)
	}
}

// fitWidth cuts a text to so many columns of a terminal.
func fitWidth(text string, width int) string {
	used := 0
	for i, r := range text {
		if used += runeWidth(r); used > width {
			return text[:i]
		}
	}
	return text
}

func textWidth(text string) (width int) {
	for _, r := range text {
		width += runeWidth(r)
	}
	return width
}

// runeWidth returns how many columns of a terminal a character takes: two for
// those of East Asia, none for marks over others.
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana), r >= 0xff01 && r <= 0xff60, r >= 0x3000 && r <= 0x303f:
		return 2
	}
	return 1
}
