package incident_test

import (
	"context"
	"errors"
	"testing"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

const availability = "payment-availability"

func TestP1PagesEveryContactUntilAcknowledged(t *testing.T) {
	s := newTimeline(t)
	s.Keep(Between(1, 20), burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1", "opened zhang/email #1")
	s.Want(Between(6, 6.01), "again zhang/wecom #1", "again zhang/email #1")
	s.Want(Between(11, 11.01), "again zhang/wecom #1", "again zhang/email #1")
	s.Acknowledge(12, 1)
	s.Acknowledge(13, 1) // changes nothing
	s.Push(21, over(burning(availability, alert.P1, "hangzhou")))
	s.Want(Between(21, 21.01), "resolved zhang/wecom #1")
	s.Status(22, 1, alert.Closed, alert.P1, false)
	s.Run(60)
}

func TestP1FollowsTheHandOff(t *testing.T) {
	s := newTimeline(t)
	s.rota.handOff = At(4).duration()
	s.Keep(Between(1, 8), burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1", "opened zhang/email #1")
	s.Want(Between(6, 6.01), "again li/wecom #1", "again li/email #1")
	s.Resolve(8.5, 1)
	s.Want(Between(8.5, 8.51), "resolved zhang/wecom #1", "resolved li/wecom #1")
	s.Run(30)
}

func TestP2PagesTheFirstContactTwice(t *testing.T) {
	s := newTimeline(t)
	s.Keep(Between(1, 59), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Want(Between(16, 16.01), "again zhang/wecom #1")
	s.Run(60)
}

func TestP3WaitsForWorkingHours(t *testing.T) {
	s := newTimeline(t)
	s.Keep(Between(1, 620), burning(availability, alert.P3, "hangzhou"))
	s.Want(Between(540, 540.01), "opened zhang/wecom #1")
	s.Run(630)
}

func TestAProvidersLongOutageDoesNotLoseAP3(t *testing.T) {
	s := newTimeline(t)
	s.fail = down("wecom", errors.New("connection refused"), s, 11*60)
	s.Keep(Between(541, 15*60), burning(availability, alert.P3, "hangzhou"))
	s.Want(Between(556, 556.01), "opened zhang/email #1") // in its place, after 15 minutes
	s.Run(15 * 60)
}

func TestAP3ThatCouldNotBeSentInTimeWaitsForWorkingHours(t *testing.T) {
	s := newTimeline(t)
	s.fail = down("wecom", errors.New("connection refused"), s, 18*60+30)
	s.Keep(Between(17*60+50, 34*60), burning(availability, alert.P3, "hangzhou"))
	s.Want(Between(33*60, 33*60+1), "opened zhang/wecom #1")
	s.Run(34 * 60)
	// Meanwhile it did not count as a page that should have been sent.
	for _, p := range s.pages("opened") {
		if want := epoch.Add(At(33 * 60).duration()); !p.At.Equal(want) {
			t.Errorf("it is due since %s, want %s", p.At, want)
		}
	}
}

func TestP3ThatResolvesAtNightPagesNobody(t *testing.T) {
	s := newTimeline(t)
	s.Keep(Between(1, 30), burning(availability, alert.P3, "hangzhou"))
	s.Push(31, over(burning(availability, alert.P3, "hangzhou")))
	s.Status(32, 1, alert.Closed, alert.P3, false)
	s.Run(600)
}

func TestTheEndOfAP3WaitsForWorkingHoursToo(t *testing.T) {
	s := newTimeline(t)
	s.Keep(Between(17*60+50, 18*60+30), burning(availability, alert.P3, "hangzhou"))
	s.Want(Between(17*60+50, 17*60+51), "opened zhang/wecom #1")
	s.Push(18*60+31, over(burning(availability, alert.P3, "hangzhou")))
	s.Want(Between(33*60, 33*60+1), "resolved zhang/wecom #1")
	s.Run(34 * 60)
}

func TestInfoPagesNobody(t *testing.T) {
	s := newTimeline(t)
	s.Keep(Between(541, 560), burning(availability, alert.Info, "hangzhou"))
	s.Status(545, 1, alert.Open, alert.Info, false)
	s.Run(600)
}

func TestARisingLevelPagesAgainInSpiteOfAnAcknowledgement(t *testing.T) {
	s := newTimeline(t)
	s.Keep(Between(1, 12), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Acknowledge(2, 1)
	s.Status(3, 1, alert.Acknowledged, alert.P2, false)
	s.Keep(Between(5, 12), burning(availability, alert.P1, "beijing"))
	s.Want(Between(5, 5.01), "raised zhang/wecom #1", "raised zhang/email #1")
	s.Status(6, 1, alert.Open, alert.P1, false)
	s.Want(Between(10, 10.01), "again zhang/wecom #1", "again zhang/email #1")
	s.Acknowledge(11, 1)
	s.Incidents(12, 1)
	s.Run(13)
}

func TestAcknowledgingAResolvedIncidentIsAnError(t *testing.T) {
	s := newTimeline(t)
	s.Push(1, burning(availability, alert.Info, "hangzhou"))
	s.Resolve(2, 1)
	s.Resolve(2, 1) // changes nothing
	s.Do(3, "acknowledge", func(ctx context.Context, e *incident.Engine) error {
		for id, want := range map[int64]error{1: incident.ErrResolved, 7: incident.ErrNotFound} {
			if _, err := e.Acknowledge(ctx, id, "zhang"); !errors.Is(err, want) {
				t.Errorf("acknowledge %d: %v, want %v", id, err, want)
			}
		}
		if _, err := e.Acknowledge(ctx, 1, ""); !errors.Is(err, incident.ErrActor) {
			t.Errorf("acknowledged by nobody: %v", err)
		}
		return nil
	})
	s.Run(4)
}

func TestWhileNobodyIsToldThatItRoseP2GoesOn(t *testing.T) {
	s := newTimeline(t)
	s.fail = func(p page.Page, _ int) error {
		if p.Incident.ID == 1 && (p.Round == 2 || p.Round == 3) {
			return &page.SendError{Channel: p.To.Channel, Err: errors.New("no such user")}
		}
		return nil
	}
	s.Keep(Between(541, 640), burning(availability, alert.P3, "hangzhou"))
	s.Want(Between(541, 541.01), "opened zhang/wecom #1")
	s.Keep(Between(550, 640), burning(availability, alert.P2, "beijing"))
	s.Want(Between(550, 550.01), "opened admin/slack #2") // zhang cannot be told by anything
	s.Want(Between(580, 580.01), "again zhang/wecom #1")  // those of minutes 550 and 565 died
	s.Want(Between(565, 565.01), "again admin/slack #2")
	s.Want(Between(580, 580.01), "resolved admin/slack #2")
	s.Run(640)
}

func TestWhileNobodyIsReachedP2GoesOn(t *testing.T) {
	s := newTimeline(t)
	s.fail = func(p page.Page, _ int) error {
		if p.Incident.ID == 1 && p.Round < 3 {
			return &page.SendError{Channel: p.To.Channel, Err: errors.New("no such user")}
		}
		return nil
	}
	s.Keep(Between(1, 59), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.02), "opened admin/slack #2") // zhang cannot be told by anything
	s.Want(Between(16, 16.01), "again admin/slack #2")
	s.Want(Between(31, 31.01), "again zhang/wecom #1", "resolved admin/slack #2")
	s.Do(17, "dead pages", func(ctx context.Context, e *incident.Engine) error {
		dead, err := e.DeadPages(ctx)
		if len(dead) != 4 { // two rounds, two contacts
			t.Errorf("%d dead pages, want 4", len(dead))
		}
		for _, d := range dead {
			if d.To.User != "zhang" || d.State != page.Dead || d.Reason == "" || d.SettledAt.IsZero() {
				t.Errorf("dead page %+v", d)
			}
		}
		return err
	})
	s.Run(60)
}
