// Package oncall says who is on call, whom a step of an escalation policy
// pages, and when nobody is to be paged: a pure function of the on-call
// files, calendars that somebody fetched, the overrides made at run time, and
// an instant. It reads no clock,
// sends nothing and keeps no state; what is decided while an incident runs
// (acknowledgements, when to escalate) is not here.
package oncall

import (
	"maps"
	"slices"
	"time"
)

// Roster is everything that the on-call files say. It does not change, and
// may be used from several goroutines.
type Roster struct {
	users     map[string]user
	teams     map[string][]string
	schedules map[string]*schedule
	policies  map[string]*policy // those of a schedule alone too
	calendars map[string]*calendar
	holidays  map[string]calendarUse // calendars that something names
	intervals map[string]interval
	names     *names // what users are called in calendars

	userOrder   []string // names as the files list them
	order       []string
	policyOrder []string // without those of a schedule alone

	routes      []route
	fallback    string // the default policy
	admins      string // the policy for Midwatch's own alerts
	maintenance []maintenance
	unknown     []Override
}

// calendarUse is where a holiday calendar is named first.
type calendarUse struct {
	place place
	loc   *time.Location
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

// Channels returns the names of all channels that contacts and policies name,
// sorted, so that one that is not configured can be found before somebody
// needs it.
func (r *Roster) Channels() []string {
	seen := map[string]bool{}
	for _, u := range r.users {
		for _, c := range u.contacts {
			seen[c.channel] = true
		}
	}
	for _, p := range r.policies {
		for _, t := range p.targets() {
			if t.kind == toChannel {
				seen[t.contact.Channel] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
