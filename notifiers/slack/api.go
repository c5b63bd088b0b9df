package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/page"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 20

// api calls the Web API through slack-go, whose retries are off.
type api struct {
	client *slack.Client
	gates  *gates
	now    func() time.Time
}

func newAPI(c Config) *api {
	return &api{
		client: slack.New(c.BotToken.Reveal(), slack.OptionAPIURL(c.APIURL), slack.OptionHTTPClient(newDoer(c)),
			slack.OptionAppLevelToken(c.AppToken.Reveal())),
		gates: newGates(c.Now), now: c.Now,
	}
}

// doer makes slack-go's calls. It follows no redirects, which would take the
// token elsewhere, bounds answers, and names no URL in its errors.
type doer struct {
	client *http.Client
	now    func() time.Time
}

func newDoer(c Config) *doer {
	return &doer{now: c.Now, client: &http.Client{Transport: provider.Straight(c.Transport)}}
}

// Do reads the whole answer, so that half of one is noticed whatever is in it.
func (d *doer) Do(req *http.Request) (*http.Response, error) {
	res, err := d.client.Do(req)
	if err != nil {
		return nil, provider.Unnamed(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode != http.StatusOK {
		return nil, &refusal{status: res.StatusCode, code: strconv.Itoa(res.StatusCode), wait: provider.RetryAfter(res.Header, d.now())}
	}
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(content))
	return res, nil
}

// call makes one call of a method, unless Slack has said that it is too early
// for another one to the same conversation.
func (a *api) call(method, whom string, do func() error) error {
	if wait := a.gates.wait(method, whom); wait > 0 {
		return &refusal{code: "ratelimited", words: "Slack takes no more of these for now", wait: wait}
	}
	err := classify(do())
	if r, ok := errors.AsType[*refusal](err); ok && r.limited() {
		a.gates.shut(method, whom, r.wait)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// posted is where a message is.
type posted struct{ conversation, ts string }

// post sends a message. An answer that does not say where it is is none.
func (a *api) post(ctx context.Context, conversation string, m message) (p posted, err error) {
	options := []slack.MsgOption{
		slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(), slack.MsgOptionParse(false),
		slack.MsgOptionMetadata(metadata(m.key)),
	}
	if m.thread != "" {
		options = append(options, slack.MsgOptionTS(m.thread))
	}
	if m.broadcast {
		options = append(options, slack.MsgOptionBroadcast())
	}
	err = a.call("chat.postMessage", conversation, func() error {
		p.conversation, p.ts, err = a.client.PostMessageContext(ctx, conversation, options...)
		return answered(p.conversation != "" && p.ts != "", err)
	})
	return p, err
}

// answered turns a yes without what was asked for into an error.
func answered(complete bool, err error) error {
	if err == nil && !complete {
		return errors.New("the answer is not what Slack would say")
	}
	return err
}

func (a *api) update(ctx context.Context, conversation, ts string, m message) error {
	return a.call("chat.update", conversation, func() error {
		_, at, _, err := a.client.UpdateMessageContext(ctx, conversation, ts,
			slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...), slack.MsgOptionParse(false))
		return answered(at != "", err)
	})
}

func (a *api) open(ctx context.Context, user string) (id string, err error) {
	err = a.call("conversations.open", "", func() error {
		c, _, _, err := a.client.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
		if err == nil && c != nil {
			id = c.ID
		}
		return answered(id != "", err)
	})
	return id, err
}

func (a *api) lookup(ctx context.Context, address string) (id string, err error) {
	err = a.call("users.lookupByEmail", "", func() error {
		u, err := a.client.GetUserByEmailContext(ctx, address)
		if err == nil {
			id = u.ID
		}
		return answered(id != "", err)
	})
	return id, err
}

// profile is what Slack knows of a user.
type profile struct{ name, email string }

func (a *api) profile(ctx context.Context, id string) (p profile, err error) {
	err = a.call("users.info", "", func() error {
		u, err := a.client.GetUserInfoContext(ctx, id)
		if err == nil {
			p = profile{u.RealName, strings.ToLower(u.Profile.Email)}
		}
		return err
	})
	return p, err
}

// The names that a message carries its page's key under.
const (
	metadataType = "midwatch_page"
	metadataKey  = "key"
)

func metadata(key string) slack.SlackMetadata {
	return slack.SlackMetadata{EventType: metadataType, EventPayload: map[string]any{metadataKey: key}}
}

// find looks among the newest messages of a conversation, or of a thread in
// it, for the page's.
func (a *api) find(ctx context.Context, conversation, thread string, p page.Page) (found posted, ok bool) {
	if !conversationID.MatchString(conversation) {
		return posted{}, false
	}
	oldest := strconv.FormatInt(p.At.Add(-time.Minute).Unix(), 10)
	var messages []slack.Message
	err := a.call("conversations.history", conversation, func() (err error) {
		if thread != "" {
			messages, _, _, err = a.client.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
				ChannelID: conversation, Timestamp: thread, Oldest: oldest, Limit: 200, IncludeAllMetadata: true,
			})
			return err
		}
		h, err := a.client.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
			ChannelID: conversation, Oldest: oldest, Limit: 200, IncludeAllMetadata: true,
		})
		if err == nil {
			messages = h.Messages
		}
		return err
	})
	if err != nil {
		return posted{}, false
	}
	for _, m := range messages {
		if m.Metadata.EventType == metadataType && m.Metadata.EventPayload[metadataKey] == p.Key {
			return posted{conversation, m.Timestamp}, true
		}
	}
	return posted{}, false
}

// respond says something to who pressed a button, who alone sees it.
func (a *api) respond(ctx context.Context, d *doer, address, text string) error {
	body, err := json.Marshal(map[string]any{"response_type": "ephemeral", "replace_original": false, "text": text})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("the response URL is none")
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := d.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// refusal is an answer that is not yes.
type refusal struct {
	status int
	code   string // Slack's, or the status
	words  string
	wait   time.Duration
}

// Error says what Slack says; its code is in a page.SendError.
func (r *refusal) Error() string {
	switch {
	case r.words != "":
		return r.words
	case r.status != 0:
		return fmt.Sprintf("HTTP status %d", r.status)
	}
	return r.code
}

func (r *refusal) limited() bool {
	return r.status == http.StatusTooManyRequests || r.code == "ratelimited" || r.code == "rate_limited"
}

// temporary tells whether the same call may be answered otherwise later. Codes
// that are not known are permanent: most are about what was asked, and the
// page should go another way.
func (r *refusal) temporary() bool {
	if r.status != 0 {
		return r.status >= 500 || r.status == http.StatusTooManyRequests || r.status == http.StatusRequestTimeout
	}
	switch r.code {
	case "ratelimited", "rate_limited", "internal_error", "service_unavailable", "fatal_error", "request_timeout",
		"accesslimited", "team_added_to_org", "external_channel_migrating", "update_failed":
		return true
	}
	return false
}

// classify turns what slack-go returns into a refusal where Slack answered.
func classify(err error) error {
	said, ok := errors.AsType[slack.SlackErrorResponse](err)
	if !ok {
		return err
	}
	r := &refusal{code: provider.Plain(said.Err)}
	if messages := said.ResponseMetadata.Messages; len(messages) > 0 {
		r.words = provider.Plain(strings.Join(messages, "; "))
	}
	if r.limited() {
		r.wait = time.Second
	}
	return r
}

// unclear tells whether what was asked may have been done all the same.
func unclear(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	r, ok := errors.AsType[*refusal](err)
	return !ok || r.status >= 500 || r.code == "internal_error" || r.code == "fatal_error" || r.code == "request_timeout"
}

// gone tells whether there is no message to change or answer any more.
func gone(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return false
	}
	switch r.code {
	case "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "channel_not_found", "is_inactive":
		return true
	}
	return false
}
