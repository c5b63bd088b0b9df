// Package ruler keeps rules at a ruler that takes them over HTTP: Mimir's,
// Loki's, or another with Cortex' configuration API. It neither makes rules
// nor knows what they mean.
package ruler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// API is whose configuration API a ruler has.
type API string

// The APIs. They differ by their paths.
const (
	Mimir  API = "mimir"  // /prometheus/config/v1/rules
	Loki   API = "loki"   // /loki/api/v1/rules
	Cortex API = "cortex" // /api/v1/rules
)

// Config says where a ruler is and how it is reached.
type Config struct {
	URL             string        `yaml:"url"`    // without the path of the API; with that of a proxy
	API             API           `yaml:"api"`    // default mimir
	Tenant          string        `yaml:"tenant"` // X-Scope-OrgID; "" sends none
	Username        string        `yaml:"username"`
	Password        secret.Secret `yaml:"password"`
	PasswordFile    string        `yaml:"password_file"`
	BearerToken     secret.Secret `yaml:"bearer_token"`
	BearerTokenFile string        `yaml:"bearer_token_file"` // read again for each request, as the other file is
	TLS             TLS           `yaml:"tls"`
	Timeout         time.Duration `yaml:"timeout"` // of one request; default 30s, 1s to 5m

	// Wait waits before a request is tried again, or until ctx ends; for tests.
	Wait func(ctx context.Context, d time.Duration) error `yaml:"-"`
}

// TLS says whom to trust, and who one is.
type TLS struct {
	CAFile     string `yaml:"ca_file"` // PEM; instead of the system's roots
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

var paths = map[API]string{
	Mimir:  "/prometheus/config/v1/rules",
	Loki:   "/loki/api/v1/rules",
	Cortex: "/api/v1/rules",
}

const (
	maxAnswer = 256 << 20 // bytes of a list
	maxReason = 1024      // bytes of a refusal that are told
	tries     = 4         // of one request
	maxWait   = 20 * time.Second
)

// Client speaks to one ruler, as one tenant. It may be used by several
// goroutines.
type Client struct {
	base   *url.URL
	tenant string
	http   *http.Client
	wait   func(ctx context.Context, d time.Duration) error
	api    API
	limit  time.Duration
}

// New returns a client. It asks nothing yet.
func New(c Config) (*Client, error) {
	if c.API == "" {
		c.API = Mimir
	}
	path, known := paths[c.API]
	base, err := url.Parse(c.URL)
	switch {
	case !known:
		return nil, fmt.Errorf("api: %q is none of mimir, loki and cortex", c.API)
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("url: want an http or https URL")
	case base.User != nil:
		return nil, errors.New("url: holds credentials: use username and password_file")
	case c.Timeout != 0 && (c.Timeout < time.Second || c.Timeout > 5*time.Minute):
		return nil, fmt.Errorf("timeout: %s is not between 1s and 5m", c.Timeout)
	case strings.ContainsAny(c.Tenant, "\r\n|/\\ "):
		return nil, errors.New("tenant: holds what a tenant's name may not: a space, a slash or a bar")
	}
	settings, err := c.settings()
	if err != nil {
		return nil, err
	}
	client, err := config.NewClientFromConfig(settings, "midwatch")
	if err != nil {
		return nil, fmt.Errorf("how it is reached: %w", err)
	}
	out := &Client{base: base.JoinPath(path), tenant: c.Tenant, http: client, wait: c.Wait, api: c.API, limit: c.Timeout}
	if out.limit == 0 {
		out.limit = 30 * time.Second
	}
	if out.wait == nil {
		out.wait = wait
	}
	return out, nil
}

// settings returns how it is reached in the terms of Prometheus' clients.
func (c Config) settings() (config.HTTPClientConfig, error) {
	s := config.DefaultHTTPClientConfig
	s.FollowRedirects = false // to wherever, with the credentials
	s.ProxyFromEnvironment = true
	s.TLSConfig = config.TLSConfig{CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile, ServerName: c.TLS.ServerName}
	bearer := !c.BearerToken.Empty() || c.BearerTokenFile != ""
	basic := c.Username != "" || !c.Password.Empty() || c.PasswordFile != ""
	switch {
	case bearer && basic:
		return s, errors.New("there are both a username and a bearer token: keep one")
	case basic && (c.Username == "" || c.Password.Empty() == (c.PasswordFile == "")):
		return s, errors.New("username needs one of password and password_file")
	case !c.BearerToken.Empty() && c.BearerTokenFile != "":
		return s, errors.New("bearer_token and bearer_token_file are both set: keep one")
	case basic:
		s.BasicAuth = &config.BasicAuth{Username: c.Username, Password: config.Secret(c.Password.Reveal()), PasswordFile: c.PasswordFile}
	case bearer:
		s.Authorization = &config.Authorization{Type: "Bearer", Credentials: config.Secret(c.BearerToken.Reveal()), CredentialsFile: c.BearerTokenFile}
	}
	return s, s.Validate()
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// List returns the groups of one namespace, in the ruler's order; none when
// there is no such namespace.
func (c *Client) List(ctx context.Context, namespace string) ([]rulefmt.RuleGroup, error) {
	b, err := c.do(ctx, http.MethodGet, nil, namespace)
	if refused, ok := errors.AsType[*Refusal](err); ok && refused.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the rules of namespace %q: %w", namespace, err)
	}
	all, err := parseList(b)
	if err != nil {
		return nil, fmt.Errorf("list the rules of namespace %q: %w", namespace, err)
	}
	return all[namespace], nil
}

// parseList reads namespaces with their groups. What a ruler says besides of
// a group is left out.
func parseList(b []byte) (all map[string][]rulefmt.RuleGroup, err error) {
	if err := yaml.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("the answer is no list of rules: %w", err)
	}
	return all, nil
}

// Set puts a group in a namespace, in the place of one of its name.
func (c *Client) Set(ctx context.Context, namespace string, g rulefmt.RuleGroup) error {
	b, err := yaml.Marshal(g)
	if err == nil {
		_, err = c.do(ctx, http.MethodPost, b, namespace)
	}
	if err != nil {
		return fmt.Errorf("set group %q in namespace %q: %w", g.Name, namespace, err)
	}
	return nil
}

// Delete removes a group. That there is none is no error.
func (c *Client) Delete(ctx context.Context, namespace, group string) error {
	_, err := c.do(ctx, http.MethodDelete, nil, namespace, group)
	if refused, ok := errors.AsType[*Refusal](err); ok && refused.Status == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete group %q of namespace %q: %w", group, namespace, err)
	}
	return nil
}

// Refusal is an answer that is no success.
type Refusal struct {
	Status int    // as in HTTP
	Reason string // the begin of what it says, on one line
	after  time.Duration
}

// Error says what was answered.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("it answers %d %s", r.Status, http.StatusText(r.Status))
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

// do asks, and asks again what may go better the next time: all requests here
// can be sent twice.
func (c *Client) do(ctx context.Context, method string, body []byte, path ...string) (answer []byte, err error) {
	pause := 500 * time.Millisecond
	for try := 1; ; try++ {
		answer, err = c.once(ctx, method, body, path...)
		refused, ok := errors.AsType[*Refusal](err)
		if err == nil || try == tries || ctx.Err() != nil || ok && !refused.passing() {
			return answer, err
		}
		if ok && refused.after > 0 {
			pause = max(pause, min(refused.after, maxWait))
		}
		if c.wait(ctx, pause) != nil {
			return nil, err
		}
		pause *= 2
	}
}

// passing says whether it may be otherwise in a while.
func (r *Refusal) passing() bool {
	return r.Status == http.StatusTooManyRequests || r.Status >= http.StatusInternalServerError && r.Status != http.StatusNotImplemented
}

func (c *Client) once(ctx context.Context, method string, body []byte, path ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	escaped := make([]string, len(path))
	for i, p := range path {
		escaped[i] = url.PathEscape(p) // names of groups hold slashes
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(escaped...).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/yaml")
	}
	if c.tenant != "" {
		req.Header.Set("X-Scope-OrgID", c.tenant)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, refusal(resp)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)
	}
	return answer, err
}

func refusal(resp *http.Response) *Refusal {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxReason)) // what came is told
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return &Refusal{
		Status: resp.StatusCode, Reason: strings.Join(strings.Fields(strings.ToValidUTF8(string(b), "�")), " "),
		after: time.Duration(min(max(seconds, 0), 3600)) * time.Second,
	}
}
