package email

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/standin/inbox"
	"github.com/midwatch-slo/midwatch/page"
)

// keys writes a key of each kind, and answers for their public halves as the
// DNS would.
func keys(t *testing.T) (rsaFile, edPEM string, dns map[string]string) {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	rsaFile = filepath.Join(t.TempDir(), "dkim.pem")
	if err := os.WriteFile(rsaFile, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}), 0o600); err != nil {
		t.Fatal(err)
	}
	return rsaFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), map[string]string{
		"one._domainkey.example.com":      "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der),
		"two._domainkey.mail.example.com": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public),
	}
}

// TestSignaturesHold has the server verify what it was sent.
func TestSignaturesHold(t *testing.T) {
	rsaFile, edPEM, dns := keys(t)
	r := newRig(t, func(theirs *inbox.Config, ours *Config) {
		theirs.LookupTXT = func(domain string) ([]string, error) {
			if text, ok := dns[domain]; ok {
				return []string{text}, nil
			}
			return nil, fmt.Errorf("no record of %s", domain)
		}
		ours.DKIM = []DKIM{{Selector: "one", KeyFile: rsaFile}, {Selector: "two", Domain: "mail.example.com", Key: secret.New(edPEM)}}
	})
	long := onePage("b")
	long.To.FullName, long.Incident.Service = strings.Repeat("李伟", 30), strings.Repeat("支付", 60) // headers that are folded
	long.Evidence = []page.Evidence{{Source: "logs", Patterns: []page.LogPattern{{Template: ".\r\n. dots  and   spaces \t", Sample: strings.Repeat("长", 900), Count: 1}}}}
	for _, p := range []page.Page{outage(), long} {
		if err := r.send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range r.server.Messages() {
		if diff := cmp.Diff([]inbox.Signature{{Domain: "example.com"}, {Domain: "mail.example.com"}}, m.Signatures); diff != "" {
			t.Errorf("mail %d: %s", m.ID, diff)
		}
	}
	dns["one._domainkey.example.com"] = strings.ReplaceAll(dns["one._domainkey.example.com"], "p=", "p=AAAA")
	if err := r.send(t.Context(), outage()); err != nil {
		t.Fatal(err)
	}
	if s := r.server.Messages()[2].Signatures; s[0].Problem == "" || s[1].Problem != "" {
		t.Errorf("by another key: %+v", s)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	_, edPEM, _ := keys(t)
	small := "-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----"
	for name, c := range map[string]struct {
		dkim DKIM
		want string
	}{
		"no selector":    {DKIM{Key: secret.New(edPEM)}, "dkim[0]: selector: want a name"},
		"header in it":   {DKIM{Selector: "a; d=evil", Key: secret.New(edPEM)}, "selector: want"},
		"no key":         {DKIM{Selector: "a"}, "key: give key or key_file"},
		"two keys":       {DKIM{Selector: "a", Key: secret.New("x"), KeyFile: "y"}, "key: give key or key_file"},
		"no such file":   {DKIM{Selector: "a", KeyFile: "/nowhere"}, "read key_file"},
		"no PEM":         {DKIM{Selector: "a", Key: secret.New("hunter2")}, "key: no PEM"},
		"no private key": {DKIM{Selector: "a", Key: secret.New(small)}, "no private key of PKCS #1 or #8"},
	} {
		_, err := New(Config{Smarthost: "mail:587", From: "a@example.com", DKIM: []DKIM{c.dkim}})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}
