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
	"github.com/midwatch-slo/midwatch/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const corpSecret = "s3cret+/=of the corporation"

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

func newRig(t *testing.T, logger *slog.Logger) rig {
	t.Helper()
	c := &clock{at: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)}
	provider := standin.New(standin.Config{
		CorpID: "ww1234", Secret: corpSecret, AgentID: 1000002, Members: []string{"LiWei"},
		TokenLifetime: 2 * time.Hour, Now: c.now,
	})
	web := httptest.NewServer(provider)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		web.Close()
	})
	n, err := New(Config{
		APIURL: web.URL, CorpID: "ww1234", AgentID: 1000002, Secret: secret.New(corpSecret),
		Logger: logger, Transport: transport, Now: c.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return rig{n, provider, c, web}
}

func TestContract(t *testing.T) {
	faults := map[notifytest.Trouble]standin.Fault{
		notifytest.Down: standin.ServerError, notifytest.Later: standin.TooOften, notifytest.Refused: standin.NoPermission,
		notifytest.Hang: standin.Hang, notifytest.Half: standin.HalfBody,
	}
	notifytest.Run(t, func(t *testing.T, logger *slog.Logger) notifytest.Provider {
		r := newRig(t, logger)
		return notifytest.Provider{
			Notifier: r, Channel: "wecom", Address: "LiWei", Limit: MaxText, Secrets: []string{corpSecret, "s3cret", "access_token="},
			Delivered: func() (got []notifytest.Delivery) {
				for _, m := range r.provider.Messages() {
					got = append(got, notifytest.Delivery{To: m.To, Text: m.Text})
				}
				return got
			},
			Trouble: func(f notifytest.Trouble) { r.provider.Fail(faults[f]) },
			Close:   r.web.Close,
		}
	})
}

func pageTo(address, key string) page.Page {
	return notifytest.Provider{Channel: "wecom", Address: address}.Page(key, false)
}

func sendError(t *testing.T, err error) *page.SendError {
	t.Helper()
	var se *page.SendError
	if !errors.As(err, &se) {
		t.Fatalf("want a page.SendError, got %v", err)
	}
	return se
}

func TestAnswersOfTheProvider(t *testing.T) {
	for _, tt := range []struct {
		fault     standin.Fault
		temporary bool
		after     time.Duration
		code      string
	}{
		{standin.Busy, true, 2 * time.Second, "errcode -1"},
		{standin.TooOften, true, time.Minute, "errcode 45009"},
		{standin.TooParallel, true, 2 * time.Second, "errcode 45033"},
		{standin.ServerError, true, 0, "500"},
		{standin.TooManyRequests, true, 7 * time.Second, "429"},
		{standin.NotJSON, true, 0, ""},
		{standin.NoPermission, false, 0, "errcode 60020"},
		{standin.WrongUser, false, 0, ""},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			r := newRig(t, nil)
			r.provider.Fail(tt.fault)
			se := sendError(t, r.send(t.Context(), pageTo("LiWei", "a")))
			if se.Temporary != tt.temporary || se.RetryAfter != tt.after || se.Code != tt.code {
				t.Errorf("got %+v", se)
			}
		})
	}
}

func TestUnknownMemberIsPermanent(t *testing.T) {
	r := newRig(t, nil)
	if se := sendError(t, r.send(t.Context(), pageTo("nobody", "a"))); se.Temporary || se.Code != "errcode 81013" {
		t.Errorf("got %+v", se)
	}
	for _, list := range []string{"@all", "LiWei|ana", "Li Wei"} {
		if se := sendError(t, r.send(t.Context(), pageTo(list, "a"))); se.Temporary {
			t.Errorf("%s: got %+v", list, se)
		}
	}
	if n := len(r.provider.Messages()); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestUnlicensedMemberIsPermanent(t *testing.T) {
	if !named("ana|liwei", "LiWei") || named("ana|liwei2", "LiWei") || named("", "") {
		t.Error("a list is read wrong")
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
	r.clock.advance(114 * time.Minute)
	send("still good", 1)
	r.clock.advance(2 * time.Minute)
	send("five minutes before its end", 2)
	r.provider.ExpireTokens()
	send("refused with 40014", 3)
	r.provider.Fail(standin.ExpiredToken)
	send("refused with 42001", 4)
	if n := len(r.provider.Messages()); n != 5 {
		t.Errorf("%d messages, want 5", n)
	}
	r.provider.Fail(standin.ExpiredToken, standin.ExpiredToken)
	if se := sendError(t, r.send(t.Context(), pageTo("LiWei", "refused twice"))); !se.Temporary || se.RetryAfter == 0 {
		t.Errorf("got %+v", se)
	}
}

func TestWrongSecretIsPermanent(t *testing.T) {
	r := newRig(t, nil)
	n, err := New(Config{APIURL: r.web.URL, CorpID: "ww1234", AgentID: 1, Secret: secret.New("wrong-secret"), Transport: r.config.Transport})
	if err != nil {
		t.Fatal(err)
	}
	err = n.send(t.Context(), pageTo("LiWei", "a"))
	if se := sendError(t, err); se.Temporary || se.Code != "errcode 40001" || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("got %v", err)
	}
}

func TestSamePageAgainIsShownOnce(t *testing.T) {
	r := newRig(t, nil)
	r.provider.Fail(standin.HalfBody)
	if err := r.send(t.Context(), pageTo("LiWei", "a")); err == nil {
		t.Fatal("half an answer is an answer")
	}
	r.clock.advance(3 * time.Hour)
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

func TestDoubtsAreBounded(t *testing.T) {
	d := newDoubts()
	for i := range maxDoubts + 10 {
		d.add(fmt.Sprint(i), []byte("x"))
	}
	d.remove("500")
	if len(d.bodies) != maxDoubts-1 || len(d.order) != maxDoubts-1 || d.body("9") != nil || d.body("10") == nil {
		t.Errorf("%d bodies, %d keys", len(d.bodies), len(d.order))
	}
}

func TestPaceIsKeptBeforeTheProviderDrops(t *testing.T) {
	r := newRig(t, nil)
	for i := range standin.PerMinute {
		r.clock.advance(time.Second)
		if err := r.send(t.Context(), pageTo("LiWei", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	r.clock.advance(time.Second)
	// The first was 30 s ago.
	se := sendError(t, r.send(t.Context(), pageTo("liwei", "one too many")))
	if !se.Temporary || se.RetryAfter != 30*time.Second {
		t.Errorf("got %+v", se)
	}
	r.clock.advance(se.RetryAfter)
	if err := r.send(t.Context(), pageTo("LiWei", "after the wait")); err != nil {
		t.Error(err)
	}
	if n, c := len(r.provider.Messages()), r.provider.Counts(); n != standin.PerMinute+1 || c.Dropped != 0 {
		t.Errorf("%d messages, %+v", n, c)
	}
}

func TestPaceByTheHour(t *testing.T) {
	c := &clock{at: time.Unix(0, 0)}
	p := newPace(c.now)
	for i := range perHour {
		if wait := p.take("a"); wait != 0 {
			t.Fatalf("message %d waits %s", i, wait)
		}
		c.advance(3 * time.Second)
	}
	if wait := p.take("a"); wait != 10*time.Minute {
		t.Errorf("waits %s, want 10m", wait)
	}
	if wait := p.take("b"); wait != 0 {
		t.Errorf("another member waits %s", wait)
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
	_, err := New(Config{APIURL: "qyapi.weixin.qq.com"})
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
	b, err := encode(message{Text: messageText{"a < b & c\n连接池"}})
	if err != nil || strings.Contains(string(b), `\u`) {
		t.Errorf("%s, %v", b, err)
	}
}

// FuzzRead lets the provider say anything.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"errcode":0,"errmsg":"ok","access_token":"x","expires_in":7200}`))
	f.Add([]byte(`{"errcode":81013,"errmsg":"user & party & tag all invalid, hint: [1]\u0007","invaliduser":"a"}`))
	f.Add([]byte(`{"errmsg":"ok"}`))
	f.Add([]byte("\xff[[["))
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := read(content)
		if err == nil && (a.ErrCode == nil || *a.ErrCode != 0) {
			t.Fatal("an answer without an errcode of 0 is a yes")
		}
		if err != nil && (len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x00\x1b")) {
			t.Fatalf("an error that is not for a log: %q", err)
		}
	})
}
