package federation_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

// reached asks a cluster two queries, one that it evaluates and one that needs
// its raw samples, and returns why that did not work, "" when it did.
func reached(t *testing.T, c federation.Cluster) string {
	t.Helper()
	c.Name = "one"
	var log bytes.Buffer
	fed := newFederation(t, federation.Config{
		Timeout: reachTimeout, Clusters: []federation.Cluster{c}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	why := ask2(t, fed)
	if strings.Contains(log.String()+why, password) || strings.Contains(fmt.Sprintf("%+v %#v", c.HTTP, fed.Status()), password) {
		t.Errorf("a secret is told: %s %s", &log, why)
	}
	return why
}

const (
	password = "hunter2-the-secret"

	// reachTimeout is long enough for a machine that does much else.
	reachTimeout = 2 * time.Second
)

func ask2(t *testing.T, fed *federation.Federation) string {
	t.Helper()
	for _, q := range []string{`sum(up)`, `sum(limitk(100, up))`} {
		v, notes, err := fed.Instant(t.Context(), q, at(time.Hour))
		if err != nil {
			_, why, _ := strings.Cut(err.Error(), `cluster "one" (`)
			return strings.TrimSuffix(why, ")")
		}
		if len(notes) != 0 || len(v) != 1 || v[0].F != 10 {
			t.Errorf("%s: got %v, %v", q, v, notes)
		}
	}
	return ""
}

// demand lets only requests through that have what is wanted.
func demand(h http.Handler, wanted func(r *http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !wanted(r) {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServersAreReachedAsPrometheusReachesThem(t *testing.T) {
	h := healthy(t)
	basic := serve(t, demand(h, func(r *http.Request) bool {
		user, pass, _ := r.BasicAuth()
		return user == "midwatch" && pass == password
	}))
	bearer := serve(t, demand(h, func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+password }))
	tenant := serve(t, demand(h, func(r *http.Request) bool {
		return slices.Equal(r.Header["X-Scope-Orgid"], []string{"edge"}) && r.Header.Get("X-Secret") == password
	}))
	zipped := serve(t, demand(h, func(r *http.Request) bool {
		return r.Method != http.MethodPost || r.Header.Get("Accept-Encoding") != ""
	}))
	plain := serve(t, demand(h, func(r *http.Request) bool {
		return r.URL.Path == "/api/v1/read" || r.Header.Get("Accept-Encoding") == ""
	}))
	direct := serve(t, h)
	tests := map[string]struct {
		url  string
		http federation.HTTP
		more federation.Cluster
		want string
	}{
		"basic": {url: basic, http: federation.HTTP{BasicAuth: &federation.BasicAuth{Username: "midwatch", Password: secret.New(password)}}},
		"basic of files": {url: basic, http: federation.HTTP{BasicAuth: &federation.BasicAuth{
			UsernameFile: file(t, "midwatch\n"), PasswordFile: file(t, password+"\n"),
		}}},
		"basic in the URL": {url: strings.Replace(basic, "://", "://midwatch:"+password+"@", 1)},
		"basic, wrong": {
			url: basic, http: federation.HTTP{BasicAuth: &federation.BasicAuth{Username: "someone", Password: secret.New(password)}},
			want: "answered 401 Unauthorized",
		},
		"authorization": {url: bearer, http: federation.HTTP{Authorization: &federation.Authorization{Credentials: secret.New(password)}}},
		"bearer":        {url: bearer, http: federation.HTTP{BearerTokenFile: file(t, password)}},
		"a file that is not there": {
			url: bearer, http: federation.HTTP{BearerTokenFile: filepath.Join(t.TempDir(), "none")},
			want: "a file of its credentials or certificates cannot be read",
		},
		"tenant": {url: tenant, http: federation.HTTP{Headers: map[string]federation.Header{
			"X-Scope-OrgID": {Values: []string{"edge"}}, "X-Secret": {Files: []string{file(t, password)}},
		}}},
		"proxy":         {url: "http://far.example", http: federation.HTTP{Proxy: federation.Proxy{ProxyURL: secret.New(proxyTo(t, direct))}}},
		"no such proxy": {url: direct, http: federation.HTTP{Proxy: federation.Proxy{ProxyURL: secret.New("http://u:" + password + "@127.0.0.1:1")}}, want: "connection refused"},
		"gzip":          {url: zipped, more: federation.Cluster{Compression: "gzip"}},
		"none":          {url: plain, more: federation.Cluster{Compression: "none"}},
		"oauth2":        {url: bearer, http: federation.HTTP{OAuth2: tokensOf(t, giveToken)}},
		"oauth2, refused": {
			url: bearer, http: federation.HTTP{OAuth2: tokensOf(t, http.NotFound)},
			want: "no OAuth2 token: the token endpoint gives none",
		},
		"oauth2, hanging": {
			url: bearer, http: federation.HTTP{OAuth2: tokensOf(t, func(_ http.ResponseWriter, _ *http.Request) { <-t.Context().Done() })},
			want: "no OAuth2 token: no answer within 2s",
		},
		"oauth2, away": {
			url: bearer, http: federation.HTTP{OAuth2: &federation.OAuth2{ClientID: "midwatch", TokenURL: "http://127.0.0.1:1/token"}},
			want: "no OAuth2 token: connection refused",
		},
		"too many requests": {url: serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
		})), want: "answered 429 Too Many Requests"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := tt.more
			c.URLs, c.HTTP = []string{tt.url}, tt.http
			if got := reached(t, c); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// proxyTo returns the URL of a proxy that wants a password and sends every
// request to one server.
func proxyTo(t *testing.T, server string) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "far.example" || r.Header.Get("Proxy-Authorization") == "" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	return strings.Replace(proxy, "://", "://midwatch:"+password+"@", 1)
}

// giveToken is a token endpoint that knows midwatch.
func giveToken(w http.ResponseWriter, r *http.Request) {
	id, pass, _ := r.BasicAuth()
	if id != "midwatch" || pass != "of-the-client" || r.FormValue("scope") != "read" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, password)
}

func tokensOf(t *testing.T, endpoint http.HandlerFunc) *federation.OAuth2 {
	t.Helper()
	return &federation.OAuth2{
		ClientID: "midwatch", ClientSecretFile: file(t, "of-the-client\n"), Scopes: []string{"read"}, TokenURL: serve(t, endpoint) + "/token",
	}
}

func TestARotatedTokenIsSent(t *testing.T) {
	path := file(t, "old")
	var wanted atomic.Value
	wanted.Store("Bearer old")
	server := serve(t, demand(healthy(t), func(r *http.Request) bool { return r.Header.Get("Authorization") == wanted.Load() }))
	c := federation.Cluster{Name: "one", URLs: []string{server}, HTTP: federation.HTTP{Authorization: &federation.Authorization{CredentialsFile: path}}}
	fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{c}})
	if why := ask2(t, fed); why != "" {
		t.Fatal(why)
	}
	wanted.Store("Bearer new")
	if why := ask2(t, fed); why != "answered 401 Unauthorized" {
		t.Errorf("with the old token: got %q", why)
	}
	if err := os.WriteFile(path, []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if why := ask2(t, fed); why != "" {
		t.Errorf("with the new token: got %q", why)
	}
}

func TestTLS(t *testing.T) {
	pki := newPKI(t)
	server := pki.serve(t, healthy(t))
	client := federation.TLS{CAFile: pki.ca, CertFile: pki.cert, KeyFile: pki.key}
	nobody, stranger, misled := client, client, client
	nobody.CertFile, nobody.KeyFile = "", ""
	stranger.CAFile = newPKI(t).ca
	misled.ServerName = "other.example"
	http1 := false
	for name, tt := range map[string]struct {
		tls  federation.HTTP
		want string
	}{
		"with a certificate":          {tls: federation.HTTP{TLS: client}},
		"by HTTP/1":                   {tls: federation.HTTP{TLS: client, EnableHTTP2: &http1}},
		"without":                     {tls: federation.HTTP{TLS: nobody}, want: "TLS refused by the server: does it want a certificate?"},
		"not trusted":                 {tls: federation.HTTP{TLS: stranger}, want: "certificate not trusted"},
		"a certificate of other name": {tls: federation.HTTP{TLS: misled}, want: "certificate not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			got := reached(t, federation.Cluster{URLs: []string{server}, HTTP: tt.tls})
			if strings.HasPrefix(got, "connection closed") && strings.HasPrefix(tt.want, "TLS refused") {
				return // the server was quicker to hang up than its word to come
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	broken := federation.Cluster{Name: "one", URLs: []string{server}, HTTP: federation.HTTP{TLS: federation.TLS{CAFile: file(t, "no PEM")}}}
	if _, err := federation.New(federation.Config{Clusters: []federation.Cluster{broken}, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a file without a certificate is taken")
	}
}

// pki is an authority and a certificate of its, as files.
type pki struct{ ca, cert, key string }

func newPKI(t *testing.T) pki {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	sign := func(c, parent *x509.Certificate, of, by *ecdsa.PrivateKey) []byte {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &of.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	caKey, key := newKey(), newKey()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "both"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pki{
		ca: file(t, string(sign(ca, ca, caKey, caKey))), cert: file(t, string(sign(leaf, ca, key, caKey))),
		key: file(t, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))),
	}
}

// serve serves to clients that have a certificate.
func (p pki) serve(t *testing.T, h http.Handler) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(p.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

// A body that is said to be gzip and is not makes its cluster a missing one.
func TestWhatIsNotGzip(t *testing.T) {
	h := healthy(t)
	for name, body := range map[string][]byte{"nothing": nil, "text": []byte(`{"status":"success"}`), "half": gzipped(t, strings.Repeat("x", 1000))[:20]} {
		server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/query" {
				h.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(body)
		}))
		if got := reached(t, federation.Cluster{URLs: []string{server}, Compression: "gzip"}); !strings.HasPrefix(got, "broken answer") && !strings.HasPrefix(got, "connection closed") {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every key of Prometheus' client is there, but for those of a manager of
// secrets, which Midwatch has none of.
func TestEveryKeyOfPrometheusClientIsThere(t *testing.T) {
	var walk func(of reflect.Type, at string) []string
	walk = func(of reflect.Type, at string) (out []string) {
		for of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || of == reflect.TypeFor[config.URL]() || of == reflect.TypeFor[config.Headers]() || of == reflect.TypeFor[secret.Secret]() {
			return nil
		}
		for f := range of.Fields() {
			key, how, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			switch {
			case !f.IsExported() || strings.HasSuffix(key, "_ref"):
			case how == "inline":
				out = append(out, walk(f.Type, at)...)
			default:
				out = append(out, at+key)
				out = append(out, walk(f.Type, at+key+".")...)
			}
		}
		return out
	}
	want, got := walk(reflect.TypeFor[config.HTTPClientConfig](), ""), walk(reflect.TypeFor[federation.HTTP](), "")
	for _, key := range want {
		if !slices.Contains(got, key) {
			t.Errorf("there is no %s", key)
		}
	}
}

func TestHTTPSettingsAreRead(t *testing.T) {
	const text = `
name: one
urls: [http://a]
timeout: 20s
max_requests: 3
compression: gzip
tls_config: {ca_file: ca.pem, cert_file: /abs/cert.pem, key_file: key.pem, min_version: TLS12}
oauth2: {client_id: a, client_secret_file: s, token_url: http://t, claims: {a: [1]}, tls_config: {ca_file: ca2.pem}, proxy_url: http://u:p@proxy}
http_headers: {X-Scope-OrgID: {values: [a], files: [tenant]}}
follow_redirects: true
enable_http2: false
proxy_connect_header: {X: [secret]}
`
	f, err := yamldoc.Parse("c.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var c federation.Cluster
	if problems := f.Decode(f.Docs[0], &c); len(problems) > 0 {
		t.Fatal(problems.Err())
	}
	c.SetDirectory("/etc/midwatch")
	got := []string{c.TLS.CAFile, c.TLS.CertFile, c.TLS.KeyFile, c.OAuth2.ClientSecretFile, c.OAuth2.TLS.CAFile, c.Headers["X-Scope-OrgID"].Files[0]}
	want := []string{"/etc/midwatch/ca.pem", "/abs/cert.pem", "/etc/midwatch/key.pem", "/etc/midwatch/s", "/etc/midwatch/ca2.pem", "/etc/midwatch/tenant"}
	if !slices.Equal(got, want) {
		t.Errorf("got paths %q", got)
	}
	if problems, _ := diag.Of(federation.Validate([]federation.Cluster{c})); len(problems) != 1 || problems[0].Field != "clusters.0.proxy_connect_header" {
		t.Errorf("got %v, want one problem: a header for a proxy that is not there", problems)
	}
}

func TestWrongHTTPSettings(t *testing.T) {
	user := &federation.BasicAuth{Username: "a", Password: secret.New(password)}
	for field, c := range map[string]federation.Cluster{
		"basic_auth":    {HTTP: federation.HTTP{BasicAuth: user, BearerToken: secret.New(password)}},
		"oauth2":        {HTTP: federation.HTTP{OAuth2: &federation.OAuth2{}}},
		"tls_config":    {HTTP: federation.HTTP{TLS: federation.TLS{CertFile: "x"}}},
		"proxy_url":     {HTTP: federation.HTTP{Proxy: federation.Proxy{ProxyURL: secret.New("//" + password + ":x:y")}}},
		"http_headers":  {HTTP: federation.HTTP{Headers: map[string]federation.Header{"authorization": {}}}},
		"compression":   {Compression: "zstd"},
		"timeout":       {Timeout: -1},
		"max_requests":  {MaxRequests: -1},
		"authorization": {HTTP: federation.HTTP{Authorization: &federation.Authorization{Type: "Basic"}}},
		"urls.0":        {URLs: []string{"http://a:" + password + "@b"}, HTTP: federation.HTTP{BasicAuth: user}},
	} {
		c.Name = "one"
		if c.URLs == nil {
			c.URLs = []string{"http://a"}
		}
		problems, _ := diag.Of(federation.Validate([]federation.Cluster{c}))
		if len(problems) != 1 || problems[0].Field != "clusters.0."+field || strings.Contains(fmt.Sprint(problems), password) {
			t.Errorf("%s: got %v", field, problems)
		}
	}
}
