package slack

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	standin "github.com/midwatch-slo/midwatch/internal/standin/slack"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	botToken = "xoxb-1234-b0ttoken"
	appToken = "xapp-1234-appt0ken"
	signing  = "5igning-secret"
	liWei    = "U0000LIWEI"
	ana      = "U000000ANA"
	room     = "C000000001"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type rig struct {
	*Notifier
	provider *standin.Server
	clock    *clock
	web      *httptest.Server
}

// workspace is a company with two people and three channels.
func workspace(c *clock) standin.Config {
	return standin.Config{
		BotToken: botToken, AppToken: appToken, SigningSecret: signing, Now: c.now,
		Users: []standin.User{{ID: liWei, Name: "li.wei", Email: "li.wei@example.com"}, {ID: ana, Name: "ana", Email: "ana@example.com"}},
		Channels: []standin.Channel{
			{ID: room, Name: "incidents"}, {ID: "C000000002", Name: "secret", Outside: true}, {ID: "C000000003", Name: "old", Archived: true},
		},
	}
}

func newRig(t *testing.T, change func(*Config, *standin.Config)) rig {
	t.Helper()
	k := &clock{at: time.Date(2026, 11, 21, 19, 2, 31, 0, time.UTC)}
	w := workspace(k)
	transport := &http.Transport{}
	c := Config{
		BotToken: secret.New(botToken), SigningSecret: secret.New(signing), Transport: transport, Now: k.now,
	}
	if change != nil {
		change(&c, &w)
	}
	provider := standin.New(w)
	web := httptest.NewServer(provider)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		web.Close()
	})
	c.APIURL = web.URL + "/api/"
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	provider.Reach("", web.URL)
	return rig{n, provider, k, web}
}

func (r rig) last(t *testing.T) standin.Message {
	t.Helper()
	all := r.provider.Messages()
	if len(all) == 0 {
		t.Fatal("no message")
	}
	return all[len(all)-1]
}

func pageTo(address string, kind page.Kind, key string) page.Page {
	return notifytest.Provider{Channel: "slack", Address: address}.PageOf(kind, key)
}

func (r rig) mustSend(t *testing.T, p page.Page) string {
	t.Helper()
	ref, err := r.Send(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func sendError(t *testing.T, err error) *page.SendError {
	t.Helper()
	var se *page.SendError
	if !errors.As(err, &se) {
		t.Fatalf("want a page.SendError, got %v", err)
	}
	return se
}

func TestContract(t *testing.T) {
	const post = "chat.postMessage"
	faults := map[notifytest.Trouble]standin.Fault{
		notifytest.Down: {Status: 503}, notifytest.Later: {Status: 429, RetryAfter: "1"},
		notifytest.Refused: {Method: post, Error: "restricted_action"}, notifytest.Hang: {Hang: true}, notifytest.Half: {Method: post, Half: true},
	}
	for name, address := range map[string]string{"person": liWei, "email": "li.wei@example.com", "channel": room, "channel by name": "#incidents"} {
		t.Run(name, func(t *testing.T) {
			notifytest.Run(t, func(t *testing.T, logger *slog.Logger) notifytest.Provider {
				var k clock // that goes on by ten seconds whenever it is read
				r := newRig(t, func(c *Config, _ *standin.Config) {
					c.Logger, c.Now = logger, func() time.Time { k.advance(10 * time.Second); return k.now() }
				})
				answer := func(f standin.Fault) func() { return func() { r.provider.Fail(f) } }
				return notifytest.Provider{
					Notifier: r, Channel: "slack", Address: address, Secrets: []string{botToken, "b0ttoken", signing},
					Delivered: func() (got []notifytest.Delivery) {
						for _, m := range r.provider.Messages() {
							got = append(got, notifytest.Delivery{To: address, Text: m.Seen(), Raw: m.Text})
						}
						return got
					},
					Trouble: func(f notifytest.Trouble) { r.provider.Fail(faults[f]) },
					Close:   r.web.Close,
					Replies: []notifytest.Reply{
						{Name: "busy", Answer: answer(standin.Fault{Method: post, Error: "internal_error"}), Temporary: true, Code: "internal_error"},
						{Name: "fatal", Answer: answer(standin.Fault{Method: post, Error: "fatal_error"}), Temporary: true, Code: "fatal_error"},
						{Name: "out", Answer: answer(standin.Fault{Method: post, Error: "service_unavailable"}), Temporary: true, Code: "service_unavailable"},
						{Name: "token", Answer: answer(standin.Fault{Method: post, Error: "invalid_auth"}), Code: "invalid_auth"},
						{Name: "account", Answer: answer(standin.Fault{Method: post, Error: "account_inactive"}), Code: "account_inactive"},
						{Name: "new", Answer: answer(standin.Fault{Method: post, Error: "a_code_of_tomorrow"}), Code: "a_code_of_tomorrow"},
						{Name: "page", Answer: answer(standin.Fault{Method: post, Body: "<html>Gateway"}), Temporary: true},
						{Name: "empty", Answer: answer(standin.Fault{Method: post, Body: `{"ok":true}`}), Temporary: true},
						{Name: "moved", Answer: answer(standin.Fault{Method: post, Status: 302}), Code: "302"},
						{Name: "rate", Answer: answer(standin.Fault{Method: post, Status: 429, RetryAfter: "7"}), Temporary: true, Code: "429", After: 7 * time.Second},
					},
				}
			})
		})
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"U9999999999": "user_not_found", "nobody@example.com": "users_not_found", "#secret": "not_in_channel", "old": "is_archived",
		"C9999999999": "channel_not_found", "": "", "@here": "", liWei + "," + ana: "", "Incidents": "", "a b": "",
	} {
		r := newRig(t, nil)
		_, err := r.Send(t.Context(), pageTo(address, page.Opened, "a"))
		if se := sendError(t, err); se.Temporary || se.Code != want {
			t.Errorf("%q: got %+v", address, se)
		}
		if n := len(r.provider.Messages()); n != 0 {
			t.Errorf("%q: %d messages", address, n)
		}
	}
}

func TestAPersonIsLookedUpOnce(t *testing.T) {
	r := newRig(t, nil)
	for i := range 3 {
		r.mustSend(t, pageTo("Li.Wei@example.com", page.Opened, fmt.Sprint(i)))
	}
	if c := r.provider.Counts(); c["users.lookupByEmail"] != 1 || c["conversations.open"] != 1 || c["chat.postMessage"] != 3 {
		t.Errorf("got %v", c)
	}
	if m := r.last(t); m.User != liWei || m.Unfurls {
		t.Errorf("to %q, previews %v", m.User, m.Unfurls)
	}
}

// story is what happened to an incident until minute n.
func story(n int) (events []alert.Event) {
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	for i, e := range []alert.Event{
		{Kind: alert.EventOpened, Text: "opened"},
		{Kind: alert.EventPaged, Text: "paged"},
		{Kind: alert.EventAlert, Text: "an alert joined: <!channel>"},
		{Kind: alert.EventEscalated, Text: "step 2"},
		{Kind: alert.EventAcknowledged, Actor: "ana", Text: "acknowledged"},
	}[:n] {
		e.At = at.Add(time.Duration(i) * time.Minute)
		events = append(events, e)
	}
	return events
}

func TestTheStoryIsInTheThreadOnce(t *testing.T) {
	r := newRig(t, nil)
	p := pageTo(room, page.Opened, "1")
	p.Story = story(2)
	p.Ref = r.mustSend(t, p)
	first := r.last(t)
	for i, want := range []struct {
		kind   page.Kind
		until  int
		seen   string
		rings  bool
		counts int
	}{
		{page.Updated, 2, "", false, 1},
		{page.Updated, 3, "03:02:00 an alert joined: <!channel>", false, 2},
		{page.Escalated, 4, "03:03:00 step 2", true, 3},
		{page.Updated, 5, "03:04:00 acknowledged (ana)", false, 4},
	} {
		p.Kind, p.Key, p.Story = want.kind, fmt.Sprint("update ", i), story(want.until)
		p.Ref = r.mustSend(t, p)
		m := r.last(t)
		if n := len(r.provider.Messages()); n != want.counts {
			t.Fatalf("%d: %d messages, want %d", i, n, want.counts)
		}
		if want.seen == "" {
			continue
		}
		if m.Thread != first.TS || m.Notifies() != want.rings || !strings.HasSuffix(m.Seen(), want.seen) && !strings.Contains(m.Seen(), want.seen+"\n") {
			t.Errorf("%d: in %q, rings %v, says\n%s", i, m.Thread, m.Notifies(), m.Seen())
		}
		if strings.Count(m.Seen(), "\n03:0") > 1 || len(m.Mentions) != 0 {
			t.Errorf("%d: says what was said, or calls %v:\n%s", i, m.Mentions, m.Seen())
		}
	}
	if now := r.provider.Messages()[0]; now.Edits != 4 {
		t.Errorf("the message was changed %d times", now.Edits)
	}
}

// In a conversation with one person every answer rings.
func TestAnUpdateRingsNoPerson(t *testing.T) {
	r := newRig(t, nil)
	p := pageTo(liWei, page.Opened, "1")
	p.Story = story(1)
	p.Ref = r.mustSend(t, p)
	p.Kind, p.Key, p.Story = page.Updated, "2", story(3)
	p.Ref = r.mustSend(t, p)
	if n := len(r.provider.Messages()); n != 1 {
		t.Fatalf("%d messages", n)
	}
	p.Kind, p.Key, p.Story = page.Again, "3", story(4)
	r.mustSend(t, p)
	m := r.last(t)
	if !m.Notifies() || !m.Broadcast || fmt.Sprint(m.Mentions) != "["+liWei+"]" || !strings.Contains(m.Seen(), "an alert joined") {
		t.Errorf("calls %v, says\n%s", m.Mentions, m.Seen())
	}
}

// A page that must ring does not wait for the change of a message.
func TestALimitOnChangesHoldsNoPageUp(t *testing.T) {
	r := newRig(t, nil)
	p := pageTo(room, page.Opened, "1")
	p.Ref = r.mustSend(t, p)
	r.provider.Fail(standin.Fault{Method: "chat.update", Status: 429, RetryAfter: "30"})
	p.Kind, p.Key = page.Again, "2"
	p.Ref = r.mustSend(t, p)
	if n := len(r.provider.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
	p.Kind, p.Key = page.Updated, "3"
	_, err := r.Send(t.Context(), p)
	if se := sendError(t, err); !se.Temporary || se.RetryAfter != 30*time.Second {
		t.Errorf("got %+v", se)
	}
	if n := r.provider.Counts()["chat.update"]; n != 1 {
		t.Errorf("%d changes asked for while Slack wants none", n)
	}
	r.clock.advance(30 * time.Second)
	r.mustSend(t, p)
}

func TestADeletedMessageIsSentAnew(t *testing.T) {
	r := newRig(t, nil)
	p := pageTo(room, page.Opened, "1")
	p.Ref = r.mustSend(t, p)
	r.provider.Delete(r.last(t).TS)
	p.Kind, p.Key = page.Again, "2"
	if ref := r.mustSend(t, p); ref == p.Ref || ref == "" {
		t.Errorf("reference %q", ref)
	}
	if m := r.last(t); m.Thread != "" || len(r.provider.Messages()) != 1 {
		t.Errorf("got %+v", m)
	}
}

// Slack has no idempotency: what may have arrived is looked for.
func TestAPageInDoubtIsNotSentTwice(t *testing.T) {
	for name, fault := range map[string]standin.Fault{"half an answer": {Method: "chat.postMessage", Half: true}, "an error after it was done": {Method: "chat.postMessage", Lost: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.provider.Fail(fault)
			p := pageTo(liWei, page.Opened, "1")
			if _, err := r.Send(t.Context(), p); err == nil {
				t.Fatal("want an error")
			}
			p.Attempt = 2
			p.Ref = r.mustSend(t, p)
			if n := len(r.provider.Messages()); n != 1 || p.Ref == "" {
				t.Errorf("%d messages, reference %q", n, p.Ref)
			}
			r.provider.Fail(fault)
			p.Kind, p.Key, p.Attempt = page.Again, "2", 1
			if _, err := r.Send(t.Context(), p); err == nil {
				t.Fatal("want an error")
			}
			r.mustSend(t, p)
			if n := len(r.provider.Messages()); n != 2 {
				t.Errorf("%d messages with the answer", n)
			}
		})
	}
}

func TestAPageInDoubtAfterARestart(t *testing.T) {
	r := newRig(t, nil)
	p := pageTo(liWei, page.Opened, "1")
	r.mustSend(t, p)
	again, err := New(r.config)
	if err != nil {
		t.Fatal(err)
	}
	p.Attempt = 2
	if ref, err := again.Send(t.Context(), p); err != nil || ref == "" || len(r.provider.Messages()) != 1 {
		t.Errorf("%d messages, reference %q, %v", len(r.provider.Messages()), ref, err)
	}
}

// Without the scope to read messages a page in doubt is sent again: better
// twice than never.
func TestWithoutHistoryADoubtIsSentAgain(t *testing.T) {
	r := newRig(t, func(_ *Config, w *standin.Config) { w.NoHistory = true })
	r.provider.Fail(standin.Fault{Method: "chat.postMessage", Lost: true})
	p := pageTo(liWei, page.Opened, "1")
	if _, err := r.Send(t.Context(), p); err == nil {
		t.Fatal("want an error")
	}
	r.mustSend(t, p)
	if n := len(r.provider.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestNobodyIsCalledByWhatOthersWrote(t *testing.T) {
	const hostile = "<!channel> <@U000000ANA> @here &lt;!here&gt; *b* `c` <https://evil.example|ok> :fire:"
	r := newRig(t, nil)
	p := pageTo(room, page.Opened, "1")
	p.Incident.Service, p.Incident.Title, p.To.FullName, p.SLO.Description = hostile, hostile, hostile, hostile
	p.Evidence = []page.Evidence{{Source: hostile, Patterns: []page.LogPattern{{Template: hostile, Sample: hostile, Pod: hostile, Count: 1}}}}
	p.Ref = r.mustSend(t, p)
	p.Kind, p.Key, p.Story = page.Again, "2", []alert.Event{{At: r.clock.now(), Kind: alert.EventNote, Actor: hostile, Text: hostile}}
	r.mustSend(t, p)
	for _, m := range r.provider.Messages() {
		if len(m.Mentions) != 0 || !strings.Contains(m.Seen(), hostile) || !strings.Contains(m.Text, "<!channel>") {
			t.Errorf("calls %v:\n%s\n%s", m.Mentions, m.Text, m.Seen())
		}
	}
}

func TestAP1InAChannelCallsWhomTheConfigurationSays(t *testing.T) {
	r := newRig(t, func(c *Config, _ *standin.Config) { c.Mention = "here" })
	for level, want := range map[alert.Level]string{alert.P1: "[here]", alert.P2: "[]"} {
		p := pageTo(room, page.Opened, level.String())
		p.Incident.Level = level
		r.mustSend(t, p)
		if m := r.last(t); fmt.Sprint(m.Mentions) != want {
			t.Errorf("%s calls %v", level, m.Mentions)
		}
	}
}

func TestControlsFollowTheIncident(t *testing.T) {
	r := newRig(t, nil)
	for name, tt := range map[string]struct {
		status alert.Status
		kind   page.Kind
		want   string
	}{
		"open":         {alert.Open, page.Opened, "[Acknowledge]\n[Escalate]\n[Resolve]\n[Snooze ▾]\n[Incident] https://midwatch.example.com/incidents/12"},
		"acknowledged": {alert.Acknowledged, page.Updated, "[Escalate]\n[Resolve]\n[Snooze ▾]\n[Incident] https://midwatch.example.com/incidents/12"},
		"resolved":     {alert.Closed, page.Resolved, "[Incident] https://midwatch.example.com/incidents/12"},
	} {
		p := pageTo(liWei, tt.kind, name)
		p.Incident.Status = tt.status
		r.mustSend(t, p)
		if _, got, _ := strings.Cut(r.last(t).Seen(), "["); "["+got != tt.want {
			t.Errorf("%s: got\n%s", name, "["+got)
		}
	}
	p := pageTo(liWei, page.Opened, "zh")
	p.To.Language = "zh"
	r.mustSend(t, p)
	if got := r.last(t).Seen(); !strings.Contains(got, "[认领]\n[升级]\n[关闭]\n[暂缓 ▾]") {
		t.Errorf("got\n%s", got)
	}
}

// Where buttons reach nobody there are none.
func TestWithoutInteractivityThereAreLinks(t *testing.T) {
	r := newRig(t, func(c *Config, _ *standin.Config) { c.SigningSecret = secret.Secret{} })
	p := pageTo(liWei, page.Opened, "1")
	p.AckLink = "https://midwatch.example.com/ack?t=1"
	r.mustSend(t, p)
	if got := r.last(t).Seen(); strings.Contains(got, "[") || !strings.Contains(got, "Acknowledge https://midwatch.example.com/ack?t=1") {
		t.Errorf("got\n%s", got)
	}
}

func TestALongReportFits(t *testing.T) {
	r := newRig(t, nil)
	p := pageTo(liWei, page.Report, "1")
	p.Body = "# SLOs\nSLO\tLeft\n" + strings.Repeat("支付可用性 payments\t61%\n", 900) + "# Incidents\n" + strings.Repeat("- "+strings.Repeat("长", 450)+"\n", 90)
	r.mustSend(t, p)
	if n := len(r.last(t).Blocks); n > 50 || n < 20 {
		t.Errorf("%d blocks", n)
	}
}

func TestConfiguration(t *testing.T) {
	_, err := New(Config{AppToken: secret.New(botToken), APIURL: "slack.com", Mention: "everyone", Timeout: -1})
	for _, want := range []string{"bot_token: missing", "app_token: want", "api_url:", "mention:", "timeout:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), botToken) {
		t.Errorf("a token is in %v", err)
	}
}
