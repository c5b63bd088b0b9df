package oncall

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

// builder collects documents into a roster, and problems on the way.
type builder struct {
	r         *Roster
	problems  diag.Problems
	checks    []check // of names that a later file may bring
	userAt    map[string]string
	schedAt   map[string]string
	defaultAt string
}

// check is a name used somewhere, to be looked up when all is read.
type check struct {
	src   source
	field string
	name  string
	known func(string) bool
	what  string
}

func newBuilder() *builder {
	return &builder{
		r:      &Roster{users: map[string]user{}, schedules: map[string]schedule{}},
		userAt: map[string]string{}, schedAt: map[string]string{},
	}
}

func (b *builder) file(name string, content []byte) {
	if !utf8.Valid(content) {
		b.problems = append(b.problems, diag.Problem{File: name, Message: "not UTF-8"})
		return
	}
	file, err := yamldoc.Parse(name, content)
	if err != nil {
		ps, _ := diag.Of(err)
		b.problems = append(b.problems, ps...)
	}
	for _, root := range file.Docs {
		b.document(source{file, root})
	}
}

func (b *builder) document(src source) {
	var d document
	ps := src.file.Decode(src.root, &d)
	b.problems = append(b.problems, ps...)

	switch {
	case d.APIVersion != APIVersion:
		b.add(src.at("apiVersion", fmt.Sprintf("apiVersion is %q", d.APIVersion), "want "+APIVersion))
		return
	case d.Kind != Kind:
		b.add(src.at("kind", fmt.Sprintf("kind is %q", d.Kind), "want "+Kind))
		return
	}
	for i, u := range d.Users {
		b.user(src, fmt.Sprintf("users.%d", i), u)
	}
	for i, s := range d.Schedules {
		b.schedule(src, fmt.Sprintf("schedules.%d", i), s)
	}
	for i, r := range d.Routes {
		b.route(src, fmt.Sprintf("routes.%d", i), r)
	}
	b.defaultSchedule(src, d.DefaultSchedule)
}

func (b *builder) add(p diag.Problem) { b.problems = append(b.problems, p) }

// named reports a name that is missing, unfit or taken.
func (b *builder) named(src source, field, name string, taken map[string]string) bool {
	p := src.at(field, "", "")
	switch first, dup := taken[name]; {
	case name == "":
		p.Message = "missing"
	case !fit(name):
		p.Message, p.Hint = fmt.Sprintf("%q is no name", name), "up to 100 characters without white space"
	case dup:
		p.Message, p.Hint = fmt.Sprintf("%q is given twice", name), "the first is at "+first
	default:
		taken[name] = strings.TrimSuffix(p.Place(), ": ")
		return true
	}
	b.add(p)
	return false
}

func fit(name string) bool {
	return utf8.RuneCountInString(name) <= 100 && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r)
	})
}

func (b *builder) uses(src source, field, name, what string, known func(string) bool) {
	if name == "" {
		b.add(src.at(field, "missing", ""))
		return
	}
	b.checks = append(b.checks, check{src, field, name, known, what})
}

func (b *builder) isUser(name string) bool     { _, ok := b.userAt[name]; return ok }
func (b *builder) isSchedule(name string) bool { _, ok := b.schedAt[name]; return ok }

func (b *builder) user(src source, field string, y userYAML) {
	ok := b.named(src, field+".name", y.Name, b.userAt)
	u := user{fullName: y.FullName, timezone: y.Timezone}
	if u.fullName == "" {
		u.fullName = y.Name
	}
	if y.Timezone != "" {
		b.zone(src, field+".timezone", y.Timezone)
	}
	if len(y.Contacts) == 0 {
		b.add(src.at(field+".contacts", fmt.Sprintf("%s cannot be reached", u.fullName), "list at least one {channel, address}"))
	}
	for i, c := range y.Contacts {
		at := fmt.Sprintf("%s.contacts.%d", field, i)
		b.present(src, at+".channel", c.Channel)
		b.present(src, at+".address", c.Address)
		u.contacts = append(u.contacts, contact{c.Channel, c.Address})
	}
	if ok {
		b.r.users[y.Name] = u
	}
}

func (b *builder) present(src source, field, value string) {
	switch {
	case strings.TrimSpace(value) == "":
		b.add(src.at(field, "missing", ""))
	case !fit(value):
		b.add(src.at(field, fmt.Sprintf("%q is not allowed", value), "up to 100 characters without white space"))
	}
}

func (b *builder) zone(src source, field, name string) *time.Location {
	if name == "" {
		b.add(src.at(field, "missing", "an IANA name, such as Asia/Shanghai"))
		return time.UTC
	}
	// Local is whatever the machine has.
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		b.add(src.at(field, fmt.Sprintf("unknown time zone %q", name), "an IANA name, such as Asia/Shanghai"))
		return time.UTC
	}
	return loc
}

func (b *builder) schedule(src source, field string, y scheduleYAML) {
	ok := b.named(src, field+".name", y.Name, b.schedAt)
	s := schedule{loc: b.zone(src, field+".timezone", y.Timezone)}
	s.rotation = b.rotation(src, field+".rotation", y.Rotation, s.loc)
	s.hours = b.hours(src, field+".working_hours", y.WorkingHours)
	for i, o := range y.Overrides {
		s.overrides = append(s.overrides, b.override(src, fmt.Sprintf("%s.overrides.%d", field, i), o, s.loc))
	}
	if ok {
		b.r.schedules[y.Name] = s
		b.r.order = append(b.r.order, y.Name)
	}
}

func (b *builder) rotation(src source, field string, y rotationYAML, loc *time.Location) rotation {
	r := rotation{loc: loc, participants: y.Participants}
	var err error
	if r.handoff, err = parseHandoff(y.Handoff); err != nil {
		b.add(src.value(field+".handoff", err))
	}
	r.start = b.instant(src, field+".start", y.Start, loc)
	if len(y.Participants) == 0 {
		b.add(src.at(field+".participants", "nobody is on call", "list at least one user"))
	}
	for i, name := range y.Participants {
		b.uses(src, fmt.Sprintf("%s.participants.%d", field, i), name, "user", b.isUser)
	}
	return r
}

func (b *builder) override(src source, field string, y overrideYAML, loc *time.Location) override {
	o := override{user: y.User}
	b.uses(src, field+".user", y.User, "user", b.isUser)
	before := len(b.problems)
	o.from = b.instant(src, field+".from", y.From, loc)
	o.until = b.instant(src, field+".until", y.Until, loc)
	if len(b.problems) == before && !o.until.After(o.from) {
		b.add(src.at(field+".until", "the override ends before it begins", "until must be after from"))
	}
	return o
}

func (b *builder) instant(src source, field, text string, loc *time.Location) time.Time {
	at, err := parseInstant(text, loc)
	if err != nil {
		b.add(src.value(field, err))
	}
	return at
}

func (b *builder) hours(src source, field string, y hoursYAML) hours {
	h := hours{}
	var err error
	if h.days, err = parseDays(or(y.Days, "mon-fri")); err != nil {
		b.add(src.value(field+".days", err))
	}
	var wrong bool
	if h.from, err = parseClock(or(y.From, "09:00")); err != nil {
		b.add(src.value(field+".from", err))
		wrong = true
	}
	if h.until, err = parseClock(or(y.Until, "18:00")); err != nil {
		b.add(src.value(field+".until", err))
		wrong = true
	}
	if !wrong && h.until <= h.from {
		b.add(src.at(field+".until", "working hours end before they begin", "until must be after from, on the same day"))
	}
	return h
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (b *builder) route(src source, field string, y routeYAML) {
	rt := route{schedule: y.Schedule}
	b.uses(src, field+".schedule", y.Schedule, "schedule", b.isSchedule)
	if len(y.Matchers) == 0 {
		b.add(src.at(field+".matchers", "a route without matchers takes everything", "use default_schedule for what no route takes"))
	}
	for i, text := range y.Matchers {
		m, err := labels.ParseMatcher(text)
		if err != nil {
			b.add(src.at(fmt.Sprintf("%s.matchers.%d", field, i), err.Error(), `such as 'service="payment-service"' or 'service=~"payment-.*"'`))
			continue
		}
		rt.matchers = append(rt.matchers, m)
	}
	b.r.routes = append(b.r.routes, rt)
}

func (b *builder) defaultSchedule(src source, name string) {
	if name == "" {
		return
	}
	if b.defaultAt != "" {
		b.add(src.at("default_schedule", "given twice", "the first is at "+b.defaultAt))
		return
	}
	b.r.fallback = name
	b.defaultAt = strings.TrimSuffix(src.at("default_schedule", "", "").Place(), ": ")
	b.uses(src, "default_schedule", name, "schedule", b.isSchedule)
}

// roster looks up all names and returns what was built.
func (b *builder) roster(paths []string) (*Roster, error) {
	for _, c := range b.checks {
		if !c.known(c.name) {
			b.add(c.src.at(c.field, fmt.Sprintf("unknown %s %q", c.what, c.name), ""))
		}
	}
	if b.defaultAt == "" {
		p := diag.Problem{Field: "default_schedule", Message: "missing", Hint: "name the schedule that looks after what no route takes"}
		if len(paths) > 0 {
			p.File = paths[0]
		}
		b.add(p)
	}
	if err := b.problems.Err(); err != nil {
		return nil, err
	}
	return b.r, nil
}

// parseInstant reads RFC 3339, or a date and time of the zone's clock.
func parseInstant(text string, loc *time.Location) (time.Time, error) {
	const hint = `such as "2026-11-02T09:00" (the schedule's time zone) or "2026-11-02T09:00:00+08:00"`
	if text == "" {
		return time.Time{}, problem{"missing", hint}
	}
	at, err := time.Parse(time.RFC3339, text)
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02"} {
		if reading, e := time.Parse(layout, text); e == nil {
			at, err = firstInstant(reading, loc), nil
		}
	}
	if err != nil {
		return time.Time{}, problem{fmt.Sprintf("%q is no time", text), hint}
	}
	if at.Year() < 1970 || at.Year() > 2999 {
		return time.Time{}, problem{fmt.Sprintf("%q is not between the years 1970 and 2999", text), hint}
	}
	return at.UTC(), nil
}

// Parse reads one on-call file, named name in problems, into a roster.
func Parse(name string, content []byte) (*Roster, error) {
	b := newBuilder()
	b.file(name, content)
	return b.roster([]string{name})
}
