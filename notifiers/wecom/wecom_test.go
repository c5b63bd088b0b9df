package wecom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/internal/secret"
	standin "github.com/midwatch-slo/midwatch/internal/standin/wecom"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/notifiers/robot/robottest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const corpSecret = "s3cret+/=of the corporation"

type rig struct {
	*Notifier
	provider *standin.Server
	clock    *robottest.Clock
	web      *httptest.Server
}

const (
	callbackToken = "callback-token-of-the-console"
	callbackKey   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
)

// newRig returns a notifier that sends texts.
func newRig(t *testing.T, logger *slog.Logger) rig {
	t.Helper()
	return newRigFor(t, logger, Config{Message: "text"}, "")
}

// newRigFor returns a notifier as the configuration wants it, with a callback
// when there is an address for it.
func newRigFor(t *testing.T, logger *slog.Logger, config Config, callbackURL string) rig {
	t.Helper()
	clock, transport := robottest.NewClock(0), &http.Transport{}
	provider := standin.New(standin.Config{
		CorpID: "ww1234", Secret: corpSecret, AgentID: 1000002, Members: []string{"LiWei", "Ana"}, Robots: []string{robotKey},
		TokenLifetime: 2 * time.Hour, Now: clock.Now,
		CallbackURL: callbackURL, CallbackToken: callbackToken, CallbackKey: callbackKey, Transport: transport,
	})
	web, settings := robottest.Serve(t, provider, clock)
	settings.Logger = logger
	config.Settings, config.CorpID, config.AgentID, config.Secret = settings, "ww1234", 1000002, secret.New(corpSecret)
	if callbackURL != "" {
		config.Callback = &Callback{Token: secret.New(callbackToken), AESKey: secret.New(callbackKey)}
	}
	n, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Close()
		transport.CloseIdleConnections()
	})
	return rig{n, provider, clock, web}
}

func (r rig) send(ctx context.Context, p page.Page) error {
	_, err := r.Send(ctx, p)
	return err
}

// replies are the provider's answers, and what is made of them.
func replies(fail func(...standin.Fault)) []notifytest.Reply {
	return append(
		robottest.Replies(fail),
		robottest.Reply(fail, standin.Busy, true, "errcode -1", 2*time.Second),
		robottest.Reply(fail, standin.Conflict, true, "errcode 6000", 2*time.Second),
		robottest.Reply(fail, standin.TooParallel, true, "errcode 45033", 2*time.Second),
		robottest.Reply(fail, standin.NoPermission, false, "errcode 60020", 0),
		robottest.Reply(fail, standin.TooOften, true, "errcode 45009", time.Minute), // silences a robot
	)
}

func troubles() map[notifytest.Trouble]standin.Fault {
	return map[notifytest.Trouble]standin.Fault{
		notifytest.Down: standin.ServerError, notifytest.Later: standin.Busy, notifytest.Refused: standin.NoPermission,
		notifytest.Hang: standin.Hang, notifytest.Half: standin.HalfBody,
	}
}

// markup is what the provider would make more of than text.
func markup() []string {
	return []string{`<a href="http://evil.example">tap</a>`, "<@all>", "[tap](http://evil.example)", "**bold**", `<font color="warning">`, "`code`"}
}

// inText is the part of it that a text can hold.
func inText() []string { return []string{`<a href="http://evil.example">tap</a>`} }

func TestContract(t *testing.T) {
	run := func(t *testing.T, config Config, callbackURL string, limit int, markup []string) {
		notifytest.Run(t, func(t *testing.T, logger *slog.Logger) notifytest.Provider {
			r := newRigFor(t, logger, config, callbackURL)
			return notifytest.Provider{
				Notifier: r, Channel: "wecom", Address: "LiWei", Limit: limit, Markup: markup,
				Secrets: []string{corpSecret, "s3cret", "access_token=", callbackToken, callbackKey},
				Replies: replies(r.provider.Fail),
				Delivered: func() (got []notifytest.Delivery) {
					for _, m := range r.provider.Messages() {
						got = append(got, notifytest.Delivery{To: m.To, Text: strings.ReplaceAll(m.Text, "**", ""), Raw: m.Text})
					}
					return got
				},
				Trouble: func(f notifytest.Trouble) { r.provider.Fail(troubles()[f]) },
				Close:   r.web.Close,
			}
		})
	}
	t.Run("text", func(t *testing.T) { run(t, Config{Message: "text"}, "", MaxText, inText()) })
	t.Run("markdown", func(t *testing.T) { run(t, Config{Message: "markdown"}, "", MaxMarkdown, markup()) })
	t.Run("card", func(t *testing.T) { run(t, Config{}, "http://127.0.0.1:1/callback", 0, nil) })
}

func pageTo(address, key string) page.Page { return robottest.Page("wecom", address, key) }

func TestMemberOutOfRangeIsPermanent(t *testing.T) {
	r := newRig(t, nil)
	r.provider.Fail(standin.WrongUser)
	if se := robottest.SendError(t, r.send(t.Context(), pageTo("LiWei", "a"))); se.Temporary {
		t.Errorf("got %+v", se)
	}
}

func TestUnknownMemberIsPermanent(t *testing.T) {
	r := newRig(t, nil)
	if se := robottest.SendError(t, r.send(t.Context(), pageTo("nobody", "a"))); se.Temporary || se.Code != "errcode 81013" {
		t.Errorf("got %+v", se)
	}
	for _, list := range []string{"@all", "LiWei|ana", "Li Wei"} {
		if se := robottest.SendError(t, r.send(t.Context(), pageTo(list, "a"))); se.Temporary {
			t.Errorf("%s: got %+v", list, se)
		}
	}
	if n := len(r.provider.Messages()); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestNamesAreReadInBothForms(t *testing.T) {
	for text, want := range map[string]bool{`"ana|liwei"`: true, `["ana","liwei"]`: true, `"ana|liwei2"`: false, `""`: false, `[]`: false, `7`: false} {
		a, err := read([]byte(`{"errcode":0,"invaliduser":` + text + `}`))
		if err != nil || a.InvalidUser.has("LiWei") != want || a.InvalidUser.has("") {
			t.Errorf("%s: %v, %v", text, a.InvalidUser, err)
		}
	}
}

func TestTokenIsFetchedOnceForMany(t *testing.T) {
	r := newRig(t, nil)
	var wg sync.WaitGroup
	for i := range 25 {
		wg.Go(func() {
			if err := r.send(t.Context(), pageTo("LiWei", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := r.provider.Counts().Tokens; n != 1 {
		t.Errorf("%d tokens, want 1", n)
	}
}

func TestTokenIsRenewedBeforeItExpiresAndWhenRefused(t *testing.T) {
	r := newRig(t, nil)
	send := func(key string, wantTokens int) {
		t.Helper()
		if err := r.send(t.Context(), pageTo("LiWei", key)); err != nil {
			t.Fatal(err)
		}
		if n := r.provider.Counts().Tokens; n != wantTokens {
			t.Errorf("%s: %d tokens, want %d", key, n, wantTokens)
		}
	}
	send("first", 1)
	r.clock.Advance(114 * time.Minute)
	send("still good", 1)
	r.clock.Advance(2 * time.Minute)
	send("five minutes before its end", 2)
	r.provider.ExpireTokens()
	send("refused with 40014", 3)
	r.provider.Fail(standin.ExpiredToken)
	send("refused with 42001", 4)
	if n := len(r.provider.Messages()); n != 5 {
		t.Errorf("%d messages, want 5", n)
	}
	r.provider.Fail(standin.ExpiredToken, standin.ExpiredToken)
	if se := robottest.SendError(t, r.send(t.Context(), pageTo("LiWei", "refused twice"))); !se.Temporary || se.RetryAfter == 0 {
		t.Errorf("got %+v", se)
	}
}

func TestWrongSecretIsPermanent(t *testing.T) {
	r := newRig(t, nil)
	n, err := New(Config{Settings: r.config.Settings, CorpID: "ww1234", AgentID: 1, Secret: secret.New("wrong-secret")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Send(t.Context(), pageTo("LiWei", "a"))
	if se := robottest.SendError(t, err); se.Temporary || se.Code != "errcode 40001" || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("got %v", err)
	}
}

func TestSamePageAgainIsShownOnce(t *testing.T) {
	r := newRig(t, nil)
	r.provider.Fail(standin.HalfBody)
	if err := r.send(t.Context(), pageTo("LiWei", "a")); err == nil {
		t.Fatal("half an answer is an answer")
	}
	r.clock.Advance(3 * time.Hour)
	for _, key := range []string{"a", "a", "b"} {
		if err := r.send(t.Context(), pageTo("LiWei", key)); err != nil {
			t.Fatal(err)
		}
	}
	if n, c := len(r.provider.Messages()), r.provider.Counts(); n != 2 || c.Duplicates != 2 {
		t.Errorf("%d messages, %+v", n, c)
	}
}

func TestPageInDoubtIsSentAsItWas(t *testing.T) {
	r := newRig(t, nil)
	p := pageTo("LiWei", "a")
	r.provider.Fail(standin.HalfBody)
	if err := r.send(t.Context(), p); err == nil {
		t.Fatal("half an answer is an answer")
	}
	p.SLO.Standings[0].BurnRate = 31
	if err := r.send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if n, c := len(r.provider.Messages()), r.provider.Counts(); n != 1 || c.Duplicates != 1 {
		t.Errorf("%d messages, %+v", n, c)
	}
	refused := pageTo("LiWei", "b")
	r.provider.Fail(standin.TooOften)
	if err := r.send(t.Context(), refused); err == nil {
		t.Fatal("a refusal is an answer")
	}
	refused.SLO.Standings[0].BurnRate = 31
	if err := r.send(t.Context(), refused); err != nil {
		t.Fatal(err)
	}
	if m := r.provider.Messages(); !strings.Contains(m[len(m)-1].Text, "budget burns 31×") {
		t.Errorf("a page that did not arrive is told as it was: %s", m[len(m)-1].Text)
	}
}

// What the provider refuses now says nothing of what it may have taken before.
func TestARefusalEndsNoDoubt(t *testing.T) {
	for name, refusal := range map[string]standin.Fault{"called too often": standin.TooOften, "too many requests": standin.TooManyRequests} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			p := pageTo("LiWei", "in doubt")
			r.provider.Fail(standin.HalfBody, refusal)
			for range 2 {
				if err := r.send(t.Context(), p); err == nil {
					t.Fatal("want an error")
				}
				p.SLO.Standings[0].BurnRate++ // the text is another by now
			}
			if err := r.send(t.Context(), p); err != nil {
				t.Error(err)
			}
			if n := len(r.provider.Messages()); n != 1 {
				t.Errorf("%d messages are shown, want 1", n)
			}
		})
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	r := newRecent[int](1000)
	for i := range 1010 {
		r.put(fmt.Sprint(i), i)
	}
	r.remove("500")
	_, old := r.get("9")
	young, ok := r.get("10")
	if len(r.of) != 999 || len(r.order) != 999 || old || !ok || young != 10 {
		t.Errorf("%d values, %d keys", len(r.of), len(r.order))
	}
	s, now := newSeen(), time.Unix(0, 0)
	if !s.first("x", now) || s.first("x", now.Add(seenTime)) || !s.first("x", now.Add(3*seenTime)) {
		t.Error("a callback is known for another time than it should be")
	}
}

func TestPaceIsKeptBeforeTheProviderDrops(t *testing.T) {
	r := newRig(t, nil)
	for i := range standin.PerMinute {
		r.clock.Advance(time.Second)
		if err := r.send(t.Context(), pageTo("LiWei", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	r.clock.Advance(time.Second)
	// The first was 30 s ago.
	se := robottest.SendError(t, r.send(t.Context(), pageTo("liwei", "one too many")))
	if !se.Temporary || se.RetryAfter != 30*time.Second {
		t.Errorf("got %+v", se)
	}
	r.clock.Advance(se.RetryAfter)
	if err := r.send(t.Context(), pageTo("LiWei", "after the wait")); err != nil {
		t.Error(err)
	}
	if n, c := len(r.provider.Messages()), r.provider.Counts(); n != standin.PerMinute+1 || c.Dropped != 0 {
		t.Errorf("%d messages, %+v", n, c)
	}
}

func TestWhatTheProviderDidNotTakeDoesNotCount(t *testing.T) {
	r := newRig(t, nil)
	for i := range 3 * standin.PerMinute {
		r.provider.Fail(standin.TooOften)
		if err := r.send(t.Context(), pageTo("LiWei", fmt.Sprint(i))); robottest.SendError(t, err).Code != "errcode 45009" {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if err := r.send(t.Context(), pageTo("LiWei", "at last")); err != nil {
		t.Error(err)
	}
}

func TestWaitersTakeOverFromOneThatGivesUp(t *testing.T) {
	first, started := make(chan struct{}), make(chan struct{}, 2)
	fetches := 0
	tk := newTokens(time.Now, func(ctx context.Context) (string, time.Duration, error) {
		fetches++
		started <- struct{}{}
		if fetches == 1 {
			close(first)
			<-ctx.Done()
			return "", 0, ctx.Err()
		}
		return "token", time.Hour, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := tk.get(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	<-first
	wg.Go(func() {
		if token, err := tk.get(t.Context()); err != nil || token != "token" {
			t.Errorf("got %q, %v", token, err)
		}
	})
	cancel()
	wg.Wait()
	if fetches != 2 {
		t.Errorf("%d fetches", fetches)
	}
}

func TestConfiguration(t *testing.T) {
	_, err := New(Config{Settings: provider.Settings{APIURL: "qyapi.weixin.qq.com"}})
	for _, want := range []string{"api_url", "corp_id", "agent_id", "secret"} {
		if err == nil || !strings.Contains(err.Error(), want+":") {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(corpSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := New(Config{CorpID: "ww", AgentID: 1, SecretFile: file})
	if err != nil || n.config.Secret.Reveal() != corpSecret || n.config.APIURL != "https://qyapi.weixin.qq.com" {
		t.Errorf("got %v, %v", n, err)
	}
}

func TestRequestHasNoEscapes(t *testing.T) {
	b, err := provider.Encode(message{Text: &content{"a < b & c\n连接池"}})
	if err != nil || strings.Contains(string(b), `\u`) {
		t.Errorf("%s, %v", b, err)
	}
}
