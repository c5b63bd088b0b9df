package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

func samplePage(inc alert.Incident, key, channel string) page.Page {
	return page.Page{
		Key: key, Kind: page.Opened, At: t0, Round: 1, Incident: alert.Incident{ID: inc.ID, Level: inc.Level},
		To: page.Contact{User: "zhang", FullName: "张伟", Channel: channel, Address: "z", Timezone: "Asia/Shanghai"},
	}
}

func testClaim(t *testing.T, s Store) {
	calm := sample("a")
	calm.Level = alert.P3
	inc, calm := add(t, s, sample("b")), add(t, s, calm)
	p, less, mail := samplePage(inc, "1", "wecom"), samplePage(calm, "0", "wecom"), samplePage(inc, "2", "email")
	update(t, s, func(tx *store.Tx) error {
		next, err := tx.DuePages()
		equal(t, map[string]time.Time{}, next)
		other := p
		other.To.User = "li"
		return errors.Join(err, tx.Enqueue(t0, less, p, mail), tx.Enqueue(t0, other)) // the last is known
	})
	update(t, s, func(tx *store.Tx) error {
		early, err := tx.Claim("wecom", t0.Add(-time.Millisecond), t0.Add(time.Minute), 5)
		equal(t, 0, len(early))
		due, errDue := tx.DuePages()
		equal(t, map[string]time.Time{"email": t0, "wecom": t0}, due)
		n, oldest, errCount := tx.CountPages()
		equal(t, 3, n)
		equal(t, t0, oldest)
		first, errFirst := tx.Claim("wecom", t0, t0.Add(time.Minute), 1)
		p.Attempt = 1
		equal(t, []page.Page{p}, first)
		second, errSecond := tx.Claim("wecom", t0, t0.Add(time.Minute), 5)
		less.Attempt = 1
		equal(t, []page.Page{less}, second)
		third, errThird := tx.Claim("wecom", t0, t0.Add(time.Minute), 5)
		equal(t, 0, len(third))
		return errors.Join(err, errDue, errCount, errFirst, errSecond, errThird)
	})
	update(t, s, func(tx *store.Tx) error {
		again, err := tx.Claim("wecom", t0.Add(time.Minute), t0.Add(2*time.Minute), 1) // its lease ran out
		p.Attempt = 2
		equal(t, []page.Page{p}, again)
		return err
	})
}

func testSettle(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	update(t, s, func(tx *store.Tx) error {
		over := samplePage(inc, "over", "email")
		over.Kind = page.Resolved
		return tx.Enqueue(t0, samplePage(inc, "sent", "wecom"), samplePage(inc, "dead", "sms"), samplePage(inc, "dropped", "phone"),
			samplePage(inc, "later", "slack"), over)
	})
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.MarkSent("sent", t0), tx.MarkDead("dead", t0, "no such user"), tx.MarkDropped("dropped", t0, "acknowledged"),
			tx.Reschedule("later", t0.Add(time.Hour), false, time.Minute, "busy"), tx.MarkSent("over", t0),
			tx.MarkSent("dead", t0), tx.Reschedule("sent", t0, false, time.Minute, "late")) // those two have ended
	})
	update(t, s, func(tx *store.Tx) error {
		next, err := tx.DuePages()
		equal(t, map[string]time.Time{"slack": t0.Add(time.Hour)}, next)
		told, errTold := tx.Told(inc.ID)
		equal(t, []page.Contact{samplePage(inc, "", "wecom").To}, told)
		return errors.Join(err, errTold)
	})
}

func testPutOff(t *testing.T, s Store) {
	inc, later := add(t, s, sample("a")), t0.Add(time.Hour)
	update(t, s, func(tx *store.Tx) error {
		err := tx.Enqueue(t0, samplePage(inc, "k", "wecom"))
		_, errClaim := tx.Claim("wecom", t0, t0.Add(2*time.Hour), 1)
		return errors.Join(err, errClaim, tx.PutOff("k", later, "night"))
	})
	update(t, s, func(tx *store.Tx) error {
		_, oldest, err := tx.CountPages()
		equal(t, later, oldest)
		early, errEarly := tx.Claim("wecom", later.Add(-time.Millisecond), later, 1)
		equal(t, 0, len(early))
		due, errDue := tx.Claim("wecom", later, later, 1)
		equal(t, 1, len(due))
		return errors.Join(err, errEarly, errDue, tx.MarkSent("k", later), tx.PutOff("k", later, "late")) // it has ended
	})
	update(t, s, func(tx *store.Tx) error {
		queued, _, err := tx.CountPages()
		equal(t, 0, queued)
		return err
	})
}

func testReached(t *testing.T, s Store) {
	calm := sample("a")
	calm.Level = alert.P2
	inc, other := add(t, s, calm), add(t, s, sample("b"))
	over := samplePage(inc, "over", "wecom")
	over.Kind, over.Incident.Level = page.Resolved, alert.P1
	want := func(want bool, incident int64, level alert.Level) {
		t.Helper()
		update(t, s, func(tx *store.Tx) error {
			got, err := tx.Reached(incident, level)
			equal(t, want, got)
			return err
		})
	}
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.Enqueue(t0, samplePage(inc, "sent", "wecom"), over), tx.MarkSent("over", t0))
	})
	want(false, inc.ID, alert.P2) // the one is not sent, the other tells of the end
	update(t, s, func(tx *store.Tx) error { return tx.MarkSent("sent", t0) })
	want(false, inc.ID, alert.P1)
	want(true, inc.ID, alert.P2)
	want(true, inc.ID, alert.P3)
	want(false, other.ID, alert.P3)
}

func testSupersede(t *testing.T, s Store) {
	inc, other := add(t, s, sample("a")), add(t, s, sample("b"))
	update(t, s, func(tx *store.Tx) error {
		err := tx.Enqueue(t0, samplePage(inc, "claimed", "wecom"))
		_, errClaim := tx.Claim("wecom", t0, t0.Add(time.Minute), 1)
		return errors.Join(err, errClaim, tx.Enqueue(t0, samplePage(inc, "waits", "email"), samplePage(other, "other", "sms")),
			tx.Supersede(inc.ID, t0, "later"))
	})
	update(t, s, func(tx *store.Tx) error {
		due, err := tx.DuePages()
		equal(t, map[string]time.Time{"sms": t0, "wecom": t0.Add(time.Minute)}, due)
		return err
	})
}

// dueOf returns when the next page of a channel is due, the zero time when it
// has none.
func dueOf(t *testing.T, s Store, channel string) (due time.Time) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.DuePages()
		due = all[channel]
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return due
}

// A first page waits for evidence, and for alerts to stop joining, at most
// until its latest time.
func testSettling(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	after := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }
	settles, latest := after(200), after(3000)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.Await(latest, settles, latest, samplePage(inc, "1", "wecom")), tx.Await(settles, settles, latest, samplePage(inc, "2", "email")))
	})
	equal(t, latest, dueOf(t, s, "wecom"))
	equal(t, settles, dueOf(t, s, "email"))
	joins := func(ms int) {
		update(t, s, func(tx *store.Tx) error {
			return errors.Join(tx.Settle([]int64{inc.ID}, after(ms)), tx.Joined([]int64{inc.ID}, after(ms), after(ms)))
		})
	}
	joins(700)
	equal(t, latest, dueOf(t, s, "wecom")) // it waits for evidence
	equal(t, after(700), dueOf(t, s, "email"))
	update(t, s, func(tx *store.Tx) error { return tx.Release(inc.ID, after(600)) })
	equal(t, after(700), dueOf(t, s, "wecom"))
	equal(t, after(700), dueOf(t, s, "email"))
	joins(9000)
	equal(t, latest, dueOf(t, s, "wecom"))
}

func testGather(t *testing.T, s Store) {
	inc := add(t, s, sample("a"), model.LabelSet{"a": "b"})
	facts := page.SLO{Objective: "99.95"}
	update(t, s, func(tx *store.Tx) error { return tx.Gather(inc.ID, t0) })
	update(t, s, func(tx *store.Tx) error {
		next, err := tx.NextGather()
		equal(t, t0, next)
		claimed, errClaim := tx.ClaimGathers(t0, t0.Add(time.Minute), 5)
		equal(t, []alert.Incident{inc}, claimed)
		again, errAgain := tx.ClaimGathers(t0, t0.Add(time.Minute), 5)
		equal(t, 0, len(again))
		return errors.Join(err, errClaim, errAgain, tx.SaveFacts(inc.ID, facts), tx.Gathered(inc.ID))
	})
	update(t, s, func(tx *store.Tx) error {
		next, err := tx.NextGather()
		equal(t, time.Time{}, next)
		evidence, slos, errFind := tx.Findings([]int64{inc.ID})
		equal(t, map[int64][]page.Evidence{inc.ID: nil}, evidence)
		equal(t, map[int64]page.SLO{inc.ID: facts}, slos)
		return errors.Join(err, errFind)
	})
}

// A bundle and the pages that it stands for have one fate.
func testBundle(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	one, two, other := samplePage(inc, "1", "wecom"), samplePage(inc, "2", "wecom"), samplePage(inc, "3", "wecom")
	other.To.Address = "li"
	update(t, s, func(tx *store.Tx) error { return tx.Enqueue(t0, one, two, other) })
	update(t, s, func(tx *store.Tx) error {
		claimed, err := tx.Claim("wecom", t0, t0.Add(time.Minute), 1)
		equal(t, 1, len(claimed))
		rest, errDue := tx.DueTo("wecom", "z", t0, 10)
		equal(t, []page.Page{two}, rest)
		b := samplePage(inc, "b", "wecom")
		b.Kind = page.Bundle
		return errors.Join(err, errDue, tx.Bundle(b, t0, t0.Add(time.Minute), []string{"1", "2"}))
	})
	update(t, s, func(tx *store.Tx) error {
		members, err := tx.Members("b")
		equal(t, 2, len(members))
		rest, errClaim := tx.Claim("wecom", t0.Add(time.Minute), t0.Add(2*time.Minute), 5)
		equal(t, 2, len(rest)) // the bundle, whose claim ran out, and the other person's
		n, _, _, errRecent := tx.Recent("wecom", "z", t0, nil)
		equal(t, 1, n)
		return errors.Join(err, errClaim, errRecent, tx.MarkSent("b", t0.Add(time.Minute)))
	})
	update(t, s, func(tx *store.Tx) error {
		told, err := tx.Told(inc.ID)
		equal(t, []page.Contact{one.To, one.To}, told)
		n, first, last, errRecent := tx.Recent("wecom", "z", t0, nil)
		equal(t, 1, n)
		equal(t, []time.Time{t0.Add(time.Minute), t0.Add(time.Minute)}, []time.Time{first, last})
		return errors.Join(err, errRecent)
	})
}

func testFailover(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	update(t, s, func(tx *store.Tx) error {
		err := tx.Enqueue(t0, samplePage(inc, "1", "wecom"))
		_, errClaim := tx.Claim("wecom", t0, t0.Add(time.Minute), 1)
		return errors.Join(err, errClaim, tx.Reschedule("1", t0.Add(10*time.Second), true, 30*time.Second, "busy"))
	})
	update(t, s, func(tx *store.Tx) error {
		none, err := tx.Failovers(t0.Add(29*time.Second), 5)
		equal(t, 0, len(none))
		late, errLate := tx.Failovers(t0.Add(30*time.Second), 5)
		equal(t, 1, len(late))
		waiting, errWaiting := tx.Waiting(inc.ID, t0)
		equal(t, 1, len(waiting))
		equal(t, true, waiting[0].Held)
		return errors.Join(err, errLate, errWaiting, tx.FailedOver("1"), tx.Enqueue(t0, samplePage(inc, "2", "email")), tx.MarkDead("2", t0, "no such user"))
	})
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.Claim("wecom", t0.Add(10*time.Second), t0.Add(time.Minute), 1)
		errRetry := tx.Reschedule("1", t0.Add(time.Minute), false, 30*time.Second, "busy")
		none, errNone := tx.Failovers(t0.Add(time.Hour), 5)
		equal(t, 0, len(none)) // once
		dead, errDead := tx.DeadPages(5)
		equal(t, 1, len(dead))
		equal(t, "no such user", dead[0].Reason)
		round, errRound := tx.RoundPages(inc.ID, 1, "zhang")
		equal(t, 2, len(round))
		return errors.Join(err, errRetry, errNone, errDead, errRound)
	})
}

// What a page said at its first try is what it says at the next, and a message
// has one waiting update.
func testMessages(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	p := samplePage(inc, "1", "slack")
	said := p
	said.Link, said.Incident = "http://midwatch", inc
	updated := p
	updated.Key, updated.Kind = "u1", page.Updated
	update(t, s, func(tx *store.Tx) error {
		err := tx.Enqueue(t0, p)
		_, errClaim := tx.Claim("slack", t0, t0.Add(time.Minute), 1)
		return errors.Join(err, errClaim, tx.Compose(said))
	})
	update(t, s, func(tx *store.Tx) error {
		known, err := tx.Composed([]string{"1", "2"})
		equal(t, map[string]page.Page{"1": said}, known)
		errSent := tx.MarkSent("1", t0)
		errRef := errors.Join(tx.SaveRef(p, "one"), tx.SaveRef(p, "two"))
		posts, errRefs := tx.Posts([]int64{inc.ID, 77})
		equal(t, map[page.Thread]page.Post{{Incident: inc.ID, Channel: "slack", Address: "z"}: {Ref: "two", To: p.To}}, posts)
		errUpdate := tx.Update(t0.Add(time.Second), updated)
		updated.Key = "u2"
		return errors.Join(err, errSent, errRef, errRefs, errUpdate, tx.Update(t0, updated))
	})
	equal(t, t0, dueOf(t, s, "slack"))
	update(t, s, func(tx *store.Tx) error {
		claimed, err := tx.Claim("slack", t0, t0.Add(time.Minute), 5)
		equal(t, 1, len(claimed))
		return err
	})
	joins := func(due, latest int) {
		update(t, s, func(tx *store.Tx) error {
			at := t0.Add(time.Duration(due) * time.Second)
			return tx.Joined([]int64{inc.ID}, at, t0.Add(time.Duration(latest)*time.Second))
		})
	}
	joins(1, 5)
	equal(t, t0.Add(time.Second), dueOf(t, s, "slack"))
	joins(2, 6)
	equal(t, t0.Add(2*time.Second), dueOf(t, s, "slack"))
	joins(9, 13)
	update(t, s, func(tx *store.Tx) error {
		claimed, err := tx.Claim("slack", t0.Add(5*time.Second), t0.Add(time.Minute), 5)
		updated.Key = fmt.Sprintf("%d-%d/updated/%d/slack/z", inc.ID, inc.OpenedAt.UnixMilli(), t0.Add(time.Second).UnixMilli())
		updated.At, updated.Attempt, updated.Round = t0.Add(time.Second), 1, inc.Round
		equal(t, []page.Page{updated}, claimed)
		return err
	})
}

func testMerge(t *testing.T, s Store) {
	a, b, c := add(t, s, sample("a"), model.LabelSet{"x": "1"}), add(t, s, sample("b")), add(t, s, sample("c"))
	a.Status, a.MergedInto, b.Status, b.MergedInto = alert.Closed, b.ID, alert.Closed, c.ID
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.MoveAlerts(a.ID, c.ID), tx.SaveIncident(a), tx.SaveIncident(b))
	})
	update(t, s, func(tx *store.Tx) error {
		targets, err := tx.MergeTargets([]string{"a", "b", "c", "d"})
		equal(t, map[string]alert.Incident{"a": c, "b": c}, targets)
		full, errFull := tx.IncidentsWithAlerts([]int64{c.ID})
		equal(t, 1, len(full[0].Alerts))
		return errors.Join(err, errFull)
	})
}

func testDrills(t *testing.T, s Store) {
	drill := sample("drill/1")
	drill.Drill = true
	inc := add(t, s, drill)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.AddDrill(inc.ID, "zhang", t0), tx.Enqueue(t0, samplePage(inc, "1", "wecom")), tx.MarkSent("1", t0.Add(time.Second)))
	})
	update(t, s, func(tx *store.Tx) error {
		drills, err := tx.Drills(5)
		equal(t, []page.Drill{{Incident: inc.ID, By: "zhang", At: t0, DeliveredAt: t0.Add(time.Second), Delivery: time.Second}}, drills)
		counts, errCount := tx.CountIncidents()
		equal(t, map[alert.Level]int{}, counts)
		return errors.Join(err, errCount)
	})
}
