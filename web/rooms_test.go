package web

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// people stands in for who is on call and what people do: it notes each deed
// in rooms.acted.
type people struct {
	*rooms
	rotas     []wire.Rota
	overrides []wire.Override
	deeds     []wire.Deed
	drills    []wire.Drill
	delivery  wire.Delivery
	beats     map[string]time.Time
}

var (
	_ Desk       = (*people)(nil)
	_ Rotas      = (*people)(nil)
	_ Calendars  = (*people)(nil)
	_ Overrides  = (*people)(nil)
	_ Audit      = (*people)(nil)
	_ Drills     = (*people)(nil)
	_ Delivery   = (*people)(nil)
	_ Heartbeats = (*people)(nil)
)

func (p *people) Escalate(ctx context.Context, id int64, actor string) (alert.Incident, error) {
	return p.act(ctx, "escalate via "+alert.Via(ctx), id, actor)
}

func (p *people) Snooze(ctx context.Context, id int64, until time.Time, actor string) (alert.Incident, error) {
	return p.act(ctx, "snooze until "+until.Format(time.TimeOnly), id, actor)
}

func (p *people) Reassign(ctx context.Context, id int64, users []string, actor string) (alert.Incident, error) {
	return p.act(ctx, "reassign to "+strings.Join(users, "+"), id, actor)
}

func (p *people) AddResponders(ctx context.Context, id int64, users []string, actor string) (alert.Incident, error) {
	return p.act(ctx, "add "+strings.Join(users, "+"), id, actor)
}

func (p *people) Note(ctx context.Context, id int64, text, actor string) (alert.Incident, error) {
	return p.act(ctx, fmt.Sprintf("note %q", text), id, actor)
}

func (p *people) Merge(ctx context.Context, from, into int64, actor string) (alert.Incident, error) {
	return p.act(ctx, fmt.Sprintf("merge into %d", into), from, actor)
}

func (p *people) Users() []wire.User {
	return []wire.User{{Name: "lin", FullName: "Lin Yue"}, {Name: "wei", FullName: "Wei Chen"}, {Name: "ada"}}
}

func (p *people) Rotas(from, to time.Time) []wire.Rota {
	var list []wire.Rota
	for _, r := range p.rotas {
		r.Shifts = between(r.Shifts, from, to)
		list = append(list, r)
	}
	return list
}

func (p *people) ScheduleCalendar(name string, _ time.Time) ([]byte, error) {
	return p.calendar("schedule", name)
}

func (p *people) UserCalendar(name string, _ time.Time) ([]byte, error) {
	return p.calendar("user", name)
}

func (p *people) calendar(kind, name string) ([]byte, error) {
	if name == "nobody" {
		return nil, ErrNotFound
	}
	return []byte("BEGIN:VCALENDAR " + kind + " " + name), p.fail
}

func (p *people) Overrides(context.Context) ([]wire.Override, error) { return p.overrides, p.fail }

func (p *people) AddOverride(_ context.Context, o wire.Override, actor string) (wire.Override, error) {
	if o.Schedule == "nothing" {
		return o, &RefusedError{Reason: "there is no schedule nothing"}
	}
	o.ID = int64(len(p.overrides) + 1)
	p.overrides = append(p.overrides, o)
	p.acted = append(p.acted, "override by "+actor)
	return o, p.actFail
}

func (p *people) EndOverride(_ context.Context, id int64, actor string) error {
	if id > int64(len(p.overrides)) {
		return ErrNotFound
	}
	p.acted = append(p.acted, fmt.Sprintf("end override %d by %s", id, actor))
	return p.actFail
}

func (p *people) Deeds(_ context.Context, before int64, limit int) (list []wire.Deed, err error) {
	for _, d := range p.deeds {
		if (before == 0 || d.ID < before) && len(list) < limit {
			list = append(list, d)
		}
	}
	return list, p.fail
}

func (p *people) Drills(context.Context) ([]wire.Drill, error) { return p.drills, p.fail }

func (p *people) StartDrill(_ context.Context, what wire.DrillRequest, actor string) (wire.Drill, error) {
	p.acted = append(p.acted, fmt.Sprintf("drill %s%s %s by %s", what.Schedule, what.User, what.Level, actor))
	return wire.Drill{Incident: 77, StartedBy: actor, To: what.Schedule + what.User}, p.actFail
}

func (p *people) Delivery(context.Context) (wire.Delivery, error) { return p.delivery, p.fail }
func (p *people) Beats(context.Context) (map[string]time.Time, error) {
	return p.beats, p.fail
}

// newOffice is a house in which all is served.
func newOffice(change func(*Config)) (*people, *memory, func(*Config)) {
	p := &people{}
	m := &memory{}
	return p, m, func(c *Config) {
		p.rooms = c.Incidents.(*rooms)
		m.now = c.Now
		c.Desk, c.Rotas, c.Calendars, c.Overrides, c.Audit, c.Drills, c.Delivery, c.Heartbeats = p, p, p, p, p, p, p, p
		c.Silences, c.Alerts = m, m
		c.LinkKey = []byte("0123456789abcdef0123456789abcdef")
		if change != nil {
			change(c)
		}
	}
}

// furnish puts something on every page.
func (p *people) furnish() {
	day := 24 * time.Hour
	midnight := start.Truncate(day)
	var weekly, nightly []wire.Shift
	for i := range 4 {
		who := []wire.User{{Name: "lin", FullName: "Lin Yue"}, {Name: "wei", FullName: "Wei Chen"}}[i%2]
		from := midnight.Add(time.Duration(7*i-5)*day + 2*time.Hour)
		weekly = append(weekly, wire.Shift{User: who.Name, FullName: who.FullName, From: from, Until: from.Add(7 * day)})
	}
	weekly[1].Until = weekly[1].Until.Add(-20 * time.Hour)
	weekly = append(weekly[:2], append([]wire.Shift{{From: weekly[1].Until, Until: weekly[1].Until.Add(20 * time.Hour)}}, weekly[2:]...)...)
	for i := range 20 {
		who := []wire.User{{Name: "lin", FullName: "Lin Yue"}, {Name: "wei", FullName: "Wei Chen"}, {Name: "ada"}}[i%3]
		from := midnight.Add(time.Duration(i-2) * day)
		nightly = append(nightly, wire.Shift{User: who.Name, FullName: who.FullName, From: from, Until: from.Add(day), Override: i == 6})
	}
	p.rotas = []wire.Rota{{Schedule: "payments", Timezone: "Asia/Shanghai", Shifts: weekly}, {Schedule: "platform", Timezone: "Europe/Berlin", Shifts: nightly}}
	p.watches = []wire.Watch{
		{Schedule: "payments", Now: weekly[0], Next: weekly[1]},
		{Schedule: "platform", Now: wire.Shift{From: start, Until: start.Add(time.Hour)}, Next: nightly[0]},
	}
	p.overrides = []wire.Override{{ID: 1, Schedule: "platform", User: "lin", From: midnight.Add(4 * day), Until: midnight.Add(5 * day), Reason: "a wedding", CreatedBy: "Wei Chen"}}
	p.deeds = []wire.Deed{
		{ID: 3, At: start.Add(-time.Minute), Actor: "Lin Yue", Via: "chat", Action: "acknowledge", Target: "incident 42"},
		{ID: 2, At: start.Add(-time.Hour), Actor: "Wei Chen", Via: "ui", Action: "silence", Target: "silence 0f3c", Detail: `service="batch"`},
		{ID: 1, At: start.Add(-24 * time.Hour), Actor: "", Via: "file", Action: "reload", Detail: "3 files changed"},
	}
	p.drills = []wire.Drill{
		{Incident: 44, StartedAt: start.Add(-30 * time.Second), StartedBy: "Wei Chen", To: "payments", Users: []string{"lin"}, DeliveredAt: start.Add(-29600 * time.Millisecond)},
		{Incident: 40, StartedAt: start.Add(-48 * time.Hour), StartedBy: "Wei Chen", To: "platform", Users: []string{"ada"}, Problem: "email: 550 no such mailbox"},
		{Incident: 39, StartedAt: start.Add(-72 * time.Hour), StartedBy: "Lin Yue", To: "payments", Users: []string{"lin"}, DeliveredAt: start.Add(-72*time.Hour + 800*time.Millisecond), AckedAt: start.Add(-72*time.Hour + 95*time.Second), AckedBy: "Lin Yue"},
	}
	p.delivery = wire.Delivery{
		Channels: []wire.Channel{
			{Name: "email", Queued: 0, SentAt: start.Add(-time.Hour)},
			{Name: "wecom", Queued: 3, Oldest: start.Add(-3 * time.Minute), SentAt: start.Add(-4 * time.Minute), FailedAt: start.Add(-time.Minute), LastError: "errcode 45009: reach max api daily quota limit"},
		},
		Dead: []page.Record{{
			Page: page.Page{
				Kind: page.Opened, To: page.Contact{User: "ada", Channel: "email", Address: "ada@secret.example"}, AckLink: "https://midwatch/a/41/secret", At: start.Add(-time.Hour),
				Incident: alert.Incident{ID: 41, Level: alert.P2}, Attempt: 7,
			},
			State: page.Dead, SettledAt: start.Add(-30 * time.Minute), Reason: "550 no such mailbox",
		}},
	}
	p.beats = map[string]time.Time{"hangzhou": start.Add(-40 * time.Second), "beijing": start.Add(-11 * time.Minute)}
}
