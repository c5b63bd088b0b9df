package wecom

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/page"
)

// codeLife is how long a response code can be used, once
// (https://developer.work.weixin.qq.com/document/path/94888).
const codeLife = 72 * time.Hour

// reference is to a card that can be changed once. It stays the card's when
// that is done: nobody is to be notified of an update.
type reference struct {
	Code string `json:"code"` // "" when the provider gave none
	Task string `json:"task"`
	At   int64  `json:"at"` // when it was given, in seconds since 1970
}

// String returns the reference as Send returns it.
func (r reference) String() string {
	b, err := json.Marshal(r)
	if err != nil || len(b) > 4096 {
		return ""
	}
	return string(b)
}

// readReference reads what String wrote.
func readReference(text string) (r reference, ok bool) {
	err := json.Unmarshal([]byte(text), &r)
	return r, err == nil && r.Code != "" && r.Task != ""
}

// usable returns the reference of a page when its card can still be changed.
func (n *Notifier) usable(p page.Page) (r reference, ok bool) {
	r, ok = readReference(p.Ref)
	return r, ok && !n.spent(r.Code) && n.config.Now().Sub(time.Unix(r.At, 0)) < codeLife
}

// change is a request to change a card for one member.
type change struct {
	UserIDs []string `json:"userids"`
	AgentID int      `json:"agentid"`
	Code    string   `json:"response_code"`
	Button  *grey    `json:"button,omitempty"`
	Card    *card    `json:"template_card,omitempty"`
}

// grey makes the buttons one that cannot be pressed.
type grey struct {
	Name string `json:"replace_name"`
}

func (n *Notifier) spent(code string) bool {
	_, used := n.codes.get(code)
	return used
}

// update changes the card that p.Ref is to. A code changes a card once, so it
// is kept for what the reader must know: that somebody has acknowledged, or
// that it is over. A card that cannot be changed any more is left as it is.
func (n *Notifier) update(ctx context.Context, p page.Page) (ref string, err error) {
	r, ok := n.usable(p)
	if !ok || p.Incident.Status == alert.Open || p.Incident.Status == "" {
		return p.Ref, nil
	}
	if shown, known := n.cards.get(r.Task); known && shown.appearance == appearance(p) {
		return p.Ref, nil
	}
	return n.changed(ctx, p, r, n.change(p, r.Code, r.Task))
}

// maxTries is how often a change is tried: nobody is to be woken for one.
const maxTries = 3

func (n *Notifier) changed(ctx context.Context, p page.Page, r reference, c change) (ref string, err error) {
	switch err = n.apply(ctx, c); {
	case err == nil:
		n.cards.put(r.Task, shownCard{p, appearance(p)})
		return p.Ref, nil
	case n.failure(err).Temporary && p.Attempt < maxTries:
		return p.Ref, n.failure(err)
	}
	n.config.Logger.InfoContext(ctx, "card left as it is", "channel", n.config.Name, "incident", p.Incident.ID, "error", err)
	return p.Ref, nil
}

// change shows how the incident of a page stands.
func (n *Notifier) change(p page.Page, code, task string) change {
	c := change{UserIDs: []string{p.To.Address}, AgentID: n.config.AgentID, Code: code}
	if p.Incident.Status == alert.Closed {
		at := p.Incident.ResolvedAt
		if at.IsZero() {
			at = p.At
		}
		c.Button = &grey{fmt.Sprintf(wordsOf(p.To).resolved, clockTime(at, p.To.Timezone))}
		return c
	}
	c.Card = newCard(p)
	c.Card.TaskID = task
	return c
}

// apply changes a card, and notes that the code is used up.
func (n *Notifier) apply(ctx context.Context, c change) error {
	body, err := provider.Encode(c)
	if err != nil {
		return n.permanent(fmt.Errorf("encode card: %w", err))
	}
	_, err = n.call(ctx, pathUpdate, body)
	if err == nil || !n.failure(err).Temporary {
		n.codes.put(c.Code, struct{}{})
	}
	return err
}

// retire takes the buttons of the card before this message away, so that the
// reader looks at the newer one. Whether that works delays and fails nothing.
func (n *Notifier) retire(ctx context.Context, p page.Page) {
	r, ok := n.usable(p)
	if !ok {
		return
	}
	c := change{UserIDs: []string{p.To.Address}, AgentID: n.config.AgentID, Code: r.Code, Button: &grey{wordsOf(p.To).newer}}
	if p.Incident.Status == alert.Closed {
		c = n.change(p, r.Code, r.Task)
	}
	n.work.start(ctx, func(ctx context.Context) {
		if err := n.apply(ctx, c); err != nil {
			n.config.Logger.InfoContext(ctx, "older card left as it is", "channel", n.config.Name, "incident", p.Incident.ID, "error", err)
		}
	})
}

// shownCard is a page that a member has as a card, and what it says of who
// looks after the incident.
type shownCard struct {
	page       page.Page
	appearance string
}

func appearance(p page.Page) string { return string(p.Incident.Status) + " " + p.Incident.AckedBy }
