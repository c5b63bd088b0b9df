package oncall

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/yamldoc"
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

// plan is a schedule in plain numbers, from which both the file and the
// simulation come.
type plan struct {
	zone      string
	base      []planLayer
	temporary []planTemporary
	swaps     []planSwap
	overrides []planOverride
	runtime   []planOverride
	days      map[int]dayKind // by days since 1970
}

type planLayer struct {
	minutes, hours, dom, months, dow []int // of the hand-off; nil is a star
	start                            int   // minute
	shift                            int   // minutes; 0 none
	people                           []string
	windows                          []planWindow
	span                             [2]planTime
	reachesBack                      bool
}

type planWindow struct {
	days        [7]bool
	from, until int // minutes of the day
	calendar    bool
}

type planTemporary struct {
	span   [2]planTime
	layers []planLayer
}

type planSwap struct {
	a, b   string
	shifts [][2]planTime
}

type planOverride struct {
	user string
	span [2]planTime
}

// planTime is a minute as the file tells it: by the local clock or in UTC.
type planTime struct {
	minute int // -1: it is not given
	text   string
}

// random makes plans around a moment that is of interest.
type random struct {
	*rand.Rand
	w          *watch
	from, to   int // minutes of the span that is compared
	people     []string
	zone       string
	minuteStep int
}

func (r *random) pick(n int) bool { return r.IntN(n) == 0 }

func (r *random) minute() int {
	return r.from - 24*60 + r.IntN(r.to-r.from+36*60)
}

// time returns a time near the span; the end of something when ends is set.
func (r *random) time(minute int, ends bool) planTime {
	if r.pick(2) {
		return planTime{minute, time.Unix(int64(minute)*60, 0).UTC().Format(time.RFC3339)}
	}
	reading := r.w.shown[minute-r.w.first] + r.IntN(3)*r.IntN(45)
	t := planTime{text: time.Unix(int64(reading)*60, 0).UTC().Format("2006-01-02T15:04")}
	if t.minute = r.w.beginning(reading); ends {
		t.minute = r.w.end(reading)
	}
	return t
}

func (r *random) span() [2]planTime {
	for {
		s := [2]planTime{r.time(r.minute(), false), r.time(r.minute(), true)}
		if s[0].minute < s[1].minute {
			return s
		}
	}
}

func (r *random) someone() string { return r.people[r.IntN(len(r.people))] }

func (r *random) layer(alone bool) planLayer {
	l := planLayer{minutes: []int{r.IntN(12) * 5}, hours: []int{r.IntN(24)}, reachesBack: alone, span: [2]planTime{{minute: -1}, {minute: -1}}}
	switch r.IntN(12) {
	case 0:
		l.hours = nil
	case 1, 2:
		l.hours = []int{r.IntN(4), 4 + r.IntN(8), 12 + r.IntN(12)}
	case 3, 4:
		l.hours = []int{[]int{0, 1, 2, 3, 23}[r.IntN(5)]}
	case 5:
		l.hours, l.minutes = []int{0, 1, 2, 3}, []int{0, 15, 30, 45}
	case 6:
		l.dom = []int{1, 28, 29, 30, 31}
	case 7:
		l.dow = []int{0, 1, 6}
	case 8:
		l.dow, l.dom = []int{r.IntN(7)}, []int{1 + r.IntN(31)}
	case 9:
		l.hours, l.months = []int{0, 12}, []int{2, 3, 4, 10, 11, 12}
	}
	l.start = r.from - 3*24*60 + r.IntN(3*24*60+12*60)
	if r.pick(3) {
		l.shift = 15 * (1 + r.IntN(100))
	}
	for range 1 + r.IntN(4) {
		name := r.someone()
		if r.pick(8) {
			name = ""
		}
		l.people = append(l.people, name)
	}
	l.people[0] = r.someone()
	if alone {
		return l
	}
	for range r.IntN(3) {
		l.windows = append(l.windows, r.window())
	}
	if r.pick(5) {
		l.span = r.span()
		l.span[r.IntN(2)].minute = -1
	}
	return l
}

func (r *random) window() planWindow {
	w := planWindow{from: 15 * r.IntN(96), until: 15 * r.IntN(97), calendar: r.pick(3)}
	if r.pick(3) {
		w.from, w.until = []int{0, 60, 90, 120, 150}[r.IntN(5)], []int{0, 60, 90, 120, 150, 1440}[r.IntN(6)]
	}
	for d := range w.days {
		w.days[d] = r.pick(2)
	}
	w.days[r.IntN(7)] = true
	return w
}

func (r *random) plan() plan {
	p := plan{zone: r.zone, days: map[int]dayKind{}}
	for range 1 + r.IntN(3) {
		p.base = append(p.base, r.layer(false))
	}
	if r.pick(3) {
		p.base = []planLayer{r.layer(true)}
	}
	for range r.IntN(2) {
		p.temporary = append(p.temporary, planTemporary{r.span(), []planLayer{r.layer(r.pick(2))}})
	}
	if l := p.temporary; len(l) > 0 && !l[0].layers[0].reachesBack && r.pick(2) {
		l[0].layers = append(l[0].layers, r.layer(false))
	}
	for range r.IntN(3) {
		p.overrides = append(p.overrides, planOverride{r.someone(), r.span()})
	}
	for range r.IntN(2) {
		p.runtime = append(p.runtime, planOverride{r.someone(), r.span()})
	}
	for range r.IntN(2) {
		s := planSwap{a: "a", b: "b"}
		for range 1 + r.IntN(2) {
			s.shifts = append(s.shifts, r.span())
		}
		p.swaps = append(p.swaps, s)
	}
	for range r.IntN(4) {
		p.days[r.from/1440-2+r.IntN(6)] = dayKind(1 + r.IntN(2))
	}
	return p
}

// cron writes a list of numbers as a field.
func cronField(list []int) string {
	if list == nil {
		return "*"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
}

func (l planLayer) yaml() layerYAML {
	y := layerYAML{Rotation: &rotationYAML{
		Handoff:      strings.Join([]string{cronField(l.minutes), cronField(l.hours), cronField(l.dom), cronField(l.months), cronField(l.dow)}, " "),
		Start:        time.Unix(int64(l.start)*60, 0).UTC().Format(time.RFC3339),
		Participants: l.people,
	}}
	if l.shift > 0 {
		y.Rotation.Shift = (time.Duration(l.shift) * time.Minute).String()
		y.Rotation.Shift = fmt.Sprintf("%dm", l.shift)
	}
	if l.span[0].minute >= 0 {
		y.From = l.span[0].text
	}
	if l.span[1].minute >= 0 {
		y.Until = l.span[1].text
	}
	for _, w := range l.windows {
		var days []string
		for d, on := range w.days {
			if on {
				days = append(days, weekdayNames[d])
			}
		}
		one := windowYAML{Days: strings.Join(days, ","), From: fmt.Sprintf("%02d:%02d", w.from/60, w.from%60), Until: fmt.Sprintf("%02d:%02d", w.until/60, w.until%60)}
		if w.calendar {
			one.Holidays = &holidaysYAML{Calendar: "test"}
		}
		y.Restrictions = append(y.Restrictions, one)
	}
	return y
}

func yamlLayers(all []planLayer) (alone *rotationYAML, list []layerYAML) {
	if all[0].reachesBack {
		return all[0].yaml().Rotation, nil
	}
	for i, l := range all {
		y := l.yaml()
		y.Name = fmt.Sprint("layer", i)
		list = append(list, y)
	}
	return nil, list
}

// roster reads the plan as a file is read.
func (p plan) roster(t *testing.T) *Roster {
	t.Helper()
	y := scheduleYAML{Name: "s", Timezone: p.zone}
	y.Rotation, y.Layers = yamlLayers(p.base)
	for _, tmp := range p.temporary {
		one := temporaryYAML{From: tmp.span[0].text, Until: tmp.span[1].text}
		one.Rotation, one.Layers = yamlLayers(tmp.layers)
		y.Temporary = append(y.Temporary, one)
	}
	for _, o := range p.overrides {
		y.Overrides = append(y.Overrides, overrideYAML{User: o.user, From: o.span[0].text, Until: o.span[1].text})
	}
	for _, s := range p.swaps {
		one := swapYAML{Between: []string{s.a, s.b}}
		for _, sp := range s.shifts {
			one.Shifts = append(one.Shifts, spanYAML{sp[0].text, sp[1].text})
		}
		y.Swaps = append(y.Swaps, one)
	}
	b := &builder{
		r:      &Roster{users: map[string]user{}, schedules: map[string]*schedule{}, policies: map[string]*policy{}, calendars: p.calendar(), holidays: map[string]calendarUse{}},
		userAt: map[string]string{}, schedAt: map[string]string{},
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		b.r.users[name], b.userAt[name] = user{}, ""
	}
	src := source{&yamldoc.File{Name: "plan"}, &yaml.Node{}}
	b.schedule(src, "schedules.0", y)
	b.fallback(src, "default_schedule", "s", b.schedAt, alonePrefix)
	r, err := b.roster(nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, p)
	}
	var made []Override
	for i, o := range p.runtime {
		made = append(made, Override{ID: int64(i), Schedule: "s", User: o.user, From: instantOf(o.span[0].minute), Until: instantOf(o.span[1].minute)})
	}
	return r.With(made)
}

func (p plan) calendar() map[string]*calendar {
	c := &calendar{years: map[int]map[int]dayKind{}}
	for day, kind := range p.days {
		at := time.Unix(int64(day)*86400, 0).UTC()
		if c.years[at.Year()] == nil {
			c.years[at.Year()] = map[int]dayKind{}
		}
		c.years[at.Year()][monthDay(at)] = kind
	}
	return map[string]*calendar{"test": c}
}

// String writes the plan for whoever reads that it failed.
func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "zone %s, days %v\n", p.zone, p.days)
	for _, l := range p.base {
		fmt.Fprintf(&b, "layer %+v rotation %+v\n", l.yaml(), *l.yaml().Rotation)
	}
	for _, t := range p.temporary {
		fmt.Fprintf(&b, "temporary %v\n", t.span)
		for _, l := range t.layers {
			fmt.Fprintf(&b, "  layer %+v rotation %+v\n", l.yaml(), *l.yaml().Rotation)
		}
	}
	fmt.Fprintf(&b, "overrides %v, made later %v, swaps %v\n", p.overrides, p.runtime, p.swaps)
	return b.String()
}

func instantOf(minute int) time.Time { return time.Unix(int64(minute)*60, 0).UTC() }

// walker keeps the watch of one layer as time goes by, minute by minute.
type walker struct {
	planLayer
	w     *watch
	p     *plan
	turns int
	began int // reading at which the turn began
}

// tick moves on to a minute and returns who is on call in the layer.
func (k *walker) tick(minute int) string {
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
}

func simulate(p *plan, w *watch) *simulation {
	walkers := func(layers []planLayer) (all []*walker) {
		for _, l := range layers {
			all = append(all, &walker{planLayer: l, w: w, p: p})
		}
		return all
	}
	s := &simulation{p: p, base: walkers(p.base)}
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
	for _, o := range slices.Concat(s.p.overrides, s.p.runtime) {
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

// TestRandomSchedulesAgreeWithAPersonWhoWatchesTheClock compares ten thousand
// schedules with a simulation that goes through every minute.
func TestRandomSchedulesAgreeWithAPersonWhoWatchesTheClock(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Printf("random schedules: -seed=%d\n", *seed)
	const lots = 20
	for lot := range uint64(lots) {
		t.Run(fmt.Sprint(lot), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(*seed, lot))
			for range 10_000 / lots {
				compareRandom(t, rng)
			}
		})
	}
}

func compareRandom(t *testing.T, rng *rand.Rand) {
	zones := slices.Sorted(maps.Keys(moments))
	zone := zones[rng.IntN(len(zones))]
	moment := utc(t, moments[zone][rng.IntN(len(moments[zone]))])
	from := int(moment.Unix()/60) - 6*60 - rng.IntN(12*60)
	to := from + 20*60 + rng.IntN(16*60)
	loc := location(t, zone)
	w := look(loc, instantOf(from-5*24*60), instantOf(to+4*24*60))
	r := &random{Rand: rng, w: w, from: from, to: to, people: []string{"a", "b", "c", "d"}, zone: zone}
	p := r.plan()
	roster, sim := p.roster(t), simulate(&p, w)
	for minute := from - 4*24*60; minute < from; minute++ {
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
		if rng.IntN(100) == 0 {
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
