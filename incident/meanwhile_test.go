package incident_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

// What happens while pages wait.

func TestWhatIsOverBeforeItsPageSettlesPagesNobody(t *testing.T) {
	s := newTimeline(t)
	s.config.Evidence = &detective{takes: 2 * time.Second}
	s.Push(1, burning(availability, alert.P1, "hangzhou"))
	s.Push(1+0.5*seconds, over(burning(availability, alert.P1, "hangzhou")))
	s.Push(2, burning("payment-latency", alert.P1, "hangzhou"))
	s.Resolve(2+0.5*seconds, 2)
	s.Status(3, 1, alert.Closed, alert.P1, false)
	s.Run(10)
}

func TestADigestLacksWhatIsOverByThen(t *testing.T) {
	s := newTimeline(t)
	alerts := several(4, alert.P3, "disk")
	s.Keep(Between(1, 545), alerts[:3]...)
	s.Keep(Between(1, 100), alerts[3])
	s.Push(101, over(alerts[3]))
	s.Want(Between(540, 540.01), "bundle zhang/wecom #1")
	s.Run(545)
	for _, p := range s.pages("bundle") {
		if len(p.Others) != 3 {
			t.Errorf("%d incidents in it, want 3", len(p.Others))
		}
	}
}

func TestWhatRisesWhileItsBundleWaitsComesWhole(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = first
	s.config.PagesPerMinute = 1
	s.fail = func(p page.Page, _ int) error {
		if p.Kind == page.Bundle && p.To.Channel == "wecom" && time.Since(s.begun) < At(1.4).duration() {
			return errors.New("connection refused")
		}
		return nil
	}
	alerts := several(3, alert.P2, "a")
	s.Push(1, alerts...)
	s.Push(1.2, with(with(alerts[1], "severity", "P1"), "cluster", "beijing"))
	s.Want(Between(1.2, 1.21), "raised zhang/wecom #2")
	s.Want(Between(1.4, 2), "bundle zhang/wecom #1")
	s.Run(2.1)
}

func TestADrillDuringAStormComesWholeAndCountsNowhere(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = first
	drill := func(at At) {
		s.Do(at, "drill", func(ctx context.Context, e *incident.Engine) error {
			_, err := e.Drill(ctx, incident.Exercise{}, "boss")
			return err
		})
	}
	for i := range 5 {
		drill(1 + At(i)*seconds)
	}
	s.Push(1.2, several(8, alert.P2, "a")...) // within the limit of ten
	s.Push(1.5, several(30, alert.P2, "b")...)
	drill(1.6)
	s.Do(1.9, "count", func(context.Context, *incident.Engine) error {
		whole, bundles := s.messages()
		if whole != 5+8+1 || !slices.Equal(bundles, []int{30}) {
			t.Errorf("%d pages and bundles of %v, want 14 and one of 30", whole, bundles)
		}
		return nil
	})
	s.forget(1.95)
	s.Run(2)
}

func TestAReopenedP3IsNotSaidToBeOver(t *testing.T) {
	s := newTimeline(t)
	s.config.ReopenWithin = 20 * time.Minute
	s.Keep(Between(17*60+50, 18*60), burning(availability, alert.P3, "hangzhou"))
	s.Want(Between(17*60+50, 17*60+50.1), "opened zhang/wecom #1")
	s.Push(18*60+1, over(burning(availability, alert.P3, "hangzhou"))) // its end is told at nine
	s.Keep(Between(18*60+10, 33*60+5), burning(availability, alert.P3, "hangzhou"))
	s.Want(Between(33*60, 33*60+0.1), "again zhang/wecom #1")
	s.Run(33*60 + 5)
}

func TestTheEchoOfAPairWhoseClocksDiffer(t *testing.T) {
	s := newTimeline(t)
	a := burning(availability, alert.P2, "hangzhou")
	s.Keep(Between(1, 5), a)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	ended := over(a)
	ended.StartsAt = epoch.Add(At(1).duration())
	s.Push(6, ended)
	s.Want(Between(6, 6.01), "resolved zhang/wecom #1")
	echo := a
	echo.StartsAt = epoch.Add(At(1).duration() + 7*time.Second) // by its own clock
	s.Push(6.5, echo)
	s.Push(7.5, echo)
	s.Status(8, 1, alert.Closed, alert.P2, false)
	s.Keep(Between(12, 13), with(a, "cluster", "hangzhou")) // it fires anew
	s.Want(Between(12, 12.01), "reopened zhang/wecom #1")
	s.Acknowledge(13, 1)
	s.Run(14)
}

func TestAnAlertThatIsOverAtFirstSightIsNoIncident(t *testing.T) {
	s := newTimeline(t)
	s.Push(1, over(burning(availability, alert.P1, "hangzhou")))
	s.Incidents(2, 0)
	s.Run(3)
}

// unhurried is a provider that takes its time.
type unhurried struct {
	*timeline
	takes time.Duration
}

func (s unhurried) Send(ctx context.Context, p page.Page) (string, error) {
	<-time.After(s.takes)
	return s.timeline.Send(ctx, p)
}

func TestAStoreThatFailsForAWhileRepeatsNoPageAndLosesNone(t *testing.T) {
	s := newTimeline(t)
	s.config.Sender = unhurried{s, 4 * time.Second}
	s.broken = []Window{
		{1 + 2*seconds, 1.9},             // the page is on its way, and that it was sent cannot be kept
		{5.9, 6.4},                       // a round is due
		{11 + 0.5*seconds, 11.4},         // one waits to be claimed
		{16 - 1*seconds, 16 + 1*seconds}, // somebody acknowledges
	}
	s.config.Evidence = &detective{takes: time.Second}
	s.Push(1-3*seconds, burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.05), "opened zhang/wecom #1", "opened zhang/email #1")
	s.Keep(Between(2, 5), burning(availability, alert.P1, "hangzhou"))
	s.Do(6, "a push that is refused", func(ctx context.Context, _ *incident.Engine) error {
		if err := s.push(ctx, 6, []alert.Alert{burning("other", alert.P1, "hangzhou")}); err == nil {
			t.Error("it is taken")
		}
		return nil
	})
	s.Want(Between(6.4, 6.55), "again zhang/wecom #1", "again zhang/email #1")
	s.Want(Between(11.4, 11.55), "again zhang/wecom #1", "again zhang/email #1")
	s.Do(16, "an acknowledgement that is refused", func(ctx context.Context, e *incident.Engine) error {
		if _, err := e.Acknowledge(ctx, 1, "zhang"); err == nil {
			t.Error("it is taken")
		}
		return nil
	})
	s.Acknowledge(16.1, 1)
	s.Incidents(17, 1)
	s.Run(17)
}
