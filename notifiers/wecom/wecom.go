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
	"slices"
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
	provider.Settings `yaml:",inline"`

	CorpID     string        `yaml:"corp_id"`     // of the company
	AgentID    int           `yaml:"agent_id"`    // of the application
	Secret     secret.Secret `yaml:"secret"`      // of the application
	SecretFile string        `yaml:"secret_file"` // a file that holds the secret
	Message    string        `yaml:"message"`     // card, markdown or text; default card when there is a callback, else text
	Callback   *Callback     `yaml:"callback"`    // how clicks and messages of members come back; none: cards are not possible
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
	errs := slices.Concat(
		c.Settings.Check(usualURL),
		provider.Missing("secret", c.Secret, c.SecretFile),
		provider.OneOf("message", c.Message, messageCard, messageMarkdown, messageText),
	)
	if c.CorpID == "" {
		errs = append(errs, errors.New("corp_id: missing"))
	}
	if c.AgentID <= 0 {
		errs = append(errs, errors.New("agent_id: missing"))
	}
	switch cb := c.Callback; {
	case cb != nil:
		errs = append(errs, provider.Missing("callback.token", cb.Token, cb.TokenFile)...)
		errs = append(errs, provider.Missing("callback.aes_key", cb.AESKey, cb.AESKeyFile)...)
	case c.Message == messageCard:
		errs = append(errs, errors.New("message: the provider takes cards with buttons only from applications with a callback: give callback, or markdown or text"))
	}
	return errors.Join(errs...)
}

func (c *Config) defaults() (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Secret, err = secret.Resolve("secret", c.Secret, c.SecretFile); err != nil {
		return err
	}
	c.Default("wecom", usualURL)
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
	doubts *recent[[]byte]    // requests by the keys of their pages, of which nobody knows whether they arrived
	cards  *recent[shownCard] // by their task ids
	codes  *recent[struct{}]  // response codes that are used up
	seen   *seen
}

// Bounds of what is remembered.
const (
	maxDoubts = 1000
	maxCards  = 500
	maxCodes  = 2000
	maxSeen   = 10_000
)

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
			doubts: newRecent[[]byte](maxDoubts), cards: newRecent[shownCard](maxCards), codes: newRecent[struct{}](maxCodes), seen: newSeen(),
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
