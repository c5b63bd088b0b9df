package wecom

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/notifiers/robot"
	"github.com/midwatch-slo/midwatch/page"
)

// duplicateInterval is how long the provider takes the same request for the
// same message: its maximum, four hours.
const duplicateInterval = 4 * time.Hour

// message is a request to send something. The provider recognises the same
// request, so it holds nothing that differs from try to try.
type message struct {
	ToUser   string   `json:"touser"`
	MsgType  string   `json:"msgtype"`
	AgentID  int      `json:"agentid"`
	Text     *content `json:"text,omitempty"`
	Markdown *content `json:"markdown,omitempty"`
	Card     *card    `json:"template_card,omitempty"`
	Check    int      `json:"enable_duplicate_check"`
	Interval int      `json:"duplicate_check_interval"`
}

type content struct {
	Content string `json:"content"`
}

// Send sends the page to the member whose user id is p.To.Address. The same
// page again within four hours is accepted and shown once. The reference is
// to a card, which a page of the kind page.Updated changes as far as the
// provider lets it be changed.
func (n *Notifier) Send(ctx context.Context, p page.Page) (ref string, err error) {
	if !isMember(p.To.Address) {
		return "", n.permanent(fmt.Errorf("%q is no user id", p.To.Address))
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	if p.Kind == page.Updated && p.Ref != "" {
		return n.update(ctx, p)
	}
	give, wait := n.pace.Take(strings.ToLower(p.To.Address))
	if wait > 0 {
		return "", &page.SendError{Channel: n.config.Name, Temporary: true, RetryAfter: wait, Err: errors.New("the provider would drop more messages to one member")}
	}
	a, task, err := n.sendBody(ctx, p)
	if err != nil {
		if !provider.InDoubt(err) {
			give()
		}
		return "", n.failure(err)
	}
	return n.sent(ctx, p, a, task)
}

// sendBody sends a page: the request that was made before when nobody knows
// what became of it, so that the provider recognises it. task names its card.
func (n *Notifier) sendBody(ctx context.Context, p page.Page) (a answer, task string, err error) {
	body, known := n.doubts.get(p.Key)
	if !known {
		if body, err = provider.Encode(n.message(p)); err != nil {
			return answer{}, "", n.permanent(fmt.Errorf("encode message: %w", err))
		}
	}
	a, err = n.call(ctx, pathSend, body)
	switch {
	case err != nil && provider.InDoubt(err):
		n.doubts.put(p.Key, body)
	case err == nil || !n.failure(err).Temporary: // else an earlier try may have arrived all the same
		n.doubts.remove(p.Key)
	}
	return a, taskIn(body), err
}

// sent notes a message that the provider has taken.
func (n *Notifier) sent(ctx context.Context, p page.Page, a answer, task string) (ref string, err error) {
	if member := p.To.Address; a.InvalidUser.has(member) || a.UnlicensedUser.has(member) {
		return "", n.permanent(fmt.Errorf("%s is outside the application's range, or not licensed", member))
	}
	n.retire(ctx, p)
	if task == "" {
		return "", nil
	}
	n.cards.put(task, shownCard{p, appearance(p)})
	return reference{Code: a.ResponseCode, Task: task, At: n.config.Now().Unix()}.String(), nil
}

// asCard tells whether the page is sent as a card: that is for what can be
// acknowledged.
func (n *Notifier) asCard(p page.Page) bool {
	switch p.Kind {
	case page.Resolved, page.Bundle, page.Report:
		return false
	default:
		return n.config.Message == messageCard && p.Incident.ID != 0 && p.Incident.Status != alert.Closed
	}
}

func (n *Notifier) message(p page.Page) message {
	m := message{ToUser: p.To.Address, AgentID: n.config.AgentID, Check: 1, Interval: int(duplicateInterval / time.Second)}
	switch {
	case n.asCard(p):
		m.MsgType, m.Card = "template_card", newCard(p)
	case n.config.Message == messageMarkdown:
		m.MsgType, m.Markdown = "markdown", &content{robot.Markdown(p, dialect(), "", MaxMarkdown)}
	default:
		m.MsgType, m.Text = "text", &content{p.Text(MaxText)}
	}
	return m
}

// dialect is the Markdown of the provider
// (https://developer.work.weixin.qq.com/document/path/90236).
func dialect() robot.Dialect { return robot.Dialect{Break: "\n", Heading: "### ", Quote: "> "} }

// call posts with the token at hand, and once more with another when the
// provider says that it is not valid.
func (n *Notifier) call(ctx context.Context, path string, body []byte) (answer, error) {
	token, err := n.tokens.get(ctx)
	if err != nil {
		return answer{}, &provider.Unsent{Err: err}
	}
	a, err := n.api.post(ctx, path, token, body)
	refused, ok := errors.AsType[*provider.Refusal](err)
	if !ok || !aboutToken(refused) {
		return a, err
	}
	n.config.Logger.DebugContext(ctx, "access token refused", "channel", n.config.Name, "errcode", refused.Code)
	n.tokens.forget(token)
	if token, err = n.tokens.get(ctx); err != nil {
		return answer{}, &provider.Unsent{Err: err}
	}
	return n.api.post(ctx, path, token, body)
}

func (n *Notifier) permanent(err error) error {
	return &page.SendError{Channel: n.config.Name, Err: err}
}

func (n *Notifier) failure(err error) *page.SendError {
	if se, ok := errors.AsType[*page.SendError](err); ok {
		return se
	}
	return provider.Failure(n.config.Name, err, passing())
}
