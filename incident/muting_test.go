package incident_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/silence"
)

func match(t testing.TB, texts ...string) (ms labels.Matchers) {
	t.Helper()
	for _, text := range texts {
		m, err := labels.ParseMatcher(text)
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, m)
	}
	return ms
}

// Silence makes a silence at a time that lasts until another.
func (s *timeline) Silence(at, until At, id *string, matchers ...string) {
	ms := match(s.t, matchers...)
	s.Do(at, "silence", func(ctx context.Context, e *incident.Engine) (err error) {
		*id, err = e.SaveSilence(ctx, silence.Silence{
			Matchers: ms, StartsAt: epoch.Add(at.duration()), EndsAt: epoch.Add(until.duration()),
			CreatedBy: "li", Comment: "the database moves",
		}, "li")
		return err
	})
}

// Muted says why nobody must be paged for an incident at a time.
func (s *timeline) Muted(at At, id int64, why string) {
	s.Inspect(at, id, func(inc alert.Incident) error {
		if inc.Muted != why {
			return fmt.Errorf("muted %q, want %q", inc.Muted, why)
		}
		return nil
	})
}

func TestASilenceThatEndsPagesWhatStillBurns(t *testing.T) {
	s := newTimeline(t)
	var id string
	s.Silence(1, 20, &id, `slo=~"payment-.*"`)
	s.Keep(Between(2, 30), burning(availability, alert.P2, "hangzhou"))
	s.Muted(2, 1, "silenced by li: the database moves")
	s.Tells(2, 1, alert.EventMuted, "silenced by li: the database moves")
	s.Push(3, burning("payment-latency", alert.P2, "hangzhou"))
	s.Push(5, over(burning("payment-latency", alert.P2, "hangzhou"))) // nobody was told of it, nobody is of its end
	s.Want(Between(20, 20.01), "opened zhang/wecom #1")
	s.Muted(20, 1, "")
	s.Acknowledge(21, 1)
	s.Run(30)
}

func TestASilenceThatIsExpiredPagesAtOnce(t *testing.T) {
	s := newTimeline(t)
	var id string
	s.Silence(1, 600, &id, `service="payment-service"`)
	s.Push(2, burning(availability, alert.P1, "hangzhou"))
	s.Do(4, "expire", func(ctx context.Context, e *incident.Engine) error { return e.ExpireSilence(ctx, id, "li") })
	s.Want(Between(4, 4.01), "opened zhang/wecom #1", "opened zhang/email #1")
	s.Do(4, "again", func(ctx context.Context, e *incident.Engine) error { return e.ExpireSilence(ctx, id, "li") })
	s.Acknowledge(5, 1)
	s.Run(6)
}

// A silence stops the rounds of what was paged before, at once and visibly,
// and what joins beyond it pages.
func TestANewSilenceStopsWhatWaits(t *testing.T) {
	s := newTimeline(t)
	var id string
	s.Push(1, burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1", "opened zhang/email #1")
	s.Silence(3, 60, &id, `cluster="hangzhou"`)
	s.Muted(3, 1, "silenced by li: the database moves")
	s.Tells(3, 1, alert.EventMuted, "the database moves")
	s.Push(10, burning(availability, alert.P1, "beijing"))
	s.Want(Between(10, 10.01), "again zhang/wecom #1", "again zhang/email #1")
	s.Muted(10, 1, "")
	s.Acknowledge(11, 1)
	s.Run(12)
}

// An incident pages while any alert of it is not muted, however many are.
func TestOneAlertThatIsNotMutedAmongThousands(t *testing.T) {
	s := newTimeline(t)
	var id string
	s.Silence(1, 60, &id, `instance=~"1.*"`)
	one := func(i int) alert.Alert {
		return with(burning(availability, alert.P2, "hangzhou"), "instance", fmt.Sprint(i))
	}
	s.Push(2, one(29999)) // the oldest of them: it is not among those that come with the incident
	s.Want(Between(2, 2.01), "opened zhang/wecom #1")
	many := make([]alert.Alert, 2500)
	for i := range many {
		many[i] = one(10000 + i)
	}
	s.Push(3, many...)
	s.Want(Between(17, 17.01), "again zhang/wecom #1")
	s.Inspect(17.5, 1, func(inc alert.Incident) error {
		if len(inc.Alerts) != 1000 || inc.AlertCount != 2501 || inc.Muted != "" {
			return fmt.Errorf("%d alerts of %d, muted %q", len(inc.Alerts), inc.AlertCount, inc.Muted)
		}
		return nil
	})
	s.Push(18, over(one(29999)))
	s.Status(18, 1, alert.Open, alert.P2, true)
	s.Run(19)
}

func TestHowSilencesChange(t *testing.T) {
	s := newTimeline(t)
	ms, other := match(t, `a="b"`), match(t, `a="c"`)
	minute := func(at At) time.Time { return epoch.Add(at.duration()) }
	s.Do(1, "silences", func(ctx context.Context, e *incident.Engine) error {
		save := func(id string, m labels.Matchers, from, to At) string {
			t.Helper()
			kept, err := e.SaveSilence(ctx, silence.Silence{ID: id, Matchers: m, StartsAt: minute(from), EndsAt: minute(to), CreatedBy: "li"}, "li")
			if err != nil {
				t.Error(err)
			}
			return kept
		}
		state := func(id string, want silence.State) {
			t.Helper()
			if got, err := e.Silence(ctx, id); err != nil || got.State(minute(1)) != want {
				t.Errorf("it is %s, %v; want %s", got.State(minute(1)), err, want)
			}
		}
		active := save("", ms, 0, 10)
		if save(active, ms, 1, 20) != active { // it began now, whatever was asked
			t.Error("a longer silence is another")
		}
		replaced := save(active, other, 1, 20)
		if replaced == active {
			t.Error("other matchers are the same silence")
		}
		state(active, silence.Expired)
		state(replaced, silence.Active)
		if again := save(active, ms, 1, 20); again == active {
			t.Error("a silence that is over lives again")
		}
		pending := save("", ms, 5, 10)
		state(pending, silence.Pending)
		if save(pending, ms, 6, 12) != pending {
			t.Error("a silence that has not begun cannot be moved")
		}
		if now := save(pending, ms, 0.5, 12); now == pending {
			t.Error("a silence was moved into the past")
		}
		state(pending, silence.Expired)
		return nil
	})
	s.Do(1, "refusals", func(ctx context.Context, e *incident.Engine) error {
		whole := silence.Silence{Matchers: ms, StartsAt: minute(1), EndsAt: minute(2), CreatedBy: "li"}
		large, past, unknown := whole, whole, whole
		large.Matchers = match(t, `a=~"`+strings.Repeat("(x|y){900}", 20)+`"`)
		past.StartsAt, past.EndsAt = minute(0), minute(0.5)
		unknown.ID = "none"
		for _, c := range []struct {
			s     silence.Silence
			actor string
			want  error
		}{
			{silence.Silence{}, "li", incident.ErrSilence},
			{large, "li", incident.ErrSilence},
			{past, "li", incident.ErrSilence},
			{unknown, "li", incident.ErrNotFound},
			{whole, "", incident.ErrActor},
		} {
			if _, err := e.SaveSilence(ctx, c.s, c.actor); !errors.Is(err, c.want) {
				t.Errorf("%v: %v, want %v", c.s.Matchers, err, c.want)
			}
		}
		list, err := e.Silences(ctx)
		if len(list) != 5 {
			t.Errorf("%d silences", len(list))
		}
		return errors.Join(err, errors.Join(e.ExpireSilence(ctx, "none", "li")))
	})
	s.actions[1].do = wrap(s.actions[1].do, incident.ErrNotFound)
	s.Do(5*24*60, "kept for five days", func(ctx context.Context, e *incident.Engine) error {
		list, err := e.Silences(ctx)
		if len(list) != 5 {
			t.Errorf("%d silences", len(list))
		}
		return err
	})
	s.Do(5*24*60+90, "and no longer", func(ctx context.Context, e *incident.Engine) error {
		list, err := e.Silences(ctx)
		if len(list) != 0 {
			t.Errorf("%d silences", len(list))
		}
		return err
	})
	s.Run(5*24*60 + 91)
}

// wrap makes an error the right answer.
func wrap(do func(context.Context) error, want error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := do(ctx); !errors.Is(err, want) {
			return fmt.Errorf("error %w, want %w", err, want)
		}
		return nil
	}
}

func TestMaintenanceMutesUntilItEnds(t *testing.T) {
	s := newTimeline(t)
	s.rota.muted = func(at time.Time, of model.LabelSet) (time.Time, bool) {
		end := epoch.Add(At(10).duration())
		return end, of["cluster"] == "hangzhou" && at.Before(end)
	}
	s.Push(1, burning(availability, alert.P2, "hangzhou"))
	s.Muted(2, 1, "maintenance")
	s.Want(Between(10, 10.01), "opened zhang/wecom #1")
	s.Run(11)
}

// Alone is a route by which every alert is an incident of its own.
func alone(model.LabelSet) incident.Route {
	return incident.Route{Policy: "default", GroupBy: []string{"alertname", "slo", "cluster", "tier"}}
}

func TestTheFleetInhibitsItsClustersAndAFastTierTheSlow(t *testing.T) {
	s := newTimeline(t)
	s.rota.route = alone
	s.config.Inhibit = incident.DefaultInhibitions([]string{"1h5m", "6h30m", "1d2h", "3d6h"}, nil)
	fleet := with(burning(availability, alert.P2, ""), "tier", "1h5m")
	delete(fleet.Labels, "cluster")
	cluster := with(burning(availability, alert.P2, "hangzhou"), "tier", "6h30m")
	worse := with(burning(availability, alert.P1, "beijing"), "tier", "1h5m")
	slow := with(burning(availability, alert.P3, "beijing"), "tier", "3d6h")
	s.Keep(Between(1, 9), fleet)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Keep(Between(2, 15), cluster) // muted by the fleet
	s.Muted(2, 2, "inhibited: it burns in the whole fleet")
	s.Keep(Between(3, 11), worse) // more urgent than what would mute it
	s.Want(Between(3, 3.01), "opened zhang/wecom #3", "opened zhang/email #3")
	s.Acknowledge(4, 3)
	s.Push(4, slow)
	s.Muted(4, 4, "inhibited: it burns in the whole fleet")
	s.Push(10, over(fleet))
	s.Want(Between(10, 10.01), "resolved zhang/wecom #1", "opened zhang/wecom #2")
	s.Muted(10.5, 4, "inhibited: it burns faster, as tier 1h5m says")
	s.Run(11)
}

// Each value of a label that an SLO groups by has a budget of its own.
func TestTheFleetInhibitsItsClustersOfTheSameGroup(t *testing.T) {
	s := newTimeline(t)
	s.rota.route = alone
	s.config.Inhibit = incident.DefaultInhibitions([]string{"5m1m", "1h5m"}, []string{"path"})
	fleet := with(with(burning(availability, alert.P2, ""), "tier", "5m1m"), "path", "/pay")
	delete(fleet.Labels, "cluster")
	s.Push(1, fleet)
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Push(2, with(burning(availability, alert.P2, "hangzhou"), "path", "/pay"))
	s.Muted(2, 2, "inhibited: it burns in the whole fleet")
	s.Push(3, with(burning(availability, alert.P2, "beijing"), "path", "/list"))
	s.Want(Between(3, 3.01), "opened zhang/wecom #3")
	s.Run(4)
}

func TestASourceThatIsResolvedByHandInhibitsNobody(t *testing.T) {
	s := newTimeline(t)
	s.rota.route = alone
	s.config.Inhibit = []incident.InhibitRule{{
		Name: "down", Source: match(t, `alertname="NodeDown"`), Target: match(t, `alertname!=""`), Equal: []string{"cluster"},
	}}
	node := burning("", alert.P2, "hangzhou")
	node.Labels["alertname"] = "NodeDown"
	s.Push(1, node, burning(availability, alert.P2, "hangzhou"), burning("other", alert.P2, "beijing"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1", "opened zhang/wecom #3") // a source that is a target too is not inhibited by itself
	s.Do(2, "statuses", func(ctx context.Context, e *incident.Engine) error {
		list, err := e.Alerts(ctx)
		i := slices.IndexFunc(list, func(a incident.AlertStatus) bool { return len(a.InhibitedBy) > 0 })
		if len(list) != 3 || i < 0 || list[i].Labels["slo"] != availability || list[i].InhibitedBy[0] != node.Fingerprint().String() {
			t.Errorf("alerts %+v", list)
		}
		return err
	})
	s.Resolve(3, 1)
	s.Want(Between(3, 3.01), "resolved zhang/wecom #1", "opened zhang/wecom #2")
	s.Run(4)
}

// Rules that change at run time hold for what fires already.
func TestRulesChangeAtRunTime(t *testing.T) {
	s := newTimeline(t)
	s.rota.route = alone
	rule := incident.InhibitRule{Name: "r", Source: match(t, `slo="a"`), Target: match(t, `slo="b"`)}
	s.Push(1, burning("a", alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Do(2, "a rule", func(ctx context.Context, e *incident.Engine) error {
		return e.SetRules(ctx, []incident.InhibitRule{rule}, nil)
	})
	s.Push(3, burning("b", alert.P2, "hangzhou"))
	s.Muted(3, 2, "inhibited: r")
	s.Do(4, "no rule", func(ctx context.Context, e *incident.Engine) error { return e.SetRules(ctx, nil, nil) })
	s.Want(Between(4, 4.01), "opened zhang/wecom #2")
	s.Run(5)
}

// An alert that expired mutes nobody: its sender fell silent.
func TestASourceThatExpiresMutesNoLonger(t *testing.T) {
	s := newTimeline(t)
	s.rota.route = alone
	s.config.Inhibit = []incident.InhibitRule{{Name: "r", Source: match(t, `slo="a"`), Target: match(t, `slo="b"`)}}
	s.Push(1, burning("a", alert.Info, "hangzhou"))
	s.Keep(Between(2, 10), burning("b", alert.P2, "hangzhou"))
	s.Muted(4, 2, "inhibited: r")
	s.Want(Between(5, 5.2), "opened zhang/wecom #2")
	s.Run(10)
}
