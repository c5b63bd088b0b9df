// Package client asks a running Midwatch for its incidents and acts on them,
// over its HTTP API. It is what the command line uses; it keeps nothing and
// retries nothing.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// Config is where Midwatch is and who asks.
type Config struct {
	URL       string            // such as http://localhost:9193; a path before /api/ is kept
	Token     secret.Secret     // needed to act
	Timeout   time.Duration     // of one request; default 15 s
	Transport http.RoundTripper // default: a new one with the proxy of the environment
	UserAgent string            // default midwatch
}

func (c *Config) defaults() (*url.URL, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("the URL of Midwatch must be like http://localhost:9193")
	}
	if base.User != nil {
		return nil, errors.New("the URL of Midwatch must not carry a password: use a token")
	}
	base.RawQuery, base.Fragment = "", ""
	if c.Timeout <= 0 {
		c.Timeout = 15 * time.Second
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	}
	if c.UserAgent == "" {
		c.UserAgent = "midwatch"
	}
	return base, nil
}

// Client asks one Midwatch.
type Client struct {
	config Config
	base   *url.URL
	http   *http.Client
}

// New returns a client. It does not connect yet.
func New(c Config) (*Client, error) {
	base, err := c.defaults()
	if err != nil {
		return nil, err
	}
	// A redirect would take the token elsewhere, or turn a POST into a GET.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{config: c, base: base, http: &http.Client{Transport: c.Transport, CheckRedirect: stay}}, nil
}

// Error is a refusal that Midwatch itself explains.
type Error struct {
	Status  int    // of HTTP
	Type    string // an errorType of package wire
	Message string
}

// Error returns Midwatch's own words.
func (e *Error) Error() string { return e.Message }

// List returns the incidents that are not resolved, or all, newest first.
func (c *Client) List(ctx context.Context, all bool) ([]alert.Incident, error) {
	query := url.Values{}
	if all {
		query.Set("all", "true")
	}
	var out []alert.Incident
	err := c.do(ctx, "list incidents", http.MethodGet, "incidents", query, nil, &out)
	return out, err
}

// Get returns one incident and all that is known of it. Numbers that are not
// known are NaN.
func (c *Client) Get(ctx context.Context, id int64) (wire.Story, error) {
	var out wire.Story
	err := c.do(ctx, fmt.Sprintf("get incident %d", id), http.MethodGet, fmt.Sprintf("incidents/%d", id), nil, nil, &out)
	return out, err
}

// Acknowledge says that somebody looks after an incident. The name by counts
// only where the token has none of its own; it may be "".
func (c *Client) Acknowledge(ctx context.Context, id int64, by string) (alert.Incident, error) {
	return c.act(ctx, "acknowledge", "ack", id, wire.Act{By: by})
}

// Resolve says that an incident is over; by is as for Acknowledge.
func (c *Client) Resolve(ctx context.Context, id int64, by string) (alert.Incident, error) {
	return c.act(ctx, "resolve", "resolve", id, wire.Act{By: by})
}

func (c *Client) act(ctx context.Context, verb, path string, id int64, a wire.Act) (alert.Incident, error) {
	var out alert.Incident
	what := fmt.Sprintf("%s incident %d", verb, id)
	err := c.do(ctx, what, http.MethodPost, fmt.Sprintf("incidents/%d/%s", id, path), nil, a, &out)
	return out, err
}

// OnCall returns who is on call by each schedule.
func (c *Client) OnCall(ctx context.Context) ([]wire.Watch, error) {
	var out []wire.Watch
	err := c.do(ctx, "ask who is on call", http.MethodGet, "oncall", nil, nil, &out)
	return out, err
}

func (c *Client) do(ctx context.Context, what, method, path string, query url.Values, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", what, c.unreachable(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if err := c.read(resp, out); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	u := c.base.JoinPath("api/v1", path)
	u.RawQuery = query.Encode()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode body: %w", err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.config.UserAgent)
	req.Header.Set(wire.ViaHeader, "cli")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet && !c.config.Token.Empty() {
		req.Header.Set("Authorization", "Bearer "+c.config.Token.Reveal())
	}
	return req, nil
}

// unreachable says what to look at when there is no answer.
func (c *Client) unreachable(err error) error {
	var (
		wrapped  *url.Error
		noHost   *net.DNSError
		deadline = errors.Is(err, context.DeadlineExceeded)
	)
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s: is `midwatch serve` running there? (%w)", c.base.Host, err)
	case errors.As(err, &noHost):
		return fmt.Errorf("the host %s is not known: is the URL right? (%w)", c.base.Hostname(), err)
	case deadline:
		return fmt.Errorf("no answer from %s within %s: %w", c.base.Host, c.config.Timeout, err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s speaks http, not https: %w", c.base.Host, err)
	}
	return fmt.Errorf("ask %s: %w", c.base.Host, err)
}

// read decodes an answer, or makes an error of what it says.
func (c *Client) read(resp *http.Response, out any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("the answer of %s is larger than %d bytes", c.base.Host, maxAnswer)
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return fmt.Errorf("%s redirects to %q: give that URL", c.base.Host, resp.Header.Get("Location"))
	}
	var e wire.Envelope
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" || json.Unmarshal(body, &e) != nil || e.Status == "" {
		return fmt.Errorf("%s answers %s, and not as Midwatch does: is the URL right?", c.base.Host, resp.Status)
	}
	if e.Status != wire.Success {
		return &Error{Status: resp.StatusCode, Type: e.ErrorType, Message: e.Error}
	}
	if err := json.Unmarshal(e.Data, out); err != nil {
		return fmt.Errorf("understand the answer of %s: %w", c.base.Host, err)
	}
	return nil
}
