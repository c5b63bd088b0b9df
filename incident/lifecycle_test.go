package incident_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
)

func TestClustersShareOneIncident(t *testing.T) {
	s := newTimeline(t)
	hangzhou, beijing := burning(availability, alert.P1, "hangzhou"), burning(availability, alert.P2, "beijing")
	s.Push(1, hangzhou, beijing, burning("payment-latency", alert.Info, "hangzhou"))
	s.Push(2, hangzhou, beijing)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1", "opened zhang/email #1")
	s.Incidents(2, 2)
	s.Push(3, over(hangzhou), beijing)
	s.Status(3, 1, alert.Open, alert.P1, false) // the highest level that it ever had
	s.Push(4, over(hangzhou), over(beijing))
	s.Status(4, 1, alert.Closed, alert.P1, false)
	s.Want(Between(4, 4.01), "resolved zhang/wecom #1")
	s.Do(5, "story", func(ctx context.Context, e *incident.Engine) error {
		story, err := e.Get(ctx, 1)
		var lines []string
		for _, e := range story.Events {
			lines = append(lines, fmt.Sprintf("%s %s %s", e.At.Format("04:05"), e.Kind, e.Text))
		}
		want := []string{
			"01:00 opened opened as P1: payment-availability burns its error budget",
			"01:00 alert fires: 2 alerts: SLOErrorBudgetBurn (beijing, hangzhou)",
			"01:00 paged opened: zhang by email",
			"01:00 paged opened: zhang by wecom",
			"03:00 alert resolved: SLOErrorBudgetBurn (hangzhou)",
			"04:00 alert resolved: SLOErrorBudgetBurn (beijing)",
			"04:00 resolved resolved: all its alerts are",
			"04:00 paged resolved: zhang by wecom",
		}
		if len(lines) > 4 && lines[2] > lines[3] { // sent at once, in any order
			lines[2], lines[3] = lines[3], lines[2]
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Error(diff)
		}
		return err
	})
	s.Run(10)
}

func TestSilenceIsNotRecovery(t *testing.T) {
	s := newTimeline(t)
	a := burning(availability, alert.P1, "hangzhou")
	s.Keep(Between(1, 3), a) // ends at 7
	s.Want(Between(1, 1.01), "opened zhang/wecom #1", "opened zhang/email #1")
	s.Want(Between(6, 6.01), "again zhang/wecom #1", "again zhang/email #1")
	s.Status(6.9, 1, alert.Open, alert.P1, false)
	s.Status(7.1, 1, alert.Open, alert.P1, true)
	s.Want(Between(11, 11.01), "again zhang/wecom #1", "again zhang/email #1")
	s.Acknowledge(12, 1)
	s.Push(13, a)
	s.Status(14, 1, alert.Acknowledged, alert.P1, false)
	s.Status(17.1, 1, alert.Acknowledged, alert.P1, true)
	s.Push(18, over(a))
	s.Status(18, 1, alert.Closed, alert.P1, false)
	s.Want(Between(18, 18.01), "resolved zhang/wecom #1")
	s.Run(30)
}

func TestAnIncidentIsStaleWhileAnyAlertIs(t *testing.T) {
	s := newTimeline(t)
	hangzhou, beijing := burning(availability, alert.Info, "hangzhou"), burning(availability, alert.Info, "beijing")
	s.Push(3, hangzhou, beijing)
	s.Status(8, 1, alert.Open, alert.Info, true)
	s.Push(9, hangzhou)
	s.Status(9, 1, alert.Open, alert.Info, true)
	s.Push(10, beijing)
	s.Status(10, 1, alert.Open, alert.Info, false)
	s.Run(11)
}

func TestAStartExpiresNothingBeforeSendersCanReachIt(t *testing.T) {
	s := newTimeline(t)
	s.Do(0, "an alert that ends soon", func(ctx context.Context, e *incident.Engine) error {
		a := burning(availability, alert.Info, "hangzhou")
		a.StartsAt, a.EndsAt = epoch, epoch.Add(At(0.5).duration())
		return e.Receive(ctx, []alert.Alert{a})
	})
	s.Status(1.9, 1, alert.Open, alert.Info, false)
	s.Status(2.1, 1, alert.Open, alert.Info, true)
	s.Run(3)
}

func TestFiringAfterResolutionOpensAnother(t *testing.T) {
	s := newTimeline(t)
	s.config.ReopenWithin = -1
	a := burning(availability, alert.P2, "hangzhou")
	s.Push(1, over(a)) // nothing known: ignored
	s.Incidents(1, 0)
	s.Push(2, a)
	s.Want(Between(2, 2.01), "opened zhang/wecom #1")
	s.Push(3, over(a))
	s.Want(Between(3, 3.01), "resolved zhang/wecom #1")
	s.Push(4, over(a)) // senders repeat it
	s.Push(5, a)
	s.Want(Between(5, 5.01), "opened zhang/wecom #2")
	old := over(a)
	old.StartsAt = epoch.Add(At(2).duration())
	s.Do(6, "old resolution", func(ctx context.Context, e *incident.Engine) error {
		old.EndsAt = epoch.Add(At(3).duration())
		return e.Receive(ctx, []alert.Alert{old}) // overtaken by the second firing
	})
	s.Status(7, 2, alert.Open, alert.P2, false)
	s.Run(8)
}

func TestWhatSomebodyResolvedStaysResolvedWhileItsAlertsFireOn(t *testing.T) {
	s := newTimeline(t)
	a := burning(availability, alert.P2, "hangzhou")
	s.Keep(Between(1, 30), a)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Resolve(5, 1)
	s.Want(Between(5, 5.01), "resolved zhang/wecom #1")
	s.Incidents(30, 1)
	s.Push(31, over(a))
	s.Keep(Between(32, 33), a) // it begins anew
	s.Incidents(33, 2)
	s.Want(Between(32, 32.01), "opened zhang/wecom #2")
	s.Push(34, burning(availability, alert.P2, "beijing")) // joins
	s.Incidents(34, 2)
	s.Run(35)
}

func TestNormalizeComesFirst(t *testing.T) {
	s := newTimeline(t)
	s.config.Normalize = func(a alert.Alert) alert.Alert {
		a.Labels = a.Labels.Clone()
		delete(a.Labels, "replica")
		return a
	}
	for at, replica := range map[At]string{1: "a", 1.2: "b", 2: "a", 2.2: "b"} {
		a := burning(availability, alert.P2, "hangzhou")
		a.Labels["replica"] = model.LabelValue(replica)
		s.Push(at, a)
	}
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Do(3, "one alert", func(ctx context.Context, e *incident.Engine) error {
		story, err := e.Get(ctx, 1)
		if len(story.Incident.Alerts) != 1 {
			t.Errorf("%d alerts", len(story.Incident.Alerts))
		}
		return err
	})
	s.Run(4)
}

func TestAnAlertThatComesAndGoesInOneBatch(t *testing.T) {
	s := newTimeline(t)
	a := burning(availability, alert.P1, "hangzhou")
	s.Push(1, a, a, over(a), over(a))
	s.Status(1, 1, alert.Closed, alert.P1, false)
	s.Incidents(1, 1)
	s.Run(10)
}
