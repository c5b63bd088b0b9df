package federation

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/common/config"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// HTTP says how the servers of a cluster are reached. Its keys and their
// meaning are those of Prometheus' own HTTP client (<http_config> in its
// documentation), without those that name a secret manager's secrets, and with
// follow_redirects off unless it is set: a redirect is named as the cause.
type HTTP struct {
	BasicAuth       *BasicAuth        `yaml:"basic_auth"`
	Authorization   *Authorization    `yaml:"authorization"`
	OAuth2          *OAuth2           `yaml:"oauth2"`
	BearerToken     secret.Secret     `yaml:"bearer_token"` // as authorization.credentials
	BearerTokenFile string            `yaml:"bearer_token_file"`
	TLS             TLS               `yaml:"tls_config"`
	FollowRedirects bool              `yaml:"follow_redirects"`
	EnableHTTP2     *bool             `yaml:"enable_http2"` // nil is true
	Headers         map[string]Header `yaml:"http_headers"`
	Proxy           `yaml:",inline"`
}

// BasicAuth is a user's name and password.
type BasicAuth struct {
	Username     string        `yaml:"username"`
	UsernameFile string        `yaml:"username_file"`
	Password     secret.Secret `yaml:"password"`
	PasswordFile string        `yaml:"password_file"` // read at each request
}

// Authorization is what the header Authorization says.
type Authorization struct {
	Type            string        `yaml:"type"` // "" is Bearer
	Credentials     secret.Secret `yaml:"credentials"`
	CredentialsFile string        `yaml:"credentials_file"` // read at each request
}

// OAuth2 says where tokens come from, and on what grounds.
type OAuth2 struct {
	ClientID                 string            `yaml:"client_id"`
	ClientSecret             secret.Secret     `yaml:"client_secret"`
	ClientSecretFile         string            `yaml:"client_secret_file"`
	ClientCertificateKeyID   string            `yaml:"client_certificate_key_id"`
	ClientCertificateKey     secret.Secret     `yaml:"client_certificate_key"`
	ClientCertificateKeyFile string            `yaml:"client_certificate_key_file"`
	GrantType                string            `yaml:"grant_type"` // "" is client_credentials
	SignatureAlgorithm       string            `yaml:"signature_algorithm"`
	Iss                      string            `yaml:"iss"`
	Audience                 string            `yaml:"audience"`
	Claims                   map[string]any    `yaml:"claims"`
	Scopes                   []string          `yaml:"scopes"`
	TokenURL                 string            `yaml:"token_url"`
	EndpointParams           map[string]string `yaml:"endpoint_params"`
	TLS                      TLS               `yaml:"tls_config"`
	Proxy                    `yaml:",inline"`
}

// TLS says whose certificates are trusted, and which one is shown.
type TLS struct {
	CA                 string        `yaml:"ca"`
	Cert               string        `yaml:"cert"`
	Key                secret.Secret `yaml:"key"`
	CAFile             string        `yaml:"ca_file"`
	CertFile           string        `yaml:"cert_file"`
	KeyFile            string        `yaml:"key_file"`
	ServerName         string        `yaml:"server_name"`
	InsecureSkipVerify bool          `yaml:"insecure_skip_verify"`
	MinVersion         string        `yaml:"min_version"` // TLS10 to TLS13
	MaxVersion         string        `yaml:"max_version"`
}

// Proxy says through which proxy requests go.
type Proxy struct {
	ProxyURL             secret.Secret              `yaml:"proxy_url"` // it may hold a password
	NoProxy              string                     `yaml:"no_proxy"`
	ProxyFromEnvironment bool                       `yaml:"proxy_from_environment"`
	ProxyConnectHeader   map[string][]secret.Secret `yaml:"proxy_connect_header"`
}

// Header is a header of every request, such as X-Scope-OrgID.
type Header struct {
	Values  []string        `yaml:"values"`
	Secrets []secret.Secret `yaml:"secrets"`
	Files   []string        `yaml:"files"`
}

// SetDirectory makes relative paths, of whatever file is named, relative to
// a folder.
func (h *HTTP) SetDirectory(dir string) {
	paths := []*string{&h.BearerTokenFile, &h.TLS.CAFile, &h.TLS.CertFile, &h.TLS.KeyFile}
	if a := h.BasicAuth; a != nil {
		paths = append(paths, &a.UsernameFile, &a.PasswordFile)
	}
	if a := h.Authorization; a != nil {
		paths = append(paths, &a.CredentialsFile)
	}
	if o := h.OAuth2; o != nil {
		paths = append(paths, &o.ClientSecretFile, &o.ClientCertificateKeyFile, &o.TLS.CAFile, &o.TLS.CertFile, &o.TLS.KeyFile)
	}
	for _, header := range h.Headers {
		for i := range header.Files {
			paths = append(paths, &header.Files[i])
		}
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// clientConfig returns the same in Prometheus' types, validated by Prometheus.
// Its errors hold no secrets.
func (h *HTTP) clientConfig() (config.HTTPClientConfig, error) {
	c := config.HTTPClientConfig{
		BearerToken:     config.Secret(h.BearerToken.Reveal()),
		BearerTokenFile: h.BearerTokenFile,
		FollowRedirects: h.FollowRedirects,
		EnableHTTP2:     h.EnableHTTP2 == nil || *h.EnableHTTP2,
		HTTPHeaders:     h.headers(),
	}
	if a := h.BasicAuth; a != nil {
		c.BasicAuth = &config.BasicAuth{
			Username: a.Username, UsernameFile: a.UsernameFile, Password: config.Secret(a.Password.Reveal()), PasswordFile: a.PasswordFile,
		}
	}
	if a := h.Authorization; a != nil {
		c.Authorization = &config.Authorization{Type: a.Type, Credentials: config.Secret(a.Credentials.Reveal()), CredentialsFile: a.CredentialsFile}
	}
	var errs [4]error
	c.TLSConfig, errs[0] = h.TLS.clientConfig()
	c.ProxyConfig, errs[1] = h.Proxy.clientConfig()
	if h.OAuth2 != nil {
		c.OAuth2, errs[2] = h.OAuth2.clientConfig()
	}
	if err := errors.Join(errs[:]...); err != nil {
		return c, err
	}
	return c, c.Validate()
}

func (h *HTTP) headers() *config.Headers {
	if len(h.Headers) == 0 {
		return nil
	}
	out := &config.Headers{Headers: map[string]config.Header{}}
	for name, header := range h.Headers {
		out.Headers[name] = config.Header{Values: header.Values, Secrets: revealed(header.Secrets), Files: header.Files}
	}
	return out
}

func (o *OAuth2) clientConfig() (*config.OAuth2, error) {
	out := &config.OAuth2{
		ClientID: o.ClientID, ClientSecret: config.Secret(o.ClientSecret.Reveal()), ClientSecretFile: o.ClientSecretFile,
		ClientCertificateKeyID: o.ClientCertificateKeyID, ClientCertificateKey: config.Secret(o.ClientCertificateKey.Reveal()),
		ClientCertificateKeyFile: o.ClientCertificateKeyFile, GrantType: o.GrantType, SignatureAlgorithm: o.SignatureAlgorithm,
		Iss: o.Iss, Audience: o.Audience, Claims: o.Claims, Scopes: o.Scopes, TokenURL: o.TokenURL, EndpointParams: o.EndpointParams,
	}
	var errs [3]error
	out.TLSConfig, errs[0] = o.TLS.clientConfig()
	out.ProxyConfig, errs[1] = o.Proxy.clientConfig()
	if u, err := url.Parse(o.TokenURL); err != nil || u.Host == "" && o.TokenURL != "" {
		errs[2] = errors.New("oauth2 token_url is not a URL")
	}
	for i, err := range errs[:2] {
		if err != nil {
			errs[i] = fmt.Errorf("oauth2: %w", err)
		}
	}
	return out, errors.Join(errs[:]...)
}

func (t *TLS) clientConfig() (config.TLSConfig, error) {
	out := config.TLSConfig{
		CA: t.CA, Cert: t.Cert, Key: config.Secret(t.Key.Reveal()), CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile,
		ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify,
	}
	for _, v := range []struct {
		key, name string
		into      *config.TLSVersion
	}{{"min_version", t.MinVersion, &out.MinVersion}, {"max_version", t.MaxVersion, &out.MaxVersion}} {
		version, known := config.TLSVersions[v.name]
		if v.name != "" && !known {
			return out, fmt.Errorf("tls_config %s %q is none of %s", v.key, v.name, strings.Join(slices.Sorted(maps.Keys(config.TLSVersions)), ", "))
		}
		*v.into = version
	}
	return out, out.Validate()
}

func (p *Proxy) clientConfig() (config.ProxyConfig, error) {
	out := config.ProxyConfig{NoProxy: p.NoProxy, ProxyFromEnvironment: p.ProxyFromEnvironment}
	if !p.ProxyURL.Empty() {
		u, err := url.Parse(p.ProxyURL.Reveal())
		if err != nil || u.Host == "" {
			return out, errors.New("proxy_url is not a URL") // and may hold a password
		}
		out.ProxyURL = config.URL{URL: u}
	}
	for name, values := range p.ProxyConnectHeader {
		if out.ProxyConnectHeader == nil {
			out.ProxyConnectHeader = config.ProxyHeader{}
		}
		out.ProxyConnectHeader[name] = revealed(values)
	}
	return out, nil
}

// identified tells whether requests say who sends them.
func (h *HTTP) identified() bool {
	return h.BasicAuth != nil || h.Authorization != nil || h.OAuth2 != nil || !h.BearerToken.Empty() || h.BearerTokenFile != ""
}

// keyOf returns the key that is set and that an error of clientConfig begins
// by naming, or names.
func (h *HTTP) keyOf(message string) string {
	named := ""
	for _, key := range []struct {
		name string
		set  bool
	}{
		{"basic_auth", h.BasicAuth != nil},
		{"authorization", h.Authorization != nil},
		{"oauth2", h.OAuth2 != nil},
		{"bearer_token", !h.BearerToken.Empty()},
		{"bearer_token_file", h.BearerTokenFile != ""},
		{"proxy_url", !h.ProxyURL.Empty()},
		{"no_proxy", h.NoProxy != ""},
		{"proxy_from_environment", h.ProxyFromEnvironment},
		{"proxy_connect_header", len(h.ProxyConnectHeader) > 0},
		{"http_headers", len(h.Headers) > 0},
	} {
		if strings.HasPrefix(message, key.name) {
			return key.name
		}
		if named == "" && key.set && strings.Contains(message, key.name) {
			named = key.name
		}
	}
	switch {
	case named != "":
		return named
	case strings.HasPrefix(message, "setting header"):
		return "http_headers"
	}
	return "tls_config"
}

func revealed(secrets []secret.Secret) (out []config.Secret) {
	for _, s := range secrets {
		out = append(out, config.Secret(s.Reveal()))
	}
	return out
}
