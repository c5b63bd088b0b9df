package oncall

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/timeinterval"
)

// Own is the service that Midwatch's alerts of itself name.
const Own = "midwatch"

// alonePrefix is before the name of a schedule in the name of the policy that
// is that schedule alone.
const alonePrefix = "schedule:"

// Route is how alerts are looked after.
type Route struct {
	Policy  string   // name of the escalation policy; schedule:NAME for that of a schedule alone
	GroupBy []string // labels whose values tell incidents apart; none: the default ones
}

type route struct {
	place    place
	matchers labels.Matchers
	policy   string
	groupBy  []string
	mute     []string // time intervals in which nobody is paged
	active   []string // time intervals outside of which nobody is paged; none: always
}

// Route returns how something with these labels is looked after: by the
// first route whose matchers all match, else by the default policy.
// Midwatch's own alerts go to the admins, where the files name some.
func (r *Roster) Route(of map[string]string) Route {
	if rt := r.routeOf(of); rt != nil {
		return Route{Policy: rt.policy, GroupBy: slices.Clone(rt.groupBy)}
	}
	if r.own(of) {
		return Route{Policy: r.admins}
	}
	return Route{Policy: r.fallback}
}

func (r *Roster) own(of map[string]string) bool { return r.admins != "" && of["service"] == Own }

// routeOf returns the route that takes something, nil when none does.
func (r *Roster) routeOf(of map[string]string) *route {
	if r.own(of) {
		return nil
	}
	for i := range r.routes {
		if matches(r.routes[i].matchers, of) {
			return &r.routes[i]
		}
	}
	return nil
}

func matches(all labels.Matchers, of map[string]string) bool {
	for _, m := range all {
		if !m.Matches(of[m.Name]) {
			return false
		}
	}
	return true
}

// Muted says why nobody is to be paged for something with these labels at an
// instant, by a maintenance window or a time interval of its route, and until
// when that surely holds; ok is false when somebody is.
func (r *Roster) Muted(at time.Time, of map[string]string) (why string, until time.Time, ok bool) {
	for _, m := range r.maintenance {
		if !matches(m.matchers, of) {
			continue
		}
		if until, ok := m.covers(at); ok {
			return m.why(), until, true
		}
	}
	rt := r.routeOf(of)
	if rt == nil {
		return "", time.Time{}, false
	}
	for _, name := range rt.mute {
		if in := r.intervals[name]; in.contains(at) {
			return fmt.Sprintf("time interval %q", name), in.until(at), true
		}
	}
	return r.inactive(rt.active, at)
}

// inactive tells whether an instant is in none of the intervals, and until
// when that surely holds.
func (r *Roster) inactive(active []string, at time.Time) (why string, until time.Time, ok bool) {
	until = forever
	for _, name := range active {
		in := r.intervals[name]
		if in.contains(at) {
			return "", time.Time{}, false
		}
		until = earlier(until, in.until(at))
	}
	if len(active) == 0 {
		return "", time.Time{}, false
	}
	return "outside " + strings.Join(active, ", "), until, true
}

// maintenance is when nobody is paged for what its matchers match.
type maintenance struct {
	name, comment string
	matchers      labels.Matchers
	span          span
	recurs        bool
	handoff       handoff // begins each time, when it recurs
	duration      time.Duration
	loc           *time.Location
}

func (m maintenance) why() string {
	if m.comment == "" {
		return "maintenance " + m.name
	}
	return fmt.Sprintf("maintenance %s: %s", m.name, m.comment)
}

// maxChained is how many spans that follow each other are taken as one.
const maxChained = 1000

// covers tells whether an instant is in maintenance, and until when.
func (m maintenance) covers(at time.Time) (until time.Time, ok bool) {
	switch {
	case !m.span.covers(at):
		return time.Time{}, false
	case !m.recurs:
		return m.span.until, true
	}
	begin, ok := m.handoff.last(furthest(at, m.loc))
	until = firstInstant(begin, m.loc).Add(m.duration)
	if !ok || !until.After(at) {
		return time.Time{}, false
	}
	for range maxChained {
		next, _ := m.handoff.next(begin)
		from := firstInstant(next, m.loc)
		if from.After(until) {
			break
		}
		begin, until = next, from.Add(m.duration)
	}
	if !m.span.until.IsZero() {
		until = earlier(until, m.span.until)
	}
	return until, true
}

// interval is a named set of time intervals, as Alertmanager has them.
type interval []timeinterval.TimeInterval

func (in interval) contains(at time.Time) bool {
	return slices.ContainsFunc(in, func(ti timeinterval.TimeInterval) bool { return ti.ContainsTime(at.UTC()) })
}

// maxEdges bounds how many edges of intervals are looked at for the end of
// one.
const maxEdges = 200

// until returns an instant up to which the answer of contains is the same.
func (in interval) until(at time.Time) time.Time {
	is, end := in.contains(at), at
	for range maxEdges {
		end = in.edge(end)
		if in.contains(end) != is {
			break
		}
	}
	return end.UTC()
}

// edge returns the first instant after another at which an interval may begin
// or end: at the times of day that it names, at midnight, and where the clock
// is set.
func (in interval) edge(at time.Time) time.Time {
	next := at.AddDate(0, 0, 1)
	for _, ti := range in {
		loc := time.UTC
		if ti.Location != nil {
			loc = ti.Location.Location
		}
		if end := zoneEnd(at, loc); !end.IsZero() {
			next = earlier(next, end)
		}
		shown := read(at, loc)
		day := midnight(shown)
		minutes := []int{24 * 60}
		for _, t := range ti.Times {
			minutes = append(minutes, t.StartMinute, t.EndMinute)
		}
		for _, m := range minutes {
			if edge := day.Add(time.Duration(m) * time.Minute); edge.After(shown) {
				next = earlier(next, at.Add(edge.Sub(shown)))
			}
		}
	}
	return next
}
