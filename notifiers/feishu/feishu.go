// Package feishu sends pages to group chats of Feishu (飞书), or Lark, through
// their custom robots, signed, as cards. It knows no applications and no
// callbacks: the buttons of a custom robot's card are links.
//
// What it keeps to is in the provider's documentation of custom robots
// (https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot) and of
// cards (https://open.feishu.cn/document/feishu-cards/card-json-structure).
package feishu

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/notifiers/robot"
	"github.com/midwatch-slo/midwatch/page"
)

// MaxBody is how many bytes a request may have; the provider refuses more
// (code 9499).
const MaxBody = 20 << 10

// How many messages of one robot the provider takes.
const (
	perSecond = 5
	perMinute = 100
)

// room is how many bytes of text a message has at most, so that a reader sees
// an end of it.
const room = 8000

const usualURL = "https://open.feishu.cn"

// The kinds of messages.
const (
	messageCard = "card"
	messageText = "text"
)

// Config says which robot sends. Token and TokenFile are alternatives, as are
// Secret and SecretFile.
type Config struct {
	provider.Settings `yaml:",inline"`

	Token      secret.Secret `yaml:"token"`       // of the robot: what follows /hook/ in its webhook address
	TokenFile  string        `yaml:"token_file"`  // a file that holds the token
	Secret     secret.Secret `yaml:"secret"`      // to sign by (签名校验); none: messages are not signed
	SecretFile string        `yaml:"secret_file"` // a file that holds the secret
	Message    string        `yaml:"message"`     // card or text; default card
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Secret files are not read.
func (c Config) Check() error {
	return errors.Join(slices.Concat(
		c.Settings.Check(usualURL),
		provider.Missing("token", c.Token, c.TokenFile),
		provider.OneOf("message", c.Message, messageCard, messageText),
	)...)
}

func (c *Config) defaults() (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Token, err = secret.Resolve("token", c.Token, c.TokenFile); err != nil {
		return err
	}
	if c.Secret, err = secret.Resolve("secret", c.Secret, c.SecretFile); err != nil {
		return err
	}
	c.Default("feishu", usualURL)
	return nil
}

// Notifier sends pages to the group of one robot. An address is whom to
// mention: see robot.ParseMentions; the provider mentions nobody by a mobile
// number.
type Notifier struct{ *robot.Robot }

var _ notifiers.Notifier = (*Notifier)(nil)

// New returns a notifier. The error says what is wrong with the
// configuration; nothing is sent.
func New(c Config) (*Notifier, error) {
	if err := c.defaults(); err != nil {
		return nil, fmt.Errorf("feishu: %w", err)
	}
	return &Notifier{robot.New(c.Settings, robot.Protocol{
		Limits:  []provider.Limit{{Messages: perSecond, Per: time.Second}, {Messages: perMinute, Per: time.Minute}},
		Passing: passing(),
		Request: c.request,
		Read:    read,
	})}, nil
}

// Inherit takes over how much an earlier notifier of the same robot has sent.
// It must come before the first Send.
func (n *Notifier) Inherit(from *Notifier) { n.Robot.Inherit(from.Robot) }

// passing are the codes that pass, and how long to wait: the provider says
// only that it was too often, or that it is busy at the full hour. All others
// are permanent: 19001 (no such robot), 19021 (the signature, or a clock that
// is an hour off), 19022 (the address), 19024 (the keyword), 9499 (the request
// itself).
func passing() provider.Waits {
	return provider.Waits{
		11232:    10 * time.Second, // too often for the tenant, or the provider is busy
		230020:   10 * time.Second, // too often for the group
		99991400: 10 * time.Second, // too often for the API
	}
}

// request is what the provider takes: its signature is in the body.
type request struct {
	Timestamp string  `json:"timestamp,omitempty"`
	Sign      string  `json:"sign,omitempty"`
	MsgType   string  `json:"msg_type"`
	Content   *text   `json:"content,omitempty"`
	Card      *layout `json:"card,omitempty"`
}

type text struct {
	Text string `json:"text"`
}

func (c Config) request(p page.Page, m robot.Mentions) (robot.Request, error) {
	if len(m.Mobiles) > 0 {
		return robot.Request{}, errors.New("feishu mentions nobody by a mobile number: give an open_id (ou_…) or a user_id")
	}
	body, err := robot.Fit(MaxBody, room, func(room int) ([]byte, error) {
		r := request{MsgType: "interactive"}
		if c.Message == messageText {
			r.MsgType, r.Content = messageText, &text{strings.TrimSpace(p.Text(room) + "\n\n" + mention(m, `<at user_id="%s"></at>`))}
		} else {
			r.Card = newLayout(p, mention(m, "<at id=%s></at>"), room)
		}
		if !c.Secret.Empty() {
			r.Timestamp = strconv.FormatInt(c.Now().Unix(), 10)
			r.Sign = Sign(c.Secret, r.Timestamp)
		}
		return provider.Encode(r)
	})
	return robot.Request{URL: c.APIURL + "/open-apis/bot/v2/hook/" + url.PathEscape(c.Token.Reveal()), Body: body}, err
}

// mention calls members in the form of cards or of texts.
func mention(m robot.Mentions, form string) string {
	names := m.Users
	if m.All {
		names = append([]string{"all"}, names...)
	}
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, form, name)
	}
	return b.String()
}

// Sign returns the signature of a request at a time in seconds since 1970:
// HMAC-SHA256 of nothing by the time, a line's end and the secret, in base64.
func Sign(key secret.Secret, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(timestamp+"\n"+key.Reveal()))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// read reads an answer, whose older form has a StatusCode.
func read(content []byte) error {
	var a struct {
		Code       *int   `json:"code"`
		StatusCode *int   `json:"StatusCode"`
		Msg        string `json:"msg"`
	}
	if err := json.Unmarshal(content, &a); err != nil || a.Code == nil && a.StatusCode == nil {
		return errors.New("the answer is not what Feishu would say")
	}
	code := a.Code
	if code == nil {
		code = a.StatusCode
	}
	switch {
	case *code == 0:
		return nil
	case *code == 9499 && strings.Contains(strings.ToLower(a.Msg), "too many request"):
		// The code of a request that is wrong, too.
		return &provider.Refusal{Status: http.StatusTooManyRequests, Wait: 10 * time.Second}
	}
	return &provider.Refusal{Code: *code, Message: provider.Plain(a.Msg)}
}
