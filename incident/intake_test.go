package incident_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
)

// since sets when an alert began, in minutes of the timeline.
func since(at At, a alert.Alert) alert.Alert {
	a.StartsAt = epoch.Add(at.duration())
	return a
}

// with sets a label.
func with(a alert.Alert, name, value string) alert.Alert {
	a.Labels = a.Labels.Clone()
	a.Labels[model.LabelName(name)] = model.LabelValue(value)
	return a
}

// Inspect looks at an incident at a time.
func (s *timeline) Inspect(at At, id int64, look func(alert.Incident) error) {
	s.Do(at, fmt.Sprintf("inspect %d", id), func(ctx context.Context, e *incident.Engine) error {
		story, err := e.Get(ctx, id)
		if err != nil {
			return err
		}
		return look(story.Incident)
	})
}

// Tells says what the incident's story must hold at a time.
func (s *timeline) Tells(at At, id int64, kind alert.EventKind, text string) {
	s.Do(at, fmt.Sprintf("story of %d", id), func(ctx context.Context, e *incident.Engine) error {
		story, err := e.Get(ctx, id)
		if err != nil {
			return err
		}
		for _, event := range story.Events {
			if event.Kind == kind && strings.Contains(event.Text, text) {
				return nil
			}
		}
		return fmt.Errorf("no event %q with %q in %v", kind, text, story.Events)
	})
}

func TestARouteSaysWhichAlertsBelongTogether(t *testing.T) {
	s := newTimeline(t)
	s.rota.route = func(of model.LabelSet) incident.Route {
		r := incident.Route{Policy: "policy-" + string(of["cluster"])}
		if of["team"] != "" {
			r.GroupBy = []string{"team", "region"}
		}
		return r
	}
	s.Push(1, burning(availability, alert.P2, "hangzhou"))
	s.Push(2, burning(availability, alert.P2, "beijing")) // joins, and the incident stays whose it is
	odd := with(burning(availability, alert.P2, "hangzhou"), "team", "a/b=c%")
	s.Push(3, odd, with(with(burning("payment-latency", alert.P1, "beijing"), "team", "a/b=c%"), "region", ""))
	s.Push(4, with(odd, "region", "eu"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Want(Between(3, 3.01), "opened zhang/wecom #2", "opened zhang/email #2")
	s.Want(Between(4, 4.01), "opened zhang/wecom #3")
	for id, want := range map[int64]string{
		1: "payment-service/payment-availability policy-hangzhou P2 2",
		2: "/team=a%2Fb=c%25/region= policy-hangzhou P1 2",
		3: "/team=a%2Fb=c%25/region=eu policy-hangzhou P2 1",
	} {
		s.Inspect(5, id, func(inc alert.Incident) error {
			if got := fmt.Sprintf("%s %s %s %d", inc.Key, inc.Policy, inc.Level, len(inc.Alerts)); got != want {
				return fmt.Errorf("got %q, want %q", got, want)
			}
			return nil
		})
	}
	s.Acknowledge(5, 2)
	s.Run(5.5)
}

func TestWhatFiresAgainSoonOpensItsIncidentAgain(t *testing.T) {
	s := newTimeline(t)
	s.rota.handOff = At(5).duration()
	a := burning(availability, alert.P2, "hangzhou")
	s.Push(1, a)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Push(3, over(a))
	s.Want(Between(3, 3.01), "resolved zhang/wecom #1")
	s.Push(12, a) // li is on call, and zhang believes that it is over
	s.Want(Between(12, 12.01), "reopened li/wecom #1", "reopened zhang/wecom #1")
	s.Inspect(12, 1, func(inc alert.Incident) error {
		if inc.Status != alert.Open || inc.Reopened != 1 || len(inc.Alerts) != 1 || !inc.ResolvedAt.IsZero() {
			return fmt.Errorf("it is %+v", inc)
		}
		return nil
	})
	s.Tells(12, 1, alert.EventReopened, "fires again 9m0s after it was resolved")
	s.Push(13, over(a))
	s.Want(Between(13, 13.01), "resolved li/wecom #1", "resolved zhang/wecom #1")
	s.Push(23.5, burning(availability, alert.P2, "beijing")) // later than ten minutes
	s.Want(Between(23.5, 23.51), "opened li/wecom #2")
	s.Incidents(24, 2)
	s.Run(25)
}

// One of two Prometheus that watch the same sees the end a moment later.
func TestAnEchoOfWhatIsOverIsNoNews(t *testing.T) {
	s := newTimeline(t)
	a := burning(availability, alert.P2, "hangzhou")
	s.Push(1, since(0.5, a))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Push(3, since(0.5, over(a)))
	s.Want(Between(3, 3.01), "resolved zhang/wecom #1")
	s.Push(3.5, since(0.7, a))
	s.Push(4.5, since(0.7, a))
	s.Push(5, since(0.7, over(a)))
	s.Status(5, 1, alert.Closed, alert.P2, false)
	s.Push(6, since(5.5, a)) // this one is real
	s.Want(Between(6, 6.01), "reopened zhang/wecom #1")
	s.Push(7, since(5.5, over(a)))
	s.Want(Between(7, 7.01), "resolved zhang/wecom #1")
	s.Keep(Between(8, 13), since(5.7, a)) // the other side insists: it is not over
	s.Want(Between(12, 12.01), "reopened zhang/wecom #1")
	s.Incidents(13, 1)
	s.Run(14)
}

// An alert that one side resolves, while another of the incident still fires,
// does not come and go in its story.
func TestAnEchoInAnOpenIncident(t *testing.T) {
	s := newTimeline(t)
	a, b := burning(availability, alert.Info, "hangzhou"), burning(availability, alert.Info, "beijing")
	s.Push(1, a, b)
	s.Push(2, since(1, over(a)), since(1, b))
	s.Push(2.5, since(1, a))
	s.Inspect(3, 1, func(inc alert.Incident) error {
		if inc.Alerts[0].State != alert.Resolved || inc.Alerts[1].State != alert.Firing {
			return fmt.Errorf("alerts %+v", inc.Alerts)
		}
		return nil
	})
	s.Run(4)
}

func TestAFlappingIncidentPagesOnceAndStaysOpen(t *testing.T) {
	s := newTimeline(t)
	a := burning(availability, alert.P2, "hangzhou")
	s.Push(1, a)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	for i := range 4 {
		turn := At(i) // three that page, and the fourth by which it flaps
		s.Push(2+4*turn, over(a))
		s.Want(Between(2+4*turn, 2.01+4*turn), "resolved zhang/wecom #1")
		s.Push(4+4*turn, a)
		s.Want(Between(4+4*turn, 4.01+4*turn), "reopened zhang/wecom #1")
	}
	s.Tells(16, 1, alert.EventReopened, "it flaps, 4 times within 1h")
	s.Acknowledge(17, 1)
	for i := range 5 {
		turn := At(i)
		s.Push(18+4*turn, over(a))
		s.Status(19+4*turn, 1, alert.Acknowledged, alert.P2, false)
		s.Push(20+4*turn, a)
	}
	s.Push(37, over(a))
	s.Tells(37, 1, alert.EventAlert, "resolved when they stay so for 30m")
	s.Status(66.9, 1, alert.Acknowledged, alert.P2, false)
	s.Status(67.1, 1, alert.Closed, alert.P2, false)
	s.Want(Between(67, 67.3), "resolved zhang/wecom #1")
	s.Incidents(68, 1)
	s.Run(70)
}

// Rounds that are due during a recovery wait for whether it lasts.
func TestAFlappingIncidentIsSilentWhileItIsQuiet(t *testing.T) {
	s := newTimeline(t)
	a := burning(availability, alert.P1, "hangzhou")
	s.Push(1, a)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1", "opened zhang/email #1")
	for i := range 4 {
		turn := At(i)
		s.Push(2+2*turn, over(a))
		s.Want(Between(2+2*turn, 2.01+2*turn), "resolved zhang/wecom #1")
		s.Push(3+2*turn, a)
		s.Want(Between(3+2*turn, 3.01+2*turn), "reopened zhang/wecom #1", "reopened zhang/email #1")
	}
	s.Push(10, over(a)) // its next round is due at 14
	s.Push(20, a)
	s.Want(Between(20, 20.01), "again zhang/wecom #1", "again zhang/email #1")
	s.Acknowledge(21, 1)
	s.Run(22)
}

// Two replicas of Midwatch take the alerts of two Prometheus in, and it is one
// incident with one alert that pages once.
func TestTwoReplicasOnOneStore(t *testing.T) {
	s := newTimeline(t)
	var other *incident.Engine
	s.Do(0, "another replica", func(context.Context, *incident.Engine) (err error) {
		other, err = incident.New(incident.Config{Store: s.ledger, Responders: s.rota, Sender: s, Logger: discard(), Normalize: dropReplica})
		return err
	})
	s.config.Normalize = dropReplica
	a, b := with(burning(availability, alert.P2, "hangzhou"), "replica", "a"), with(burning(availability, alert.P2, "hangzhou"), "replica", "b")
	send := func(at At, state func(alert.Alert) alert.Alert) {
		s.Push(at, state(a))
		s.Do(at, "push to the other", func(ctx context.Context, _ *incident.Engine) error {
			sent := state(b)
			sent.StartsAt, sent.EndsAt = epoch.Add(At(1).duration()), epoch.Add(at.duration()+4*time.Minute)
			if sent.State == alert.Resolved {
				sent.EndsAt = epoch.Add(at.duration())
			}
			return other.Receive(ctx, []alert.Alert{sent})
		})
	}
	same := func(a alert.Alert) alert.Alert { return since(1, a) }
	send(1, same)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	send(2, same)
	s.Inspect(3, 1, func(inc alert.Incident) error {
		if len(inc.Alerts) != 1 {
			return fmt.Errorf("%d alerts", len(inc.Alerts))
		}
		return nil
	})
	send(4, over)
	s.Want(Between(4, 4.01), "resolved zhang/wecom #1")
	s.Incidents(5, 1)
	s.Run(6)
}

func dropReplica(a alert.Alert) alert.Alert {
	a.Labels = a.Labels.Clone()
	delete(a.Labels, "replica")
	return a
}

// At night a P3 that opens again waits for working hours, as its first page
// and its end did.
func TestAP3OpensAgainAtNight(t *testing.T) {
	s := newTimeline(t)
	a := burning(availability, alert.P3, "hangzhou")
	day := At(9 * 60) // working hours begin
	s.Push(day+1, a)
	s.Want(Between(day+1, day+1.01), "opened zhang/wecom #1")
	s.Push(day+539, since(day+1, over(a)))
	s.Want(Between(day+539, day+539.01), "resolved zhang/wecom #1")
	s.Push(day+545, a) // after 18:00
	s.Keep(Between(day+546, day+1442), since(day+545, a))
	s.Want(Between(day+1440, day+1440.01), "reopened zhang/wecom #1")
	s.Incidents(day+1441, 1)
	s.Run(day + 1442)
}

// What opens again while it is silenced says so when the silence ends.
func TestWhatOpensAgainWhileItIsSilenced(t *testing.T) {
	s := newTimeline(t)
	var id string
	a := burning(availability, alert.P2, "hangzhou")
	s.Push(1, a)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Push(3, over(a))
	s.Want(Between(3, 3.01), "resolved zhang/wecom #1")
	s.Silence(4, 8, &id, `service="payment-service"`)
	s.Push(5, a)
	s.Want(Between(8, 8.01), "reopened zhang/wecom #1")
	s.Run(9)
}
