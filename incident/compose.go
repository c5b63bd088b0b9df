package incident

import (
	"fmt"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// claim is one look at the outbox: the pages that it takes, complete, so that
// the same is sent again should this process die while it sends them.
type claim struct {
	*Engine
	tx        Tx
	at, until time.Time
	incidents map[int64]alert.Incident // with alerts, as far as they were asked for

	send    []page.Page
	settled []outcome // without a try
}

// take claims pages of a channel for which there is room.
func (c *claim) take(channel string, room int) error {
	pages, err := c.tx.Claim(channel, c.at, c.until, room)
	if err != nil {
		return err
	}
	if pages, err = c.leave(pages); err != nil {
		return err
	}
	if err := c.load(pages); err != nil {
		return err
	}
	fresh, err := c.sift(pages)
	if err != nil {
		return err
	}
	if fresh, err = c.pack(channel, fresh); err != nil {
		return err
	}
	return c.compose(fresh)
}

// leave gives back pages that this process still has in hand: a try of theirs
// is settled, and not yet forgotten, or goes on although the claim ran out.
func (c *claim) leave(pages []page.Page) ([]page.Page, error) {
	var busy []string
	pages = slices.DeleteFunc(pages, func(p page.Page) bool {
		if c.slots.has(p) {
			busy = append(busy, p.Key)
			return true
		}
		return false
	})
	return pages, c.tx.Defer(busy, c.at.Add(lookSoon))
}

// load reads the incidents of pages.
func (c *claim) load(pages []page.Page) error {
	var missing []int64
	for _, p := range pages {
		if _, ok := c.incidents[p.Incident.ID]; !ok {
			missing = append(missing, p.Incident.ID)
		}
	}
	slices.Sort(missing)
	found, err := c.tx.IncidentsWithAlerts(slices.Compact(missing))
	for _, inc := range found {
		c.incidents[inc.ID] = inc
	}
	return err
}

// sift returns the pages that are tried for the first time. Of the others,
// those that still tell somebody something are sent as they were composed.
func (c *claim) sift(pages []page.Page) (fresh []page.Page, err error) {
	var again []string
	for _, p := range pages {
		if p.Attempt > 1 {
			again = append(again, p.Key)
		}
	}
	composed, err := c.tx.Composed(again)
	if err != nil {
		return nil, err
	}
	for _, p := range pages {
		if useless, err := c.useless(p); err != nil || useless {
			if err != nil {
				return nil, err
			}
			continue
		}
		if known, ok := composed[p.Key]; ok {
			known.Attempt = p.Attempt
			c.send = append(c.send, known)
			continue
		}
		fresh = append(fresh, p)
	}
	return fresh, nil
}

// useless settles a page that is not to be sent, or not now.
func (c *claim) useless(p page.Page) (bool, error) {
	inc := c.incidents[p.Incident.ID]
	switch {
	case p.Kind == page.Bundle:
		return c.uselessBundle(p)
	case pointless(p, inc, c.at):
		return true, c.drop(p, errPointless.Error())
	case p.Kind == page.Updated || p.Kind == page.Resolved || p.Kind == page.Called || inc.Drill:
		return false, nil
	}
	if inc.Level == alert.P3 { // it was due earlier, and no provider took it or we were away
		if due := c.workingTime(c.at, inc); due.After(c.at) {
			c.settled = append(c.settled, outcome{page: p, result: resultRetried, err: errTooEarly})
			return true, c.tx.PutOff(p.Key, due, errTooEarly.Error())
		}
	}
	if p.Attempt > 1 {
		return false, nil
	}
	return c.muted(p, inc)
}

// muted drops a page about something that was muted since the page was
// enqueued. There is another when that ends.
func (c *claim) muted(p page.Page, inc alert.Incident) (bool, error) {
	until, err := c.muteAndTell(c.tx, &inc, c.at)
	if err != nil || inc.Muted == "" {
		return false, err
	}
	if err := beginAnew(c.tx, &inc); err != nil {
		return false, err
	}
	inc.NextPageAt = until
	c.incidents[inc.ID] = inc
	if err := c.tx.SaveIncident(inc); err != nil {
		return false, err
	}
	return true, c.drop(p, inc.Muted)
}

func (c *claim) drop(p page.Page, reason string) error {
	c.settled = append(c.settled, outcome{page: p, result: resultDropped})
	return c.tx.MarkDropped(p.Key, c.at, reason)
}

// uselessBundle drops a bundle when none of its pages tells anybody anything.
func (c *claim) uselessBundle(p page.Page) (bool, error) {
	members, err := c.tx.Members(p.Key)
	if err != nil {
		return false, err
	}
	if err := c.load(members); err != nil {
		return false, err
	}
	for _, m := range members {
		if !pointless(m, c.incidents[m.Incident.ID], c.at) {
			return false, nil
		}
	}
	return true, c.drop(p, errPointless.Error())
}

// pointless tells whether a page has nothing to say of an incident: after
// somebody looks after it, snoozes it or it is over, only its end is told,
// messages are brought up to date, and those come who were called for help
// and did not acknowledge it themselves.
func pointless(p page.Page, inc alert.Incident, at time.Time) bool {
	switch p.Kind {
	case page.Resolved:
		return inc.Status != alert.Closed
	case page.Updated:
		return false
	case page.Called:
		if inc.Status != alert.Closed && slices.Contains(inc.Responders, p.To.User) && p.To.User != inc.AckedBy {
			return false
		}
	default:
	}
	return inc.Status != alert.Open || inc.SnoozedUntil.After(at)
}

// compose completes pages and keeps what they say.
func (c *claim) compose(pages []page.Page) error {
	ids := make([]int64, len(pages))
	for i, p := range pages {
		ids[i] = p.Incident.ID
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	evidence, facts, err := c.tx.Findings(ids)
	if err != nil {
		return err
	}
	posts, err := c.tx.Posts(ids)
	if err != nil {
		return err
	}
	var keep []page.Page
	for _, p := range pages {
		edits := c.c.Sender.Edits(p.To.Channel)
		if p.Ref = posts[p.Thread()].Ref; p.Kind == page.Updated && (p.Ref == "" || !edits) {
			if err := c.drop(p, "there is no message to change"); err != nil {
				return err
			}
			continue
		}
		p.Evidence, p.SLO = evidence[p.Incident.ID], facts[p.Incident.ID]
		if p, err = c.complete(p, edits); err != nil {
			return fmt.Errorf("read the story of incident %d: %w", p.Incident.ID, err)
		}
		c.send = append(c.send, p)
		if p.Kind != page.Updated { // which says at each try what is true then
			keep = append(keep, p)
		}
	}
	return c.tx.Compose(keep...)
}

// maxStory is how many lines of its story a page has, the last ones.
const maxStory = 50

// complete adds to a page what is known of its incident.
func (c *claim) complete(p page.Page, story bool) (_ page.Page, err error) {
	p.Incident = c.incidents[p.Incident.ID]
	p.Link = c.c.Link(p.Incident.ID)
	p.AckLink = c.c.AckLink(p)
	if p.Kind == page.Opened && p.Evidence == nil && c.c.Evidence != nil && c.c.EvidenceWait > 0 && !p.Incident.Drill {
		p.Evidence = []page.Evidence{{Source: "evidence", Problem: fmt.Sprintf("not found within %s", c.c.EvidenceWait)}}
	}
	if story {
		p.Story, err = c.tx.Events(p.Incident.ID)
		p.Story = p.Story[max(0, len(p.Story)-maxStory):]
	}
	return p, err
}
