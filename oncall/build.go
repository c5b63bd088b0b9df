package oncall

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

// builder collects documents into a roster, and problems on the way.
type builder struct {
	r         *Roster
	problems  diag.Problems
	checks    []check // of names that a later file may bring
	links     []func()
	reads     bool           // files that the files name
	calendars []func(*names) // to be matched when all users are known
	userAt    map[string]string
	teamAt    map[string]string
	schedAt   map[string]string
	policyAt  map[string]string
	calAt     map[string]string
	spanAt    map[string]string // of time intervals
	maintAt   map[string]string
	defaultAt string
	adminsAt  string
}

// check is a name used somewhere, to be looked up when all is read.
type check struct {
	src   source
	field string
	name  string
	known map[string]string
	what  string
}

func newBuilder() *builder {
	return &builder{
		r: &Roster{
			users: map[string]user{}, teams: map[string][]string{}, schedules: map[string]*schedule{},
			policies: map[string]*policy{}, calendars: builtIn(), holidays: map[string]calendarUse{}, intervals: map[string]interval{},
		},
		userAt: map[string]string{}, teamAt: map[string]string{}, schedAt: map[string]string{}, policyAt: map[string]string{},
		calAt: map[string]string{}, spanAt: map[string]string{}, maintAt: map[string]string{},
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
		src := source{file, root}
		if kind := yamldoc.Lookup(root, "kind"); kind != root && kind.Value == KindHolidayCalendar {
			b.calendarDocument(src)
			continue
		}
		b.document(src)
	}
}

func (b *builder) document(src source) {
	var d document
	ps := src.file.Decode(src.root, &d)
	b.problems = append(b.problems, ps...)

	if !b.version(src, d.APIVersion) {
		return
	}
	if d.Kind != Kind {
		b.add(src.at("kind", fmt.Sprintf("kind is %q", d.Kind), fmt.Sprintf("want %s or %s", Kind, KindHolidayCalendar)))
		return
	}
	each(d.Users, "users", func(field string, y userYAML) { b.user(src, field, y) })
	each(d.Teams, "teams", func(field string, y teamYAML) { b.team(src, field, y) })
	each(d.Schedules, "schedules", func(field string, y scheduleYAML) { b.schedule(src, field, y) })
	each(d.Policies, "policies", func(field string, y policyYAML) { b.policy(src, field, y) })
	each(d.TimeIntervals, "time_intervals", func(field string, y intervalsYAML) { b.intervals(src, field, y) })
	each(d.Routes, "routes", func(field string, y routeYAML) { b.route(src, field, y) })
	each(d.Maintenance, "maintenance", func(field string, y maintenanceYAML) { b.maintenance(src, field, y) })
	b.fallback(src, "default_policy", d.DefaultPolicy, b.policyAt, "")
	b.fallback(src, "default_schedule", d.DefaultSchedule, b.schedAt, alonePrefix)
	b.admins(src, d.Admins)
}

func (b *builder) version(src source, version string) bool {
	if version != APIVersion {
		b.add(src.at("apiVersion", fmt.Sprintf("apiVersion is %q", version), "want "+APIVersion))
	}
	return version == APIVersion
}

// each calls a function for each element of a list with its field.
func each[T any](list []T, field string, do func(field string, y T)) {
	for i, y := range list {
		do(fmt.Sprintf("%s.%d", field, i), y)
	}
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

func (b *builder) uses(src source, field, name, what string, known map[string]string) {
	if name == "" {
		b.add(src.at(field, "missing", ""))
		return
	}
	b.checks = append(b.checks, check{src, field, name, known, what})
}

func (b *builder) usesUser(src source, field, name string) {
	b.uses(src, field, name, "user", b.userAt)
}

func (b *builder) present(src source, field, value string) {
	switch {
	case strings.TrimSpace(value) == "":
		b.add(src.at(field, "missing", ""))
	case !fit(value):
		b.add(src.at(field, fmt.Sprintf("%q is not allowed", value), "up to 100 characters without white space"))
	}
}

// text reports what a terminal or a page would not show as it is written.
func (b *builder) text(src source, field, value string) (ok bool) {
	ok = utf8.RuneCountInString(value) <= 200 && !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) })
	if !ok {
		b.add(src.at(field, fmt.Sprintf("%.40q is not allowed", value), "up to 200 characters on one line"))
	}
	return ok
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

func (b *builder) language(src source, field, language string) {
	if language != "" && language != "zh" && language != "en" {
		b.add(src.at(field, fmt.Sprintf("%q is none of zh, en", language), ""))
	}
}

// duration reads a duration such as 5m, between two bounds; none is 0.
func (b *builder) duration(src source, field, text string, least, most time.Duration) time.Duration {
	if text == "" {
		return 0
	}
	d, err := model.ParseDuration(text)
	if err != nil || time.Duration(d) < least || time.Duration(d) > most {
		b.add(src.at(field, fmt.Sprintf("%q is no duration from %s to %s", text, model.Duration(least), model.Duration(most)), "such as 90s, 5m, 12h or 7d"))
		return 0
	}
	return time.Duration(d)
}

// instant reads a time; one that the local clock shows twice is the first.
func (b *builder) instant(src source, field, text string, loc *time.Location) time.Time {
	at, err := parseInstant(text, loc, firstInstant)
	if err != nil {
		b.add(src.value(field, err))
	}
	return at
}

// end reads a time; one that the local clock shows twice is the last.
func (b *builder) end(src source, field, text string, loc *time.Location) time.Time {
	at, err := parseInstant(text, loc, lastInstant)
	if err != nil {
		b.add(src.value(field, err))
	}
	return at
}

// span reads a span whose ends are both required.
func (b *builder) span(src source, field, from, until string, loc *time.Location, what string) span {
	before := len(b.problems)
	s := span{b.instant(src, field+".from", from, loc), b.end(src, field+".until", until, loc)}
	if len(b.problems) == before && !s.until.After(s.from) {
		b.add(src.at(field+".until", what+" ends before it begins", "until must be after from"))
	}
	return s
}

// openSpan reads a span without ends that are not given.
func (b *builder) openSpan(src source, field, from, until string, loc *time.Location, names [2]string, what string) (s span) {
	before := len(b.problems)
	if from != "" {
		s.from = b.instant(src, field+"."+names[0], from, loc)
	}
	if until != "" {
		s.until = b.end(src, field+"."+names[1], until, loc)
	}
	if len(b.problems) == before && until != "" && !s.until.After(s.from) {
		b.add(src.at(field+"."+names[1], what+" ends before it begins", fmt.Sprintf("%s must be after %s", names[1], names[0])))
	}
	return s
}

func (b *builder) matchers(src source, field string, texts []string, hint string) (all labels.Matchers) {
	if len(texts) == 0 {
		b.add(src.at(field, "missing", hint))
	}
	for i, text := range texts {
		m, err := labels.ParseMatcher(text)
		if err != nil {
			b.add(src.at(fmt.Sprintf("%s.%d", field, i), err.Error(), `such as 'service="payment-service"' or 'service=~"payment-.*"'`))
			continue
		}
		all = append(all, m)
	}
	return all
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// roster looks up all names and returns what was built.
func (b *builder) roster(paths []string) (*Roster, error) {
	for _, c := range b.checks {
		if _, ok := c.known[c.name]; !ok {
			b.add(c.src.at(c.field, fmt.Sprintf("unknown %s %q", c.what, c.name), ""))
		}
	}
	if b.defaultAt == "" {
		p := diag.Problem{Field: "default_schedule", Message: "missing", Hint: "name the schedule or, as default_policy, the policy that looks after what no route takes"}
		if len(paths) > 0 {
			p.File = paths[0]
		}
		b.add(p)
	}
	for _, link := range b.links {
		link()
	}
	if err := hideURLs(b.problems).Err(); err != nil {
		return nil, err
	}
	b.finish()
	return b.r, nil
}

// finish fills in what follows from several files.
func (b *builder) finish() {
	b.r.names = newNames(b.r.users)
	for _, match := range b.calendars {
		match(b.r.names)
	}
	for _, s := range b.r.schedules {
		s.people = people(s)
	}
	for _, name := range b.r.userOrder {
		u := b.r.users[name]
		for _, s := range b.r.order {
			if u.timezone == "" && slices.Contains(b.r.schedules[s].people, name) {
				u.timezone = b.r.schedules[s].loc.String()
			}
		}
		if u.timezone == "" {
			u.timezone = b.zoneOfAll().String()
		}
		b.r.users[name] = u
	}
	for _, p := range b.r.policies {
		p.usual = usualHours(b.zoneOf(p))
	}
}

// zoneOf returns the time zone of the first person of a policy.
func (b *builder) zoneOf(p *policy) *time.Location {
	for _, t := range p.targets() {
		name := t.name
		switch t.kind {
		case toTeam, toRoundRobin:
			name = append(slices.Clone(t.members), b.r.teams[t.name]...)[0]
		case toUser:
		default:
			continue
		}
		if loc, err := time.LoadLocation(b.r.users[name].timezone); err == nil {
			return loc
		}
	}
	return b.zoneOfAll()
}

// zoneOfAll returns the time zone of the first schedule.
func (b *builder) zoneOfAll() *time.Location {
	if len(b.r.order) > 0 {
		return b.r.schedules[b.r.order[0]].loc
	}
	return time.UTC
}

// parseInstant reads RFC 3339, or a date and time of the zone's clock, which
// resolve makes an instant.
func parseInstant(text string, loc *time.Location, resolve func(time.Time, *time.Location) time.Time) (time.Time, error) {
	const hint = `such as "2026-11-02T09:00" (the schedule's time zone) or "2026-11-02T09:00:00+08:00"`
	if text == "" {
		return time.Time{}, problem{"missing", hint}
	}
	at, err := time.Parse(time.RFC3339, text)
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02"} {
		if reading, e := time.Parse(layout, text); e == nil {
			at, err = resolve(reading, loc), nil
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

// Parse reads one on-call file, named name in problems, into a roster. It
// opens no files: calendars and addresses in files that it names are not
// known.
func Parse(name string, content []byte) (*Roster, error) {
	b := newBuilder()
	b.file(name, content)
	return b.roster([]string{name})
}
