package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/web/wire"
)

// The calendar of a schedule is weeks of days that are dayWidth wide, in
// percent of the picture's width, however long clocks make them.
const (
	calendarWeeks = 2
	dayWidth      = 100.0 / 7
	maxBars       = 400 // of a week
	maxShiftRows  = 60
	personShades  = 6
)

// calendar is a schedule's next weeks as a picture.
type calendar struct {
	Schedule string
	Zone     string
	Weeks    []week
	People   []person // in the order in which they come, with their shades
	Gaps     int
	Shifts   []shiftRow
	More     int
	Feed     string // path of the iCalendar file; "" when there is none
}

type person struct {
	Name  string
	Shade int // 1 to personShades
	Total string
}

type week struct {
	Days []day
	Bars []shiftBar
	Now  string // place of now; "" when it is in another week
}

type day struct {
	Name    string // Mon
	Date    string // 23
	Month   string // Nov, of the first day shown and of the first of a month
	Today   bool
	Weekend bool
}

type shiftBar struct {
	X, Width string // in percent
	Gap      bool
	Override bool
	Shade    int
	Name     string // written in it, or its first word; "" where it has no room
	Slim     bool   // on a phone the name has no room
	Title    string
}

// days are the local midnights at which the days of a calendar begin, and
// that at which the last one ends.
func days(from time.Time, loc *time.Location) []time.Time {
	y, m, d := from.In(loc).Date()
	list := make([]time.Time, 0, 7*calendarWeeks+1)
	for i := range 7*calendarWeeks + 1 {
		list = append(list, time.Date(y, m, d+i, 0, 0, 0, 0, loc))
	}
	return list
}

// newCalendar draws a rota that covers the days. People keep the shades that
// they have already, and others get one.
func (h *Handler) newCalendar(r wire.Rota, shades map[string]int, now time.Time) calendar {
	loc := h.zoneOf(r)
	begin := days(now, loc)
	c := calendar{Schedule: r.Schedule, Zone: now.In(loc).Format("MST")}
	c.addPeople(r.Shifts, shades)
	for w := range calendarWeeks {
		c.Weeks = append(c.Weeks, newWeek(begin[7*w:7*w+8], r.Shifts, shades, now))
	}
	for _, s := range r.Shifts {
		if s.User == "" {
			c.Gaps++
		}
		if len(c.Shifts) == maxShiftRows {
			c.More++
			continue
		}
		c.Shifts = append(c.Shifts, h.shiftRow(s, now))
	}
	return c
}

// zoneOf returns the zone of a schedule, that of the pages when it has none
// that is known.
func (h *Handler) zoneOf(r wire.Rota) *time.Location {
	if r.Timezone != "" {
		if loc, err := time.LoadLocation(r.Timezone); err == nil {
			return loc
		}
	}
	return h.Location
}

// addPeople gives each person a shade, and says for how long they are on call.
func (c *calendar) addPeople(shifts []wire.Shift, shades map[string]int) {
	totals, names := map[string]time.Duration{}, map[string]string{}
	var order []string
	for _, s := range shifts {
		if s.User == "" {
			continue
		}
		if shades[s.User] == 0 {
			shades[s.User] = len(shades)%personShades + 1
		}
		if names[s.User] == "" {
			order = append(order, s.User)
			names[s.User] = cmp.Or(s.FullName, s.User)
		}
		totals[s.User] += s.Until.Sub(s.From)
	}
	for _, u := range order {
		c.People = append(c.People, person{Name: names[u], Shade: shades[u], Total: lasting(totals[u])})
	}
}

func newWeek(begin []time.Time, shifts []wire.Shift, shades map[string]int, now time.Time) week {
	var w week
	for i, d := range begin[:len(begin)-1] {
		day := day{Name: d.Format("Mon"), Date: d.Format("2"), Weekend: d.Weekday() == time.Saturday || d.Weekday() == time.Sunday}
		if i == 0 || d.Day() == 1 {
			day.Month = d.Format("Jan")
		}
		day.Today = !now.Before(d) && now.Before(begin[i+1])
		w.Days = append(w.Days, day)
	}
	first, last := begin[0], begin[len(begin)-1]
	for _, s := range shifts {
		if !s.From.Before(last) || !s.Until.After(first) || len(w.Bars) == maxBars {
			continue
		}
		w.Bars = append(w.Bars, newShiftBar(begin, s, shades[s.User]))
	}
	if !now.Before(first) && now.Before(last) {
		w.Now = percents(place(begin, now))
	}
	return w
}

// How wide a week is drawn, in pixels, and how wide the characters of
// a name are.
const (
	weekOnDesk, weekOnPhone  = 720.0, 340.0
	wideLetter, narrowLetter = 12.5, 7.0
	besideName               = 10.0
)

// newShiftBar draws a shift into the week whose days begin then.
func newShiftBar(begin []time.Time, s wire.Shift, shade int) shiftBar {
	x, end := place(begin, s.From), place(begin, s.Until)
	width := max(end-x, 0.15)
	name := cmp.Or(s.FullName, s.User, "nobody")
	clock := func(at time.Time) string { return at.In(begin[0].Location()).Format("Mon 2 Jan 15:04") }
	bar := shiftBar{
		X: percents(x), Width: percents(width), Gap: s.User == "", Override: s.Override, Shade: shade,
		Title: fmt.Sprintf("%s: %s to %s", name, clock(s.From), clock(s.Until)),
	}
	first, _, _ := strings.Cut(name, " ")
	for _, text := range []string{name, first} {
		if needs := nameWidth(text); needs <= width/100*weekOnDesk {
			bar.Name, bar.Slim = text, needs > width/100*weekOnPhone
			break
		}
	}
	return bar
}

// nameWidth returns how many pixels a name takes, with what is beside it.
func nameWidth(name string) float64 {
	needs := besideName
	for _, r := range name {
		if r >= 0x1100 {
			needs += wideLetter
		} else {
			needs += narrowLetter
		}
	}
	return needs
}

func percents(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// place returns where an instant is in a week, in units of which each day has
// dayWidth, cut to the week.
func place(begin []time.Time, at time.Time) float64 {
	last := len(begin) - 1
	switch {
	case at.Before(begin[0]):
		return 0
	case !at.Before(begin[last]):
		return dayWidth * float64(last)
	}
	i, exact := slices.BinarySearchFunc(begin, at, time.Time.Compare)
	if !exact {
		i--
	}
	share := float64(at.Sub(begin[i])) / float64(begin[i+1].Sub(begin[i]))
	return dayWidth * (float64(i) + share)
}

// between returns the shifts of a span of time, cut to it.
func between(shifts []wire.Shift, from, until time.Time) (list []wire.Shift) {
	for _, s := range shifts {
		if s.Until.IsZero() || s.Until.After(until) {
			s.Until = until
		}
		if s.From.Before(from) {
			s.From = from
		}
		if s.Until.After(s.From) {
			list = append(list, s)
		}
	}
	return list
}
