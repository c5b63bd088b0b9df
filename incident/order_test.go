package incident_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

// Order does something to the incident by hand at a time.
func (s *timeline) Order(at At, name string, do func(ctx context.Context, e *incident.Engine) (alert.Incident, error)) {
	s.Do(at, name, func(ctx context.Context, e *incident.Engine) error { _, err := do(ctx, e); return err })
}

func (s *timeline) Escalate(at At, id int64) {
	s.Order(at, "escalate", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.Escalate(ctx, id, "wang")
	})
}

func (s *timeline) Reassign(at At, id int64, users ...string) {
	s.Order(at, "reassign", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.Reassign(ctx, id, users, "wang")
	})
}

func (s *timeline) Call(at At, id int64, users ...string) {
	s.Order(at, "call", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.AddResponders(ctx, id, users, "wang")
	})
}

func (s *timeline) Snooze(at At, id int64, until At) {
	s.Order(at, "snooze", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.Snooze(ctx, id, epoch.Add(until.duration()), "wang")
	})
}

func TestWhoIsAskedForByHandOnAP3AtNightIsPagedNow(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(0, "zhang", "li", "zhao")
	s.Push(1, burning(availability, alert.P3, "hangzhou"))
	s.Escalate(2, 1)
	s.Want(Between(2, 2.01), "called zhang/wecom #1") // nobody was, before
	s.Story(2, 1, "paged all the same, since somebody asked for it: it is outside working hours")
	s.Reassign(3, 1, "zhao")
	s.Want(Between(3, 3.01), "called zhao/wecom #1")
	s.Call(4, 1, "qian")
	s.Want(Between(4, 4.01), "called qian/wecom #1")
	s.Run(600)
}

func TestWhoIsAskedForByHandOnSomethingMutedIsPagedNow(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(30*time.Minute, "zhang", "li", "zhao")
	var id string
	s.Silence(0.5, 50, &id, `cluster="hangzhou"`)
	s.Keep(Between(1, 52), burning(availability, alert.P2, "hangzhou"))
	s.Escalate(2, 1)
	s.Want(Between(2, 2.01), "called zhang/wecom #1")
	s.Story(2, 1, "paged all the same, since somebody asked for it: silenced by li: the database moves")
	s.Muted(3, 1, "silenced by li: the database moves") // and its next step waits for the end of that
	s.Call(4, 1, "qian")
	s.Want(Between(4, 4.01), "called qian/wecom #1")
	s.Acknowledge(5, 1)
	s.Call(6, 1, "sun")
	s.Want(Between(6, 6.01), "called sun/wecom #1")
	s.Status(50.5, 1, alert.Acknowledged, alert.P2, false) // as before the last call
	s.Run(52)
}

func TestAMutedIncidentThatSomebodyWasCalledToGoesOnWhenThatEnds(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(0, "zhang", "li")
	var id string
	s.Silence(0.5, 20, &id, `cluster="hangzhou"`)
	s.Keep(Between(1, 30), burning(availability, alert.P2, "hangzhou"))
	s.Reassign(2, 1, "zhao")
	s.Want(Between(2, 2.01), "called zhao/wecom #1")
	s.Want(Between(20, 20.01), "again zhao/wecom #1")
	s.Acknowledge(21, 1)
	s.Run(30)
}

func TestWhoIsCalledToASnoozedIncidentComes(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(5*time.Minute, "zhang", "li")
	s.Keep(Between(1, 30), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Snooze(2, 1, 60)
	s.Call(3, 1, "qian")
	s.Want(Between(3, 3.01), "called qian/wecom #1")
	s.Run(30)
}

func TestSomebodyCalledForHelpComesAlsoWhenTheCallerAcknowledgesThen(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(30*time.Minute, "zhang")
	s.Keep(Between(1, 30), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.fail = func(p page.Page, attempt int) error {
		if p.To.User == "qian" && attempt < 3 {
			return errors.New("connection refused")
		}
		return nil
	}
	s.Call(2, 1, "qian")
	s.Acknowledge(2.005, 1)
	s.Want(Between(2.01, 2.2), "called qian/wecom #1")
	s.Run(30)
}

func TestAnAcknowledgementOfSomethingSnoozedDoesNotShortenTheSnooze(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(5*time.Minute, "zhang", "li") // acknowledgements last an hour
	s.Keep(Between(1, 190), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Snooze(2, 1, 180)
	s.Acknowledge(3, 1)
	s.Want(Between(180, 180.01), "escalated li/wecom #1")
	s.Run(190)
}

func TestARisingLevelEndsASnooze(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(5*time.Minute, "zhang", "li")
	s.Keep(Between(1, 12), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Snooze(2, 1, 180)
	s.Keep(Between(4, 12), burning(availability, alert.P1, "beijing"))
	s.Want(Between(4, 4.01), "raised zhang/wecom #1")
	s.Acknowledge(5, 1)
	s.Run(12)
}

func TestAlertsMergedIntoSomethingMutedPage(t *testing.T) {
	s := newTimeline(t)
	var id string
	s.Silence(0.5, 100, &id, `slo="payment-latency"`)
	s.Keep(Between(1, 30), burning("payment-latency", alert.P2, "hangzhou"))
	s.Keep(Between(2, 30), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(2, 2.01), "opened zhang/wecom #2")
	s.Order(3, "merge", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.Merge(ctx, 2, 1, "wang")
	})
	s.Want(Between(3, 3.01), "opened zhang/wecom #1")
	s.Muted(4, 1, "")
	s.Acknowledge(4, 1)
	s.Run(30)
}

func TestAChainOfMergesLeadsToItsEnd(t *testing.T) {
	s := newTimeline(t)
	merge := func(at At, from, into int64) {
		s.Do(at, "merge", func(ctx context.Context, e *incident.Engine) error {
			_, err := e.Merge(ctx, from, into, "wang")
			return err
		})
	}
	s.Keep(Between(1, 4), burning("a", alert.P3, "hangzhou"), burning("b", alert.P3, "hangzhou"), burning("c", alert.P3, "hangzhou"))
	merge(2, 1, 2)
	merge(3, 2, 3)
	s.Do(3.5, "no way back", func(ctx context.Context, e *incident.Engine) error {
		if _, err := e.Merge(ctx, 3, 1, "wang"); !errors.Is(err, incident.ErrResolved) {
			t.Errorf("merged into what was merged: %v", err)
		}
		return nil
	})
	s.Push(4.5, burning("a", alert.P3, "beijing"), burning("b", alert.P3, "beijing"))
	s.Incidents(5, 3)
	s.Inspect(5, 3, func(inc alert.Incident) error {
		if len(inc.Alerts) != 5 {
			t.Errorf("%d alerts, want 5", len(inc.Alerts))
		}
		return nil
	})
	s.Run(5)
}
