package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// Config says where pages go. URL and URLFile are alternatives, and so are
// Secret and SecretFile.
type Config struct {
	URL        secret.Secret            `yaml:"url"` // http or https; often holds a token
	URLFile    string                   `yaml:"url_file"`
	Secret     secret.Secret            `yaml:"secret"` // calls are signed with it; none: they are not
	SecretFile string                   `yaml:"secret_file"`
	Headers    map[string]secret.Secret `yaml:"headers"`    // besides those that the format has
	Timeout    time.Duration            `yaml:"timeout"`    // of one call; default 10s
	MaxAlerts  int                      `yaml:"max_alerts"` // in one call, the firing ones first; 0 is any number
	TLS        TLS                      `yaml:"tls"`

	Name      string            `yaml:"-"` // of the channel; default webhook
	Logger    *slog.Logger      `yaml:"-"` // default: none
	Transport http.RoundTripper `yaml:"-"` // default: one of its own, by TLS and the proxy of the environment
	Now       func() time.Time  `yaml:"-"` // default time.Now
}

// TLS says whom to trust, and who we are.
type TLS struct {
	CAFile     string `yaml:"ca_file"`   // certificates to trust instead of the system's
	CertFile   string `yaml:"cert_file"` // ours, when the receiver asks for one
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"` // default: the URL's host
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Files are not read.
func (c Config) Check() error {
	var errs []error
	switch {
	case c.URL.Empty() && c.URLFile == "":
		errs = append(errs, errors.New("url: missing: give url or url_file"))
	case !c.URL.Empty():
		errs = append(errs, checkURL(c.URL))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		errs = append(errs, checkHeader(name, c.Headers[name]))
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("timeout: want more than 0"))
	}
	if c.MaxAlerts < 0 {
		errs = append(errs, errors.New("max_alerts: want 0 or more"))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("tls: cert_file and key_file go together"))
	}
	return errors.Join(errs...)
}

// checkURL says nothing of what is in the URL.
func checkURL(s secret.Secret) error {
	if u, err := url.Parse(s.Reveal()); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("url: want an http or https URL")
	}
	return nil
}

func checkHeader(name string, value secret.Secret) error {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("headers: %q is no name of a header", name)
	case !httpguts.ValidHeaderFieldValue(value.Reveal()):
		return fmt.Errorf("headers: the value of %s has characters that a header cannot have", name)
	case strings.HasPrefix(canonical, "X-Midwatch-") || slices.Contains([]string{
		"Connection", "Content-Length", "Content-Type", "Host", "Idempotency-Key", "Transfer-Encoding",
	}, canonical):
		return fmt.Errorf("headers: %s is set by Midwatch", name)
	}
	return nil
}

func (c *Config) defaults() (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.URL, err = secret.Resolve("url", c.URL, c.URLFile); err != nil {
		return err
	}
	if err := checkURL(c.URL); err != nil {
		return err
	}
	if c.Secret, err = secret.Resolve("secret", c.Secret, c.SecretFile); err != nil {
		return err
	}
	if c.Name == "" {
		c.Name = "webhook"
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
		c.Transport, err = c.TLS.transport()
	}
	return err
}

// connections is how many calls keep their connection for the next ones.
const connections = 128

func (t TLS) transport() (*http.Transport, error) {
	config, err := t.config()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        connections,
		MaxIdleConnsPerHost: connections,
		IdleConnTimeout:     time.Minute,
	}, nil
}

func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file: %s has no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
