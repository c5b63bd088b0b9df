package oncall

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var seed = flag.Uint64("seed", 0, "of the random schedules; 0: another one each time")

// Minutes are counted from 1970. A reading is what the local clock shows, in
// minutes of a clock that nobody ever sets.

// watch is somebody who looks at the local clock every minute of a span, and
// writes down what it shows.
type watch struct {
	loc   *time.Location
	first int   // minute of the first look
	shown []int // the reading of each look
	most  []int // the latest reading so far
	least []int // the earliest reading from then on
}

func look(loc *time.Location, from, to time.Time) *watch {
	w := &watch{loc: loc, first: int(from.Unix() / 60)}
	for m := w.first; m <= int(to.Unix()/60); m++ {
		at := time.Unix(int64(m)*60, 0).In(loc)
		y, month, d := at.Date()
		reading := int(time.Date(y, month, d, at.Hour(), at.Minute(), 0, 0, time.UTC).Unix() / 60)
		w.shown = append(w.shown, reading)
		w.most = append(w.most, reading)
		if i := len(w.most) - 1; i > 0 {
			w.most[i] = max(reading, w.most[i-1])
		}
	}
	w.least = slices.Clone(w.shown)
	for i := len(w.least) - 2; i >= 0; i-- {
		w.least[i] = min(w.least[i], w.least[i+1])
	}
	return w
}

// begun tells whether a reading has been shown, or jumped over.
func (w *watch) begun(minute, reading int) bool { return w.most[minute-w.first] >= reading }

// over tells whether a reading has been shown for the last time, or jumped
// over for good.
func (w *watch) over(minute, reading int) bool {
	i := minute - w.first
	return w.least[i] >= reading && (i+1 >= len(w.least) || w.least[i+1] > reading)
}

// beginning returns the minute at which a reading begins, and end at which it
// is over.
func (w *watch) beginning(reading int) int {
	for m := w.first; ; m++ {
		if w.begun(m, reading) {
			return m
		}
	}
}

func (w *watch) end(reading int) int {
	for m := w.first; ; m++ {
		if w.over(m, reading) {
			return m
		}
	}
}

// telling returns the minute at which a calendar means a reading: the first
// that shows it, else as long after a gap as the reading is in it.
func (w *watch) telling(reading int) int {
	if i := slices.Index(w.shown, reading); i >= 0 {
		return w.first + i
	}
	m := w.beginning(reading)
	return m + reading - (w.shown[m-1-w.first] + 1)
}

// walker keeps the watch of one layer as time goes by, minute by minute.
type walker struct {
	planLayer
	w     *watch
	p     *plan
	turns int
	began int // reading at which the turn began
}

// looksUp goes through the whole calendar for the event that began last.
func (k *walker) looksUp(minute int) (user string) {
	var found planEvent
	for _, e := range k.events {
		if e.user == "" || minute < e.from || minute >= e.until {
			continue
		}
		if found.user == "" || e.from > found.from || e.from == found.from && e.until < found.until {
			found = e
		}
	}
	if !k.allowed(minute) || k.span[0].minute >= 0 && minute < k.span[0].minute || k.span[1].minute >= 0 && minute >= k.span[1].minute {
		return ""
	}
	return found.user
}

// tick moves on to a minute and returns who is on call in the layer.
func (k *walker) tick(minute int) string {
	if k.calendar {
		return k.looksUp(minute)
	}
	if minute < k.start {
		if k.reachesBack {
			return k.people[0]
		}
		return ""
	}
	i := minute - k.w.first
	if minute == k.start {
		k.began = k.w.shown[i]
	} else if last, ok := k.handedOver(k.w.most[i-1], k.w.most[i]); ok {
		k.turns++
		k.began = last
	}
	switch {
	case k.span[0].minute >= 0 && minute < k.span[0].minute, k.span[1].minute >= 0 && minute >= k.span[1].minute:
		return ""
	case k.shift > 0 && k.w.over(minute, k.began+k.shift):
		return ""
	case !k.allowed(minute):
		return ""
	}
	return k.people[k.turns%len(k.people)]
}

// handedOver looks for hand-offs among the readings that are new.
func (k *walker) handedOver(after, upTo int) (last int, ok bool) {
	for reading := after + 1; reading <= upTo; reading++ {
		if k.handsOver(reading) {
			last, ok = reading, true
		}
	}
	return last, ok
}

func (k *walker) handsOver(reading int) bool {
	has := func(list []int, n int) bool { return list == nil || slices.Contains(list, n) }
	if !has(k.minutes, reading%60) || !has(k.hours, reading/60%24) {
		return false
	}
	at := time.Unix(int64(reading)*60, 0).UTC()
	if !has(k.months, int(at.Month())) {
		return false
	}
	dom, dow := has(k.dom, at.Day()), has(k.dow, int(at.Weekday()))
	if k.dom != nil && k.dow != nil {
		return dom || dow
	}
	return dom && dow
}

func (k *walker) allowed(minute int) bool {
	if len(k.windows) == 0 {
		return true
	}
	today := k.w.shown[minute-k.w.first] / 1440
	for _, win := range k.windows {
		for day := today - 3; day <= today+1; day++ {
			until := win.until
			if until <= win.from {
				until += 1440
			}
			if k.counts(win, day) && k.w.begun(minute, day*1440+win.from) && !k.w.over(minute, day*1440+until) {
				return true
			}
		}
	}
	return false
}

func (k *walker) counts(win planWindow, day int) bool {
	weekday := (day + 4) % 7 // 1970 began on a Thursday
	if win.calendar {
		off := weekday == 0 || weekday == 6
		switch k.p.days[day] {
		case holiday:
			if !off {
				weekday = 0
			}
		case workday:
			if off {
				weekday = 1
			}
		}
	}
	return win.days[weekday]
}

// simulation is all of a plan as time goes by.
type simulation struct {
	p         *plan
	base      []*walker
	temporary [][]*walker
	overrides []planOverride
}

func simulate(p *plan, w *watch) *simulation {
	walkers := func(layers []planLayer) (all []*walker) {
		for _, l := range layers {
			all = append(all, &walker{planLayer: l, w: w, p: p})
		}
		return all
	}
	s := &simulation{p: p, base: walkers(p.base), overrides: slices.Concat(p.overrides, p.runtime)}
	for _, t := range p.temporary {
		s.temporary = append(s.temporary, walkers(t.layers))
	}
	return s
}

func topmost(layers []*walker, minute int) (user string) {
	for _, k := range layers {
		if u := k.tick(minute); u != "" {
			user = u
		}
	}
	return user
}

func within(span [2]planTime, minute int) bool {
	return span[0].minute <= minute && minute < span[1].minute
}

// tick returns who is on call at a minute, and whether instead of another.
func (s *simulation) tick(minute int) (user string, instead bool) {
	user = topmost(s.base, minute)
	for i, t := range s.temporary {
		if u := topmost(t, minute); within(s.p.temporary[i].span, minute) {
			user = u
		}
	}
	for _, w := range s.p.swaps {
		if !slices.ContainsFunc(w.shifts, func(span [2]planTime) bool { return within(span, minute) }) {
			continue
		}
		switch user {
		case w.a:
			user, instead = w.b, true
		case w.b:
			user, instead = w.a, true
		}
	}
	for _, o := range s.overrides {
		if within(o.span, minute) {
			user, instead = o.user, true
		}
	}
	return user, instead
}

// moments are zones and instants at which clocks do something, or calendars.
var moments = map[string][]string{
	"America/New_York":    {"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"},
	"Europe/Berlin":       {"2026-03-29T01:00:00Z", "2040-10-28T01:00:00Z"},
	"Australia/Lord_Howe": {"2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z"},
	"America/Sao_Paulo":   {"2018-11-04T03:00:00Z", "2018-02-18T02:00:00Z"},
	"Asia/Beirut":         {"2026-03-28T22:00:00Z", "2026-10-24T21:00:00Z"},
	"America/Havana":      {"2026-03-08T05:00:00Z", "2026-11-01T05:00:00Z"},
	"America/Santiago":    {"2026-09-06T04:00:00Z", "2026-04-05T03:00:00Z"},
	"Antarctica/Troll":    {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
	"Pacific/Apia":        {"2011-12-30T10:00:00Z"},
	"Asia/Shanghai":       {"2026-02-14T00:00:00Z", "2026-12-31T16:00:00Z", "2028-02-28T16:00:00Z"},
	"Asia/Kolkata":        {"2026-04-30T18:30:00Z"},
	"America/St_Johns":    {"2026-03-08T05:30:00Z", "2026-10-31T23:00:00Z"},
	"Europe/London":       {"2024-02-29T12:00:00Z", "2026-10-25T01:00:00Z"},
	"Pacific/Chatham":     {"2026-09-26T14:00:00Z"},
	"Africa/Casablanca":   {"2026-02-15T02:00:00Z", "2026-03-22T02:00:00Z"},
	"America/Godthab":     {"2026-03-29T01:00:00Z"},
}

// outlook is a watch around a moment.
type outlook struct {
	moment int // minute
	zone   string
	*watch
}

func lookAround(t *testing.T) (all []outlook) {
	t.Helper()
	for _, zone := range slices.Sorted(maps.Keys(moments)) {
		loc := location(t, zone)
		for _, text := range moments[zone] {
			moment := utc(t, text)
			all = append(all, outlook{int(moment.Unix() / 60), zone, look(loc, moment.AddDate(0, 0, -6), moment.AddDate(0, 0, 6))})
		}
	}
	return all
}

// TestRandomSchedulesAgreeWithAPersonWhoWatchesTheClock compares ten thousand
// schedules with a simulation that goes through every minute.
func TestRandomSchedulesAgreeWithAPersonWhoWatchesTheClock(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Printf("random schedules: -seed=%d\n", *seed)
	const lots = 20
	all := lookAround(t)
	for lot := range uint64(lots) {
		t.Run(fmt.Sprint(lot), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(*seed, lot))
			for range 10_000 / lots {
				compareRandom(t, rng, all[rng.IntN(len(all))])
			}
		})
	}
}

func compareRandom(t *testing.T, rng *rand.Rand, c outlook) {
	from := c.moment - 3*60 - rng.IntN(12*60)
	to, loc, w := from+16*60+rng.IntN(10*60), c.loc, c.watch
	r := &random{Rand: rng, w: w, from: from, to: to, people: []string{"a", "b", "c", "d"}, zone: c.zone}
	p := r.plan()
	roster, sim := p.roster(t), simulate(&p, w)
	for minute := from - 30*60; minute < from; minute++ {
		sim.tick(minute)
	}
	shifts := roster.Shifts("s", instantOf(from), instantOf(to))
	i := 0
	for minute := from; minute < to; minute++ {
		if shifts[i].Until.Equal(instantOf(minute)) {
			i++
		}
		s := shifts[i]
		user, instead := sim.tick(minute)
		if s.User != user || s.Override != instead || s.From.After(instantOf(minute)) || !s.Until.After(instantOf(minute)) {
			t.Fatalf("seed %d: at %s want %q, instead %v, got %+v\n%s", *seed, instantOf(minute).In(loc), user, instead, s, p)
		}
		if rng.IntN(250) == 0 {
			compareAt(t, roster, r, minute, s, p)
		}
	}
}

// compareAt makes sure that At answers as Shifts does, but for the ends that
// Shifts cuts off.
func compareAt(t *testing.T, roster *Roster, r *random, minute int, s Shift, p plan) {
	t.Helper()
	got := roster.At("s", instantOf(minute).Add(17*time.Second))
	from, until := got.From, got.Until
	if s.From.Equal(instantOf(r.from)) {
		from = later(from, s.From)
	}
	if s.Until.Equal(instantOf(r.to)) {
		until = earlier(until, s.Until)
	}
	if got.User != s.User || got.Override != s.Override || !from.Equal(s.From) || !until.Equal(s.Until) {
		t.Fatalf("seed %d: at %s got %+v, want %+v\n%s", *seed, instantOf(minute), got, s, p)
	}
}
