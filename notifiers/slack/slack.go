// Package slack sends pages as messages of a Slack application: to people, or
// to channels. An incident is one message, which is brought up to date in
// place and has its story in its thread; its buttons act through the Handler
// over HTTP, or through Run over Socket Mode. It decides neither whom to tell
// nor what a button may do.
//
// What it keeps to is in Slack's documentation of the Web API, of Block Kit,
// of request signatures and of Socket Mode (docs.slack.dev).
package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/page"
)

// Config says which application sends. A secret and its file are
// alternatives.
type Config struct {
	BotToken          secret.Secret `yaml:"bot_token"` // xoxb-…
	BotTokenFile      string        `yaml:"bot_token_file"`
	SigningSecret     secret.Secret `yaml:"signing_secret"` // of buttons over HTTP
	SigningSecretFile string        `yaml:"signing_secret_file"`
	AppToken          secret.Secret `yaml:"app_token"` // xapp-…, of buttons over Socket Mode
	AppTokenFile      string        `yaml:"app_token_file"`
	Mention           string        `yaml:"mention"` // whom a P1 in a channel calls: here or channel; default nobody
	APIURL            string        `yaml:"api_url"` // default https://slack.com/api/
	Timeout           time.Duration `yaml:"timeout"` // of one send with all its calls; default 10s

	Name      string            `yaml:"-"` // of the channel; default slack
	Logger    *slog.Logger      `yaml:"-"` // default: none
	Transport http.RoundTripper `yaml:"-"` // default: one of its own, by the proxy of the environment
	Now       func() time.Time  `yaml:"-"` // default time.Now
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Files are not read.
func (c Config) Check() error {
	var errs []error
	if c.BotToken.Empty() && c.BotTokenFile == "" {
		errs = append(errs, errors.New("bot_token: missing: give bot_token or bot_token_file"))
	}
	errs = append(errs, begins("bot_token", c.BotToken, "xoxb-"), begins("app_token", c.AppToken, "xapp-"))
	if u, err := url.Parse(c.APIURL); c.APIURL != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		errs = append(errs, errors.New("api_url: want a URL such as https://slack.com/api/"))
	}
	if c.Mention != "" && c.Mention != "here" && c.Mention != "channel" {
		errs = append(errs, fmt.Errorf("mention: %q is neither here nor channel", c.Mention))
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("timeout: want more than 0"))
	}
	return errors.Join(errs...)
}

// begins tells tokens apart, which are easily taken for one another.
func begins(field string, token secret.Secret, with string) error {
	if token.Empty() || strings.HasPrefix(token.Reveal(), with) {
		return nil
	}
	return fmt.Errorf("%s: want a token that begins with %s", field, with)
}

func (c *Config) defaults() error {
	if err := c.Check(); err != nil {
		return err
	}
	if err := c.secrets(); err != nil {
		return err
	}
	if c.APIURL == "" {
		c.APIURL = "https://slack.com/api/"
	}
	c.APIURL = strings.TrimRight(c.APIURL, "/") + "/"
	if c.Name == "" {
		c.Name = "slack"
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Transport == nil {
		c.Transport = provider.Transport()
	}
	return nil
}

func (c *Config) secrets() (err error) {
	if c.BotToken, err = secret.Resolve("bot_token", c.BotToken, c.BotTokenFile); err != nil {
		return err
	}
	if c.SigningSecret, err = secret.Resolve("signing_secret", c.SigningSecret, c.SigningSecretFile); err != nil {
		return err
	}
	if c.AppToken, err = secret.Resolve("app_token", c.AppToken, c.AppTokenFile); err != nil {
		return err
	}
	return errors.Join(begins("bot_token", c.BotToken, "xoxb-"), begins("app_token", c.AppToken, "xapp-"))
}

// Notifier sends pages to people and channels of one workspace.
type Notifier struct {
	config   Config
	api      *api
	memory   *memory
	requests *requests
}

var (
	_ notifiers.Notifier = (*Notifier)(nil)
	_ notifiers.Editor   = (*Notifier)(nil)
)

// New returns a notifier. The error says what is wrong with the
// configuration; nothing is sent.
func New(c Config) (*Notifier, error) {
	if err := c.defaults(); err != nil {
		return nil, fmt.Errorf("slack: %w", err)
	}
	return &Notifier{config: c, api: newAPI(c), memory: newMemory(), requests: newRequests(c.Now)}, nil
}

// Inherit takes over what an earlier notifier of the same application knows:
// people's conversations, pages in doubt, limits that it met, and requests
// that it answered. Both may go on. It must come before the first Send.
func (n *Notifier) Inherit(from *Notifier) {
	if from.config.BotToken == n.config.BotToken && from.config.APIURL == n.config.APIURL {
		n.memory, n.requests, n.api.gates = from.memory, from.requests, from.api.gates
	}
}

// Edits is true: an incident's message is changed in place.
func (n *Notifier) Edits() bool { return true }

// interactive tells whether buttons reach us.
func (n *Notifier) interactive() bool {
	return !n.config.SigningSecret.Empty() || !n.config.AppToken.Empty()
}

// Send sends the page to p.To.Address: a user's id or email address, or the id
// or name of a channel. With a reference it changes the incident's message,
// and answers in its thread so that the reader is notified, unless the page is
// only an update.
func (n *Notifier) Send(ctx context.Context, p page.Page) (ref string, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	if ref, err = n.send(ctx, p); err != nil {
		return "", n.failure(err)
	}
	return ref, nil
}

func (n *Notifier) send(ctx context.Context, p page.Page) (string, error) {
	at, err := n.resolve(ctx, p.To.Address)
	if err != nil {
		return "", err
	}
	r, ok := parseReference(p.Ref)
	if !ok {
		return n.first(ctx, at, p)
	}
	switch err := n.change(ctx, &r, at, p); {
	case err == nil:
		return r.String(), nil
	case gone(err):
		return n.first(ctx, at, p)
	default:
		return "", err
	}
}

// first sends a message of its own.
func (n *Notifier) first(ctx context.Context, at target, p page.Page) (string, error) {
	sent, err := n.once(ctx, p, at.conversation, "", n.message(p, at))
	if err != nil {
		return "", err
	}
	n.memory.name(at.conversation, sent.conversation)
	if p.Kind == page.Bundle || p.Kind == page.Report {
		return "", nil
	}
	return reference{Conversation: sent.conversation, TS: sent.ts, Told: told(p.Story)}.String(), nil
}

// change brings the incident's message up to date, and answers in its thread
// what is new. When it is the answer that notifies somebody, it must not wait
// for a change that Slack does not take now.
func (n *Notifier) change(ctx context.Context, r *reference, at target, p page.Page) error {
	err := n.api.update(ctx, r.Conversation, r.TS, n.message(p, at))
	silent := p.Kind == page.Updated
	if gone(err) || err != nil && (silent || ctx.Err() != nil) {
		return err
	}
	if err != nil {
		n.config.Logger.WarnContext(ctx, "message of an incident is not up to date", "channel", n.config.Name, "incident", p.Incident.ID, "error", err)
	}
	news, upTo := n.since(r.Told, p)
	if silent && (len(news) == 0 || at.user != "") {
		// In a conversation with one person each answer rings.
		return nil
	}
	if _, err := n.once(ctx, p, r.Conversation, r.TS, n.answer(p, at, news)); err != nil {
		return err
	}
	r.Told = upTo
	return nil
}

// once posts a message unless an earlier try of the same page has, which Slack
// itself cannot tell: it is looked for when that is in doubt.
func (n *Notifier) once(ctx context.Context, p page.Page, conversation, thread string, m message) (posted, error) {
	m.thread, m.key = thread, p.Key
	if n.memory.inDoubt(p) {
		if found, ok := n.api.find(ctx, n.memory.id(conversation), thread, p); ok {
			n.memory.settle(p.Key)
			return found, nil
		}
	}
	sent, err := n.api.post(ctx, conversation, m)
	if err != nil && unclear(err) {
		n.memory.doubt(p.Key)
		return sent, err
	}
	n.memory.settle(p.Key)
	return sent, err
}

func (n *Notifier) failure(err error) error {
	se := &page.SendError{Channel: n.config.Name, Temporary: true, Err: err}
	if r, ok := errors.AsType[*refusal](err); ok {
		se.Code, se.Temporary, se.RetryAfter = r.code, r.temporary(), r.wait
	}
	return se
}
