package oncall

import (
	_ "embed" // for the calendar of China
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// china is the holiday calendar that needs no file, called cn.
//
//go:embed calendars/cn.yaml
var china []byte

const chinaName = "cn"

// builtIn returns the holiday calendars that need no file.
func builtIn() map[string]*calendar {
	b := &builder{r: &Roster{calendars: map[string]*calendar{}}, calAt: map[string]string{}}
	b.file("calendars/cn.yaml", china)
	if len(b.problems) > 0 {
		return map[string]*calendar{} // it is wrong for no reader of the files: a test keeps it right
	}
	return b.r.calendars
}

func (b *builder) calendarDocument(src source) {
	var d calendarDocument
	ps := src.file.Decode(src.root, &d)
	b.problems = append(b.problems, ps...)
	if !b.version(src, d.APIVersion) {
		return
	}
	c := &calendar{name: d.Name, years: map[int]map[int]dayKind{}}
	ok := b.named(src, "name", d.Name, b.calAt)
	if len(d.Years) == 0 {
		b.add(src.at("years", "missing", "such as {2026: {holidays: [2026-01-01..2026-01-03], workdays: [2026-01-04]}}"))
	}
	for year, y := range d.Years {
		n, err := strconv.Atoi(year)
		if err != nil || n < 1970 || n > 2999 {
			b.add(src.at("years."+year, fmt.Sprintf("%q is no year from 1970 to 2999", year), ""))
			continue
		}
		days := map[int]dayKind{}
		b.days(src, "years."+year+".holidays", n, y.Holidays, holiday, days)
		b.days(src, "years."+year+".workdays", n, y.Workdays, workday, days)
		c.years[n] = days
	}
	if ok {
		b.r.calendars[d.Name] = b.r.calendars[d.Name].with(c)
	}
}

// days reads dates and spans of dates such as 2026-10-01..2026-10-07 into a
// year.
func (b *builder) days(src source, field string, year int, texts []string, kind dayKind, into map[int]dayKind) {
	const hint = "such as 2026-10-01, or 2026-10-01..2026-10-07"
	for i, text := range texts {
		at := fmt.Sprintf("%s.%d", field, i)
		first, last, ranged := strings.Cut(text, "..")
		from, err := time.Parse(time.DateOnly, first)
		to := from
		if ranged && err == nil {
			to, err = time.Parse(time.DateOnly, last)
		}
		switch {
		case err != nil:
			b.add(src.at(at, fmt.Sprintf("%q is no date", text), hint))
			continue
		case from.Year() != year || to.Year() != year:
			b.add(src.at(at, fmt.Sprintf("%q is not in %d", text, year), "a span over the turn of the year is one in each"))
			continue
		case to.Before(from):
			b.add(src.at(at, fmt.Sprintf("%q ends before it begins", text), hint))
			continue
		}
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			if before, dup := into[monthDay(day)]; dup && before != kind {
				b.add(src.at(at, day.Format(time.DateOnly)+" is both a holiday and a working day", ""))
				break
			}
			into[monthDay(day)] = kind
		}
	}
}

// follow makes a calendar that which a file calls by a name, once all files
// are read.
func (b *builder) follow(src source, field, name string, into *calendar, loc *time.Location) {
	if name == "" {
		b.add(src.at(field, "missing", "the name of a holiday calendar, such as cn"))
		return
	}
	if _, named := b.r.holidays[name]; !named {
		b.r.holidays[name] = calendarUse{src.place(field), loc}
	}
	b.links = append(b.links, func() {
		c, ok := b.r.calendars[name]
		if ok {
			*into = *c
			return
		}
		p := src.at(field, fmt.Sprintf("unknown holiday calendar %q", name), "a file of kind HolidayCalendar brings it; cn is built in")
		if !slices.Contains(b.problems, p) {
			b.add(p)
		}
	})
}
