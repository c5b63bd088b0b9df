package inbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves on a port of its own and returns its address.
func start(t *testing.T, c Config) (*Server, string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, done := New(c), make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), s.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

func send(addr, mail string, to ...string) error {
	return smtp.SendMail(addr, nil, "midwatch@example.com", to, []byte(strings.ReplaceAll(mail, "\n", "\r\n")))
}

const both = `From: "Midwatch" <midwatch@example.com>
To: li.wei@example.com
Subject: =?UTF-8?q?P1_=E6=94=AF=E4=BB=98?= burns
Received: one
Received: two
Content-Type: multipart/mixed; boundary=out

--out
Content-Type: multipart/alternative; boundary=in

--in
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

=E6=94=AF=E4=BB=98 fails=
, twice
--in
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+5pSv
5LuYPC9wPg==
--in--
--out
Content-Type: text/plain
Content-Disposition: attachment; filename=x.txt

attached
--out--
`

func TestMailIsKept(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 2, 31, 0, time.UTC)
	s, addr := start(t, Config{Now: func() time.Time { return at }})
	if err := send(addr, both, "li.wei@example.com", "ana@example.com"); err != nil {
		t.Fatal(err)
	}
	want := []Message{{
		ID: 1, Arrived: at, From: "midwatch@example.com", To: []string{"li.wei@example.com", "ana@example.com"},
		Subject: "P1 支付 burns", Text: "支付 fails, twice", HTML: "<p>支付</p>",
		RawSize:   len(both) + strings.Count(both, "\n"), // its lines end with CR LF
		Structure: "multipart/mixed(multipart/alternative(text/plain text/html) text/plain)",
		Headers: map[string]string{
			"From": `"Midwatch" <midwatch@example.com>`, "To": "li.wei@example.com", "Subject": "P1 支付 burns",
			"Received": "one\ntwo", "Content-Type": "multipart/mixed; boundary=out",
		},
	}}
	if diff := cmp.Diff(want, s.Messages()); diff != "" {
		t.Error(diff)
	}
	var got struct{ Messages []Message }
	if err := json.Unmarshal([]byte(get(t, s, "/messages", 200)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Messages); diff != "" {
		t.Error(diff)
	}
}

func TestOldestMailsGo(t *testing.T) {
	s, addr := start(t, Config{MaxMessages: 3, MaxBytes: 1000})
	for i := range 5 {
		if err := send(addr, fmt.Sprintf("Subject: %d\n\nx\n", i), "a@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	var subjects []string
	for _, m := range s.Messages() {
		subjects = append(subjects, fmt.Sprint(m.ID, "=", m.Subject))
	}
	if diff := cmp.Diff([]string{"3=2", "4=3", "5=4"}, subjects); diff != "" {
		t.Error(diff)
	}
	if err := send(addr, "Subject: large\n\n"+strings.Repeat("x\n", 600), "a@example.com"); code(err) != 552 {
		t.Errorf("a mail that is too large: %v", err)
	}
}

func code(err error) int {
	if te, ok := errors.AsType[*textproto.Error](err); ok {
		return te.Code
	}
	return 0
}

func TestFaultsTakeTheirTurn(t *testing.T) {
	s, addr := start(t, Config{Recipients: []string{"Li.Wei@example.com"}})
	s.Fail(Busy, Greylisted, Full, Rejected, Drop, Cut)
	var got []string
	for range 6 {
		err := send(addr, "Subject: x\n\nx\n", "li.wei@example.com")
		got = append(got, fmt.Sprint(code(err), " ", err != nil, " ", len(s.Messages())))
	}
	want := []string{"421 true 0", "450 true 0", "452 true 0", "554 true 0", "0 true 0", "0 true 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := send(addr, "Subject: x\n\nx\n", "li.wei@example.com"); err != nil || len(s.Messages()) != 2 {
		t.Errorf("after the faults: %v", err)
	}
	if err := send(addr, "Subject: x\n\nx\n", "nobody@example.com"); code(err) != 550 {
		t.Errorf("nobody's mailbox: %v", err)
	}
	s.Fail(Busy)
	s.Heal()
	if err := send(addr, "Subject: x\n\nx\n", "li.wei@example.com"); err != nil {
		t.Errorf("healed: %v", err)
	}
}

func TestHangEndsWithTheServer(t *testing.T) {
	for _, f := range []Fault{Hang, HangAtStart} {
		t.Run(string(f), func(t *testing.T) {
			s, addr := start(t, Config{})
			s.Fail(f)
			done := make(chan error, 1)
			go func() { done <- send(addr, "Subject: x\n\nx\n", "a@example.com") }()
			for s.Pending() > 0 {
				select {
				case err := <-done:
					t.Fatalf("answered: %v", err)
				case <-time.After(time.Millisecond):
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-done; err == nil || len(s.Messages()) != 0 {
				t.Errorf("got %v and %d mails", err, len(s.Messages()))
			}
		})
	}
}

func TestSigningIn(t *testing.T) {
	_, addr := start(t, Config{Username: "midwatch", Password: "right"})
	if err := send(addr, "Subject: x\n\nx\n", "a@example.com"); code(err) != 530 {
		t.Errorf("nobody signed in: %v", err)
	}
	for password, want := range map[string]int{"wrong": 535, "right": 0} {
		if got := plain(t, addr, password); got != want {
			t.Errorf("%s: %d, want %d", password, got, want)
		}
	}
}

// plain signs in without TLS and returns the code of a refusal.
func plain(t *testing.T, addr, password string) int {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []struct {
		say  string
		want int
	}{{"", 220}, {"EHLO me", 250}, {"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00midwatch\x00"+password)), 235}} {
		if step.say != "" {
			if err := c.PrintfLine("%s", step.say); err != nil {
				t.Fatal(err)
			}
		}
		if got, _, err := c.ReadResponse(step.want); err != nil {
			return got
		}
	}
	return 0
}

func TestManyAtOnce(t *testing.T) {
	s, addr := start(t, Config{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := send(addr, both, "a@example.com"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, m := range s.Messages() {
		if m.ID != i+1 || m.Text != "支付 fails, twice" {
			t.Errorf("mail %d is %+v", i, m)
		}
	}
	if n := len(s.Messages()); n != 20 {
		t.Errorf("%d mails", n)
	}
}

func get(t *testing.T, s *Server, path string, status int) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	if w.Code != status {
		t.Fatalf("%s: %d: %s", path, w.Code, body)
	}
	if status == 200 && (w.Header().Get("X-Content-Type-Options") != "nosniff" || strings.HasPrefix(path, "/?") && !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'")) {
		t.Errorf("%s: headers %v", path, w.Header())
	}
	return string(body)
}

func TestPages(t *testing.T) {
	s := New(Config{})
	if got := get(t, s, "/", 200); !strings.Contains(got, "Nothing has arrived yet.") {
		t.Errorf("empty: %s", got)
	}
	if got := get(t, s, "/messages", 200); got != "{\"messages\":[]}\n" {
		t.Errorf("empty: %s", got)
	}
	s.arrive(parse("m@example.com", []string{"a@example.com"}, []byte(both)))
	s.arrive(parse("m@example.com", []string{"<script>b@example.com"}, []byte("Subject: <script>alert(1)</script>\r\nImportance: high\r\n\r\nfirst\r\n<img src=x>\r\n")))
	for path, want := range map[string][]string{
		"/":                    {"Inbox (2)", `class="urgent"`, "&lt;script&gt;alert(1)", "&lt;img src=x&gt;", "支付", `<main class="newest">`},
		"/?id=1":               {`<main class="picked">`, `sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox" src="./html?id=1"`},
		"/?id=1&part=text":     {"<pre dir=\"auto\">支付 fails, twice</pre>"},
		"/?id=1&part=headers":  {"<dt>Received</dt><dd>one\ntwo</dd>"},
		"/?id=2&part=html":     {"<pre"}, // it has none
		"/html?id=1":           {"<p>支付</p>"},
		"/?id=1&part=%3Cb%3Ex": {"<iframe"},
	} {
		got := get(t, s, path, 200)
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q is not in\n%s", path, part, got)
			}
		}
		if strings.Contains(got, "<script>") || strings.Contains(got, "<img") {
			t.Errorf("%s: not escaped:\n%s", path, got)
		}
	}
	for _, path := range []string{"/?id=3", "/?id=", "/html?id=9", "/nothing"} {
		get(t, s, path, 404)
	}
}

const pictured = `Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html

<img src="cid:a b@c"><img src="cid:other">
--r
Content-Type: image/png
Content-ID: <a b@c>
Content-Transfer-Encoding: base64

aW1hZ2U=
--r
Content-Type: image/svg+xml
Content-ID: <svg>

<svg onload=x>
--r--
`

// TestPicturesOfAMailAreShown at addresses that a browser has.
func TestPicturesOfAMailAreShown(t *testing.T) {
	s := New(Config{})
	s.arrive(parse("m@example.com", []string{"a@example.com"}, []byte(pictured)))
	if got, want := get(t, s, "/html?id=1", 200), `<img src="./inline?id=1&amp;cid=a+b%40c"><img src="cid:other">`; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := get(t, s, "/inline?id=1&cid=a+b%40c", 200); got != "image" {
		t.Errorf("the picture is %q", got)
	}
	for _, path := range []string{"/inline?id=1&cid=svg", "/inline?id=1", "/inline?id=2&cid=a+b%40c"} {
		get(t, s, path, 404)
	}
}

// TestFaultsOfAMailbox last until they are healed, and are nobody else's.
func TestFaultsOfAMailbox(t *testing.T) {
	s, addr := start(t, Config{})
	s.FailTo("Ana@example.com", Greylisted)
	for range 2 {
		if err := send(addr, "Subject: x\n\nx\n", "ana@example.com"); code(err) != 450 {
			t.Errorf("got %v", err)
		}
		if err := send(addr, "Subject: x\n\nx\n", "bob@example.com"); err != nil {
			t.Error(err)
		}
	}
	s.Heal()
	if err := send(addr, "Subject: x\n\nx\n", "ana@example.com"); err != nil {
		t.Error(err)
	}
}

// TestSignaturesAreLookedAt: none, and one that holds for nothing.
func TestSignaturesAreLookedAt(t *testing.T) {
	s, addr := start(t, Config{LookupTXT: func(string) ([]string, error) { return nil, errors.New("no such record") }})
	for _, mail := range []string{
		"Subject: x\n\nx\n",
		"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=a; h=from; bh=AAAA; b=AAAA\nFrom: a@example.com\n\nx\n",
	} {
		if err := send(addr, mail, "a@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	mails := s.Messages()
	if len(mails[0].Signatures) != 0 || len(mails[1].Signatures) != 1 || mails[1].Signatures[0].Problem == "" {
		t.Errorf("got %+v and %+v", mails[0].Signatures, mails[1].Signatures)
	}
}

// TestMailOfOthersDoesNothing is about the one page that is not escaped.
func TestMailOfOthersDoesNothing(t *testing.T) {
	s := New(Config{})
	s.arrive(Message{HTML: "<script>alert(1)</script>"})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/html?id=1", nil))
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "sandbox ") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script") {
		t.Errorf("policy %q", policy)
	}
}

// FuzzParse lets anybody send anything.
func FuzzParse(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(both, "\n", "\r\n")))
	f.Add([]byte(strings.ReplaceAll(pictured, "\n", "\r\n")))
	f.Add([]byte("no mail"))
	f.Add([]byte("Subject: =?UTF-8?b?//8=?= \xff\r\nContent-Type: text/html; charset=latin1\r\n\r\n\xe9\xff"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\n\n" + strings.Repeat("--a\nContent-Type: multipart/mixed; boundary=a\n\n", 200)))
	f.Add([]byte("Content-Type: multipart/mixed\r\n\r\n--\r\n\r\nx\r\n----\r\n"))
	f.Add([]byte("Content-Transfer-Encoding: base64\r\n\r\n!!!!"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := parse("a\xff@example.com", []string{"b"}, raw)
		for _, text := range []string{m.From, m.Subject, m.Text, m.HTML} {
			if !utf8.ValidString(text) || len(text) > 3*len(raw)+100 {
				t.Fatalf("%d bytes, valid %v", len(text), utf8.ValidString(text))
			}
		}
		s := New(Config{})
		s.arrive(m)
		for _, path := range []string{"/", "/?id=1&part=text", "/?id=1&part=headers", "/html?id=1", "/messages"} {
			get(t, s, path, 200)
		}
	})
}
