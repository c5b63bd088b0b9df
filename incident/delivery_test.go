package incident_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

const seconds = At(1) / 60

// down returns a provider's answers: an error through one channel until a time.
func down(channel string, err error, begun *timeline, until At) func(page.Page, int) error {
	return func(p page.Page, _ int) error {
		if p.To.Channel == channel && time.Since(begun.begun) < until.duration() {
			return err
		}
		return nil
	}
}

func TestTemporaryErrorsAreTriedAgain(t *testing.T) {
	s := newTimeline(t)
	s.fail = down("wecom", &page.SendError{Channel: "wecom", Code: "-1", Temporary: true, Err: errors.New("busy")}, s, 1+30*seconds)
	s.Push(1, burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/email #1")
	// Pauses of at most 1, 2, 4, 8, 16 s: the sixth try is at most 31 s after the first, and the seventh 32 s after it.
	s.Want(Between(1+30*seconds, 1+64*seconds), "opened zhang/wecom #1")
	s.Acknowledge(3, 1)
	s.Run(10)
}

func TestTheProviderSaysWhenToComeBack(t *testing.T) {
	s := newTimeline(t)
	limit := &page.SendError{Channel: "wecom", Code: "45009", Temporary: true, RetryAfter: 90 * time.Second, Err: errors.New("limit")}
	s.fail = down("wecom", limit, s, 1+1*seconds)
	s.Push(1, burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(2.5, 2.51), "opened zhang/wecom #1")
	s.Acknowledge(3, 1)
	s.Run(4)
}

func TestADeadPageIsToldAndTheNextRoundComes(t *testing.T) {
	s := newTimeline(t)
	s.fail = func(p page.Page, _ int) error {
		if p.Kind == page.Opened {
			return &page.SendError{Channel: p.To.Channel, Code: "81013", Err: errors.New("no such user")}
		}
		return nil
	}
	s.Push(1, burning(availability, alert.P1, "hangzhou"))
	s.Do(2, "story", func(ctx context.Context, e *incident.Engine) error {
		story, err := e.Get(ctx, 1)
		var failed []string
		for _, e := range story.Events {
			if e.Kind == alert.EventPageFailed {
				failed = append(failed, e.Text)
			}
		}
		slices.Sort(failed)
		want := []string{
			"no page to zhang by email after 1 tries: send by email: 81013: no such user",
			"no page to zhang by wecom after 1 tries: send by wecom: 81013: no such user",
		}
		if diff := cmp.Diff(want, failed); diff != "" {
			t.Error(diff)
		}
		return err
	})
	s.Want(Between(6, 6.01), "again zhang/wecom #1", "again zhang/email #1")
	s.Acknowledge(7, 1)
	s.Run(10)
}

func TestAfterAnOutageOnlyTheLatestPageComes(t *testing.T) {
	s := newTimeline(t)
	s.fail = down("wecom", errors.New("connection refused"), s, 16.5)
	s.Keep(Between(1, 19), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(3, 3.01), "opened zhang/email #1")   // in its place, after 2 minutes
	s.Want(Between(16.5, 17.6), "again zhang/wecom #1") // the first of minute 1 gave way in minute 16
	s.Acknowledge(19, 1)
	s.Run(40)
}

func TestAnAcknowledgedPageIsNotTriedAgain(t *testing.T) {
	s := newTimeline(t)
	s.fail = down("wecom", errors.New("connection refused"), s, 3)
	s.Push(1, burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/email #1")
	s.Acknowledge(2, 1)
	s.Run(10)
}

// stall makes sends through one channel take until their context ends.
type stall struct {
	*timeline
	channel string
}

func (s stall) Send(ctx context.Context, p page.Page) (string, error) {
	if p.To.Channel == s.channel {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return s.timeline.Send(ctx, p)
}

func TestOneSlowProviderDelaysNobodyElse(t *testing.T) {
	s := newTimeline(t)
	s.config.PagesPerMinute = -1
	s.config.Sender = stall{s, "wecom"}
	for i := range 30 {
		slo := availability + string(rune('a'+i))
		s.Push(1, burning(slo, alert.P1, "hangzhou"))
	}
	s.Do(1+2*seconds, "count", func(context.Context, *incident.Engine) error {
		if got := len(s.pages("opened zhang/email")); got != 30 {
			t.Errorf("%d pages by email within 2 s, want 30", got)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent = nil
		return nil
	})
	s.Run(2)
}

func TestOneSlowProviderDelaysNobodysSecondTry(t *testing.T) {
	s := newTimeline(t)
	s.config.PagesPerMinute = -1
	s.config.Sender = stall{s, "wecom"}
	s.fail = func(_ page.Page, attempt int) error {
		if attempt == 1 {
			return &page.SendError{Channel: "email", Code: "451", Temporary: true, Err: errors.New("busy")}
		}
		return nil
	}
	for i := range 30 {
		s.Push(1, burning(availability+string(rune('a'+i)), alert.P1, "hangzhou"))
	}
	s.Do(1+4*seconds, "count", func(context.Context, *incident.Engine) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if got := len(s.pages("opened zhang/email")); got != 30 {
			t.Errorf("%d pages by email within 4 s, want 30", got)
		}
		s.sent = nil
		return nil
	})
	s.Run(1 + 5*seconds)
}

// crowded is a store that some readers do not leave.
type crowded struct {
	ledger
	leave chan struct{}
}

// stays marks the context of a reader that does not leave.
type stays struct{}

func (c crowded) View(ctx context.Context, f func(incident.Tx) error) error {
	return c.ledger.View(ctx, func(tx incident.Tx) error {
		if ctx.Value(stays{}) != nil {
			<-c.leave
		}
		return f(tx)
	})
}

func TestReadersDelayNoPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTimeline(t)
		s.begun = time.Now()
		l := crowded{openLedger(t), make(chan struct{})}
		var err error
		s.engine, err = incident.New(incident.Config{Store: l, Responders: s.rota, Sender: s, Logger: discard()})
		if err != nil {
			t.Fatal(err)
		}
		var readers sync.WaitGroup
		for range 10 {
			readers.Go(func() {
				if _, err := s.engine.List(context.WithValue(t.Context(), stays{}, true), true); err != nil {
					t.Error(err)
				}
			})
			readers.Go(func() { _, _ = s.engine.Get(context.WithValue(t.Context(), stays{}, true), 1) })
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.engine.Run(ctx) }()
		s.pass(1)
		if err := s.push(ctx, 1, []alert.Alert{burning(availability, alert.P1, "hangzhou")}); err != nil {
			t.Error(err)
		}
		s.pass(2)
		if n := len(s.pages("opened")); n != 2 {
			t.Errorf("%d pages are sent while the readers stay, want 2", n)
		}
		close(l.leave)
		readers.Wait()
		stop()
		if err := errors.Join(<-done, l.Close()); err != nil {
			t.Error(err)
		}
	})
}

// slow takes a second to send.
type slow struct{ *timeline }

func (s slow) Send(ctx context.Context, p page.Page) (string, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return s.timeline.Send(ctx, p)
}

func TestWhoIsToldWhileItResolvesIsToldOfTheEndToo(t *testing.T) {
	s := newTimeline(t)
	s.config.Sender = slow{s}
	a := burning(availability, alert.P2, "hangzhou")
	s.Push(1, a)
	s.Push(1+0.5*seconds, over(a))
	s.Want(Between(1, 1.1), "opened zhang/wecom #1") // began before
	s.Want(Between(1, 1.1), "resolved zhang/wecom #1")
	s.Run(10)
}

func TestAStopFinishesWhatIsBeingSent(t *testing.T) {
	s := newTimeline(t)
	s.config.Sender = slow{s}
	s.Push(1, burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.1), "opened zhang/wecom #1")
	s.Run(1 + 0.5*seconds)
}

// deaf takes a minute to send, whatever its context says.
type deaf struct{}

func (deaf) Edits(string) bool { return false }

func (deaf) Send(context.Context, page.Page) (string, error) {
	<-time.After(time.Minute)
	return "", nil
}

func TestAStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLedger(t)
		s := newTimeline(t)
		s.begun, s.config.Sender = time.Now(), deaf{}
		s.start(t, l)
		if err := s.push(t.Context(), 0, []alert.Alert{burning(availability, alert.P2, "hangzhou")}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		err := s.engine.Run(ctx)
		if took := time.Since(s.begun); err == nil || took > 13*time.Second {
			t.Errorf("it stopped after %s with %v", took, err)
		}
		s.pass(2) // the send ends after all
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestARestartPagesWhatTheLastLifeOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLedger(t)
		s := newTimeline(t)
		s.begun = time.Now()
		s.start(t, l)
		if err := s.push(t.Context(), 0, []alert.Alert{burning(availability, alert.P2, "hangzhou")}); err != nil {
			t.Fatal(err)
		}
		if len(s.sent) != 0 {
			t.Fatal("sent before it runs")
		}
		s.start(t, l) // another engine on the same store
		ctx, stop := context.WithTimeout(t.Context(), 16*time.Minute)
		defer stop()
		if err := s.engine.Run(ctx); err != nil {
			t.Error(err)
		}
		var texts []string
		for _, p := range s.sent {
			texts = append(texts, p.text)
		}
		if diff := cmp.Diff([]string{"opened zhang/wecom #1", "again zhang/wecom #1"}, texts); diff != "" {
			t.Error(diff)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAfterALongRestOnlyTheLatestPageComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLedger(t)
		s := newTimeline(t)
		s.begun = time.Now()
		s.start(t, l)
		if err := s.push(t.Context(), 0, []alert.Alert{burning(availability, alert.P1, "hangzhou")}); err != nil {
			t.Fatal(err)
		}
		s.pass(7) // nothing runs, and the next round becomes due too
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := errors.Join(s.engine.Run(ctx), l.Close()); err != nil {
			t.Error(err)
		}
		for _, p := range s.sent {
			if p.page.Kind != page.Again {
				t.Errorf("%s is sent beside what tells more", p.text)
			}
		}
		if len(s.sent) != 2 {
			t.Errorf("%d pages, want 2", len(s.sent))
		}
	})
}

func TestTenThousandAlerts(t *testing.T) {
	l := openLedger(t)
	defer l.Close()
	s := newTimeline(t)
	s.start(t, l)
	groups := 1_000
	if raced {
		groups = 50
	}
	alerts, begun := storm(10*groups, groups), time.Now()
	for range 2 { // the second time they are known
		for batch := range slices.Chunk(alerts, 100) {
			if err := s.engine.Receive(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("twice %d alerts took %s", len(alerts), took)
	}
	list, err := s.engine.List(t.Context(), false)
	if err != nil || len(list) != groups {
		t.Fatalf("%d incidents, %v", len(list), err)
	}
	for _, inc := range list {
		if len(inc.Alerts) != 10 {
			t.Fatalf("incident %s has %d alerts, want 10", inc.Key, len(inc.Alerts))
		}
	}
}

// Alerts of many senders at once, while others read and act: every incident
// is opened once and paged once. It means most under the race detector.
func TestConcurrentSenders(t *testing.T) {
	l := openLedger(t)
	s := newTimeline(t)
	s.config.PagesPerMinute = -1
	s.begun = time.Now()
	s.start(t, l)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.engine.Run(ctx) }()
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for i := range 25 {
				a := burning(availability+string(rune('a'+i)), alert.P2, "hangzhou")
				if err := s.push(ctx, 0, []alert.Alert{a}); err != nil {
					t.Error(err)
				}
				if _, err := s.engine.List(ctx, true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	poll(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.sent) >= 25 })
	list, err := s.engine.List(ctx, false)
	if err != nil || len(list) != 25 {
		t.Errorf("%d incidents, %v", len(list), err)
	}
	for _, inc := range list {
		if _, err := s.engine.Acknowledge(ctx, inc.ID, "zhang"); err != nil {
			t.Error(err)
		}
	}
	stop()
	if err := errors.Join(<-done, l.Close()); err != nil {
		t.Error(err)
	}
	if len(s.sent) != 25 {
		t.Errorf("%d pages, want 25", len(s.sent))
	}
}

func poll(t testing.TB, until func() bool) {
	t.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !until() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not come")
		}
	}
}

func TestMetricsAreNamedWell(t *testing.T) {
	l := openLedger(t)
	defer l.Close()
	s := newTimeline(t)
	s.start(t, l)
	if err := s.push(t.Context(), 0, []alert.Alert{burning(availability, alert.P1, "hangzhou")}); err != nil {
		t.Fatal(err)
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if !strings.Contains(strings.Join(names, " "), "midwatch_alerts_received_total") {
		t.Errorf("metrics are %v", names)
	}
}
