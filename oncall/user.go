package oncall

import (
	"cmp"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

type user struct {
	place    place
	fullName string
	timezone string // IANA name; that of the first schedule with the user when the file gives none
	ownZone  bool   // the file gives the time zone
	language string // zh or en
	contacts []contact
	rules    map[alert.Level][]rule // of levels that have rules
}

type contact struct{ channel, address string }

// rule is how a user is paged at a level: through one contact, after a while.
type rule struct {
	contact int // its number
	after   time.Duration
}

// Notice is a page to come.
type Notice struct {
	To    page.Contact
	After time.Duration // unless somebody acknowledges before; 0 at once
}

// rulesFor returns the rules of a level: the user's own, else all contacts at
// once at P1, and the first one at the other levels.
func (u user) rulesFor(level alert.Level) []rule {
	if own, ok := u.rules[level]; ok {
		return own
	}
	n := len(u.contacts)
	if level != alert.P1 {
		n = min(n, 1)
	}
	all := make([]rule, n)
	for i := range all {
		all[i].contact = i
	}
	return all
}

// notices returns the pages of a user's rules for a level, the soonest first;
// times are told in zone when the user has none.
func (u user) notices(name, zone string, level alert.Level) []Notice {
	rules := u.rulesFor(level)
	all := make([]Notice, len(rules))
	for i, r := range rules {
		all[i] = Notice{To: u.contact(name, zone, r.contact), After: r.after}
	}
	slices.SortStableFunc(all, func(a, b Notice) int { return cmp.Compare(a.After, b.After) })
	return all
}

func (u user) contact(name, zone string, i int) page.Contact {
	if u.ownZone || zone == "" {
		zone = u.timezone
	}
	return page.Contact{
		User: name, FullName: u.fullName, Channel: u.contacts[i].channel, Address: u.contacts[i].address,
		Timezone: zone, Language: u.language,
	}
}

// Ways returns every way to reach a user at a level, best first: the pages of
// the user's own rules for the level, then all other contacts at once. It is
// empty for a user who does not exist.
func (r *Roster) Ways(name string, level alert.Level) []Notice {
	u, ok := r.users[name]
	if !ok {
		return nil
	}
	all := u.notices(name, "", level)
	for i := range u.contacts {
		if c := u.contact(name, "", i); !slices.ContainsFunc(all, func(n Notice) bool { return n.To == c }) {
			all = append(all, Notice{To: c})
		}
	}
	return all
}

// User is a person of the on-call files.
type User struct {
	Name      string   // what the files call the person
	FullName  string   // as a reader would write it
	Timezone  string   // IANA name
	Language  string   // zh or en; "" is en
	Channels  []string // of the contacts, best first
	Teams     []string // sorted
	Schedules []string // whose layers name the person, in the order of the files
}

// Users returns everybody, in the order of the files.
func (r *Roster) Users() []User {
	all := make([]User, 0, len(r.userOrder))
	for _, name := range r.userOrder {
		u := r.users[name]
		one := User{Name: name, FullName: u.fullName, Timezone: u.timezone, Language: u.language}
		for _, c := range u.contacts {
			one.Channels = append(one.Channels, c.channel)
		}
		for team, members := range r.teams {
			if slices.Contains(members, name) {
				one.Teams = append(one.Teams, team)
			}
		}
		slices.Sort(one.Teams)
		for _, s := range r.order {
			if slices.Contains(r.schedules[s].people, name) {
				one.Schedules = append(one.Schedules, s)
			}
		}
		all = append(all, one)
	}
	return all
}
