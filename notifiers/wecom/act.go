package wecom

import (
	"context"
	"fmt"
	"strings"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
)

// act does what an event asks for.
func (c *callback) act(ctx context.Context, e event) {
	switch {
	case e.Type == "event" && e.Event == "template_card_event":
		if o, ok := parseOrder(e.Key); ok {
			c.click(ctx, e, o)
		}
	case e.Type == "text":
		c.command(ctx, e)
	}
}

// click does what a button says and shows on the card that it is done.
func (c *callback) click(ctx context.Context, e event, o order) {
	actor := c.actor(e.From)
	if err := c.do(ctx, o, actor); err != nil {
		c.config.Logger.ErrorContext(ctx, "button not obeyed", "channel", c.config.Name, "incident", o.Incident, "verb", o.Verb, "actor", actor, "error", err)
		c.reply(ctx, e.From, fmt.Sprintf(wordsIn(o.Language).failed, o.Incident))
		return
	}
	if e.ResponseCode == "" {
		return
	}
	if err := c.apply(ctx, c.done(e, o, actor)); err != nil {
		c.config.Logger.InfoContext(ctx, "card left as it is", "channel", c.config.Name, "incident", o.Incident, "error", err)
	}
}

// command does what a member wrote and says whether it is done.
func (c *callback) command(ctx context.Context, e event) {
	o, ok := parseCommand(e.Content)
	w := wordsIn(o.Language)
	if !ok {
		c.reply(ctx, e.From, w.usage)
		return
	}
	actor := c.actor(e.From)
	if err := c.do(ctx, o, actor); err != nil {
		c.config.Logger.ErrorContext(ctx, "message not obeyed", "channel", c.config.Name, "incident", o.Incident, "verb", o.Verb, "actor", actor, "error", err)
		c.reply(ctx, e.From, fmt.Sprintf(w.failed, o.Incident))
		return
	}
	said := map[string]string{verbAcknowledge: w.ackDone, verbEscalate: w.escDone, verbResolve: w.resolveDone}
	c.reply(ctx, e.From, fmt.Sprintf(said[o.Verb], o.Incident))
}

func (c *callback) do(ctx context.Context, o order, actor string) error {
	switch o.Verb {
	case verbAcknowledge:
		return c.desk.Acknowledge(ctx, o.Incident, actor)
	case verbEscalate:
		return c.desk.Escalate(ctx, o.Incident, actor)
	case verbResolve:
		return c.desk.Resolve(ctx, o.Incident, actor)
	}
	return fmt.Errorf("%q is nothing that can be done", o.Verb)
}

// actor names a member: as the on-call files do, else by the user id.
func (c *callback) actor(member string) string {
	if c.people != nil {
		if name, ok := c.people.Person(c.config.Name, member); ok {
			return name
		}
	}
	return member
}

// done returns the card that shows what was done and by whom, as far as the
// card is remembered; else its buttons are replaced by that.
func (c *callback) done(e event, o order, actor string) change {
	w, now := wordsIn(o.Language), c.config.Now()
	said := w.acknowledged(actor, now, o.Timezone)
	if o.Verb == verbEscalate {
		said = fmt.Sprintf(w.escalated, short(actor, maxActor), clockTime(now, o.Timezone))
	}
	done := change{UserIDs: []string{e.From}, AgentID: c.config.AgentID, Code: e.ResponseCode}
	shown, ok := c.cards.get(e.Task)
	if !ok || !strings.EqualFold(shown.page.To.Address, e.From) {
		done.Button = &grey{said}
		return done
	}
	p := shown.page
	if o.Verb == verbAcknowledge {
		p.Incident.Status, p.Incident.AckedBy, p.Incident.AckedAt = alert.Acknowledged, actor, now
	}
	done.Card = newCard(p)
	done.Card.TaskID = e.Task
	if o.Verb == verbEscalate {
		done.Card.MainTitle.Desc = short(said, maxDesc)
	}
	c.cards.put(e.Task, shownCard{p, appearance(p)})
	return done
}

// reply writes to a member. It counts as any other message does; one that the
// provider would drop is not sent.
func (c *callback) reply(ctx context.Context, member, text string) {
	give, wait := c.pace.Take(strings.ToLower(member))
	if wait > 0 {
		return
	}
	body, err := provider.Encode(message{ToUser: member, MsgType: "text", AgentID: c.config.AgentID, Text: &content{text}})
	if err == nil {
		_, err = c.call(ctx, pathSend, body)
	}
	if err != nil {
		give()
		c.config.Logger.InfoContext(ctx, "member not answered", "channel", c.config.Name, "error", err)
	}
}
