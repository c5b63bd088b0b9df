package email

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/inbox"
	"github.com/midwatch-slo/midwatch/page"
)

// mailboxes returns who got a mail, sorted.
func mailboxes(s *inbox.Server) (all []string) {
	for _, m := range s.Messages() {
		all = append(all, m.To...)
	}
	slices.Sort(all)
	return all
}

// TestOneBadMailboxStopsNobody: one does not exist, one is no address, one
// says "later"; the others have the page, and a second try is for that one.
func TestOneBadMailboxStopsNobody(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, func(theirs *inbox.Config, ours *Config) {
		theirs.Recipients = []string{"ana@example.com", "bob@example.com", "li.wei@example.com"}
		ours.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	r.server.FailTo("bob@example.com", inbox.Greylisted)
	p := onePage("a")
	p.To.Address = "ana@example.com, nobody@example.com, nothing, bob@example.com,li.wei@example.com"
	if se := sendError(t, r.send(t.Context(), p)); !se.Temporary {
		t.Errorf("bob is to come later: %v", se)
	}
	if got, want := mailboxes(r.server), []string{"ana@example.com", "li.wei@example.com"}; !slices.Equal(got, want) {
		t.Errorf("at once: %v, want %v", got, want)
	}
	r.server.Heal()
	if err := r.send(t.Context(), p); err != nil {
		t.Error(err)
	}
	if got, want := mailboxes(r.server), []string{"ana@example.com", "bob@example.com", "li.wei@example.com"}; !slices.Equal(got, want) {
		t.Errorf("in the end: %v, want %v", got, want)
	}
	if !strings.Contains(log.String(), "sent=3 refused=2") {
		t.Errorf("logged %s", log.String())
	}
}

// TestSlowMailboxDelaysNobody: the others have the page while one hangs.
func TestSlowMailboxDelaysNobody(t *testing.T) {
	r := newRig(t, func(theirs *inbox.Config, _ *Config) { theirs.Recipients = nil })
	r.server.FailTo("bob@example.com", inbox.Hang)
	p := onePage("a")
	p.To.Address = "bob@example.com,ana@example.com,li.wei@example.com"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.send(ctx, p) }()
	for len(r.server.Messages()) < 2 {
		select {
		case err := <-done:
			t.Fatalf("it ended with %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if se := sendError(t, <-done); !se.Temporary {
		t.Errorf("got %v", se)
	}
}

func TestNobodyTakesIt(t *testing.T) {
	r := newRig(t, nil)
	p := onePage("a")
	p.To.Address = "nobody@example.com,no-one@example.com"
	if se := sendError(t, r.send(t.Context(), p)); se.Temporary || se.Code != "SMTP 550" {
		t.Errorf("got %v", se)
	}
	p.To.Address = strings.Repeat("li.wei@example.com,", 60)
	if se := sendError(t, r.send(t.Context(), p)); se.Temporary || len(r.server.Messages()) > 0 {
		t.Errorf("got %v", se)
	}
}

// TestManyMailboxesTakeTurns: more than there may be dialogues.
func TestManyMailboxesTakeTurns(t *testing.T) {
	r := newRig(t, func(theirs *inbox.Config, _ *Config) { theirs.Recipients = nil })
	p := onePage("a")
	p.To.Address = "m0@example.com"
	for i := range 39 {
		p.To.Address += fmt.Sprintf(",m%d@example.com", i+1)
	}
	if err := r.send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if n := len(r.server.Messages()); n != 40 {
		t.Errorf("%d mails", n)
	}
}

func TestTakenForgetsTheOldest(t *testing.T) {
	taken := newTaken()
	for i := range maxTaken + 2 {
		taken.add(fmt.Sprint(i))
		taken.add(fmt.Sprint(i))
	}
	if taken.has("0") || taken.has("1") || !taken.has("2") || len(taken.known) != maxTaken {
		t.Errorf("%d are known", len(taken.known))
	}
}

// TestTheEndIsInTheSendersName, since the subject stays for the thread's sake.
func TestTheEndIsInTheSendersName(t *testing.T) {
	r := newRig(t, nil)
	over := onePage("over")
	over.Kind = page.Resolved
	drill := onePage("drill")
	drill.Incident.Drill, drill.To.Language = true, "zh"
	for _, p := range []page.Page{over, drill} {
		if err := r.send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	mails := r.server.Messages()
	if got := mails[0].Headers["From"] + ": " + mails[0].Subject; got != `Midwatch · resolved <midwatch@example.com>: Re: P1 payment-service: error budget burns` {
		t.Errorf("the end is %q", got)
	}
	if got := mails[1]; got.Headers["Importance"] != "" || got.Subject != "演练 P1 payment-ser…: error budget burns" {
		t.Errorf("the drill is %q, importance %q", got.Subject, got.Headers["Importance"])
	}
}

// TestHTMLOfTemplates is sent as it is, with the picture where it asks for it.
func TestHTMLOfTemplates(t *testing.T) {
	r := newRig(t, nil)
	with, without := onePage("with"), onePage("without")
	with.Rendered = page.Rendered{Lead: "Own subject", HTML: `<p>own</p><img src="cid:` + with.ChartID() + `">`}
	without.Rendered.HTML = "<p>own</p>"
	for _, p := range []page.Page{with, without} {
		if err := r.send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	mails := r.server.Messages()
	if m := mails[0]; m.Subject != "Own subject" || m.HTML != with.Rendered.HTML || len(m.Inline) != 1 {
		t.Errorf("with a picture: %q, %q, %d", m.Subject, m.HTML, len(m.Inline))
	}
	if m := mails[1]; m.HTML != "<p>own</p>" || m.Structure != "multipart/alternative(text/plain text/html)" {
		t.Errorf("without: %q in %s", m.HTML, m.Structure)
	}
}
