package webhook

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/standin/hook"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

func TestConfiguration(t *testing.T) {
	_, err := New(Config{
		URL: secret.New("ftp://user:passw0rd@host/t0ken"), Timeout: -1, MaxAlerts: -1, TLS: TLS{CertFile: "a"},
		Headers: map[string]secret.Secret{"a b": {}, "host": {}, "x-midwatch-key": {}, "X-A": secret.New("a\r\nX-B: c")},
	})
	for _, want := range []string{"url:", "timeout:", "max_alerts:", "tls:", `"a b"`, "host is set", "x-midwatch-key is set", "X-A"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "passw0rd") || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("a secret is in %v", err)
	}
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "url: missing") {
		t.Errorf("got %v", err)
	}
}

func TestConfigurationIsReadFromYAML(t *testing.T) {
	dir := t.TempDir()
	url, key := filepath.Join(dir, "url"), filepath.Join(dir, "key")
	for file, content := range map[string]string{url: "https://hooks.example.com/x\n", key: signing + "\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := yamldoc.Parse("midwatch.yaml", []byte("url_file: "+url+"\nsecret_file: "+key+"\nheaders:\n  Authorization: Bearer x\ntimeout: 3s\nmax_alerts: 50\ntls:\n  server_name: a.example.com\n"))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if ps := f.Decode(f.Docs[0], &c); ps.Err() != nil {
		t.Fatal(ps)
	}
	n, err := New(c)
	if err != nil || n.config.URL.Reveal() != "https://hooks.example.com/x" || n.config.Secret.Reveal() != signing ||
		n.config.Headers["Authorization"].Reveal() != "Bearer x" || n.config.MaxAlerts != 50 {
		t.Errorf("got %+v, %v", n, err)
	}
}

func TestTLS(t *testing.T) {
	receiver := hook.New(hook.Config{})
	web := httptest.NewTLSServer(receiver)
	defer web.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		tls TLS
		ok  bool
	}{
		"trusted":       {TLS{CAFile: ca, ServerName: "example.com"}, true},
		"another name":  {TLS{CAFile: ca, ServerName: "example.org"}, false},
		"not a trusted": {TLS{ServerName: "example.com"}, false},
	} {
		n, err := New(Config{URL: secret.New(web.URL), TLS: tt.tls})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Send(t.Context(), burning(1)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		n.client.CloseIdleConnections()
	}
	if _, err := New(Config{URL: secret.New(web.URL), TLS: TLS{CAFile: "config.go"}}); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("got %v", err)
	}
}

func TestNoSecretIsInAnError(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.URL = secret.New(strings.Replace(c.URL.Reveal(), "http://", "http://user:passw0rd@", 1))
	})
	r.receiver.Fail(hook.Fault{
		Status: http.StatusForbidden,
		Body:   "cannot POST /hooks/" + token + "?key=" + token + " with " + bearer + " by user:passw0rd, signed with " + signing,
	})
	se := failure(t, r, burning(1))
	for _, s := range []string{token, "b3arer", "passw0rd", signing} {
		if strings.Contains(se.Error(), s) {
			t.Errorf("%s is in %v", s, se)
		}
	}
	if !strings.Contains(se.Error(), "cannot POST <secret>") {
		t.Errorf("got %v", se)
	}
}
