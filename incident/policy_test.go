package incident_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

func to(user, channel string) page.Contact {
	return page.Contact{User: user, Channel: channel, Address: user}
}

// steps is a policy of people, one a step, each paged by wecom; "" is a step
// with nobody.
func steps(wait time.Duration, people ...string) func(time.Time, alert.Incident) incident.Step {
	return func(_ time.Time, inc alert.Incident) (s incident.Step) {
		people, i := people, inc.Step
		if len(inc.Assigned) > 0 {
			people, i = inc.Assigned, 0
		}
		for people[i] == "" {
			s.Skipped = append(s.Skipped, "step "+string(rune('1'+i)))
			i++
		}
		s.Name = "step " + string(rune('1'+i))
		for _, user := range append([]string{people[i]}, inc.Responders...) {
			s.Notices = append(s.Notices, incident.Notice{To: to(user, "wecom")})
		}
		if s.Step = i + 1; s.Step < len(people) {
			s.Wait = wait
		}
		s.AckTimeout = time.Hour
		return s
	}
}

// Story says which line the story of an incident must have at a time.
func (s *timeline) Story(at At, id int64, line string) {
	s.Do(at, "story", func(ctx context.Context, e *incident.Engine) error {
		story, err := e.Get(ctx, id)
		var lines []string
		for _, e := range story.Events {
			if strings.Contains(e.Text, line) {
				return nil
			}
			lines = append(lines, string(e.Kind)+" "+e.Text)
		}
		s.t.Errorf("the story of incident %d at %v lacks %q: it is\n%s", id, at, line, strings.Join(lines, "\n"))
		return err
	})
}

func TestAPolicyGoesOnStepByStepWithoutThoseThatHaveNobody(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(5*time.Minute, "zhang", "", "li")
	s.Keep(Between(1, 59), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Want(Between(6, 6.01), "escalated li/wecom #1")
	s.Story(7, 1, "nobody is on call for step 2: skipped")
	s.Story(7, 1, "goes on to step 3")
	s.Run(60)
}

func TestWhenThePolicyIsThroughAP1RepeatsItsLastStep(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(2*time.Minute, "zhang", "li")
	s.Keep(Between(1, 12), burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Want(Between(3, 3.01), "escalated li/wecom #1")
	// Step 3 does not exist: a policy that is asked for it would break.
	s.Acknowledge(4, 1)
	s.Run(12)
}

func TestAUsersRulesDelayPagesThatAnAcknowledgementDrops(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = func(time.Time, alert.Incident) incident.Step {
		return incident.Step{
			Notices: []incident.Notice{{To: to("zhang", "wecom")}, {To: to("zhang", "email"), After: 3 * time.Minute}},
			Wait:    2 * time.Minute,
		}
	}
	s.Keep(Between(1, 6), burning(availability, alert.P1, "hangzhou"))
	s.Keep(Between(1, 6), burning("payment-latency", alert.P1, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1", "opened zhang/wecom #2")
	s.Acknowledge(2, 2)
	s.Want(Between(3, 3.01), "again zhang/wecom #1")
	s.Want(Between(4, 4.01), "opened zhang/email #1") // the round of minute 3 does not put it off
	s.Acknowledge(4.5, 1)
	s.Run(20)
}

func TestAnAcknowledgementEndsWithoutAResolution(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(5*time.Minute, "zhang", "li")
	s.Keep(Between(1, 80), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Acknowledge(2, 1)
	s.Status(61, 1, alert.Acknowledged, alert.P2, false)
	s.Want(Between(62, 62.01), "escalated li/wecom #1")
	s.Status(63, 1, alert.Open, alert.P2, false)
	s.Story(63, 1, "not resolved 1h0m0s after zhang acknowledged it: escalation resumes")
	s.Run(80)
}

func TestPeopleEscalateSnoozeAndReassign(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(30*time.Minute, "zhang", "li", "wang")
	s.Keep(Between(1, 40), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	act := func(at At, name string, do func(context.Context, *incident.Engine) (alert.Incident, error)) {
		s.Do(at, name, func(ctx context.Context, e *incident.Engine) error { _, err := do(ctx, e); return err })
	}
	s.Acknowledge(2, 1)
	act(3, "escalate", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.Escalate(ctx, 1, "zhang")
	})
	s.Want(Between(3, 3.01), "called li/wecom #1")
	act(4, "snooze", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.Snooze(ctx, 1, s.begun.Add(At(10).duration()), "li")
	})
	s.Want(Between(10, 10.01), "escalated wang/wecom #1")
	act(12, "reassign", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.Reassign(ctx, 1, []string{"zhao"}, "wang")
	})
	s.Want(Between(12, 12.01), "called zhao/wecom #1")
	s.Acknowledge(13, 1)
	act(14, "call", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.AddResponders(ctx, 1, []string{"qian"}, "zhao")
	})
	s.Want(Between(14, 14.01), "called qian/wecom #1")
	act(15, "note", func(ctx context.Context, e *incident.Engine) (alert.Incident, error) {
		return e.Note(ctx, 1, " the pool is full ", "qian")
	})
	s.Story(16, 1, "the pool is full")
	s.Story(16, 1, "escalated: the acknowledgement by zhang is void")
	s.Story(16, 1, "the snooze is over")
	s.Push(41, over(burning(availability, alert.P2, "hangzhou")))
	for _, user := range []string{"zhang", "li", "wang", "zhao", "qian"} {
		s.Want(Between(41, 41.01), "resolved "+user+"/wecom #1")
	}
	s.Do(42, "errors", func(ctx context.Context, e *incident.Engine) error {
		_, resolved := e.Escalate(ctx, 1, "zhang")
		_, late := e.Snooze(ctx, 1, time.Now().Add(time.Hour), "zhang")
		_, empty := e.Note(ctx, 1, " ", "zhang")
		if !errors.Is(resolved, incident.ErrResolved) || !errors.Is(late, incident.ErrResolved) || !errors.Is(empty, incident.ErrInvalid) {
			t.Errorf("escalate: %v, snooze: %v, note: %v", resolved, late, empty)
		}
		return nil
	})
	s.Run(60)
}

func TestAMergedIncidentsAlertsJoinTheOther(t *testing.T) {
	s := newTimeline(t)
	latency := burning("payment-latency", alert.P2, "hangzhou")
	s.Keep(Between(1, 20), burning(availability, alert.P3, "hangzhou"))
	s.Keep(Between(2, 9), latency)
	s.Want(Between(2, 2.01), "opened zhang/wecom #2")
	s.Do(3, "merge", func(ctx context.Context, e *incident.Engine) error {
		inc, err := e.Merge(ctx, 2, 1, "zhang")
		if err == nil && (len(inc.Alerts) != 2 || inc.Level != alert.P2) {
			t.Errorf("merged it is %+v", inc)
		}
		return err
	})
	s.Want(Between(3, 3.01), "opened zhang/wecom #1")
	s.Status(4, 2, alert.Closed, alert.P2, false)
	s.Story(4, 2, "merged into incident 1")
	s.Story(4, 1, "took the alerts of incident 2")
	s.Push(5, burning("payment-latency", alert.P2, "beijing")) // of the key that was merged
	s.Incidents(6, 2)
	s.Do(6, "three alerts", func(ctx context.Context, e *incident.Engine) error {
		story, err := e.Get(ctx, 1)
		if len(story.Incident.Alerts) != 3 {
			t.Errorf("%d alerts, want 3", len(story.Incident.Alerts))
		}
		return err
	})
	s.Acknowledge(7, 1)
	s.Run(9)
}

func TestADrillGoesTheRealWayAndEndsByAcknowledgement(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(5*time.Minute, "zhang", "li", "li", "li", "li")
	drill := func(at At) {
		s.Do(at, "drill", func(ctx context.Context, e *incident.Engine) error {
			_, err := e.Drill(ctx, incident.Exercise{}, "boss")
			return err
		})
	}
	drill(1)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Acknowledge(2, 1)
	s.Status(2, 1, alert.Closed, alert.P1, false)
	drill(20)
	s.Want(Between(20, 20.01), "opened zhang/wecom #2")
	s.Want(Between(25, 25.01), "escalated li/wecom #2")
	s.Want(Between(30, 30.01), "again li/wecom #2")
	s.Status(34.9, 2, alert.Open, alert.P1, false)
	s.Status(35.1, 2, alert.Closed, alert.P1, false)
	s.Do(40, "record", func(ctx context.Context, e *incident.Engine) error {
		drills, err := e.Drills(ctx)
		if len(drills) != 2 || drills[1].Acknowledged != time.Minute || drills[1].Delivery > time.Second || drills[0].Acknowledged != 0 || drills[1].By != "boss" {
			t.Errorf("drills are %+v", drills)
		}
		return err
	})
	s.Run(50)
	for _, p := range s.sent {
		if !p.page.Incident.Drill || !strings.HasPrefix(p.page.Incident.Title, "Drill: ") {
			t.Errorf("page %q is not marked as a drill", p.text)
		}
	}
}
