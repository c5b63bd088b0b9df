// Package oncall says who is on call: a pure function of the on-call files
// and an instant. It reads no clock, sends nothing and keeps no state; what
// is decided while an incident runs (acknowledgements, escalation) is not
// here.
package oncall

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/midwatch-slo/midwatch/page"
)

// Roster is everything that the on-call files say. It does not change, and
// may be used from several goroutines.
type Roster struct {
	users     map[string]user
	schedules map[string]schedule
	order     []string // names of schedules as the files list them
	routes    []route
	fallback  string // the default schedule
}

type user struct {
	fullName string
	timezone string // "" when the file gives none
	contacts []contact
}

type contact struct{ channel, address string }

type schedule struct {
	loc       *time.Location
	rotation  rotation
	overrides []override
	hours     hours
}

type override struct {
	user        string
	from, until time.Time
}

type route struct {
	matchers labels.Matchers
	schedule string
}

// Schedules returns the names of all schedules, in the order of the files.
func (r *Roster) Schedules() []string { return slices.Clone(r.order) }

// Location returns the time zone of a schedule, UTC for one that does not
// exist.
func (r *Roster) Location(name string) *time.Location {
	if s, ok := r.schedules[name]; ok {
		return s.loc
	}
	return time.UTC
}

// Channels returns the names of all channels that contacts name, sorted, so
// that one that is not configured can be found before somebody needs it.
func (r *Roster) Channels() []string {
	seen := map[string]bool{}
	for _, u := range r.users {
		for _, c := range u.contacts {
			seen[c.channel] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Route returns the name of the schedule that looks after something with
// these labels: that of the first route whose matchers all match, else the
// default schedule.
func (r *Roster) Route(of map[string]string) string {
	for _, rt := range r.routes {
		if rt.matches(of) {
			return rt.schedule
		}
	}
	return r.fallback
}

func (rt route) matches(of map[string]string) bool {
	for _, m := range rt.matchers {
		if !m.Matches(of[m.Name]) {
			return false
		}
	}
	return true
}

// Contacts returns every way to reach whoever is on call at an instant for
// something with these labels, best first. It is never empty.
func (r *Roster) Contacts(at time.Time, of map[string]string) []page.Contact {
	name := r.Route(of)
	return r.ways(r.At(name, at).User, r.schedules[name].loc.String())
}

// ways lists a user's contacts; times are told in zone when the user has
// none.
func (r *Roster) ways(name, zone string) []page.Contact {
	u := r.users[name]
	if u.timezone != "" {
		zone = u.timezone
	}
	ways := make([]page.Contact, len(u.contacts))
	for i, c := range u.contacts {
		ways[i] = page.Contact{User: name, FullName: u.fullName, Channel: c.channel, Address: c.address, Timezone: zone}
	}
	return ways
}

// WorkingTime returns at itself when it is within the working hours of the
// schedule that looks after something with these labels, else when they next
// begin.
func (r *Roster) WorkingTime(at time.Time, of map[string]string) time.Time {
	s := r.schedules[r.Route(of)]
	return s.hours.next(at, s.loc)
}
