package oncall

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/oncall/ical"
)

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
	events                           []planEvent // of a calendar; then there is no rotation
	calendar                         bool
}

// planEvent is one event of a calendar, and how the calendar tells it.
type planEvent struct {
	user        string // "" is nobody who is known
	from, until int    // minutes
	lines       []string
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
	w        *watch
	from, to int // minutes of the span that is compared
	people   []string
	zone     string
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
	l.start = r.from - 30*60 + r.IntN(42*60)
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
	if r.pick(3) {
		l.calendar, l.people = true, nil
		for n := range r.IntN(9) {
			l.events = append(l.events, r.events(n)...)
		}
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

// events returns what one event of a calendar comes to: one that is told in
// UTC, by the local clock, in whole days, or that comes every day.
func (r *random) events(number int) []planEvent {
	e := planEvent{user: r.someone(), from: r.minute()}
	title := []string{e.user, "on duty: " + strings.ToUpper(e.user) + "@example.com", "shift (" + e.user + e.user + ")"}[r.IntN(3)]
	if r.pick(5) {
		e.user, title = "", "lunch"
	}
	e.until = e.from + 1 + r.IntN(20*60)
	e.lines = []string{"BEGIN:VEVENT", fmt.Sprintf("UID:%03d", number), "SUMMARY:" + title}
	utc := func(minute int) string { return instantOf(minute).Format("20060102T150405Z") }
	switch r.IntN(4) {
	case 0:
		e.lines = append(e.lines, "DTSTART:"+utc(e.from), "DTEND:"+utc(e.until), "END:VEVENT")
	case 1:
		e.lines = append(e.lines, "DTSTART:"+utc(e.from), fmt.Sprintf("DURATION:PT%dM", e.until-e.from), "END:VEVENT")
	case 2:
		day := r.w.shown[e.from-r.w.first] / 1440
		last := day + 1 + r.IntN(2)
		e.from, e.until = r.w.telling(day*1440), r.w.telling(last*1440)
		date := func(day int) string { return instantOf(day * 1440).Format("20060102") }
		e.lines = append(e.lines, "DTSTART;VALUE=DATE:"+date(day), "DTEND;VALUE=DATE:"+date(last), "END:VEVENT")
	default:
		return r.daily(e)
	}
	return []planEvent{e}
}

// daily makes an event come for some days at the same time of the local
// clock, but for one of them.
func (r *random) daily(e planEvent) (all []planEvent) {
	begin := r.w.shown[e.from-r.w.first]
	length, times, except := 15+r.IntN(30*60), 1+r.IntN(4), r.IntN(4)
	local := func(reading int) string {
		return ";TZID=" + r.zone + ":" + instantOf(reading).Format("20060102T150405")
	}
	e.lines = append(e.lines, "DTSTART"+local(begin), "DTEND"+local(begin+length),
		fmt.Sprintf("RRULE:FREQ=DAILY;COUNT=%d", times), "EXDATE"+local(begin+except*1440), "END:VEVENT")
	for n := range times {
		one := e
		one.from, one.until = r.w.telling(begin+n*1440), r.w.telling(begin+n*1440+length)
		if n > 0 {
			one.lines = nil // told with the first
		}
		if n == except || one.until <= one.from {
			one.user = "" // only its lines are of use
		}
		all = append(all, one)
	}
	return all
}

// ics writes the calendar of a layer.
func (l planLayer) ics() string {
	lines := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"}
	for _, e := range l.events {
		lines = append(lines, e.lines...)
	}
	return strings.Join(append(lines, "END:VCALENDAR", ""), "\r\n")
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

func (l planLayer) yaml(calendars string) layerYAML {
	var y layerYAML
	if l.calendar {
		y.Calendar = &feedYAML{URL: secret.New(calendars)}
	} else {
		y.Rotation = l.rotationYAML()
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

func (l planLayer) rotationYAML() *rotationYAML {
	y := &rotationYAML{
		Handoff:      strings.Join([]string{cronField(l.minutes), cronField(l.hours), cronField(l.dom), cronField(l.months), cronField(l.dow)}, " "),
		Start:        time.Unix(int64(l.start)*60, 0).UTC().Format(time.RFC3339),
		Participants: l.people,
	}
	if l.shift > 0 {
		y.Shift = fmt.Sprintf("%dm", l.shift)
	}
	return y
}

func yamlLayers(all []planLayer) (alone *rotationYAML, list []layerYAML) {
	if all[0].reachesBack {
		return all[0].rotationYAML(), nil
	}
	for i, l := range all {
		y := l.yaml("https://calendar.example.com/")
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
		b.r.users[name] = user{fullName: name + name, contacts: []contact{{"email", name + "@example.com"}}}
		b.userAt[name] = ""
	}
	src := source{&yamldoc.File{Name: "plan"}, &yaml.Node{}}
	b.schedule(src, "schedules.0", y)
	links := b.links
	b.fallback(src, "default_schedule", "s", b.schedAt, alonePrefix)
	b.links = links // here a schedule may have calendars alone
	r, err := b.roster(nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, p)
	}
	calendars := map[string]*ical.Source{}
	for i, f := range r.Feeds() {
		calendar, err := ical.Read(strings.NewReader(p.calendars()[i].ics()), f.Zone)
		if err != nil {
			t.Fatalf("%v\n%s", err, p)
		}
		calendars[f.ID] = calendar
	}
	r = r.WithFeeds(calendars)
	var made []Override
	for i, o := range p.runtime {
		made = append(made, Override{ID: int64(i), Schedule: "s", User: o.user, From: instantOf(o.span[0].minute), Until: instantOf(o.span[1].minute)})
	}
	return r.With(made)
}

// calendars returns the layers that have a calendar, as Feeds lists them.
func (p plan) calendars() (all []planLayer) {
	layers := slices.Clone(p.base)
	for _, t := range p.temporary {
		layers = append(layers, t.layers...)
	}
	return slices.DeleteFunc(layers, func(l planLayer) bool { return !l.calendar })
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
		fmt.Fprintf(&b, "layer %+v rotation %+v\n%s", l.yaml(""), *l.rotationYAML(), l.ics())
	}
	for _, t := range p.temporary {
		fmt.Fprintf(&b, "temporary %v\n", t.span)
		for _, l := range t.layers {
			fmt.Fprintf(&b, "  layer %+v rotation %+v\n%s", l.yaml(""), *l.rotationYAML(), l.ics())
		}
	}
	fmt.Fprintf(&b, "overrides %v, made later %v, swaps %v\n", p.overrides, p.runtime, p.swaps)
	return b.String()
}

func instantOf(minute int) time.Time { return time.Unix(int64(minute)*60, 0).UTC() }
