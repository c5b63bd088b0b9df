package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/store"
)

func testSilences(t *testing.T, s Store) {
	expression, err := labels.NewMatcher(labels.MatchNotRegexp, "na\"me", `pay{1,2}|"x"`)
	if err != nil {
		t.Fatal(err)
	}
	full := silence.Silence{
		ID: "a", Matchers: labels.Matchers{expression, {Type: labels.MatchEqual, Name: "b", Value: "值"}},
		StartsAt: t0, EndsAt: t0.Add(time.Hour), CreatedBy: "张", Comment: "'\"", UpdatedAt: t0,
		Recurrence: &silence.Recurrence{Cron: "0 3 * * *", Duration: time.Hour, Timezone: "Asia/Shanghai"},
		Labels:     map[string]string{"ticket": "7"},
	}
	plain := full
	plain.ID, plain.Recurrence, plain.Labels, plain.UpdatedAt, plain.EndsAt = "b", nil, nil, t0.Add(time.Second), t0.Add(time.Minute)
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.SaveSilence(plain), tx.SaveSilence(full)) })
	texts := func(list []silence.Silence) (texts []string) {
		for _, s := range list {
			texts = append(texts, fmt.Sprintf("%s %s %t %t %v %v %s %s %s %s", s.ID, s.Matchers, s.Matches(model.LabelSet{"b": "值"}),
				s.Matches(model.LabelSet{"b": "值", "na\"me": "payy"}), s.StartsAt, s.EndsAt, s.CreatedBy, s.Comment, s.UpdatedAt, s.Labels))
		}
		return texts
	}
	update(t, s, func(tx *store.Tx) error {
		all, errAll := tx.Silences(t0)
		equal(t, texts([]silence.Silence{plain, full}), texts(all))
		r := all[1].Recurrence
		equal(t, "0 3 * * * 1h0m0s Asia/Shanghai", fmt.Sprint(r.Cron, " ", r.Duration, " ", r.Timezone))
		equal(t, true, all[0].Recurrence == nil)
		rest, errRest := tx.Silences(plain.EndsAt)
		equal(t, texts([]silence.Silence{full}), texts(rest))
		n, errCount := tx.CountSilences(t0)
		equal(t, 2, n)
		full.Comment, full.EndsAt = "changed", t0.Add(2*time.Hour)
		errSave := tx.SaveSilence(full)
		one, ok, errOne := tx.Silence("a")
		equal(t, texts([]silence.Silence{full}), texts([]silence.Silence{one}))
		equal(t, true, ok)
		_, ok, errNone := tx.Silence("none")
		equal(t, false, ok)
		errDelete := tx.DeleteSilences(plain.EndsAt)
		n, errRecount := tx.CountSilences(time.Time{})
		equal(t, 1, n)
		return errors.Join(errAll, errRest, errCount, errSave, errOne, errNone, errDelete, errRecount)
	})
}

func testInhibitors(t *testing.T, s Store) {
	inc := add(t, s, sample("a"), model.LabelSet{"a": "1", "severity": "P2"}, model.LabelSet{"a": "2", "severity": "P1"})
	p2, p1 := inc.Alerts[0], inc.Alerts[1]
	// expect says which alert inhibits those of the key "k" at a level.
	expect := func(least alert.Level, onlySource bool, want *alert.Alert) {
		t.Helper()
		update(t, s, func(tx *store.Tx) error {
			fp, ok, err := tx.Inhibitor("k", least, onlySource)
			if ok != (want != nil) || ok && fp != want.Fingerprint() {
				t.Errorf("level %s, only source %t: %s, %t", least, onlySource, fp, ok)
			}
			return err
		})
	}
	expect(alert.Info, false, nil)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.AddInhibitor("k", p2, false), tx.AddInhibitor("k", p2, false), tx.AddInhibitor("k", p1, true), tx.AddInhibitor("other", p1, false))
	})
	expect(alert.Info, false, &p1)
	expect(alert.Info, true, &p2)
	expect(alert.P1, false, &p1)
	expect(alert.P1, true, nil)
	p1.State = alert.Expired
	update(t, s, func(tx *store.Tx) error { return tx.SaveAlerts([]*alert.Alert{&p1}) })
	expect(alert.Info, false, &p2)
	inc.Status = alert.Closed
	update(t, s, func(tx *store.Tx) error { return tx.SaveIncident(inc) })
	expect(alert.Info, false, nil)
	inc.Status = alert.Open
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.SaveIncident(inc), tx.DropInhibitors([]int64{p2.ID})) })
	expect(alert.Info, false, nil)
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.AddInhibitor("k", p2, false), tx.ClearInhibitors()) })
	expect(alert.Info, false, nil)
}

func testMuted(t *testing.T, s Store) {
	muted, other, snoozed, acked := sample("muted"), sample("other"), sample("snoozed"), sample("acked")
	muted.Muted, snoozed.Muted, acked.Muted = "m", "m", "m"
	snoozed.SnoozedUntil, acked.Status = t0.Add(time.Hour), alert.Acknowledged
	all := []alert.Incident{add(t, s, muted), add(t, s, other), add(t, s, snoozed), add(t, s, acked)}
	update(t, s, func(tx *store.Tx) error {
		n, err := tx.WakeMuted(t0)
		equal(t, 1, n)
		for i, inc := range all {
			got, _, errGet := tx.Incident(inc.ID)
			equal(t, i == 0, got.NextPageAt.Equal(t0))
			err = errors.Join(err, errGet)
		}
		return err
	})
}

func testRecoveries(t *testing.T, s Store) {
	resolved, byHand, long, open := sample("a"), sample("b"), sample("c"), sample("d")
	resolved.Status, resolved.ResolvedAt = alert.Closed, t0
	byHand.Status, byHand.ResolvedAt, byHand.ResolvedBy = alert.Closed, t0, "li"
	long.Status, long.ResolvedAt = alert.Closed, t0.Add(-time.Hour)
	earlier := resolved
	earlier.ResolvedAt = t0.Add(-time.Second)
	add(t, s, earlier)
	resolved = add(t, s, resolved)
	add(t, s, byHand)
	add(t, s, long)
	open = add(t, s, open)
	update(t, s, func(tx *store.Tx) error {
		lately, err := tx.ResolvedIncidents([]string{"a", "b", "c", "d", "a"}, t0.Add(-time.Minute))
		equal(t, []alert.Incident{resolved}, lately)
		next, errNone := tx.NextRecovery()
		equal(t, true, next.IsZero())
		errSave := errors.Join(tx.SaveRecovery(open.ID, t0), tx.SaveRecovery(open.ID, t0.Add(time.Minute)), tx.SaveRecovery(resolved.ID, t0.Add(time.Hour)))
		next, errNext := tx.NextRecovery()
		equal(t, t0.Add(time.Minute), next)
		until, ok, errGet := tx.Recovery(open.ID)
		equal(t, t0.Add(time.Minute), until)
		equal(t, true, ok)
		due, errDue := tx.DueRecoveries(t0.Add(time.Minute), 10)
		equal(t, []int64{open.ID}, due)
		errDrop := tx.DropRecovery(open.ID)
		_, ok, errGone := tx.Recovery(open.ID)
		equal(t, false, ok)
		return errors.Join(err, errNone, errSave, errNext, errGet, errDue, errDrop, errGone)
	})
}

func testToldOfTheEnd(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	contact := func(user string) page.Contact {
		return page.Contact{User: user, Channel: "wecom", Address: user, Language: "zh"}
	}
	send := func(key string, kind page.Kind, user string, sent bool) {
		p := page.Page{Key: key, Kind: kind, To: contact(user), At: t0, Incident: inc}
		update(t, s, func(tx *store.Tx) error {
			if err := tx.Enqueue(t0, p); err != nil || !sent {
				return err
			}
			return tx.MarkSent(key, t0)
		})
	}
	send("1", page.Opened, "zhang", true)
	send("2", page.Resolved, "zhang", true)
	send("3", page.Resolved, "li", true)
	send("4", page.Resolved, "wang", false)
	expect := func(want ...page.Contact) {
		t.Helper()
		update(t, s, func(tx *store.Tx) error {
			got, err := tx.ToldResolved(inc.ID)
			equal(t, want, got)
			return err
		})
	}
	expect(contact("li"), contact("zhang"))
	said := func(want page.Kind) {
		t.Helper()
		update(t, s, func(tx *store.Tx) error {
			got, err := tx.LastSaid(inc.ID)
			equal(t, want, got)
			return err
		})
	}
	said(page.Resolved)
	send("5", page.Reopened, "li", false)
	said(page.Resolved)
	send("6", page.Again, "someone", true)
	said(page.Again)
	expect(contact("zhang"))
}

func testHeartbeats(t *testing.T, s Store) {
	update(t, s, func(tx *store.Tx) error {
		err := errors.Join(tx.Beat("a", t0), tx.Beat("a", t0.Add(time.Minute)), tx.Beat("a", t0.Add(time.Second)), tx.Beat("b", t0))
		beats, errBeats := tx.Beats()
		equal(t, map[string]time.Time{"a": t0.Add(time.Minute), "b": t0}, beats)
		none, errNone := tx.Mark("m")
		equal(t, "", none)
		errSet := errors.Join(tx.SetMark("m", "1"), tx.SetMark("m", "2"))
		value, errMark := tx.Mark("m")
		equal(t, "2", value)
		return errors.Join(err, errBeats, errNone, errSet, errMark)
	})
}

// Of an incident with too many alerts, those that fire come with it first.
func testForemost(t *testing.T, s Store) {
	inc := add(t, s, sample("large"))
	const n = 1100
	alerts := make([]*alert.Alert, n)
	for i := range alerts {
		alerts[i] = sampleAlert(inc.ID, model.LabelSet{"i": model.LabelValue(fmt.Sprint(i))})
		switch {
		case i%2 == 0:
			alerts[i].State = alert.Resolved
		case i < 20:
			alerts[i].State = alert.Expired
		}
	}
	update(t, s, func(tx *store.Tx) error {
		if err := tx.AddAlerts(alerts); err != nil {
			return err
		}
		got, _, err := tx.Incident(inc.ID)
		counts := map[alert.State]int{}
		for i, a := range got.Alerts {
			counts[a.State]++
			if i > 0 && a.ID <= got.Alerts[i-1].ID {
				t.Errorf("alert %d after %d", a.ID, got.Alerts[i-1].ID)
			}
		}
		equal(t, map[alert.State]int{alert.Firing: 540, alert.Expired: 10, alert.Resolved: 450}, counts)
		equal(t, n, got.AlertCount)
		equal(t, alerts[200].ID, got.Alerts[10+90].ID) // the oldest resolved one is the 450th from the end
		part, errPart := tx.IncidentAlerts(inc.ID, alert.Expired, alerts[3].ID, 2)
		equal(t, []int64{alerts[5].ID, alerts[7].ID}, []int64{part[0].ID, part[1].ID})
		live := 0
		errLive := tx.EachLiveAlert(func(a alert.Alert) error { live++; return nil })
		equal(t, 550, live)
		inc.Status = alert.Closed
		errSave := tx.SaveIncident(inc)
		live = 0
		errClosed := tx.EachLiveAlert(func(a alert.Alert) error { live++; return nil })
		equal(t, 540, live)
		return errors.Join(err, errPart, errLive, errSave, errClosed)
	})
}

func testJoins(t *testing.T, s Store) {
	a, b := add(t, s, sample("a")), add(t, s, sample("b"))
	event := func(text string) alert.Event {
		return alert.Event{At: t0, Kind: alert.EventNote, Actor: "li", Text: text}
	}
	update(t, s, func(tx *store.Tx) error {
		err := tx.AddStories([]int64{a.ID, b.ID, a.ID}, []alert.Event{event("1"), event("2"), event("3")})
		story, errStory := tx.Events(a.ID)
		equal(t, []alert.Event{event("1"), event("3")}, story)
		n, errCount := tx.CountEvents(a.ID, alert.EventNote, t0)
		equal(t, 2, n)
		n, errLater := tx.CountEvents(a.ID, alert.EventNote, t0.Add(time.Millisecond))
		equal(t, 0, n)
		p := page.Page{Key: "k", To: page.Contact{Channel: "wecom"}, At: t0, Incident: a}
		errEnqueue := tx.Enqueue(t0, p)
		none, errNone := tx.Messaged([]int64{a.ID, b.ID})
		equal(t, 0, len(none))
		errSent := tx.MarkSent("k", t0)
		messaged, errMessaged := tx.Messaged([]int64{a.ID, b.ID})
		equal(t, []int64{a.ID}, messaged)
		return errors.Join(err, errStory, errCount, errLater, errEnqueue, errNone, errSent, errMessaged)
	})
}
