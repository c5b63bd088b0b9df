package email

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/standin/inbox"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mailPassword = "pa55+word/of=the mail server"

// certificate returns TLS for 127.0.0.1, for the server and for who trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

type rig struct {
	*Notifier
	server *inbox.Server
}

// newRig starts a server and a notifier that sends to it; change may change
// both of their configurations.
func newRig(t *testing.T, change func(*inbox.Config, *Config)) rig {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	theirs := inbox.Config{Recipients: []string{"li.wei@example.com"}}
	ours := Config{Smarthost: l.Addr().String(), From: "Midwatch <midwatch@example.com>", TLS: None, Hello: "midwatch.example.com"}
	if change != nil {
		change(&theirs, &ours)
	}
	server := inbox.New(theirs)
	if ours.TLS == Implicit {
		l = tls.NewListener(l, theirs.TLS)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	n, err := New(ours)
	if err != nil {
		t.Fatal(err)
	}
	return rig{n, server}
}

func TestContract(t *testing.T) {
	faults := map[notifytest.Trouble]inbox.Fault{
		notifytest.Down: inbox.Busy, notifytest.Later: inbox.Greylisted, notifytest.Refused: inbox.Rejected,
		notifytest.Hang: inbox.Hang, notifytest.Half: inbox.Cut,
	}
	serverTLS, clientTLS := certificate(t)
	notifytest.Run(t, func(t *testing.T, logger *slog.Logger) notifytest.Provider {
		r := newRig(t, func(theirs *inbox.Config, ours *Config) {
			theirs.TLS, theirs.Username, theirs.Password = serverTLS, "midwatch", mailPassword
			ours.TLS, ours.TLSConfig, ours.Username, ours.Password, ours.Logger = StartTLS, clientTLS, "midwatch", secret.New(mailPassword), logger
		})
		return notifytest.Provider{
			Notifier: r, Channel: "email", Address: "li.wei@example.com",
			Secrets: []string{mailPassword, base64.StdEncoding.EncodeToString([]byte("\x00midwatch\x00" + mailPassword))},
			Markup:  []string{"<script>alert(1)</script>", "<img src=x>", "\r\nBcc: thief@example.com", "</td></table>x"},
			Delivered: func() (got []notifytest.Delivery) {
				for _, m := range r.server.Messages() {
					got = append(got, notifytest.Delivery{To: m.To[0], Text: m.Text, Raw: m.HTML})
				}
				return got
			},
			Replies: []notifytest.Reply{
				reply(r, inbox.Busy, true, "SMTP 421"), reply(r, inbox.Greylisted, true, "SMTP 450"), reply(r, inbox.Full, true, "SMTP 452"),
				reply(r, inbox.Rejected, false, "SMTP 554"), reply(r, inbox.Drop, true, ""), reply(r, inbox.Cut, true, ""),
			},
			Trouble: func(f notifytest.Trouble) { r.server.Fail(faults[f]) },
			Close:   func() { _ = r.server.Close() },
		}
	})
}

func reply(r rig, f inbox.Fault, temporary bool, code string) notifytest.Reply {
	return notifytest.Reply{Name: string(f), Answer: func() { r.server.Fail(f) }, Temporary: temporary, Code: code}
}

func onePage(key string) page.Page {
	return notifytest.Provider{Channel: "email", Address: "li.wei@example.com"}.Page(key, false)
}

func sendError(t *testing.T, err error) *page.SendError {
	t.Helper()
	var se *page.SendError
	if !errors.As(err, &se) {
		t.Fatalf("want a page.SendError, got %v", err)
	}
	return se
}

func TestWhatTheServerHasTakenIsSent(t *testing.T) {
	r := newRig(t, nil)
	r.server.Fail(inbox.CutAfter)
	if err := r.send(t.Context(), onePage("a")); err != nil {
		t.Errorf("the server has taken it, but %v", err)
	}
	if n := len(r.server.Messages()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestUnknownMailboxIsPermanent(t *testing.T) {
	r := newRig(t, nil)
	for address, code := range map[string]string{"nobody@example.com": "SMTP 550", "li.wei": "", "a@b.c\r\nBcc: x@y.z": ""} {
		p := onePage("a")
		p.To.Address = address
		if se := sendError(t, r.send(t.Context(), p)); se.Temporary || se.Code != code {
			t.Errorf("%q: got %+v", address, se)
		}
	}
}

func TestTLSPolicies(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: serverTLS.Certificates[0].Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	oldTLS := serverTLS.Clone()
	oldTLS.MinVersion, oldTLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for name, tt := range map[string]struct {
		change func(*inbox.Config, *Config)
		ok     bool
	}{
		"mandatory, offered":     {func(s *inbox.Config, c *Config) { s.TLS, c.TLS, c.TLSConfig = serverTLS, StartTLS, clientTLS }, true},
		"mandatory, not offered": {func(_ *inbox.Config, c *Config) { c.TLS = StartTLS }, false},
		"not trusted":            {func(s *inbox.Config, c *Config) { s.TLS, c.TLS = serverTLS, Opportunistic }, false},
		"opportunistic, not offered": {func(_ *inbox.Config, c *Config) {
			c.TLS = Opportunistic
		}, true},
		"implicit": {func(s *inbox.Config, c *Config) {
			s.TLS, s.Username, s.Password = serverTLS, "midwatch", mailPassword
			c.TLS, c.TLSConfig, c.Username, c.Password = Implicit, clientTLS, "midwatch", secret.New(mailPassword)
		}, true},
		"private CA": {func(s *inbox.Config, c *Config) { s.TLS, c.CAFile = serverTLS, caFile }, true},
		"another name": {func(s *inbox.Config, c *Config) {
			s.TLS, c.CAFile, c.ServerName = serverTLS, caFile, "mail.example.com"
		}, false},
		"older name": {func(s *inbox.Config, c *Config) { s.TLS, c.TLS, c.CAFile = serverTLS, "mandatory", caFile }, true},
		"old TLS":    {func(s *inbox.Config, c *Config) { s.TLS, c.CAFile = oldTLS, caFile }, false},
		"wrong password": {func(s *inbox.Config, c *Config) {
			s.TLS, s.Username, s.Password = serverTLS, "midwatch", mailPassword
			c.TLS, c.TLSConfig, c.Username, c.Password = StartTLS, clientTLS, "midwatch", secret.New("wrong")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(s *inbox.Config, c *Config) { c.TLS = ""; tt.change(s, c) })
			err := r.send(t.Context(), onePage("a"))
			if (err == nil) != tt.ok || len(r.server.Messages()) > 0 != tt.ok {
				t.Errorf("got %v and %d mails", err, len(r.server.Messages()))
			}
		})
	}
}

func TestHeadersMakeThreadsAndNoAnswers(t *testing.T) {
	r := newRig(t, nil)
	first, second := onePage("first"), onePage("second")
	second.Kind = page.Again
	for _, p := range []page.Page{first, first, second} {
		if err := r.send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	mails := r.server.Messages()
	id := func(i int) string { return mails[i].Headers["Message-Id"] }
	if id(0) == "" || id(0) != id(1) || id(0) == id(2) {
		t.Errorf("message ids %q, %q, %q", id(0), id(1), id(2))
	}
	for i, m := range mails {
		got := map[string]string{}
		for _, name := range []string{"From", "To", "Subject", "Date", "List-Id", "Auto-Submitted", "X-Midwatch-Incident", "X-Midwatch-Level", "Importance", "In-Reply-To"} {
			got[name] = m.Headers[name]
		}
		want := map[string]string{
			"From": `"Midwatch" <midwatch@example.com>`, "To": "李伟 <li.wei@example.com>",
			"Subject": []string{"", "", "Re: "}[i] + "P1 payment-service: error budget burns", "Date": "Sat, 21 Nov 2026 19:02:31 +0000",
			"List-Id": "Midwatch pages <midwatch.example.com>", "Auto-Submitted": "auto-generated",
			"X-Midwatch-Incident": "12", "X-Midwatch-Level": "P1", "Importance": "high", "In-Reply-To": mails[0].Headers["References"],
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mail %d: %s", i, diff)
		}
		if m.Headers["References"] == "" {
			t.Errorf("mail %d is of no thread", i)
		}
	}
}

func TestHTMLEscapesWhatOthersWrote(t *testing.T) {
	p := onePage("a")
	p.Incident.Title = `</title><script>alert(1)</script>`
	p.SLO.Standings = nil
	p.Link = "javascript:alert(1)"
	p.Evidence = []page.Evidence{{Source: "logs", Link: `https://x.example/"><img src=x>`, Patterns: []page.LogPattern{{Template: "<b>bold</b>", Sample: "<img src=x onerror=y>", Count: 1}}}}
	html, err := render(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<b>", "<img", "javascript:", "ZgotmplZ"} {
		if strings.Contains(html, bad) {
			t.Errorf("%s is in\n%s", bad, html)
		}
	}
}

func TestConfiguration(t *testing.T) {
	_, err := New(Config{Smarthost: "mail", From: "nobody", TLS: "sometimes", Username: "u", DKIM: []DKIM{{}}})
	for _, want := range []string{"smarthost:", "from:", "tls:", "password:", "dkim[0]: selector:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	if _, err := New(Config{Smarthost: "mail:25", From: "a@example.com", TLS: None, Username: "u", Password: secret.New("p")}); err == nil {
		t.Error("a password would be sent in the clear")
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(mailPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := New(Config{Smarthost: "mail:587", From: "a@example.com", Username: "u", PasswordFile: file})
	if err != nil || n.config.Password.Reveal() != mailPassword || n.config.TLS != StartTLS {
		t.Errorf("got %v, %v", n, err)
	}
}
