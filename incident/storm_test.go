package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

// several are alerts of as many incidents.
func several(n int, level alert.Level, prefix string) []alert.Alert {
	alerts := make([]alert.Alert, n)
	for i := range alerts {
		alerts[i] = burning(fmt.Sprintf("%s-%02d", prefix, i), level, "hangzhou")
	}
	return alerts
}

// messages returns what was sent, and of bundles how many incidents each has.
func (s *timeline) messages() (whole int, bundles []int) {
	for _, p := range s.sent {
		if p.page.Kind == page.Bundle {
			bundles = append(bundles, len(p.page.Others))
			continue
		}
		whole++
	}
	return whole, bundles
}

// forget takes what was sent as wanted.
func (s *timeline) forget(at At) {
	s.Do(at, "forget", func(context.Context, *incident.Engine) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent = nil
		return nil
	})
}

func first(at time.Time, inc alert.Incident) incident.Step {
	return incident.Step{Notices: []incident.Notice{{To: to("zhang", "wecom")}}}
}

func TestInAStormP1sComeWholeAndTheRestInOnePage(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = first
	s.Push(1, append(several(3, alert.P1, "urgent"), several(20, alert.P2, "less")...)...)
	s.Do(1.5, "count", func(context.Context, *incident.Engine) error {
		whole, bundles := s.messages()
		if whole != 3 || !slices.Equal(bundles, []int{20}) {
			t.Errorf("%d pages and bundles of %v, want 3 and one of 20", whole, bundles)
		}
		return nil
	})
	s.Do(1.6, "the story of one", func(ctx context.Context, e *incident.Engine) error {
		dead, err := e.DeadPages(ctx)
		if len(dead) != 0 {
			t.Errorf("dead: %v", dead)
		}
		return err
	})
	s.Story(1.6, 23, "with 19 others")
	s.forget(1.7)
	s.Run(2)
}

func TestAboveTheLimitNoMinuteHasMorePagesExceptForP1s(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = first
	s.Push(1, several(9, alert.P2, "a")...)
	s.Push(1.2, several(30, alert.P2, "b")...)
	s.Push(1.4, several(30, alert.P2, "c")...)
	s.Push(1.5, several(2, alert.P1, "d")...)
	s.Do(1.99, "count", func(context.Context, *incident.Engine) error {
		whole, bundles := s.messages()
		// Nine whole and one bundle are a minute's ten. P1s do not wait for the next.
		if whole != 9 || !slices.Equal(bundles, []int{30, 2}) {
			t.Errorf("%d pages and bundles of %v, want 9, and one of 30 and one of 2", whole, bundles)
		}
		return nil
	})
	s.forget(1.995)
	s.Run(2)
}

func TestTheP3sOfANightComeInOnePage(t *testing.T) {
	s := newTimeline(t)
	alerts := several(5, alert.P3, "disk")
	s.Keep(Between(1, 100), alerts[:2]...)
	s.Keep(Between(30, 545), alerts...)
	s.Want(Between(540, 540.01), "bundle zhang/wecom #1")
	s.Run(545)
	for _, p := range s.pages("bundle") {
		if len(p.Others) != 5 {
			t.Errorf("%d incidents in it, want 5", len(p.Others))
		}
	}
}

func TestABundleIsSentWholeOrNotAtAll(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = first
	s.config.PagesPerMinute = 1
	tries := 0
	s.fail = func(p page.Page, _ int) error {
		if tries++; p.To.Channel == "wecom" && p.Kind == page.Bundle {
			return &page.SendError{Channel: "wecom", Err: errors.New("no such user")}
		}
		return nil
	}
	s.Push(1, several(4, alert.P2, "a")...)
	s.Want(Between(1, 1.5), "bundle zhang/email #1") // the contact that comes next
	s.Run(3)
	for _, p := range s.pages("bundle") {
		if len(p.Others) != 4 {
			t.Errorf("%d incidents in it, want 4", len(p.Others))
		}
	}
}

func TestAP1ThatFailsForAWhileComesByTheNextContact(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = first
	s.fail = down("wecom", errors.New("connection refused"), s, 3)
	s.Push(1, burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1.5, 1.52), "opened zhang/email #1")
	s.Want(Between(3, 4.01), "opened zhang/wecom #1")
	s.Run(5)
}

func TestANewRoundPushesNoPageAwayThatWaitsForItsProvider(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = first
	limit := &page.SendError{Channel: "wecom", Code: "45009", Temporary: true, RetryAfter: 7 * time.Minute, Err: errors.New("limit")}
	s.fail = func(p page.Page, _ int) error {
		if p.To.Channel != "wecom" {
			return nil
		}
		if at := time.Since(s.begun); at > At(1.5).duration() && at < At(8).duration() {
			t.Errorf("tried at %s, before the provider's time", at)
		} else if at < At(8).duration() {
			return limit
		}
		return nil
	}
	s.Keep(Between(1, 10), burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1.5, 1.52), "opened zhang/email #1")
	s.Want(Between(6.5, 6.52), "again zhang/email #1")
	s.Want(Between(8, 8.02), "again zhang/wecom #1")
	s.Acknowledge(8.5, 1)
	s.Run(10)
}

func TestMessagesThatCanBeChangedAreBroughtUpToDate(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = func(time.Time, alert.Incident) incident.Step {
		return incident.Step{Notices: []incident.Notice{{To: to("zhang", "slack")}, {To: to("zhang", "email")}}}
	}
	s.edits = "slack"
	a := burning(availability, alert.P2, "hangzhou")
	s.Push(1, a)
	s.Want(Between(1, 1.01), "opened zhang/slack #1", "opened zhang/email #1")
	s.Push(2, a, burning(availability, alert.P2, "beijing"))
	s.Push(2.001, burning(availability, alert.P2, "shanghai"))
	s.Want(Between(2, 2.02), "updated zhang/slack #1") // once for both
	s.Acknowledge(3, 1)
	s.Want(Between(3, 3.001), "updated zhang/slack #1")
	s.fail = func(p page.Page, _ int) error {
		if p.Kind == page.Updated && time.Since(s.begun) > At(3.5).duration() {
			return errors.New("it is gone") // tried some times, and told nobody
		}
		return nil
	}
	s.Do(4, "note", func(ctx context.Context, e *incident.Engine) error {
		_, err := e.Note(ctx, 1, "x", "zhang")
		return err
	})
	s.Do(9, "nothing is dead", func(ctx context.Context, e *incident.Engine) error {
		dead, err := e.DeadPages(ctx)
		if len(dead) > 0 {
			t.Errorf("dead: %+v", dead)
		}
		return err
	})
	s.Resolve(10, 1)
	s.Want(Between(10, 10.01), "resolved zhang/slack #1")
	s.Run(12)
	var refs []string
	for _, p := range s.sent {
		if p.page.To.Channel == "slack" {
			refs = append(refs, p.page.Ref)
			if p.page.Kind != page.Opened && len(p.page.Story) == 0 {
				t.Errorf("page %q has no story", p.text)
			}
		}
	}
	if refs[0] != "" || slices.Contains(refs[1:], "") {
		t.Errorf("refs are %q", refs)
	}
}

func TestTheFirstPageHasTheAlertsThatJoinAtOnce(t *testing.T) {
	s := newTimeline(t)
	for i := range 5 { // one each 100 ms
		s.Push(1+At(i)*0.1*seconds, burning(availability, alert.P2, fmt.Sprint("cluster-", i)))
	}
	s.Want(Between(1+0.55*seconds, 1+0.65*seconds), "opened zhang/wecom #1")
	s.Run(2)
	for _, p := range s.pages("opened") {
		if len(p.Incident.Alerts) != 5 {
			t.Errorf("%d alerts in it, want 5", len(p.Incident.Alerts))
		}
	}
}

func TestTheFirstPageWaitsNoLongerThanForEvidence(t *testing.T) {
	s := newTimeline(t)
	for i := range 50 { // one each 100 ms, for 5 s
		s.Push(1+At(i)*0.1*seconds, burning(availability, alert.P1, fmt.Sprint("cluster-", i)), burning("latency", alert.P2, fmt.Sprint("cluster-", i)))
	}
	s.Want(Between(1+2.9*seconds, 1+3.05*seconds), "opened zhang/wecom #1", "opened zhang/email #1")
	s.Want(Between(1+3.9*seconds, 1+4.05*seconds), "opened zhang/wecom #2") // below P1 a second longer
	s.Run(2)
}

// hang never answers, and notes what it was asked to send.
type hang struct {
	*timeline
	asked chan page.Page
}

func (h hang) Send(ctx context.Context, p page.Page) (string, error) {
	h.asked <- p
	<-ctx.Done()
	return "", ctx.Err()
}

func TestAfterACrashTheSamePageIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLedger(t)
		s := newTimeline(t)
		s.begun = time.Now()
		h := hang{s, make(chan page.Page, 10)}
		s.config.Sender, s.config.StopTimeout = h, time.Hour
		s.start(t, l)
		if err := s.push(t.Context(), 0, []alert.Alert{burning(availability, alert.P2, "hangzhou")}); err != nil {
			t.Fatal(err)
		}
		crash, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.engine.Run(crash) }()
		before := <-h.asked
		stop()
		if err := s.push(t.Context(), 0, []alert.Alert{burning(availability, alert.P2, "beijing")}); err != nil {
			t.Fatal(err)
		}
		s.config.Sender = nil
		s.start(t, l) // another life, while the first still hangs
		ctx, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		if err := errors.Join(s.engine.Run(ctx), <-done, l.Close()); err != nil {
			t.Error(err)
		}
		if len(s.sent) != 1 {
			t.Fatalf("%d pages, want 1", len(s.sent))
		}
		after := s.sent[0].page
		before.Attempt = after.Attempt
		if diff := cmp.Diff(text(t, before), text(t, after)); diff != "" {
			t.Error(diff)
		}
	})
}

func text(t *testing.T, p page.Page) string {
	t.Helper()
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatJoinsWhileAMessageIsOnItsWayIsAddedToIt(t *testing.T) {
	s := newTimeline(t)
	s.config.Sender = slow{s} // a second for each message
	s.edits = "slack"
	s.rota.step = func(time.Time, alert.Incident) incident.Step {
		return incident.Step{Notices: []incident.Notice{{To: to("zhang", "slack")}}}
	}
	s.Push(1, burning(availability, alert.P2, "hangzhou"))
	s.Push(1+0.7*seconds, burning(availability, alert.P2, "beijing")) // the page was composed
	s.Want(Between(1, 1.03), "opened zhang/slack #1")
	s.Want(Between(1.03, 1.06), "updated zhang/slack #1")
	s.Run(3)
	last := s.sent[len(s.sent)-1].page
	if n := len(last.Incident.Alerts); n != 2 || last.Ref == "" {
		t.Errorf("the last message has %d alerts, and changes %q", n, last.Ref)
	}
}
