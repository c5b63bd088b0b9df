package incident

import (
	"fmt"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Bounds of bundles.
const (
	maxMembers   = 500 // pages that one bundle stands for
	maxEntryData = 20  // alerts of each incident in a bundle, one a cluster
)

// pack puts pages of a channel into bundles where a person is due more than
// a person can read: P3s that are due at one time, and what is above the
// person's limit of a minute. It returns the pages to send as they are.
func (c *claim) pack(channel string, fresh []page.Page) ([]page.Page, error) {
	if c.c.PagesPerMinute < 0 {
		return fresh, nil
	}
	var whole []page.Page
	byAddress := map[string][]page.Page{}
	var addresses []string
	for _, p := range fresh {
		if p.Kind == page.Updated || p.Kind == page.Report || c.incidents[p.Incident.ID].Drill {
			whole = append(whole, p)
			continue
		}
		if _, ok := byAddress[p.To.Address]; !ok {
			addresses = append(addresses, p.To.Address)
		}
		byAddress[p.To.Address] = append(byAddress[p.To.Address], p)
	}
	for _, address := range addresses {
		b := inbox{claim: c, channel: channel, address: address, claimed: byAddress[address]}
		some, err := b.sort()
		if err != nil {
			return nil, fmt.Errorf("bundle pages to %s by %s: %w", byAddress[address][0].To.User, channel, err)
		}
		whole = append(whole, some...)
	}
	return whole, nil
}

// inbox is what is due to one address of a channel.
type inbox struct {
	*claim
	channel, address string
	claimed          []page.Page
	due              []page.Page // the claimed ones, and those that nobody has claimed, most urgent first
}

// sort returns the claimed pages that go as they are.
func (b *inbox) sort() ([]page.Page, error) {
	if err := b.look(); err != nil {
		return nil, err
	}
	if err := b.digest(); err != nil {
		return nil, err
	}
	n, first, last, err := b.tx.Recent(b.channel, b.address, b.at.Add(-time.Minute), keysOf(b.claimed))
	if err != nil {
		return nil, err
	}
	room := b.c.PagesPerMinute - n
	if len(b.due) <= room {
		return b.claimed, nil
	}
	if room <= 0 {
		err = b.crowded(first, last)
	} else {
		err = b.split(room)
	}
	return b.claimed, err // those that are due and not claimed are so soon
}

// look reads what else is due, without what tells nobody anything.
func (b *inbox) look() error {
	rest, err := b.tx.DueTo(b.channel, b.address, b.at, maxMembers)
	if err != nil {
		return err
	}
	if err := b.load(rest); err != nil {
		return err
	}
	b.due = slices.Clone(b.claimed)
	for _, p := range rest {
		inc := b.incidents[p.Incident.ID]
		if p.Attempt == 0 && p.Kind != page.Updated && p.Kind != page.Bundle && p.Kind != page.Report && !inc.Drill && !pointless(p, inc, b.at) {
			b.due = append(b.due, p)
		}
	}
	slices.SortStableFunc(b.due, func(a, b page.Page) int { return int(a.Incident.Level) - int(b.Incident.Level) })
	return nil
}

// digest makes one page of several P3s.
func (b *inbox) digest() error {
	calm := slices.DeleteFunc(slices.Clone(b.due), func(p page.Page) bool { return p.Incident.Level != alert.P3 })
	if len(calm) < 2 {
		return nil
	}
	return b.bundle(calm)
}

// split lets as many P1s go whole as the room leaves, and bundles the rest.
func (b *inbox) split(room int) error {
	urgent := 0
	for urgent < len(b.due) && urgent < room-1 && b.due[urgent].Incident.Level == alert.P1 {
		urgent++
	}
	return b.bundle(slices.Clone(b.due[urgent:]))
}

// crowded bundles what is due to somebody who had all pages of this minute:
// at once when a P1 is among them and the last page was a while ago, else
// when the minute is over.
func (b *inbox) crowded(first, last time.Time) error {
	next := first.Add(time.Minute)
	if b.due[0].Incident.Level == alert.P1 {
		next = last.Add(time.Minute / time.Duration(b.c.PagesPerMinute))
	}
	if first.IsZero() { // all of them are being sent
		next = b.at.Add(lookAgain)
	}
	if !next.After(b.at) {
		return b.bundle(slices.Clone(b.due))
	}
	err := b.tx.Defer(keysOf(b.due), next)
	b.claimed, b.due = nil, nil
	return err
}

// bundle makes one page that stands for others, which are due no more. One
// alone stays as it is.
func (b *inbox) bundle(members []page.Page) error {
	if len(members) < 2 {
		return nil
	}
	p := page.Page{
		Key:  fmt.Sprintf("bundle/%s/%s", base36(b.at), members[0].Key),
		Kind: page.Bundle, To: members[0].To, At: members[0].At, Round: members[0].Round, Attempt: 1,
		Incident: b.incidents[members[0].Incident.ID],
	}
	for _, m := range members {
		if m.At.Before(p.At) {
			p.At = m.At
		}
		p.Others = append(p.Others, b.entry(m))
	}
	if err := b.tx.Bundle(p, b.at, b.until, keysOf(members)); err != nil {
		return err
	}
	p.Link = b.c.Link(p.Incident.ID)
	b.send = append(b.send, p)
	inBundle := func(p page.Page) bool {
		return slices.ContainsFunc(members, func(m page.Page) bool { return m.Key == p.Key })
	}
	b.claimed = slices.DeleteFunc(b.claimed, inBundle)
	b.due = slices.DeleteFunc(b.due, inBundle)
	return b.tx.Compose(p)
}

func (b *inbox) entry(m page.Page) page.Entry {
	inc := b.incidents[m.Incident.ID]
	all := inc.Alerts
	inc.Alerts, inc.AlertCount = nil, max(len(all), inc.AlertCount)
	known := map[string]bool{}
	for _, a := range all {
		if cluster := a.Label(alert.LabelCluster); !known[cluster] && len(inc.Alerts) < maxEntryData {
			known[cluster] = true
			inc.Alerts = append(inc.Alerts, a)
		}
	}
	return page.Entry{Kind: m.Kind, Incident: inc, Link: b.c.Link(inc.ID)}
}

func keysOf(pages []page.Page) []string {
	keys := make([]string, len(pages))
	for i, p := range pages {
		keys[i] = p.Key
	}
	return keys
}
