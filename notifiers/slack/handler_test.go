package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	standin "github.com/midwatch-slo/midwatch/internal/standin/slack"
	"github.com/midwatch-slo/midwatch/page"
)

// desk notes what it is asked for.
type desk struct {
	mu   sync.Mutex
	done []string
	err  error
	hold chan struct{} // when there is one, work waits for it
}

func (d *desk) note(ctx context.Context, format string, args ...any) error {
	if d.hold != nil {
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, alert.Via(ctx)+": "+fmt.Sprintf(format, args...))
	return d.err
}

func (d *desk) all() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.done, "\n")
}

func (d *desk) Acknowledge(ctx context.Context, id int64, actor string) error {
	return d.note(ctx, "ack %d by %s", id, actor)
}

func (d *desk) Escalate(ctx context.Context, id int64, actor string) error {
	return d.note(ctx, "escalate %d by %s", id, actor)
}

func (d *desk) Resolve(ctx context.Context, id int64, actor string) error {
	return d.note(ctx, "resolve %d by %s", id, actor)
}

func (d *desk) Snooze(ctx context.Context, id int64, until time.Time, actor string) error {
	return d.note(ctx, "snooze %d until %s by %s", id, until.Format("15:04:05"), actor)
}

func (d *desk) Incidents(context.Context) ([]alert.Incident, error) {
	return []alert.Incident{
		{ID: 12, Level: alert.P1, Service: "payment-service", Title: "budget <burns>", Status: alert.Acknowledged, AckedBy: "ana"},
		{ID: 7, Level: alert.P3, Title: "disk full"},
	}, d.err
}

func (d *desk) OnCall(context.Context) ([]Duty, error) {
	return []Duty{{Schedule: "payments", User: "ana", Until: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)}, {Schedule: "search"}}, d.err
}

var (
	_ Desk  = (*desk)(nil)
	_ Board = (*desk)(nil)
)

// files are the on-call files, which name Li Wei by an email address.
type files struct{}

func (files) Person(channel, address string) (name string, ok bool) {
	return "li.wei", channel == "slack" && address == "li.wei@example.com"
}

// served is a rig whose buttons are answered over HTTP.
func served(t *testing.T, d Desk) (rig, *httptest.Server) {
	t.Helper()
	r := newRig(t, nil)
	door := httptest.NewServer(r.Handler(d, files{}))
	t.Cleanup(func() {
		r.requests.wait(t.Context())
		door.Close()
	})
	r.provider.Reach(door.URL, r.web.URL)
	return r, door
}

// until polls for what somebody else brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		timer := time.NewTimer(5 * time.Millisecond)
		<-timer.C
	}
}

func TestButtonsAct(t *testing.T) {
	d := &desk{}
	r, _ := served(t, d)
	r.mustSend(t, pageTo(room, page.Opened, "1"))
	m := r.last(t)
	for _, c := range []struct{ who, control, option string }{
		{liWei, "ack:12", ""}, {ana, "escalate:12", ""}, {liWei, "resolve:12", ""}, {liWei, "snooze:12", "1h"}, {liWei, "link:0", ""},
	} {
		if err := r.provider.Click(t.Context(), c.who, m, c.control, c.option); err != nil {
			t.Errorf("%s: %v", c.control, err)
		}
	}
	// Ana is known to Slack alone.
	want := "chat: ack 12 by li.wei\nchat: escalate 12 by ana (Slack)\nchat: resolve 12 by li.wei\nchat: snooze 12 until 20:02:31 by li.wei"
	if got := d.all(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestADoubleClickActsOnce(t *testing.T) {
	d := &desk{}
	r, _ := served(t, d)
	r.mustSend(t, pageTo(room, page.Opened, "1"))
	click := func(who string) {
		t.Helper()
		if err := r.provider.Click(t.Context(), who, r.last(t), "escalate:12", ""); err != nil {
			t.Error(err)
		}
	}
	click(liWei)
	click(liWei)
	click(ana)
	r.clock.advance(doubleClick)
	click(liWei)
	if n := strings.Count(d.all(), "escalate 12 by li.wei"); n != 2 || strings.Count(d.all(), "ana") != 1 {
		t.Errorf("got\n%s", d.all())
	}
}

func TestWhoClicksInVainIsTold(t *testing.T) {
	d := &desk{err: fmt.Errorf("acknowledge: %w", &Refused{"incident 12 is resolved already"})}
	r, _ := served(t, d)
	r.mustSend(t, pageTo(room, page.Opened, "1"))
	if err := r.provider.Click(t.Context(), liWei, r.last(t), "ack:12", ""); err != nil {
		t.Fatal(err)
	}
	until(t, "an answer", func() bool { return len(r.provider.Ephemeral()) == 1 })
	if got := r.provider.Ephemeral()[0]; got != "That did not work: incident 12 is resolved already." {
		t.Errorf("told %q", got)
	}
	d.err = errors.New("database /var/lib/midwatch.db is locked")
	if err := r.provider.Click(t.Context(), ana, r.last(t), "ack:12", ""); err != nil {
		t.Fatal(err)
	}
	until(t, "an answer", func() bool { return len(r.provider.Ephemeral()) == 2 })
	if got := r.provider.Ephemeral()[1]; strings.Contains(got, "/var") {
		t.Errorf("told %q", got)
	}
}

// A button that did not work can be pressed again at once.
func TestWhoClicksInVainTriesAgain(t *testing.T) {
	d := &desk{err: errors.New("database is locked")}
	r, _ := served(t, d)
	r.mustSend(t, pageTo(room, page.Opened, "1"))
	for n := range 2 {
		if err := r.provider.Click(t.Context(), liWei, r.last(t), "ack:12", ""); err != nil {
			t.Fatal(err)
		}
		until(t, "an answer", func() bool { return len(r.provider.Ephemeral()) == n+1 })
	}
	if n := strings.Count(d.all(), "ack 12"); n != 2 {
		t.Errorf("tried %d times, want 2", n)
	}
}

// Whoever knocks cannot fill the log.
func TestRefusedRequestsAreLoggedOnceAMinute(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, func(c *Config, _ *standin.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 100 {
		res := httptest.NewRecorder()
		r.Handler(&desk{}, nil).ServeHTTP(res, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("payload={}")))
		if res.Code != http.StatusUnauthorized {
			t.Fatalf("status %d", res.Code)
		}
	}
	if n := strings.Count(log.String(), "request refused"); n != 1 {
		t.Errorf("%d lines, want 1", n)
	}
}

// Slack waits for three seconds: what takes longer is done all the same.
func TestSlowWorkGoesOnAfterTheAnswer(t *testing.T) {
	d := &desk{hold: make(chan struct{})}
	r, _ := served(t, d)
	said, err := r.provider.Command(t.Context(), liWei, "/midwatch ack 12")
	if err != nil || said != "" {
		t.Fatalf("%q, %v", said, err)
	}
	close(d.hold)
	until(t, "an answer", func() bool { return len(r.provider.Ephemeral()) == 1 })
	if got := r.provider.Ephemeral()[0]; got != "Acknowledged: incident 12." || d.all() != "chat: ack 12 by li.wei" {
		t.Errorf("told %q, did %q", got, d.all())
	}
}

func TestTooMuchAtOnceIsRefused(t *testing.T) {
	d := &desk{hold: make(chan struct{})}
	r, door := served(t, d)
	for range maxWork {
		r.requests.slots <- struct{}{}
	}
	res := post(t, r, door, form("ack:12", "1"), r.clock.now())
	if res != http.StatusServiceUnavailable {
		t.Errorf("status %d", res)
	}
	for range maxWork {
		<-r.requests.slots
	}
	close(d.hold)
	// What was refused can be sent again.
	if res := post(t, r, door, form("ack:12", "1"), r.clock.now()); res != http.StatusOK || d.all() != "chat: ack 12 by li.wei" {
		t.Errorf("status %d, did %q", res, d.all())
	}
}

func TestCommands(t *testing.T) {
	r, _ := served(t, &desk{})
	for command, want := range map[string]string{
		"/midwatch":                 usage,
		"/midwatch help":            usage,
		"/midwatch ack":             usage,
		"/midwatch ack twelve":      usage,
		"/midwatch ack -3":          usage,
		"/midwatch snooze 12":       usage,
		"/midwatch snooze 12 1000h": usage,
		"/midwatch ack #12":         "Acknowledged: incident 12.",
		"/midwatch Resolve 12":      "Resolved: incident 12.",
		"/midwatch snooze 12 90m":   "Snoozed: incident 12.",
		"/midwatch incidents":       "12  P1  payment-service: budget &lt;burns&gt; (acknowledged by ana)\n7  P3  disk full",
		"/midwatch who":             "payments: ana, until Sun, 22 Nov 2026 01:00:00 UTC\nsearch: nobody",
	} {
		got, err := r.provider.Command(t.Context(), liWei, command)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", command, got, err, want)
		}
	}
}

// form is what a click sends.
func form(control, ts string) []byte {
	payload := fmt.Sprintf(`{"type":"block_actions","user":{"id":%q},"container":{"message_ts":"1.2"},"actions":[{"action_id":%q,"action_ts":%q}]}`, liWei, control, ts)
	return []byte(url.Values{"payload": {payload}}.Encode())
}

func post(t *testing.T, r rig, door *httptest.Server, body []byte, at time.Time) int {
	t.Helper()
	return postWith(t, door, body, r.provider.Sign(body, at))
}

func postWith(t *testing.T, door *httptest.Server, body []byte, header http.Header) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, door.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := door.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestOnlySlackIsHeard(t *testing.T) {
	d := &desk{}
	r, door := served(t, d)
	now, body := r.clock.now(), form("ack:12", "1")
	stranger := standin.New(standin.Config{SigningSecret: "another"})
	for name, tt := range map[string]struct {
		body   []byte
		header http.Header
		want   int
	}{
		"another secret":       {body, stranger.Sign(body, now), http.StatusUnauthorized},
		"another body":         {form("resolve:12", "1"), r.provider.Sign(body, now), http.StatusUnauthorized},
		"six minutes old":      {body, r.provider.Sign(body, now.Add(-6*time.Minute)), http.StatusUnauthorized},
		"six minutes ahead":    {body, r.provider.Sign(body, now.Add(6*time.Minute)), http.StatusUnauthorized},
		"not signed":           {body, http.Header{}, http.StatusUnauthorized},
		"huge":                 {bytes.Repeat([]byte("x"), maxRequest+1), r.provider.Sign(body, now), http.StatusRequestEntityTooLarge},
		"signed, not a form":   {[]byte("payload=%zz"), r.provider.Sign([]byte("payload=%zz"), now), http.StatusBadRequest},
		"signed, not JSON":     {[]byte("payload={"), r.provider.Sign([]byte("payload={"), now), http.StatusBadRequest},
		"signed, of nobody":    {[]byte(`payload={"type":"block_actions"}`), r.provider.Sign([]byte(`payload={"type":"block_actions"}`), now), http.StatusBadRequest},
		"signed, of no button": {[]byte(`payload={"type":"view_closed"}`), r.provider.Sign([]byte(`payload={"type":"view_closed"}`), now), http.StatusOK},
		"signed, a probe":      {[]byte("ssl_check=1"), r.provider.Sign([]byte("ssl_check=1"), now), http.StatusOK},
	} {
		if got := postWith(t, door, tt.body, tt.header); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	if d.all() != "" {
		t.Errorf("did %s", d.all())
	}
	if got := post(t, r, door, body, now.Add(-4*time.Minute)); got != http.StatusOK || d.all() != "chat: ack 12 by li.wei" {
		t.Errorf("status %d, did %q", got, d.all())
	}
}

// TestSignaturesAreSlacks has slack-go verify what our check accepts.
func TestSignaturesAreSlacks(t *testing.T) {
	body := form("ack:12", "1")
	header := standin.New(standin.Config{SigningSecret: signing}).Sign(body, time.Now())
	theirs, err := slack.NewSecretsVerifier(header, signing)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Write(body)
	if err := theirs.Ensure(); err != nil {
		t.Error(err)
	}
	if err := signed(header, body, secret.New(signing)); err != nil {
		t.Error(err)
	}
}

func TestAnswersGoToSlackAlone(t *testing.T) {
	r := newRig(t, nil)
	for address, ok := range map[string]bool{
		"https://hooks.slack.com/actions/T1/2/3": true, r.web.URL + "/response/x": true,
		"https://hooks.slack.com.evil.example/x": false, "http://hooks.slack.com/x": false, "https://hooks.slack.com:8443/x": false,
		"https://169.254.169.254/": false, "https://evilslack.com/": false, "file:///etc/passwd": false, "%": false,
	} {
		if got := r.ours(address) == nil; got != ok {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// FuzzInteraction lets anybody say anything who knows the signing secret.
func FuzzInteraction(f *testing.F) {
	f.Add([]byte(form("ack:12", "1")))
	f.Add([]byte(form("snooze:9223372036854775807", "")))
	f.Add([]byte("command=%2Fmidwatch&text=ack+12&user_id=" + liWei))
	f.Add([]byte(`payload={"type":"block_actions","user":{"id":"U000000ANA","name":"\u202e\u0000"},"actions":[{"action_id":"snooze:1","selected_option":{"value":"1h"}}]}`))
	f.Add([]byte("payload=" + strings.Repeat("[", 20000)))
	f.Add([]byte("payload=%ff;"))
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := parseForm(body)
		if err != nil {
			if len(err.Error()) > 200 || strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Fatalf("an error that is not for a log: %q", err)
			}
			return
		}
		if len(q.acts) > maxActions || (len(q.acts) > 0 || q.command != nil) && (q.by.id == "" || q.key == "") {
			t.Fatalf("got %+v", q)
		}
		for _, a := range q.acts {
			if a.incident <= 0 || a.verb == snooze && (a.length < minSnooze || a.length > maxSnooze) {
				t.Fatalf("got %+v", a)
			}
		}
		if q.command != nil {
			_, _ = parseCommand(append(strings.Fields(q.command.text), ""))
		}
	})
}
