// Package wecom sends pages as messages of a WeCom (企业微信) application to its
// members, and as messages of its group robots.
//
// An application's messages are texts, Markdown, or cards with buttons. A
// click on a button comes back as a callback, which Handler answers: it is
// verified, done by a Desk, and shown on the card. Members can also write
// "ack 12" to the application. The package does not know what acknowledging
// is, nor who is on call.
//
// What it keeps to is in the provider's documentation
// (https://developer.work.weixin.qq.com/document/path/…): gettoken 91039,
// message/send 90236, updating cards 94888, receiving messages 90238 and
// 90239, events 90240, encryption 90968, error codes 90313, rate limits 90312,
// group robots 91770.
package wecom

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
)

// The sizes, in bytes, of what the provider delivers to a member: it cuts what
// is longer.
const (
	MaxText     = 2048
	MaxMarkdown = 2048
)

// The provider drops, without a word, what one member gets beyond these.
const (
	perMinute = 30
	perHour   = 1000
)

// The kinds of messages.
const (
	messageCard     = "card"
	messageMarkdown = "markdown"
	messageText     = "text"
)

// usualURL is the provider's own address.
const usualURL = "https://qyapi.weixin.qq.com"

// Config says which application sends. Secret and SecretFile are
// alternatives.
type Config struct {
	APIURL     string        `yaml:"api_url"`     // where the API is; default https://qyapi.weixin.qq.com
	CorpID     string        `yaml:"corp_id"`     // of the company
	AgentID    int           `yaml:"agent_id"`    // of the application
	Secret     secret.Secret `yaml:"secret"`      // of the application
	SecretFile string        `yaml:"secret_file"` // a file that holds the secret
	Timeout    time.Duration `yaml:"timeout"`     // of one send, its token included; default 10s
	Message    string        `yaml:"message"`     // card, markdown or text; default card when there is a callback, else text
	Callback   *Callback     `yaml:"callback"`    // how clicks and messages of members come back; none: cards are not possible

	Name      string            `yaml:"-"` // of the channel; default wecom
	Logger    *slog.Logger      `yaml:"-"` // default: none
	Transport http.RoundTripper `yaml:"-"` // default: one of its own, by the proxy of the environment
	Now       func() time.Time  `yaml:"-"` // default time.Now
}

// Callback is what the provider's console shows under "API receives messages".
// Token and TokenFile are alternatives, as are AESKey and AESKeyFile.
type Callback struct {
	Token      secret.Secret `yaml:"token"`        // by which the provider signs
	TokenFile  string        `yaml:"token_file"`   // a file that holds the token
	AESKey     secret.Secret `yaml:"aes_key"`      // EncodingAESKey, 43 characters
	AESKeyFile string        `yaml:"aes_key_file"` // a file that holds the key
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Secret files are not read.
func (c Config) Check() error {
	var errs []error
	if u, err := url.Parse(c.APIURL); c.APIURL != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		errs = append(errs, fmt.Errorf("api_url: want a URL such as %s", usualURL))
	}
	if c.CorpID == "" {
		errs = append(errs, errors.New("corp_id: missing"))
	}
	if c.AgentID <= 0 {
		errs = append(errs, errors.New("agent_id: missing"))
	}
	if c.Secret.Empty() && c.SecretFile == "" {
		errs = append(errs, errors.New("secret: missing: give secret or secret_file"))
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("timeout: want more than 0"))
	}
	return errors.Join(append(errs, c.checkMessage()...)...)
}

func (c Config) checkMessage() (errs []error) {
	switch c.Message {
	case "", messageText, messageMarkdown:
	case messageCard:
		if c.Callback == nil {
			errs = append(errs, errors.New("message: the provider takes cards with buttons only from applications with a callback: give callback, or markdown or text"))
		}
	default:
		errs = append(errs, fmt.Errorf("message: %q is none of card, markdown, text", c.Message))
	}
	if cb := c.Callback; cb != nil {
		if cb.Token.Empty() && cb.TokenFile == "" {
			errs = append(errs, errors.New("callback.token: missing: give token or token_file"))
		}
		if cb.AESKey.Empty() && cb.AESKeyFile == "" {
			errs = append(errs, errors.New("callback.aes_key: missing: give aes_key or aes_key_file"))
		}
	}
	return errs
}

func (c *Config) defaults() (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Secret, err = secret.Resolve("secret", c.Secret, c.SecretFile); err != nil {
		return err
	}
	s := provider.Settings{APIURL: c.APIURL, Timeout: c.Timeout, Name: c.Name, Logger: c.Logger, Transport: c.Transport, Now: c.Now}
	s.Default("wecom", usualURL)
	c.APIURL, c.Timeout, c.Name, c.Logger, c.Transport, c.Now = s.APIURL, s.Timeout, s.Name, s.Logger, s.Transport, s.Now
	if c.Message == "" {
		c.Message = messageText
		if c.Callback != nil {
			c.Message = messageCard
		}
	}
	return nil
}

// Notifier sends pages to members of one WeCom application.
type Notifier struct {
	config Config
	api    *api
	tokens *tokens
	cipher *envelope // of callbacks; nil when there are none
	work   *work
	*memory
}

// memory is what a notifier has learned, and the next one of the same
// application goes on with.
type memory struct {
	pace   *provider.Pace
	doubts *doubts
	cards  *cards
	seen   *seen
}

var (
	_ notifiers.Notifier = (*Notifier)(nil)
	_ notifiers.Editor   = (*Notifier)(nil)
)

// New returns a notifier. The error says what is wrong with the
// configuration; nothing is sent.
func New(c Config) (*Notifier, error) {
	if err := c.defaults(); err != nil {
		return nil, fmt.Errorf("wecom: %w", err)
	}
	a := newAPI(c)
	n := &Notifier{
		config: c, api: a, work: newWork(),
		tokens: newTokens(c.Now, func(ctx context.Context) (string, time.Duration, error) { return a.token(ctx) }),
		memory: &memory{
			pace:   provider.NewPace(c.Now, provider.Limit{Messages: perMinute, Per: time.Minute}, provider.Limit{Messages: perHour, Per: time.Hour}),
			doubts: newDoubts(), cards: newCards(), seen: newSeen(),
		},
	}
	if c.Callback != nil {
		var err error
		if n.cipher, err = openEnvelope(*c.Callback, c.CorpID); err != nil {
			return nil, fmt.Errorf("wecom: %w", err)
		}
	}
	return n, nil
}

// Inherit takes over what an earlier notifier of the same application knows:
// which pages are in doubt, what each member was sent, which cards there are
// and which callbacks have been answered. Both may go on sending. It must come
// before the first Send and the first callback.
func (n *Notifier) Inherit(from *Notifier) {
	if from.config.CorpID == n.config.CorpID && from.config.AgentID == n.config.AgentID {
		n.memory = from.memory
	}
}

// Edits tells whether cards are sent, which can be changed.
func (n *Notifier) Edits() bool { return n.config.Message == messageCard }

// Close waits for what callbacks and cards still have under way, which takes
// half a minute at most, and takes no more of it. Send goes on working.
func (n *Notifier) Close() { n.work.close() }

// isMember tells whether a text is one user id: a list, or everybody, is not
// one person.
func isMember(id string) bool { return id != "" && !strings.ContainsAny(id, "|@ ") }
