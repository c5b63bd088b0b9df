// Package robot sends pages to group chats through the webhook robots that
// WeCom, DingTalk and Feishu have: it says what is the same for all of them,
// whom an address mentions, how Markdown is cut, and how often a robot may
// speak. It knows none of their protocols.
package robot

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/page"
)

// Request is what one message is sent by.
type Request struct {
	URL  string // may hold secrets
	Body []byte
}

// Protocol is how one provider's robots are spoken to.
type Protocol struct {
	Limits  []provider.Limit // of messages of one robot
	Passing provider.Waits   // codes that pass
	Blocked []int            // those of them after which the robot is silenced for their time

	Request func(p page.Page, m Mentions) (Request, error)
	Read    func(answer []byte) error // nil, or a *provider.Refusal where there is a code
}

// Robot is one robot in one group.
type Robot struct {
	settings provider.Settings
	protocol Protocol
	client   *provider.Client
	pace     *provider.Pace
}

var _ notifiers.Notifier = (*Robot)(nil)

// New returns a robot; the settings have their defaults.
func New(s provider.Settings, p Protocol) *Robot {
	return &Robot{s, p, provider.NewClient(s.Transport, s.Now), provider.NewPace(s.Now, p.Limits...)}
}

// Inherit takes over how much an earlier notifier of the same robot has sent.
// Both may go on sending. It must come before the first Send.
func (r *Robot) Inherit(from *Robot) { r.pace = from.pace }

// Send sends the page to the group, mentioning whom p.To.Address names. These
// providers recognise no message that they have had before: a page in doubt
// that is sent again may be shown twice.
func (r *Robot) Send(ctx context.Context, p page.Page) (ref string, err error) {
	m, err := ParseMentions(p.To.Address)
	if err != nil {
		return "", &page.SendError{Channel: r.settings.Name, Err: err}
	}
	give, wait := r.pace.Take("")
	if wait > 0 {
		return "", &page.SendError{
			Channel: r.settings.Name, Temporary: true, RetryAfter: wait, Err: errors.New("the provider would drop more messages of one robot"),
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.settings.Timeout)
	defer cancel()
	err = r.deliver(ctx, p, m)
	if err == nil {
		return "", nil
	}
	if !provider.InDoubt(err) {
		give()
	}
	return "", r.failure(err)
}

func (r *Robot) deliver(ctx context.Context, p page.Page, m Mentions) error {
	req, err := r.protocol.Request(p, m)
	if err != nil {
		return &page.SendError{Channel: r.settings.Name, Err: fmt.Errorf("encode message: %w", err)}
	}
	answer, err := r.client.Do(ctx, http.MethodPost, req.URL, req.Body)
	if err != nil {
		if refused, ok := errors.AsType[*provider.Refusal](err); ok && refused.Status < http.StatusInternalServerError {
			// Feishu tells what is wrong in the body of a 400.
			if coded, is := errors.AsType[*provider.Refusal](r.protocol.Read(refused.Body)); is {
				err = coded
			}
		}
		return fmt.Errorf("send message: %w", err)
	}
	if err := r.protocol.Read(answer); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// failure tells what an error means for the page, and for those after it.
func (r *Robot) failure(err error) error {
	if se, ok := errors.AsType[*page.SendError](err); ok {
		return se
	}
	se := provider.Failure(r.settings.Name, err, r.protocol.Passing)
	if refused, ok := errors.AsType[*provider.Refusal](err); ok {
		for _, code := range r.protocol.Blocked {
			if refused.Code == code {
				r.pace.Block("", r.protocol.Passing[code])
			}
		}
	}
	return se
}

// Fit returns the first body that compose makes of at most limit bytes,
// giving it less and less room for its text, from room on.
func Fit(limit, room int, compose func(room int) ([]byte, error)) ([]byte, error) {
	for {
		body, err := compose(room)
		if err != nil || len(body) <= limit {
			return body, err
		}
		room -= max(len(body)-limit, room/8)
		if room < 100 {
			return nil, fmt.Errorf("%d bytes are too few for a message", limit)
		}
	}
}
