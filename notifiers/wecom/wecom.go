// Package wecom sends pages as text messages of a WeCom (企业微信)
// application to its members. It knows neither robots nor callbacks.
//
// What it keeps to is in the provider's documentation of gettoken,
// message/send, the error codes and the rate limits
// (developer.work.weixin.qq.com, documents 91039, 90236, 90313, 90312).
package wecom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/page"
)

// MaxText is how many bytes of a text the provider delivers; it cuts what is
// longer.
const MaxText = 2048

// duplicateInterval is how long the provider takes the same request for the
// same message: its maximum, four hours.
const duplicateInterval = 4 * time.Hour

// Config says which application sends. Secret and SecretFile are
// alternatives.
type Config struct {
	APIURL     string        `yaml:"api_url"` // default https://qyapi.weixin.qq.com
	CorpID     string        `yaml:"corp_id"`
	AgentID    int           `yaml:"agent_id"`
	Secret     secret.Secret `yaml:"secret"`
	SecretFile string        `yaml:"secret_file"`
	Timeout    time.Duration `yaml:"timeout"` // of one send, its token included; default 10s

	Name      string            `yaml:"-"` // of the channel; default wecom
	Logger    *slog.Logger      `yaml:"-"` // default: none
	Transport http.RoundTripper `yaml:"-"` // default: one of its own, by the proxy of the environment
	Now       func() time.Time  `yaml:"-"` // default time.Now
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Secret files are not read.
func (c Config) Check() error {
	var errs []error
	if u, err := url.Parse(c.APIURL); c.APIURL != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		errs = append(errs, errors.New("api_url: want a URL such as https://qyapi.weixin.qq.com"))
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
	return errors.Join(errs...)
}

func (c *Config) defaults() (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Secret, err = secret.Resolve("secret", c.Secret, c.SecretFile); err != nil {
		return err
	}
	if c.APIURL == "" {
		c.APIURL = "https://qyapi.weixin.qq.com"
	}
	c.APIURL = strings.TrimRight(c.APIURL, "/")
	if c.Name == "" {
		c.Name = "wecom"
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
		c.Transport = transport()
	}
	return nil
}

func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: 30 * time.Second,
	}
}

// Notifier sends pages to members of one WeCom application.
type Notifier struct {
	config Config
	api    *api
	tokens *tokens
	pace   *pace
	doubts *doubts
}

var _ notifiers.Notifier = (*Notifier)(nil)

// New returns a notifier. The error says what is wrong with the
// configuration; nothing is sent.
func New(c Config) (*Notifier, error) {
	if err := c.defaults(); err != nil {
		return nil, fmt.Errorf("wecom: %w", err)
	}
	a := newAPI(c)
	return &Notifier{
		config: c, api: a, pace: newPace(c.Now), doubts: newDoubts(),
		tokens: newTokens(c.Now, func(ctx context.Context) (string, time.Duration, error) { return a.token(ctx) }),
	}, nil
}

// Inherit takes over what an earlier notifier of the same application knows:
// which pages are in doubt, and what each member was sent. Both may go on
// sending. It must come before the first Send.
func (n *Notifier) Inherit(from *Notifier) {
	if from.config.CorpID == n.config.CorpID && from.config.AgentID == n.config.AgentID {
		n.doubts, n.pace = from.doubts, from.pace
	}
}

// message is a request to send a text. The provider recognises the same
// request, so it holds nothing that differs from try to try.
type message struct {
	ToUser   string      `json:"touser"`
	MsgType  string      `json:"msgtype"`
	AgentID  int         `json:"agentid"`
	Text     messageText `json:"text"`
	Check    int         `json:"enable_duplicate_check"`
	Interval int         `json:"duplicate_check_interval"`
}

type messageText struct {
	Content string `json:"content"`
}

// Send sends the page to the member whose user id is p.To.Address. The same
// page again within four hours is accepted and shown once.
func (n *Notifier) Send(ctx context.Context, p page.Page) (ref string, err error) {
	return "", n.send(ctx, p)
}

func (n *Notifier) send(ctx context.Context, p page.Page) error {
	member := p.To.Address
	// A list, or everybody, is not one person.
	if member == "" || strings.ContainsAny(member, "|@ ") {
		return n.permanent("", fmt.Errorf("%q is no user id", member))
	}
	if wait := n.pace.take(member); wait > 0 {
		return &page.SendError{Channel: n.config.Name, Temporary: true, RetryAfter: wait, Err: errors.New("the provider would drop more messages to one member")}
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	body, err := n.body(p)
	if err != nil {
		return n.permanent("", fmt.Errorf("encode message: %w", err))
	}
	a, err := n.deliver(ctx, body)
	if err != nil {
		failure := n.failure(err)
		if inDoubt(err) {
			n.doubts.add(p.Key, body)
		} else if !failure.Temporary { // else an earlier try may have arrived all the same
			n.doubts.remove(p.Key)
		}
		return failure
	}
	n.doubts.remove(p.Key)
	if named(a.InvalidUser, member) || named(a.UnlicensedUser, member) {
		return n.permanent("", fmt.Errorf("%s is outside the application's range, or not licensed", member))
	}
	return nil
}

// body returns the request for a page: the one that was made before when
// nobody knows what became of it, so that the provider recognises it.
func (n *Notifier) body(p page.Page) ([]byte, error) {
	if body := n.doubts.body(p.Key); body != nil {
		return body, nil
	}
	return encode(message{
		ToUser: p.To.Address, MsgType: "text", AgentID: n.config.AgentID, Text: messageText{p.Text(MaxText)},
		Check: 1, Interval: int(duplicateInterval / time.Second),
	})
}

// inDoubt tells whether a message may have arrived though err came back. What
// the provider refuses with a code has not.
func inDoubt(err error) bool {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.status >= 500 || refused.code == -1
	}
	return err != nil
}

// deliver sends with the token at hand, and once more with another when the
// provider says that it is not valid.
func (n *Notifier) deliver(ctx context.Context, body []byte) (answer, error) {
	token, err := n.tokens.get(ctx)
	if err != nil {
		return answer{}, err
	}
	a, err := n.api.send(ctx, token, body)
	var refused *refusal
	if !errors.As(err, &refused) || !refused.token() {
		return a, err
	}
	n.config.Logger.DebugContext(ctx, "access token refused", "channel", n.config.Name, "errcode", refused.code)
	n.tokens.forget(token)
	if token, err = n.tokens.get(ctx); err != nil {
		return answer{}, err
	}
	return n.api.send(ctx, token, body)
}

func (n *Notifier) permanent(code string, err error) error {
	return &page.SendError{Channel: n.config.Name, Code: code, Err: err}
}

func (n *Notifier) failure(err error) *page.SendError {
	se := &page.SendError{Channel: n.config.Name, Temporary: true, Err: err}
	if refused, ok := errors.AsType[*refusal](err); ok {
		se.Code = refused.name()
		se.Temporary, se.RetryAfter = refused.temporary()
	}
	return se
}

func encode(m message) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	// \u003c and the like are characters that the provider refuses (40033).
	enc.SetEscapeHTML(false)
	err := enc.Encode(m)
	return b.Bytes(), err
}

// named tells whether a list such as "a|b", which the provider writes in
// lower case, names a member.
func named(list, member string) bool {
	for name := range strings.SplitSeq(list, "|") {
		if name != "" && strings.EqualFold(name, member) {
			return true
		}
	}
	return false
}

func errcode(code int) string { return "errcode " + strconv.Itoa(code) }
