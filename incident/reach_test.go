package incident_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

// refuses is a provider that knows none of the users.
func refuses(users ...string) func(page.Page, int) error {
	return func(p page.Page, _ int) error {
		if slices.Contains(users, p.To.User) {
			return &page.SendError{Channel: p.To.Channel, Err: errors.New("no such user")}
		}
		return nil
	}
}

// ops pages a channel for what Midwatch says of itself.
func ops(rest func(time.Time, alert.Incident) incident.Step) func(time.Time, alert.Incident) incident.Step {
	return func(at time.Time, inc alert.Incident) incident.Step {
		if inc.Service == "midwatch" {
			return incident.Step{Notices: []incident.Notice{{To: page.Contact{FullName: "#ops", Channel: "slack", Address: "#ops"}}}}
		}
		return rest(at, inc)
	}
}

func TestWhenNobodyOfAStepIsReachedTheNextIsDueAtOnce(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = ops(steps(5*time.Minute, "zhang", "li", "wang", "zhao"))
	s.fail = refuses("zhang", "li")
	s.Keep(Between(1, 4), burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.1), "escalated wang/wecom #1")
	s.Want(Between(1, 1.1), "opened /slack #2", "opened /slack #3") // of zhang, and of li
	s.Story(2, 1, "no page of this step reaches anybody: goes on at once")
	s.Acknowledge(2, 1)
	s.Run(4)
}

func TestWhenNobodyOfAnyStepIsReachedThePolicyKeepsItsPace(t *testing.T) {
	s := newTimeline(t)
	begins := func(at time.Time, inc alert.Incident) incident.Step {
		p := steps(5*time.Minute, "zhang", "li")(at, inc)
		if p.Step == 2 { // and again
			p.Step, p.Cycle, p.Wait = 0, inc.Cycle+1, 5*time.Minute
		}
		return p
	}
	tries := 0
	s.rota.step = ops(begins)
	s.fail = func(p page.Page, n int) error {
		if p.To.User != "" {
			tries++
		}
		return refuses("zhang", "li")(p, n)
	}
	s.Keep(Between(1, 11), burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.1), "opened /slack #2", "opened /slack #3")
	s.Run(10.5)
	if want := 2 * 2 * 2; tries != want { // at minutes 1 and 6: two steps of one person, by two contacts
		t.Errorf("%d tries, want %d", tries, want)
	}
}

func TestPeopleWhomNoPageReachesAreAnIncidentEach(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = ops(func(_ time.Time, inc alert.Incident) incident.Step {
		user := "zhang"
		if inc.SLO == "b" {
			user = "li"
		}
		return incident.Step{Notices: []incident.Notice{{To: to(user, "wecom")}}}
	})
	refuse := refuses("zhang", "li")
	s.fail = func(p page.Page, n int) error {
		if time.Since(s.begun) > At(5).duration() {
			refuse = refuses("li")
		}
		return refuse(p, n)
	}
	s.Push(1, burning("a", alert.P2, "hangzhou"))
	s.Want(Between(1, 1.1), "opened /slack #2")
	s.Push(2, burning("b", alert.P2, "hangzhou"))
	s.Want(Between(2, 2.1), "opened /slack #4")
	s.Want(Between(16, 16.1), "opened zhang/wecom #1", "resolved /slack #2") // 15 minutes after the last page died
	s.Status(16.5, 4, alert.Open, alert.P2, false)
	s.Inspect(16.5, 4, func(inc alert.Incident) error {
		if !strings.Contains(inc.Title, "li cannot be paged") {
			t.Errorf("it is %q", inc.Title)
		}
		return nil
	})
	s.Run(16.6)
}

func TestAChannelThatIsReachedAgainIsSaid(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = func(_ time.Time, inc alert.Incident) incident.Step {
		if inc.Service == "midwatch" {
			return incident.Step{Notices: []incident.Notice{{To: to("admin", "email")}}}
		}
		return incident.Step{Notices: []incident.Notice{ // of two channels one is gone
			{To: page.Contact{FullName: "#gone", Channel: "slack", Address: "C1"}}, {To: page.Contact{FullName: "#here", Channel: "slack", Address: "C2"}},
		}}
	}
	s.fail = func(p page.Page, _ int) error {
		if p.To.Address == "C1" && time.Since(s.begun) < At(5).duration() {
			return &page.SendError{Channel: "slack", Err: errors.New("channel_not_found")}
		}
		return nil
	}
	s.Push(1, burning("a", alert.P2, "hangzhou"))
	s.Want(Between(1, 1.1), "opened /slack #1", "opened admin/email #2")
	s.Push(6, burning("b", alert.P2, "hangzhou"))
	s.Want(Between(6, 6.1), "opened /slack #3", "opened /slack #3", "resolved admin/email #2")
	s.Run(7)
}

// What was muted before anybody was told of it is told from the beginning.
func TestASilenceOverAPageThatWaitsDoesNotSkipAStep(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(30*time.Minute, "zhang", "li")
	s.config.Evidence = &detective{takes: 2 * time.Second}
	var id string
	s.Push(1, burning(availability, alert.P2, "hangzhou")) // its page waits for evidence
	s.Silence(1.005, 20, &id, `cluster="hangzhou"`)
	s.Keep(Between(2, 30), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(20, 20.1), "opened zhang/wecom #1")
	s.Acknowledge(21, 1)
	s.Run(30)
}

func TestAMaintenanceThatBeginsWhileAPageWaitsDoesNotSkipAStep(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(30*time.Minute, "zhang", "li")
	s.config.Evidence = &detective{takes: 2 * time.Second}
	s.rota.muted = func(at time.Time, _ model.LabelSet) (time.Time, bool) {
		end := epoch.Add(At(20).duration())
		return end, at.After(epoch.Add(At(1).duration())) && at.Before(end)
	}
	s.Keep(Between(1, 30), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(20, 20.1), "opened zhang/wecom #1")
	s.Acknowledge(21, 1)
	s.Run(30)
}

func TestAnAcknowledgementThatRunsOutWhileMutedPagesWhenThatEnds(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = steps(5*time.Minute, "zhang", "li") // acknowledgements last an hour
	var id string
	s.Keep(Between(1, 130), burning(availability, alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Acknowledge(2, 1)
	s.Silence(30, 100, &id, `cluster="hangzhou"`)
	s.Status(63, 1, alert.Open, alert.P2, false)
	s.Muted(63, 1, "silenced by li: the database moves")
	s.Want(Between(100, 100.01), "escalated li/wecom #1")
	s.Run(130)
}

func TestASilenceThatEndsAsAnAlertExpiresPages(t *testing.T) {
	s := newTimeline(t)
	var id string
	s.Silence(1, 6, &id, `cluster="hangzhou"`)
	s.Push(2, burning(availability, alert.P2, "hangzhou")) // it expires at 6
	s.Want(Between(6, 6.01), "opened zhang/wecom #1")
	s.Status(6.5, 1, alert.Open, alert.P2, true)
	s.Run(7)
}

func TestAP3ThatRisesWhileItsEndWaitsForTheMorning(t *testing.T) {
	s := newTimeline(t)
	s.config.ReopenWithin = 20 * time.Minute
	s.Push(17*60+50, burning(availability, alert.P3, "hangzhou"))
	s.Want(Between(17*60+50, 17*60+50.1), "opened zhang/wecom #1")
	s.Push(18*60+1, over(burning(availability, alert.P3, "hangzhou"))) // told at nine
	s.Push(18*60+10, burning(availability, alert.P3, "hangzhou"))      // put off too
	s.Escalate(18*60+11, 1)
	s.Want(Between(18*60+11, 18*60+11.1), "called zhang/wecom #1")
	s.Push(18*60+12, burning(availability, alert.P2, "beijing"))
	s.Want(Between(18*60+12, 18*60+12.1), "raised zhang/wecom #1")
	s.Acknowledge(18*60+13, 1)
	s.Run(34 * 60)
}

// While everything fails for a while only, P1s come again and again, each in
// the place of the one before: none of them dies.
func TestAPersonWhomNothingReachesForLongIsSaid(t *testing.T) {
	s := newTimeline(t)
	s.rota.step = ops(first)
	s.fail = func(p page.Page, _ int) error {
		if p.To.Channel != "slack" && time.Since(s.begun) < At(17).duration() {
			return errors.New("connection refused")
		}
		return nil
	}
	s.Keep(Between(1, 24), burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(6, 6.1), "opened /slack #2")
	s.Inspect(7, 2, func(inc alert.Incident) error {
		if inc.Title != "zhang cannot be paged by any contact" {
			t.Errorf("it is %q", inc.Title)
		}
		return nil
	})
	s.Want(Between(17, 18.1), "opened zhang/wecom #1", "opened zhang/email #1", "resolved /slack #2") // once each
	s.Acknowledge(19, 1)
	s.Run(24)
}
