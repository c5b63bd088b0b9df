package rules_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// inCalendar gives an SLO the budget of a calendar's unit.
func inCalendar(t *testing.T, unit slo.Calendar, zone string) (func(*slo.SLO), slo.Window) {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	window, err := slo.CalendarWindow(unit, location)
	if err != nil {
		t.Fatal(err)
	}
	return func(s *slo.SLO) { s.Window = window }, window
}

// service is one whose traffic swings between night and day, of which one
// request in five thousand fails, and all in its incidents.
type service struct {
	begin         time.Time
	total, failed integral
}

func newService(from, to time.Time, incidents ...time.Time) service {
	minutes := int(to.Sub(from) / time.Minute)
	s := service{begin: from, total: make(integral, minutes+1), failed: make(integral, minutes+1)}
	for i := range minutes {
		at := from.Add(time.Duration(i) * time.Minute)
		perSecond := 100 + 90*math.Sin(2*math.Pi*float64(at.Unix()%86400)/86400)
		ratio := 0.0002
		for _, incident := range incidents {
			if !at.Before(incident) && at.Before(incident.Add(20*time.Minute)) {
				ratio = 0.5
			}
		}
		s.total[i+1], s.failed[i+1] = s.total[i]+perSecond*60, s.failed[i]+perSecond*60*ratio
	}
	return s
}

// ratio is the share of requests that failed between two moments.
func (s service) ratio(from, to time.Time) float64 {
	a, b := from.Sub(s.begin).Seconds(), to.Sub(s.begin).Seconds()
	return (s.failed.at(b) - s.failed.at(a)) / (s.total.at(b) - s.total.at(a))
}

// scraped appends the service's counters.
func (w *world) scraped(s service, until time.Time) {
	w.t.Helper()
	from, to := s.begin.Sub(epoch), until.Sub(epoch)
	w.scrape(`requests_total{app="a"}`, from, to, time.Minute, func(at float64) float64 { return s.total.at(at - from.Seconds()) })
	w.scrape(`failures_total{app="a"}`, from, to, time.Minute, func(at float64) float64 { return 1000 + s.failed.at(at-from.Seconds()) })
}

// recordCalendar records what calendars read, and then the calendars: what
// reaches back from the beginning, the rest around the moments that are asked
// for. Where the hours are given, what reaches back is what is needed for them.
func (w *world) recordCalendar(given bool, from, to time.Time, moments ...time.Time) {
	w.t.Helper()
	for _, g := range w.set.Groups() {
		every, phase := time.Duration(g.Interval), w.phaseOf(g.Name)
		calendar := strings.HasPrefix(g.Name, "midwatch-calendar/")
		for _, r := range g.Rules {
			switch {
			case r.Record == "", given && readByCalendar(r.Record):
			case calendar && !strings.Contains(r.Record, ":tile1h") && !strings.Contains(r.Record, ":tile30m") && r.Record != "slo:calendar_tile:number", g.Name == "midwatch-budgets":
				around(from, to, moments, 0, every, func(from, to time.Time, every time.Duration) { w.replayRule(r, from.Add(phase), to.Add(phase), every) })
			case given && (calendar || r.Record == "slo:parameter:value"):
				around(from, to, moments, 30*time.Minute, every, func(from, to time.Time, every time.Duration) { w.replayRule(r, from.Add(phase), to.Add(phase), every) })
			case calendar, r.Record == "slo:parameter:value", readByCalendar(r.Record):
				w.replayRule(r, from.Truncate(every).Add(phase), to, every)
			}
		}
	}
}

// around calls f for spans of time without overlap: from 70 minutes before
// each moment until it every so often, and between these more coarsely, if at
// all.
func around(from, to time.Time, moments []time.Time, coarse, every time.Duration, f func(from, to time.Time, every time.Duration)) {
	next := from.Truncate(time.Hour)
	for _, at := range moments {
		near := latest(next, at.Add(-70*time.Minute).Truncate(every))
		if first, last := next.Add(coarse-1).Truncate(coarse), near.Add(-1).Truncate(coarse); coarse > 0 && !last.Before(first) {
			f(first, last, coarse)
		}
		last := at.Add(every).Truncate(every)
		f(near, last, every)
		next = last.Add(every)
	}
	if first, last := next.Truncate(coarse).Add(coarse), to.Truncate(time.Hour); coarse > 0 && last.After(first) {
		f(first, last, coarse)
	}
}

// readByCalendar says whether a series is an event series or an hour's window.
func readByCalendar(record string) bool {
	for _, name := range []string{"rate5m", "rate4m", "rate1h"} {
		if record == "slo:sli_errors:"+name || record == "slo:sli_total:"+name {
			return true
		}
	}
	return false
}

// since returns the bounds of a figure of what happened since a unit began,
// at a moment and up to so much before it.
func since(begin, at time.Time, age time.Duration, figure func(until time.Time) float64) (low, high float64) {
	low, high = math.Inf(1), 0
	for lag := -time.Minute; lag <= age; lag += 15 * time.Second {
		if to := at.Add(-lag); to.After(begin) {
			low, high = min(low, figure(to)), max(high, figure(to))
		}
	}
	return low, high
}

// A calendar's window has what happened since its unit began and nothing that
// happened before: at its first minutes, hours and days and at its end, with
// an incident in the last hour of the unit before and one in its first hour.
func TestCalendarAgainstTruth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit slo.Calendar
		zone string
		on   string // a day of the unit
		days float64
	}{
		{slo.Month, "Asia/Shanghai", "2026-05-10", 31},
		{slo.Month, "America/New_York", "2026-03-20", 31}, // an hour short
		{slo.Month, "America/New_York", "2026-11-20", 30}, // an hour long, and that on its first day
		{slo.Month, "Asia/Kathmandu", "2028-02-20", 29},
		{slo.Month, "Australia/Lord_Howe", "2026-04-20", 30}, // half an hour long
		{slo.Month, "America/Havana", "2026-11-05", 30},      // whose first hour comes twice
		{slo.Week, "Europe/Berlin", "2026-01-01", 7},         // that of the new year
		{slo.Week, "Asia/Shanghai", "2026-07-08", 7},
	} {
		t.Run(fmt.Sprintf("%s of %s in %s", c.unit, c.on, c.zone), func(t *testing.T) {
			t.Parallel()
			change, window := inCalendar(t, c.unit, c.zone)
			day, err := time.Parse(time.DateOnly, c.on)
			if err != nil {
				t.Fatal(err)
			}
			begin, end := window.Bounds(day.Add(12 * time.Hour))
			s := newService(begin.Add(-26*time.Hour), end.Add(time.Hour), begin.Add(-50*time.Minute), begin.Add(20*time.Minute), begin.Add(50*time.Hour+7*time.Minute))
			w := newWorld(t, compile(t, rules.Options{Interval: time.Minute, ScrapeInterval: time.Minute}, availability(t, "a", "99.9", change)))
			w.phase = map[string]time.Duration{"midwatch-events/": 13 * time.Second, "midwatch-windows": 41 * time.Second, "midwatch-calendar/": 77 * time.Second, "midwatch-budgets": 30 * time.Second}
			w.scraped(s, end.Add(time.Hour))
			moments := []time.Time{
				begin.Add(9 * time.Minute), begin.Add(30 * time.Minute), begin.Add(62 * time.Minute), begin.Add(25 * time.Hour),
				begin.Add(73 * time.Hour), end.Add(-time.Minute),
			}
			w.recordCalendar(false, s.begin, end, moments...)
			w.againstCalendar(s, window, c.unit, c.days, moments)
		})
	}
}

// againstCalendar compares what is recorded around some moments with the
// truth.
func (w *world) againstCalendar(s service, window slo.Window, unit slo.Calendar, days float64, moments []time.Time) {
	w.t.Helper()
	for _, around := range moments {
		worst, n := 0.0, 0
		for at := around.Add(-10 * time.Minute); !at.After(around); at = at.Add(time.Minute) {
			begin, end := window.Bounds(at)
			if at.Sub(begin) < 5*time.Minute || begin.Before(s.begin.Add(20*time.Hour)) {
				continue // of the unit before, of which not all is known
			}
			n++
			got := w.value(at.Sub(epoch), "slo:sli_error:ratio_rate"+string(unit))
			low, high := since(begin, at, 4*time.Minute, func(to time.Time) float64 { return s.ratio(begin, to) })
			worst = max(worst, got/high-1, 1-got/low)
			spent := 1 - w.value(at.Sub(epoch), "slo:period_error_budget_remaining:ratio")
			low, high = since(begin, at, 6*time.Minute, func(to time.Time) float64 {
				return s.ratio(begin, to) / 0.001 * to.Sub(begin).Seconds() / end.Sub(begin).Seconds()
			})
			worst = max(worst, spent/high-1, 1-spent/low)
			near(w.t, "days", w.value(at.Sub(epoch), "slo:time_period:days"), days, 0)
		}
		w.t.Logf("%s after the beginning: %d moments, at most %.3f%% from the truth", around.Sub(moments[0].Add(-9*time.Minute)), n, worst*100)
		if n == 0 || worst > 0.003 {
			w.t.Errorf("%s: %d moments, at most %.3f%% from the truth", around, n, worst*100)
		}
	}
}

// In the first minutes of a unit, its window has nothing of the outage that
// ended when the unit began, all of the one that began then, and is a number
// from the first second on.
func TestFirstMinutesOfAUnit(t *testing.T) {
	t.Parallel()
	month, _ := inCalendar(t, slo.Month, "UTC")
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "before", "99", month), availability(t, "after", "99", month)))
	w.phase = map[string]time.Duration{"midwatch-calendar/": 0, "midwatch-budgets": time.Second}
	for app, failures := range map[string]func(float64) float64{"before": burst(100, -hour, 0), "after": burst(100, 0, hour)} {
		w.scrape(`requests_total{app="`+app+`"}`, -2*hour, hour, scrape, steady(100))
		w.scrape(`failures_total{app="`+app+`"}`, -2*hour, hour, scrape, failures)
	}
	w.until = epoch.Add(-40 * minute)
	w.live(0)
	for at := time.Duration(0); at <= 20*minute; at += 2 * minute {
		w.live(at + time.Second)
		w.finite(at + time.Second)
		if at == 0 {
			continue
		}
		near(t, at.String()+" after the end of the outage", w.value(at, `slo:sli_error:ratio_ratemonth{slo="before"}`), 0, 0)
		near(t, at.String()+" after its onset", w.value(at, `slo:sli_error:ratio_ratemonth{slo="after"}`), 1, 0.01)
		near(t, "budget spent", 1-w.value(at+time.Second, `slo:period_error_budget_remaining:ratio{slo="after"}`), 100*at.Hours()/(31*24), 0.02)
	}
}

// A unit of which only the last days are known had no errors before, at the
// traffic that there is.
func TestNewCalendarSLO(t *testing.T) {
	t.Parallel()
	year, _ := inCalendar(t, slo.Year, "Asia/Shanghai")
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", year)))
	w.outage("a", 5*hour, 3*hour+7*minute, 3*hour+17*minute)
	w.until = epoch.Add(2 * hour)
	w.live(4*hour + 10*minute)
	begin := time.Date(2025, time.December, 31, 16, 0, 0, 0, time.UTC)
	near(t, "ratio", w.value(4*hour+10*minute, "slo:sli_error:ratio_rateyear"), 600/epoch.Add(4*hour+10*minute).Sub(begin).Seconds(), 0.02)
	near(t, "days", w.value(4*hour+10*minute, "slo:time_period:days"), 365, 0)
	w.finite(4*hour + 10*minute)
}

// Rules are not evaluated while an hour ends: it is added when they are again,
// once.
func TestGapAtTheEndOfATile(t *testing.T) {
	t.Parallel()
	month, window := inCalendar(t, slo.Month, "Asia/Kolkata") // whose days begin at half past the hour
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99.9", month)))
	w.outage("a", 5*hour, hour+7*minute, hour+17*minute)
	w.down = func(at time.Time) bool {
		d := at.Sub(epoch)
		return d >= hour+30*minute && d < hour+39*minute || d >= 2*hour+24*minute && d < 2*hour+27*minute
	}
	w.until = epoch.Add(10 * minute)
	begin, _ := window.Bounds(epoch)
	for _, at := range []time.Duration{hour + 28*minute, 2*hour + 10*minute, 2*hour + 40*minute, 3*hour + 40*minute, 4*hour + 40*minute} {
		w.live(at)
		near(t, at.String(), w.value(at, "slo:sli_error:ratio_ratemonth"), 600/epoch.Add(at).Sub(begin).Seconds(), 0.02)
	}
}

// Two SLOs with the same unit in different zones have budgets of their own.
func TestCalendarsInTwoZones(t *testing.T) {
	t.Parallel()
	var slos []slo.SLO
	for name, zone := range map[string]string{"a": "Asia/Shanghai", "b": "America/New_York"} {
		week, _ := inCalendar(t, slo.Week, zone)
		slos = append(slos, availability(t, name, "99.9", week))
	}
	w := newWorld(t, compile(t, rules.Options{}, slos...))
	// Monday begins in Shanghai at 16:00 of this Sunday, in New York 13 hours later.
	monday := 16 * hour
	for _, app := range []string{"a", "b"} {
		w.scrape(`requests_total{app="`+app+`"}`, monday-2*hour, monday+2*hour, scrape, steady(100))
		w.scrape(`failures_total{app="`+app+`"}`, monday-2*hour, monday+2*hour, scrape, burst(1, monday-hour, monday-30*minute))
	}
	w.until = epoch.Add(monday - 2*hour)
	w.live(monday + 90*minute)
	near(t, "Shanghai", w.value(monday+90*minute, `slo:sli_error:ratio_rateweek{slo="a"}`), 0, 0)
	near(t, "New York", w.value(monday+90*minute, `slo:sli_error:ratio_rateweek{slo="b"}`), 18/(7*24*hour-13*hour+90*minute).Seconds(), 0.02)
}

// A fleet's month has the events of all its clusters.
func TestFleetCalendar(t *testing.T) {
	t.Parallel()
	const until = 2 * hour
	month := "  window: {calendar: month, timezone: UTC}\n"
	w := fleetWorld(t, until, []cluster{
		{`{cluster="large"}`, steady(1000), burst(1, hour, until)},
		{`{cluster="tiny"}`, steady(1), steady(0.5)},
	}, written(t, "a", "99.9", "", month+"  scope: both\n  group_by: [path]\n"), written(t, "b", "99.9", "", month+"  scope: fleet\n"))
	w.until = epoch.Add(until - 5*minute)
	w.live(until)
	ratio := (0.5*until.Seconds() + 1*hour.Seconds()) / (1001 * until.Seconds())
	if v := w.ask(until, `slo:sli_error:ratio_ratemonth{scope="fleet"}`); len(v) != 3 {
		t.Errorf("the fleet records %v", v)
	}
	near(t, "ratio", w.value(until, `slo:sli_error:ratio_ratemonth{scope="fleet",slo="b"}`), ratio, 0.03)
	near(t, "budget spent", 1-w.value(until, `slo:period_error_budget_remaining:ratio{scope="fleet",slo="b"}`), ratio/0.001*2/(31*24), 0.03)
}

// Quarters and years, whose hours are given: an incident in the last hour of
// the unit before, in its first and in a later one.
func TestLongCalendarAgainstTruth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit slo.Calendar
		zone string
		on   string // a day of the unit
		days float64
	}{
		{slo.Quarter, "Europe/Berlin", "2026-02-10", 90}, // an hour short
		{slo.Quarter, "America/New_York", "2026-11-10", 92},
		{slo.Quarter, "Asia/Shanghai", "2028-05-10", 91},
		{slo.Year, "Africa/Casablanca", "2026-06-10", 365},
		{slo.Year, "America/St_Johns", "2028-06-10", 366},
	} {
		t.Run(fmt.Sprintf("%s of %s in %s", c.unit, c.on, c.zone), func(t *testing.T) {
			t.Parallel()
			change, window := inCalendar(t, c.unit, c.zone)
			day, err := time.Parse(time.DateOnly, c.on)
			if err != nil {
				t.Fatal(err)
			}
			begin, end := window.Bounds(day)
			before, after := begin.Add(-50*time.Hour), end.Add(time.Hour)
			s := newService(before, after, begin.Add(-50*time.Minute), begin.Add(20*time.Minute), begin.Add(40*24*time.Hour+7*time.Minute))
			w := newWorld(t, compile(t, rules.Options{Interval: time.Minute, ScrapeInterval: time.Minute}, availability(t, "a", "99.9", change)))
			moments := []time.Time{begin.Add(9 * time.Minute), begin.Add(62 * time.Minute), begin.Add(25 * time.Hour), begin.Add(60 * 24 * time.Hour), end.Add(-time.Minute)}
			w.givenHours(s, after, moments)
			w.recordCalendar(true, before, end, moments...)
			w.againstCalendar(s, window, c.unit, c.days, moments)
		})
	}
}

// givenHours appends the rates over hours, each half hour, and around some
// moments all that a calendar reads.
func (w *world) givenHours(s service, until time.Time, moments []time.Time) {
	w.t.Helper()
	over := func(counter integral, length time.Duration) func(float64) float64 {
		return func(at float64) float64 {
			at -= s.begin.Sub(epoch).Seconds()
			return (counter.at(at) - counter.at(at-length.Seconds())) / length.Seconds()
		}
	}
	around(s.begin, until, moments, 30*time.Minute, time.Minute, func(from, to time.Time, every time.Duration) {
		for name, length := range map[string]time.Duration{"rate5m": 5 * minute, "rate4m": 4 * minute, "rate1h": hour} {
			w.scrape(`slo:sli_errors:`+name+`{slo="a",service="shop"}`, from.Sub(epoch), to.Sub(epoch), every, over(s.failed, length))
			w.scrape(`slo:sli_total:`+name+`{slo="a",service="shop"}`, from.Sub(epoch), to.Sub(epoch), every, over(s.total, length))
		}
	})
}

// While errors are as frequent as ever, a budget goes down evenly: nothing is
// counted twice or not at all where five minutes, an hour or a day end.
func TestBudgetOfAMonthGoesDownEvenly(t *testing.T) {
	t.Parallel()
	month, _ := inCalendar(t, slo.Month, "UTC")
	w := newWorld(t, compile(t, rules.Options{}, availability(t, "a", "99", month)))
	w.phase = map[string]time.Duration{"midwatch-events/": 7 * time.Second, "midwatch-windows": 11 * time.Second, "midwatch-calendar/": 38 * time.Second, "midwatch-budgets": 39 * time.Second}
	w.scrape(`requests_total{app="a"}`, -2*hour, 3*hour, scrape, steady(100))
	w.scrape(`failures_total{app="a"}`, -2*hour, 3*hour, scrape, steady(1))
	w.until = epoch.Add(-80 * minute)
	w.live(10 * minute)
	spent := func(at time.Duration) float64 {
		w.live(at)
		return 1 - w.value(at, "slo:period_error_budget_remaining:ratio")
	}
	before := spent(10 * minute)
	for at := 12 * minute; at <= 130*minute; at += 2 * minute {
		now := spent(at)
		near(t, "spent in two minutes until "+at.String(), now-before, 2.0/(31*24*60), 0.01)
		before = now
	}
}
