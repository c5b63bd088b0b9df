// Package notifytest holds the contract of notifiers.Notifier as a test that
// every implementation passes, against a stand-in of its provider that can
// misbehave. It knows no provider.
package notifytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/page"
)

// Trouble is how a provider misbehaves for one send.
type Trouble string

// The troubles that the contract tries.
const (
	Down    Trouble = "down"    // an error that passes, such as an HTTP 500
	Later   Trouble = "later"   // the provider's way to say "not now"
	Refused Trouble = "refused" // the provider's way to say "never"
	Hang    Trouble = "hang"    // no answer
	Half    Trouble = "half"    // half of an answer, then nothing
)

// Reply is an answer of the provider, and what a notifier makes of it.
type Reply struct {
	Name      string
	Answer    func()        // lets the next send be answered so
	Temporary bool          // of the page.SendError
	Code      string        // of the page.SendError
	After     time.Duration // the least that its RetryAfter is
}

// Delivery is what reached the person. Where the provider shows a message
// anew, its Delivery is as it reads now.
type Delivery struct {
	To, Text string
	Raw      string // as it was sent, where that is not the text
}

// Provider is a stand-in and a notifier that sends to it.
type Provider struct {
	Notifier  notifiers.Notifier
	Channel   string
	Address   string // of somebody whom the provider knows
	Machine   bool   // reads it: each incident of a bundle is a message, and each update
	Anybody   bool   // a page without an address is the channel's own
	Limit     int    // bytes of a text that the provider takes; 0 is any number
	Secrets   []string
	Markup    []string          // what the provider would show as more than text, or act on, if it were sent as it stands
	Replies   []Reply           // the table of what is tried again
	Delivered func() []Delivery // oldest first; what answers in a thread is one too
	Trouble   func(Trouble)     // of the next send
	Close     func()            // the provider goes away: nobody listens
}

// Open returns a fresh provider; the notifier logs to logger.
type Open func(t *testing.T, logger *slog.Logger) Provider

// send sends a page and leaves the reference to it.
func (p Provider) send(ctx context.Context, pg page.Page) error {
	_, err := p.Notifier.Send(ctx, pg)
	return err
}

// soon bounds what must not wait for anybody.
const soon = 5 * time.Second

// Run tries the contract.
func Run(t *testing.T, open Open) {
	t.Run("a page arrives", func(t *testing.T) { run(t, open, arrives) })
	t.Run("a long page is cut between characters", func(t *testing.T) { run(t, open, fits) })
	t.Run("a trouble that passes is temporary", func(t *testing.T) { run(t, open, temporary) })
	t.Run("a refusal is permanent", func(t *testing.T) { run(t, open, permanent) })
	t.Run("a provider that is gone is temporary", func(t *testing.T) { run(t, open, gone) })
	t.Run("a silent provider costs no more than the deadline", func(t *testing.T) { run(t, open, deadline) })
	t.Run("a cancelled context sends nothing", func(t *testing.T) { run(t, open, cancelled) })
	t.Run("cancelling ends a send", func(t *testing.T) { run(t, open, cancelledMidway) })
	t.Run("half an answer is temporary", func(t *testing.T) { run(t, open, half) })
	t.Run("many at once all arrive", func(t *testing.T) { run(t, open, concurrent) })
	t.Run("every answer means what the table says", func(t *testing.T) { run(t, open, replies) })
	for _, kind := range kinds() {
		t.Run("a page arrives: "+string(kind), func(t *testing.T) { run(t, open, func(t *testing.T, p Provider) { kindArrives(t, p, kind) }) })
	}
	t.Run("a page is in the reader's language", func(t *testing.T) { run(t, open, chinese) })
	t.Run("a drill says so first", func(t *testing.T) { run(t, open, drill) })
	t.Run("a bundle names the P1s first, and fits", func(t *testing.T) { run(t, open, bundle) })
	t.Run("hostile text does nothing", func(t *testing.T) { run(t, open, harmless) })
	t.Run("a message is brought up to date", func(t *testing.T) { run(t, open, edits) })
}

// run tries one part, and looks for secrets in all that was logged and
// delivered.
func run(t *testing.T, open Open, part func(*testing.T, Provider)) {
	t.Helper()
	log := &logged{}
	p := open(t, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	part(t, p)
	noSecret(t, p, log.String())
	for _, d := range p.Delivered() {
		noSecret(t, p, d.Text+d.Raw)
	}
}

func noSecret(t *testing.T, p Provider, text string) {
	t.Helper()
	for _, s := range p.Secrets {
		if strings.Contains(text, s) {
			t.Errorf("a secret is in %q", text)
		}
	}
}

// failed returns err as what the contract says that it is.
func failed(t *testing.T, p Provider, err error) *page.SendError {
	t.Helper()
	var se *page.SendError
	if !errors.As(err, &se) {
		t.Fatalf("want a page.SendError, got %v", err)
	}
	if se.Channel != p.Channel {
		t.Errorf("channel %q, want %q", se.Channel, p.Channel)
	}
	noSecret(t, p, fmt.Sprintf("%v %+v %#v", err, err, se))
	return se
}

func arrives(t *testing.T, p Provider) {
	if err := p.send(t.Context(), p.Page("one", false)); err != nil {
		t.Fatal(err)
	}
	got := p.Delivered()
	if len(got) != 1 || !strings.EqualFold(got[0].To, p.Address) {
		t.Fatalf("delivered %+v", got)
	}
	for _, part := range []string{"P1 payment-service: budget burns 23×", "李伟", "99.95% over 30d", "hangzhou", "https://midwatch.example.com/incidents/12"} {
		if !strings.Contains(got[0].Text, part) {
			t.Errorf("%q is not in\n%s", part, got[0].Text)
		}
	}
}

func fits(t *testing.T, p Provider) {
	if err := p.send(t.Context(), p.Page("long", true)); err != nil {
		t.Fatal(err)
	}
	got := p.Delivered()
	if len(got) != 1 {
		t.Fatalf("delivered %d", len(got))
	}
	text := got[0].Text
	if p.Limit > 0 && (len(text) > p.Limit || len(text) < p.Limit*3/4) {
		t.Errorf("%d bytes where %d fit", len(text), p.Limit)
	}
	if !utf8.ValidString(text) || strings.Contains(text, "\uFFFD") {
		t.Errorf("a character was cut in %q", text)
	}
	if !strings.Contains(text, "https://midwatch.example.com/incidents/12") {
		t.Errorf("the link was cut from\n%s", text)
	}
}

func temporary(t *testing.T, p Provider) {
	for _, trouble := range []Trouble{Down, Later} {
		p.Trouble(trouble)
		pg := p.Page(string(trouble), false)
		if se := failed(t, p, p.send(t.Context(), pg)); !se.Temporary {
			t.Errorf("%s: permanent: %v", trouble, se)
		}
		if err := p.send(t.Context(), pg); err != nil {
			t.Errorf("%s: the same page later: %v", trouble, err)
		}
	}
	if n := len(p.Delivered()); n != 2 {
		t.Errorf("%d pages arrived, want 2", n)
	}
}

func permanent(t *testing.T, p Provider) {
	p.Trouble(Refused)
	if se := failed(t, p, p.send(t.Context(), p.Page("refused", false))); se.Temporary || se.Code == "" {
		t.Errorf("temporary, or without a code: %v", se)
	}
	nobody := p.Page("nobody", false)
	nobody.To.Address = ""
	if !p.Anybody {
		if se := failed(t, p, p.send(t.Context(), nobody)); se.Temporary {
			t.Errorf("no address: temporary: %v", se)
		}
	}
	if n := len(p.Delivered()); n != 0 {
		t.Errorf("%d pages arrived", n)
	}
}

func gone(t *testing.T, p Provider) {
	p.Close()
	if se := failed(t, p, p.send(t.Context(), p.Page("gone", false))); !se.Temporary {
		t.Errorf("permanent: %v", se)
	}
}

func deadline(t *testing.T, p Provider) {
	p.Trouble(Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := p.send(ctx, p.Page("slow", false))
	if took := time.Since(began); took > soon {
		t.Errorf("took %s", took)
	}
	if se := failed(t, p, err); !se.Temporary || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not temporary, or not the deadline: %v", err)
	}
}

func cancelled(t *testing.T, p Provider) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.send(ctx, p.Page("cancelled", false))
	if se := failed(t, p, err); !se.Temporary || !errors.Is(err, context.Canceled) {
		t.Errorf("not temporary, or not the cancellation: %v", err)
	}
	if n := len(p.Delivered()); n != 0 {
		t.Errorf("%d pages arrived", n)
	}
}

func cancelledMidway(t *testing.T, p Provider) {
	p.Trouble(Hang)
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(100*time.Millisecond, cancel)
	defer timer.Stop()
	began := time.Now()
	err := p.send(ctx, p.Page("cancelled", false))
	if took := time.Since(began); took > soon {
		t.Errorf("took %s", took)
	}
	if se := failed(t, p, err); !se.Temporary || !errors.Is(err, context.Canceled) {
		t.Errorf("not temporary, or not the cancellation: %v", err)
	}
}

func half(t *testing.T, p Provider) {
	p.Trouble(Half)
	if se := failed(t, p, p.send(t.Context(), p.Page("half", false))); !se.Temporary {
		t.Errorf("permanent: %v", se)
	}
	if err := p.send(t.Context(), p.Page("half", false)); err != nil {
		t.Errorf("the same page later: %v", err)
	}
}

func replies(t *testing.T, p Provider) {
	for _, r := range p.Replies {
		pg := p.Page(r.Name, false)
		r.Answer()
		se := failed(t, p, p.send(t.Context(), pg))
		if se.Temporary != r.Temporary || se.Code != r.Code || se.RetryAfter < r.After {
			t.Errorf("%s: got %+v, want %+v", r.Name, se, r)
		}
	}
}

func concurrent(t *testing.T, p Provider) {
	const pages = 20
	var wg sync.WaitGroup
	for i := range pages {
		wg.Go(func() {
			if err := p.send(t.Context(), p.Page(fmt.Sprintf("page-%d", i), false)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := p.Delivered()
	for i := range pages {
		key, n := fmt.Sprintf("(page-%d)", i), 0
		for _, d := range got {
			n += strings.Count(d.Text, key)
		}
		if n != 1 {
			t.Errorf("page %d arrived %d times", i, n)
		}
	}
}

// logged collects what is logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
