package oncall

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// maxAfter is the longest that a rule may put off a page.
const maxAfter = 24 * time.Hour

func (b *builder) user(src source, field string, y userYAML) {
	ok := b.named(src, field+".name", y.Name, b.userAt)
	u := user{place: src.place(field + ".name"), fullName: y.FullName, timezone: y.Timezone, language: y.Language, ownZone: y.Timezone != ""}
	if !b.text(src, field+".full_name", y.FullName) || y.FullName == "" {
		u.fullName = y.Name
	}
	if y.Timezone != "" {
		b.zone(src, field+".timezone", y.Timezone)
	}
	b.language(src, field+".language", y.Language)
	if len(y.Contacts) == 0 {
		b.add(src.at(field+".contacts", fmt.Sprintf("%s cannot be reached", u.fullName), "list at least one {channel, address}"))
	}
	for i, c := range y.Contacts {
		at := fmt.Sprintf("%s.contacts.%d", field, i)
		b.present(src, at+".channel", c.Channel)
		b.present(src, at+".address", c.Address)
		u.contacts = append(u.contacts, contact{c.Channel, c.Address})
	}
	u.rules = b.rules(src, field+".rules", u, y.Rules)
	if ok {
		b.r.users[y.Name] = u
		b.r.userOrder = append(b.r.userOrder, y.Name)
	}
}

func (b *builder) rules(src source, field string, u user, y map[string][]ruleYAML) map[alert.Level][]rule {
	all := map[alert.Level][]rule{}
	for name, list := range y {
		at := field + "." + name
		level, err := alert.ParseLevel(name)
		_, dup := all[level]
		switch {
		case err != nil || level == alert.Info:
			b.add(src.at(at, fmt.Sprintf("%q is none of P1, P2, P3", name), "Info never pages anyone"))
			continue
		case dup:
			b.add(src.at(at, fmt.Sprintf("%s is given twice", level), ""))
		}
		if len(list) == 0 {
			b.add(src.at(at, fmt.Sprintf("%s is not paged at %s", u.fullName, level), "list at least one {channel, after} or {contact, after}"))
		}
		all[level] = nil
		for i, r := range list {
			all[level] = append(all[level], b.rule(src, fmt.Sprintf("%s.%d", at, i), u, r)...)
		}
	}
	return all
}

// rule returns a rule for each contact that one of the file means.
func (b *builder) rule(src source, field string, u user, y ruleYAML) (all []rule) {
	after := b.duration(src, field+".after", y.After, 0, maxAfter)
	if (y.Channel == "") == (y.Contact == "") {
		b.add(src.at(field, "want a channel, or a contact", "the channel of a contact above, or its address"))
		return nil
	}
	for i, c := range u.contacts {
		if c.channel == y.Channel || c.address == y.Contact {
			all = append(all, rule{contact: i, after: after})
		}
	}
	switch {
	case len(all) > 0:
	case y.Channel != "":
		b.add(src.at(field+".channel", fmt.Sprintf("%s has no contact by %q", u.fullName, y.Channel), "name the channel of a contact above"))
	default:
		b.add(src.at(field+".contact", fmt.Sprintf("%s has no contact %q", u.fullName, y.Contact), "name the address of a contact above"))
	}
	return all
}

func (b *builder) team(src source, field string, y teamYAML) {
	ok := b.named(src, field+".name", y.Name, b.teamAt)
	b.members(src, field+".members", y.Members)
	if ok {
		b.r.teams[y.Name] = y.Members
	}
}

func (b *builder) members(src source, field string, names []string) {
	if len(names) == 0 {
		b.add(src.at(field, "nobody is in it", "list at least one user"))
	}
	seen := map[string]bool{}
	for i, name := range names {
		at := fmt.Sprintf("%s.%d", field, i)
		b.usesUser(src, at, name)
		if seen[name] && name != "" {
			b.add(src.at(at, fmt.Sprintf("%q is given twice", name), ""))
		}
		seen[name] = true
	}
}
