// Package dingtalk sends pages to group chats of DingTalk (钉钉) through their
// custom robots, signed. It knows no applications and no callbacks: a custom
// robot has none.
//
// What it keeps to is in the provider's documentation of custom robots
// (https://open.dingtalk.com/document/orgapp/custom-robot-access,
// …/customize-robot-security-settings for the signature and
// …/custom-bot-send-message-type for the kinds of messages).
package dingtalk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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

// MaxBody is how many bytes a message may have; the provider refuses more
// (errcode 460101).
const MaxBody = 20_000

// perMinute is how many messages of one robot the provider takes; whoever
// sends more is silenced for silence.
const (
	perMinute = 20
	silence   = 10 * time.Minute
)

// room is how many bytes of text a message has at most, so that a reader sees
// an end of it.
const room = 8000

const usualURL = "https://oapi.dingtalk.com"

// The kinds of messages.
const (
	messageMarkdown = "markdown"
	messageText     = "text"
)

// Config says which robot sends. AccessToken and AccessTokenFile are
// alternatives, as are Secret and SecretFile.
type Config struct {
	provider.Settings `yaml:",inline"`

	AccessToken     secret.Secret `yaml:"access_token"`      // of the robot: what follows access_token= in its webhook address
	AccessTokenFile string        `yaml:"access_token_file"` // a file that holds the access token
	Secret          secret.Secret `yaml:"secret"`            // to sign by (加签), SEC…; none: messages are not signed
	SecretFile      string        `yaml:"secret_file"`       // a file that holds the secret
	Message         string        `yaml:"message"`           // markdown or text; default markdown
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Secret files are not read.
func (c Config) Check() error {
	return errors.Join(slices.Concat(
		c.Settings.Check(usualURL),
		provider.Missing("access_token", c.AccessToken, c.AccessTokenFile),
		provider.OneOf("message", c.Message, messageMarkdown, messageText),
	)...)
}

func (c *Config) defaults() (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.AccessToken, err = secret.Resolve("access_token", c.AccessToken, c.AccessTokenFile); err != nil {
		return err
	}
	if c.Secret, err = secret.Resolve("secret", c.Secret, c.SecretFile); err != nil {
		return err
	}
	c.Default("dingtalk", usualURL)
	return nil
}

// Notifier sends pages to the group of one robot. An address is whom to
// mention: see robot.ParseMentions.
type Notifier struct{ *robot.Robot }

var _ notifiers.Notifier = (*Notifier)(nil)

// New returns a notifier. The error says what is wrong with the
// configuration; nothing is sent.
func New(c Config) (*Notifier, error) {
	if err := c.defaults(); err != nil {
		return nil, fmt.Errorf("dingtalk: %w", err)
	}
	return &Notifier{robot.New(c.Settings, robot.Protocol{
		Limits:  []provider.Limit{{Messages: perMinute, Per: time.Minute}},
		Passing: passing(),
		Blocked: tooOften(),
		Request: c.request,
		Read:    read,
	})}, nil
}

// Inherit takes over how much an earlier notifier of the same robot has sent.
// It must come before the first Send.
func (n *Notifier) Inherit(from *Notifier) { n.Robot.Inherit(from.Robot) }

// tooOften are the errcodes of a robot that is silenced for its rate: today's,
// and two that were.
func tooOften() []int { return []int{410100, 130101, 660026} }

// passing are the errcodes that pass, and for how long the provider refuses.
// All others are permanent: 310000 (the signature, the keyword or the address
// is not what the robot asks for), 400101 and 400106 (no such robot), 400102
// (disabled), 400013 (the group is gone), 430101 to 430104 (content that is
// not let through), 460101 (too long).
func passing() provider.Waits {
	w := provider.Waits{-1: 2 * time.Second} // system busy
	for _, code := range tooOften() {
		w[code] = silence
	}
	return w
}

type message struct {
	MsgType  string    `json:"msgtype"`
	Markdown *markdown `json:"markdown,omitempty"`
	Text     *text     `json:"text,omitempty"`
	At       at        `json:"at"`
}

// markdown has a title, which is what the list of chats and a lock screen
// show.
type markdown struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

type text struct {
	Content string `json:"content"`
}

type at struct {
	Mobiles []string `json:"atMobiles,omitempty"`
	Users   []string `json:"atUserIds,omitempty"`
	All     bool     `json:"isAtAll"`
}

func (c Config) request(p page.Page, m robot.Mentions) (robot.Request, error) {
	// Members are called only when they are in the text, too.
	var calls []string
	for _, name := range append(append([]string{}, m.Mobiles...), m.Users...) {
		calls = append(calls, "@"+name)
	}
	call := strings.Join(calls, " ")
	body, err := robot.Fit(MaxBody, room, func(room int) ([]byte, error) {
		msg := message{MsgType: messageMarkdown, At: at{m.Mobiles, m.Users, m.All}}
		if c.Message == messageText {
			msg.MsgType, msg.Text = messageText, &text{strings.TrimSpace(p.Text(room) + "\n\n" + call)}
		} else {
			msg.Markdown = &markdown{p.Subject(), robot.Markdown(p, dialect(), call, room)}
		}
		return provider.Encode(msg)
	})
	return robot.Request{URL: c.url(), Body: body}, err
}

// dialect ends lines by two spaces: a line's end alone is none to DingTalk.
func dialect() robot.Dialect { return robot.Dialect{Break: "  \n", Heading: "### ", Quote: "> "} }

func (c Config) url() string {
	query := url.Values{"access_token": {c.AccessToken.Reveal()}}
	if !c.Secret.Empty() {
		timestamp := strconv.FormatInt(c.Now().UnixMilli(), 10)
		query.Set("timestamp", timestamp)
		query.Set("sign", Sign(c.Secret, timestamp))
	}
	return c.APIURL + "/robot/send?" + query.Encode()
}

// Sign returns the signature of a request at a time in milliseconds since
// 1970: HMAC-SHA256 by the secret of the time, a line's end and the secret, in
// base64.
func Sign(key secret.Secret, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(timestamp + "\n" + key.Reveal()))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// read reads an answer.
func read(content []byte) error {
	var a struct {
		ErrCode *int   `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}
	if err := json.Unmarshal(content, &a); err != nil || a.ErrCode == nil {
		return errors.New("the answer is not what DingTalk would say")
	}
	if *a.ErrCode != 0 {
		return &provider.Refusal{Code: *a.ErrCode, Message: provider.Plain(a.ErrMsg)}
	}
	return nil
}
