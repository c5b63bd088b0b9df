package email

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/standin/inbox"
	"github.com/midwatch-slo/midwatch/page"
)

func TestMailArrivesWhole(t *testing.T) {
	r := newRig(t, nil)
	p := outage()
	p.Incident.Service = "支付" // a subject beyond ASCII
	p.Evidence[0].Patterns[0].Sample = ".\r\n.a line that begins with a dot, 连接池" + strings.Repeat("=", 200)
	html, err := render(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	got := r.server.Messages()[0]
	want := inbox.Message{From: "midwatch@example.com", To: []string{"li.wei@example.com"}, Subject: "P1 支付: error budget burns", Text: p.Text(maxText), HTML: html}
	have := inbox.Message{From: got.From, To: got.To, Subject: got.Subject, Text: got.Text, HTML: got.HTML, Problem: got.Problem}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	if got.Structure != "multipart/alternative(text/plain multipart/related(text/html image/png))" {
		t.Errorf("its structure is %s", got.Structure)
	}
	if len(got.Inline) != 1 || !strings.Contains(html, `src="cid:`+got.Inline[0].ID+`"`) {
		t.Fatalf("the picture is not in the HTML: %+v", got.Inline)
	}
	if _, err := png.Decode(bytes.NewReader(got.Inline[0].Data)); err != nil {
		t.Error(err)
	}
}

// TestMessageIDIsOfThePageAlone: the same for each try, whatever the try is,
// and another when a new store has counted up to the same key.
func TestMessageIDIsOfThePageAlone(t *testing.T) {
	r := newRig(t, nil)
	r.server.Fail(inbox.Cut) // it arrives, but nobody knows
	p := outage()
	if se := sendError(t, r.send(t.Context(), p)); !se.Temporary {
		t.Errorf("got %v", se)
	}
	again := p
	again.Attempt = 2
	renewed := p
	renewed.Incident.OpenedAt = p.Incident.OpenedAt.AddDate(0, 1, 0)
	for _, p := range []page.Page{again, renewed} {
		if err := r.send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	mails := r.server.Messages()
	id := func(i int) string { return mails[i].Headers["Message-Id"] + mails[i].Headers["References"] }
	if len(mails) != 3 || id(0) != id(1) || id(0) == id(2) {
		t.Errorf("%d mails: %q, %q, %q", len(mails), id(0), id(1), id(2))
	}
}

// script serves one dialogue after another: each line is said, then a line is
// read. After its last line it waits for the client to leave.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			for _, line := range lines {
				if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
					break
				}
				if _, err := r.ReadString('\n'); err != nil {
					break
				}
			}
			_, _ = io.Copy(io.Discard, r)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestSilenceAnywhereEndsWithTheContext(t *testing.T) {
	const hello = "250-mail\r\n250 STARTTLS"
	for name, tt := range map[string]struct {
		tls   string
		lines []string
	}{
		"no greeting":            {None, nil},
		"no answer to EHLO":      {None, []string{"220 mail"}},
		"no answer to STARTTLS":  {StartTLS, []string{"220 mail", hello}},
		"no TLS after STARTTLS":  {StartTLS, []string{"220 mail", hello, "220 go on"}},
		"no TLS from the start":  {Implicit, nil},
		"no answer to MAIL":      {None, []string{"220 mail", "250 mail"}},
		"no answer to RCPT":      {None, []string{"220 mail", "250 mail", "250 ok"}},
		"no answer to DATA":      {None, []string{"220 mail", "250 mail", "250 ok", "250 ok"}},
		"no answer to the mail":  {None, []string{"220 mail", "250 mail", "250 ok", "250 ok", "354 go on"}},
		"half a line, then none": {None, []string{"220-mail"}},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := New(Config{Smarthost: script(t, tt.lines...), From: "m@example.com", TLS: tt.tls})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			err = n.send(ctx, outage())
			if se := sendError(t, err); !se.Temporary || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestTimeoutIsTheNotifiersOwn(t *testing.T) {
	n, err := New(Config{Smarthost: script(t), From: "m@example.com", TLS: None, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	err = n.send(t.Context(), outage())
	if se := sendError(t, err); !se.Temporary || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestHowTheServerSaysNo is about replies outside the mail itself.
func TestHowTheServerSaysNo(t *testing.T) {
	for _, tt := range []struct {
		lines     []string
		code      string
		temporary bool
	}{
		{[]string{"421 too many connections"}, "SMTP 421", true},
		{[]string{"554 no service here"}, "SMTP 554", false},
		{[]string{"220 mail", "421 later", "421 later"}, "SMTP 421", true},
		{[]string{"220 mail", "250 mail", "451-line one\r\n451 line two"}, "SMTP 451", true},
		{[]string{"220 mail", "250 mail", "550 no such sender"}, "SMTP 550", false},
		{[]string{"what is this"}, "", true},
		{[]string{"220 mail", "250 mail", "250 ok", "250 ok", "354 go on"}, "", true},
	} {
		n, err := New(Config{Smarthost: script(t, tt.lines...), From: "m@example.com", TLS: None, Timeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		se := sendError(t, n.send(t.Context(), outage()))
		if se.Code != tt.code || se.Temporary != tt.temporary || strings.ContainsAny(se.Error(), "\r\n") {
			t.Errorf("%q: got %+v", tt.lines, se)
		}
	}
}

// TestPasswordIsInNoError has a server repeat what it was sent.
func TestPasswordIsInNoError(t *testing.T) {
	n, err := New(Config{Smarthost: "mail:587", From: "m@example.com", Username: "u", Password: secret.New(mailPassword)})
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, sent := range []string{mailPassword, encoded(mailPassword), encoded("\x00u\x00" + mailPassword)} {
		err := n.failure(t.Context(), fmt.Errorf("535 what is %s\r\n%s", sent, strings.Repeat("长", 5000)))
		if got := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(got, sent) || len(got) > 8000 {
			t.Errorf("%q is in %s", sent, got)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", n.config, n.config, n.config); strings.Contains(got, mailPassword) {
		t.Errorf("printed: %s", got)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"li.wei@example.com":             "li.wei@example.com",
		"李伟 <li.wei+oncall@example.com>": "li.wei+oncall@example.com",
		"a@b@c":                          "", "": "", "li.wei": "", "a@example.com, b@example.com": "",
		`"a b"@example.com`: "", `"a>\r\nRCPT TO:<b"@example.com`: "", "a@example.com\r\nBcc: b@example.com": "",
		"a@[127.0.0.1]": "", strings.Repeat("a", 250) + "@example.com": "",
	} {
		a, err := address(text)
		if (err == nil) != (want != "") || err == nil && a.Address != want {
			t.Errorf("%q: got %v, %v, want %q", text, a, err, want)
		}
	}
}
