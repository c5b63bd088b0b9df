package oncall

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Bounds of a policy.
const (
	maxSteps      = 50
	maxRepeat     = 100
	maxWait       = 7 * 24 * time.Hour
	maxAckTimeout = 30 * 24 * time.Hour
	maxGroupBy    = 20
)

func (b *builder) policy(src source, field string, y policyYAML) {
	ok := b.named(src, field+".name", y.Name, b.policyAt)
	if strings.HasPrefix(y.Name, alonePrefix) {
		b.add(src.at(field+".name", fmt.Sprintf("%q begins like the policies of schedules alone", y.Name), "another name"))
	}
	p := &policy{place: src.place(field + ".name"), name: y.Name, repeat: defaultRepeat}
	if y.Repeat != nil {
		p.repeat = *y.Repeat
	}
	if p.repeat < 0 || p.repeat > maxRepeat {
		b.add(src.at(field+".repeat", fmt.Sprintf("%d is not between 0 and %d", p.repeat, maxRepeat), ""))
	}
	p.ackTimeout = b.duration(src, field+".ack_timeout", y.AckTimeout, time.Minute, maxAckTimeout)
	if len(y.Steps) == 0 || len(y.Steps) > maxSteps {
		b.add(src.at(field+".steps", fmt.Sprintf("%d steps", len(y.Steps)), fmt.Sprintf("from 1 to %d are allowed", maxSteps)))
	}
	each(y.Steps, field+".steps", func(at string, s stepYAML) { p.steps = append(p.steps, b.step(src, at, s)) })
	p.lastResort = b.targets(src, field+".last_resort", y.LastResort)
	b.alwaysSomebody(src, field, p)
	if ok {
		b.r.policies[y.Name] = p
		b.r.policyOrder = append(b.r.policyOrder, y.Name)
	}
}

// alwaysSomebody makes sure that a policy has somebody at its end, whoever is
// on call and whatever the hour.
func (b *builder) alwaysSomebody(src source, field string, p *policy) {
	const hint = "name a user, a team or a channel: schedules may have nobody on call"
	switch {
	case slices.ContainsFunc(p.lastResort, target.certain):
	case len(p.lastResort) > 0:
		b.add(src.at(field+".last_resort", "the last resort may be empty", hint))
	case len(p.steps) > 0:
		last := p.steps[len(p.steps)-1]
		if len(last.levels) > 0 || last.hours != "" || len(last.tiers) > 0 || !slices.ContainsFunc(last.targets, target.certain) {
			b.add(src.at(field+".last_resort", "missing, and the last step may have nobody", hint))
		}
	}
}

// certain tells whether there is always somebody.
func (t target) certain() bool { return t.kind != toSchedule }

func (b *builder) step(src source, field string, y stepYAML) policyStep {
	s := policyStep{wait: b.duration(src, field+".wait", y.Wait, time.Second, maxWait), hours: y.Hours, tiers: y.Tiers}
	if len(y.Targets) == 0 {
		b.add(src.at(field+".targets", "nobody is paged", "list at least one {schedule}, {user}, {team}, {round_robin} or {channel, address}"))
	}
	s.targets = b.targets(src, field+".targets", y.Targets)
	for i, name := range y.Levels {
		level, err := alert.ParseLevel(name)
		if err != nil || level == alert.Info {
			b.add(src.at(fmt.Sprintf("%s.levels.%d", field, i), fmt.Sprintf("%q is none of P1, P2, P3", name), "Info never pages anyone"))
		}
		s.levels = append(s.levels, level)
	}
	switch y.Hours {
	case "", "working", "off":
	case "always":
		s.hours = ""
	default:
		b.add(src.at(field+".hours", fmt.Sprintf("%q is none of working, off, always", y.Hours), ""))
	}
	return s
}

func (b *builder) targets(src source, field string, list []targetYAML) (all []target) {
	each(list, field, func(at string, y targetYAML) {
		if t, ok := b.target(src, at, y); ok {
			all = append(all, t)
		}
	})
	return all
}

func (b *builder) target(src source, field string, y targetYAML) (t target, ok bool) {
	if y.RoundRobin.wrong {
		b.add(src.at(field+".round_robin", "neither the name of a team nor a list of users", "such as core, or [li.wei, ana]"))
		return t, false
	}
	given := 0
	for _, is := range []bool{y.Schedule != "", y.User != "", y.Team != "", y.Channel != "", y.RoundRobin.team != "", y.RoundRobin.users != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		b.add(src.at(field, "want one of schedule, user, team, round_robin and channel", "each target is an element of the list"))
		return t, false
	}
	if y.Channel == "" && (y.Address != "" || y.FullName != "" || y.Timezone != "" || y.Language != "") {
		b.add(src.at(field, "address, full_name, timezone and language are of a channel", "users have their own"))
	}
	switch {
	case y.Schedule != "":
		t = target{kind: toSchedule, name: y.Schedule}
		b.uses(src, field+".schedule", y.Schedule, "schedule", b.schedAt)
	case y.User != "":
		t = target{kind: toUser, name: y.User}
		b.usesUser(src, field+".user", y.User)
	case y.Team != "":
		t = target{kind: toTeam, name: y.Team}
		b.uses(src, field+".team", y.Team, "team", b.teamAt)
	case y.RoundRobin.team != "":
		t = target{kind: toRoundRobin, name: y.RoundRobin.team}
		b.uses(src, field+".round_robin", t.name, "team", b.teamAt)
	case y.RoundRobin.users != nil:
		t = target{kind: toRoundRobin, members: y.RoundRobin.users}
		b.members(src, field+".round_robin", t.members)
	default:
		t = b.channel(src, field, y)
	}
	return t, true
}

// channel reads a target that is no person. It has a name of its own, as each
// person has.
func (b *builder) channel(src source, field string, y targetYAML) target {
	b.present(src, field+".channel", y.Channel)
	b.present(src, field+".address", y.Address)
	b.text(src, field+".full_name", y.FullName)
	if y.Timezone != "" {
		b.zone(src, field+".timezone", y.Timezone)
	}
	b.language(src, field+".language", y.Language)
	return target{kind: toChannel, contact: page.Contact{
		User: y.Channel + ":" + y.Address, FullName: or(y.FullName, y.Channel+" "+y.Address),
		Channel: y.Channel, Address: y.Address, Timezone: y.Timezone, Language: y.Language,
	}}
}

// alone returns the name of the policy that is a schedule alone.
func (b *builder) alone(name string) string {
	id := alonePrefix + name
	if _, ok := b.r.policies[id]; !ok {
		b.r.policies[id] = &policy{
			name: id, repeat: defaultRepeat, alone: true,
			steps: []policyStep{{targets: []target{{kind: toSchedule, name: name}}}},
		}
	}
	return id
}

func (b *builder) route(src source, field string, y routeYAML) {
	rt := route{place: src.place(field), policy: y.Policy, groupBy: y.GroupBy, mute: y.MuteTimeIntervals, active: y.ActiveTimeIntervals}
	switch {
	case y.Schedule != "" && y.Policy != "":
		b.add(src.at(field+".schedule", "both a policy and a schedule are given", "a schedule is short for a policy of one step"))
	case y.Policy != "":
		b.uses(src, field+".policy", y.Policy, "policy", b.policyAt)
	default:
		b.uses(src, field+".schedule", y.Schedule, "schedule", b.schedAt)
		rt.policy = b.alone(y.Schedule)
		b.alwaysSomeone(src, field+".schedule", y.Schedule)
	}
	if len(y.Matchers) == 0 {
		b.add(src.at(field+".matchers", "a route without matchers takes everything", "use default_schedule or default_policy for what no route takes"))
	} else {
		rt.matchers = b.matchers(src, field+".matchers", y.Matchers, "")
	}
	b.groupBy(src, field+".group_by", y.GroupBy)
	for key, names := range map[string][]string{"mute_time_intervals": y.MuteTimeIntervals, "active_time_intervals": y.ActiveTimeIntervals} {
		for i, name := range names {
			b.uses(src, fmt.Sprintf("%s.%s.%d", field, key, i), name, "time interval", b.spanAt)
		}
	}
	b.r.routes = append(b.r.routes, rt)
}

func (b *builder) groupBy(src source, field string, names []string) {
	if len(names) > maxGroupBy {
		b.add(src.at(field, fmt.Sprintf("%d labels", len(names)), fmt.Sprintf("up to %d are allowed", maxGroupBy)))
	}
	for i, name := range names {
		if !model.LegacyValidation.IsValidLabelName(name) || slices.Index(names, name) < i {
			b.add(src.at(fmt.Sprintf("%s.%d", field, i), fmt.Sprintf("%q is no label, or given twice", name), "such as service, slo or cluster"))
		}
	}
}

// fallback notes what looks after that which no route takes.
func (b *builder) fallback(src source, field, name string, known map[string]string, prefix string) {
	if name == "" {
		return
	}
	p := src.at(field, "", "")
	if b.defaultAt != "" {
		p.Message, p.Hint = "given twice", "the first is at "+b.defaultAt
		b.add(p)
		return
	}
	b.defaultAt = strings.TrimSuffix(p.Place(), ": ")
	b.r.fallback = name
	what := "policy"
	if prefix != "" {
		b.r.fallback, what = b.alone(name), "schedule"
		b.alwaysSomeone(src, field, name)
	}
	b.uses(src, field, name, what, known)
}

func (b *builder) admins(src source, name string) {
	if name == "" {
		return
	}
	p := src.at("admins", "", "")
	if b.adminsAt != "" {
		p.Message, p.Hint = "given twice", "the first is at "+b.adminsAt
		b.add(p)
		return
	}
	b.adminsAt = strings.TrimSuffix(p.Place(), ": ")
	b.r.admins = name
	b.uses(src, "admins", name, "policy", b.policyAt)
}

func (b *builder) intervals(src source, field string, y intervalsYAML) {
	ok := b.named(src, field+".name", y.Name, b.spanAt)
	if len(y.TimeIntervals) == 0 {
		b.add(src.at(field+".time_intervals", "missing", "as in Alertmanager, such as [{weekdays: ['saturday:sunday'], location: Asia/Shanghai}]"))
	}
	var in interval
	each(y.TimeIntervals, field+".time_intervals", func(at string, ti intervalYAML) {
		if ti.err != nil {
			b.add(src.at(at, ti.err.Error(), "as in Alertmanager: times, weekdays, days_of_month, months, years, location"))
		}
		in = append(in, ti.TimeInterval)
	})
	if ok {
		b.r.intervals[y.Name] = in
	}
}

// maxMaintenance is the longest span of maintenance that recurs.
const maxMaintenance = 31 * 24 * time.Hour

func (b *builder) maintenance(src source, field string, y maintenanceYAML) {
	b.named(src, field+".name", y.Name, b.maintAt)
	m := maintenance{name: y.Name, comment: y.Comment, recurs: y.Cron != "", loc: time.UTC}
	b.text(src, field+".comment", y.Comment)
	m.matchers = b.matchers(src, field+".matchers", y.Matchers, "nobody is paged for what they match")
	if y.Timezone != "" {
		m.loc = b.zone(src, field+".timezone", y.Timezone)
	}
	m.span = b.openSpan(src, field, y.Start, y.End, m.loc, [2]string{"start", "end"}, "the maintenance")
	switch {
	case y.Cron != "":
		var err error
		if m.handoff, err = parseHandoff(y.Cron); err != nil {
			b.add(src.value(field+".cron", err))
		}
		m.duration = b.duration(src, field+".duration", y.Duration, time.Minute, maxMaintenance)
		if y.Duration == "" {
			b.add(src.at(field+".duration", "missing", "how long it takes each time, such as 2h"))
		}
	case y.Duration != "":
		b.add(src.at(field+".duration", "a duration is of maintenance that recurs", "give its cron, or its end"))
	default:
		for key, text := range map[string]string{"start": y.Start, "end": y.End} {
			if text == "" {
				b.add(src.at(field+"."+key, "missing", "a start and an end, or a cron and a duration"))
			}
		}
	}
	b.r.maintenance = append(b.r.maintenance, m)
}
