package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/store"
)

// A statement whose failure shows late, if ever, takes its own update back and
// no other that shares the transaction.
func testFailedStatement(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				err := tx.Audit(t0, "zhang", "ui", fmt.Sprint("act ", i), "", "")
				if i%3 == 0 {
					return errors.Join(err, tx.AddEvents(inc.ID+1, alert.Event{At: t0, Kind: alert.EventNote})) // of an incident that there is not
				}
				return errors.Join(err, tx.AddEvents(inc.ID, alert.Event{At: t0, Kind: alert.EventNote}))
			})
			if (err != nil) != (i%3 == 0) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	all.Wait()
	update(t, s, func(tx *store.Tx) error {
		rows, err := tx.AuditLog(0, 100)
		equal(t, 20, len(rows))
		events, errEvents := tx.Events(inc.ID)
		equal(t, 20, len(events))
		return errors.Join(err, errEvents)
	})
}

func testTexts(t *testing.T, s Store) {
	inc := sample("nul \x00 and \xff")
	inc.Title = "\x00"
	add(t, s, inc)
	update(t, s, func(tx *store.Tx) error {
		found, err := tx.UnresolvedIncidents([]string{inc.Key})
		if len(found) != 1 || found[0].Key != "nul � and �" || found[0].Title != "�" {
			t.Errorf("found %+v", found)
		}
		return err
	})
}

func testManyRows(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	var alerts []*alert.Alert
	for i := range 1000 {
		alerts = append(alerts, sampleAlert(inc.ID, model.LabelSet{"i": model.LabelValue(fmt.Sprint(i))}))
	}
	update(t, s, func(tx *store.Tx) error { return tx.AddAlerts(alerts) })
	var fps []model.Fingerprint
	for i, a := range alerts {
		if i > 0 && a.ID <= alerts[i-1].ID {
			t.Fatalf("alert %d has ID %d, after %d", i, a.ID, alerts[i-1].ID)
		}
		fps = append(fps, a.Fingerprint())
	}
	update(t, s, func(tx *store.Tx) error {
		got, err := tx.LatestAlerts(fps)
		byID := map[int64]alert.Alert{}
		for _, a := range got {
			byID[a.ID] = a
		}
		for _, a := range alerts {
			equal(t, *a, byID[a.ID])
		}
		return err
	})
}

func testAudit(t *testing.T, s Store) {
	long := strings.Repeat("长", 2000)
	update(t, s, func(tx *store.Tx) error {
		err := tx.Audit(t0, "zhang", "ui", "acknowledge", "incident 7", "")
		return errors.Join(err, tx.Audit(t0.Add(time.Second), "li", "chat", "silence", "x", long))
	})
	update(t, s, func(tx *store.Tx) error {
		rows, err := tx.AuditLog(0, 10)
		if len(rows) != 2 || rows[0].Actor != "li" || len(rows[0].Detail) > 4100 || !strings.HasPrefix(rows[0].Detail, "长长") {
			t.Fatalf("newest first: %+v", rows)
		}
		older, errOlder := tx.AuditLog(rows[0].ID, 10)
		equal(t, []store.AuditRow{{ID: rows[1].ID, At: t0, Actor: "zhang", Via: "ui", Action: "acknowledge", Target: "incident 7"}}, older)
		return errors.Join(err, errOlder)
	})
}

func testOverrides(t *testing.T, s Store) {
	now, later := t0, t0.Add(time.Hour)
	begun := store.Override{Schedule: "first", User: "li", From: t0.Add(-time.Hour), Until: later, Reason: "牙医", CreatedBy: "zhang", CreatedAt: t0}
	coming := store.Override{Schedule: "first", User: "wang", From: later, Until: later.Add(time.Hour), CreatedBy: "li", CreatedAt: t0}
	update(t, s, func(tx *store.Tx) (err error) {
		if begun.ID, err = tx.AddOverride(begun); err != nil {
			return err
		}
		coming.ID, err = tx.AddOverride(coming)
		return err
	})
	list := func(after time.Time, want ...store.Override) {
		t.Helper()
		update(t, s, func(tx *store.Tx) error {
			got, err := tx.Overrides(after)
			equal(t, want, got)
			return err
		})
	}
	list(now, begun, coming)
	list(later, coming)
	update(t, s, func(tx *store.Tx) error {
		was, err := tx.EndOverride(begun.ID, now)
		equal(t, begun, was)
		_, errComing := tx.EndOverride(coming.ID, now)
		return errors.Join(err, errComing)
	})
	begun.Until = now
	list(now.Add(-time.Millisecond), begun) // the one that had not begun is gone
	for name, f := range map[string]func(*store.Tx) error{
		"ended twice":            func(tx *store.Tx) error { _, err := tx.EndOverride(begun.ID, now); return err },
		"one that there was not": func(tx *store.Tx) error { _, err := tx.EndOverride(99, now); return err },
	} {
		if err := s.Update(t.Context(), f); !errors.Is(err, store.ErrNoOverride) {
			t.Errorf("%s: %v", name, err)
		}
	}
	begun.From = begun.Until
	if err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.AddOverride(begun); return err }); err == nil {
		t.Error("added an override that ends when it begins")
	}
}

func testOnce(t *testing.T, s Store) {
	var ran atomic.Int64
	run := func(at time.Time) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				update(t, s, func(tx *store.Tx) error {
					mine, err := tx.Once("report", at)
					if mine {
						ran.Add(1)
					}
					return err
				})
			})
		}
		all.Wait()
	}
	run(t0)
	run(t0.Add(-time.Hour)) // of the past
	equal(t, int64(1), ran.Load())
	run(t0.Add(time.Hour))
	equal(t, int64(2), ran.Load())
	update(t, s, func(tx *store.Tx) error {
		other, err := tx.Once("prune", t0)
		equal(t, true, other)
		return err
	})
}

func testFigures(t *testing.T, s Store) {
	until := t0.Add(time.Hour)
	before, after, drill := sample("before"), sample("after"), sample("drill")
	before.OpenedAt, after.OpenedAt, drill.Drill = t0.Add(-time.Millisecond), until, true
	before.SLO, after.SLO = "earlier", "later"
	in := add(t, s, sample("in"))
	before = add(t, s, before)
	add(t, s, after)
	drill = add(t, s, drill)
	update(t, s, func(tx *store.Tx) error {
		early, silent := samplePage(before, "early", "wecom"), samplePage(in, "silent", "wecom")
		silent.Kind = page.Updated
		return errors.Join(tx.Enqueue(t0, early, samplePage(in, "in", "wecom"), silent, samplePage(in, "late", "wecom"),
			samplePage(drill, "drill", "wecom"), samplePage(in, "dead", "wecom")),
			tx.MarkSent("early", t0.Add(-time.Millisecond)), tx.MarkSent("in", t0), tx.MarkSent("silent", t0), tx.MarkSent("late", until),
			tx.MarkSent("drill", t0), tx.MarkDead("dead", t0, "no"))
	})
	update(t, s, func(tx *store.Tx) error {
		opened, err := tx.OpenedBetween(t0, until)
		equal(t, []alert.Incident{in}, opened)
		sent, errSent := tx.SentBetween(t0, until)
		equal(t, []store.SentPage{{User: "zhang", FullName: "张伟", Channel: "wecom", At: t0, Level: alert.P1}}, sent)
		slos, errSLOs := tx.SLOsBetween(t0, until)
		equal(t, []store.SLOKey{{Service: "payment-service", SLO: "earlier"}, {Service: "payment-service", SLO: "payment-availability"}}, slos)
		return errors.Join(err, errSent, errSLOs)
	})
}

// A claim sees what updates have committed, and is undone when it fails.
func testClaims(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	update(t, s, func(tx *store.Tx) error { return tx.Enqueue(t0, samplePage(inc, "k", "wecom")) })
	boom := errors.New("boom")
	for _, end := range []error{boom, nil} {
		err := s.Claim(t.Context(), func(tx *store.Tx) error {
			pages, err := tx.Claim("wecom", t0, t0.Add(time.Minute), 5)
			equal(t, 1, len(pages))
			return errors.Join(err, end)
		})
		if !errors.Is(err, end) {
			t.Errorf("claim: %v", err)
		}
	}
	update(t, s, func(tx *store.Tx) error {
		pages, err := tx.Claim("wecom", t0, t0.Add(time.Minute), 5)
		equal(t, 0, len(pages))
		return err
	})
}

// closed keeps an incident that was resolved at an instant, with alerts, a
// story and a page.
func closed(t *testing.T, s Store, key string, at time.Time, alerts int) alert.Incident {
	t.Helper()
	inc := sample(key)
	inc.Status, inc.ResolvedAt, inc.NextPageAt = alert.Closed, at, time.Time{}
	inc = add(t, s, inc)
	var all []*alert.Alert
	for i := range alerts {
		a := sampleAlert(inc.ID, model.LabelSet{"key": model.LabelValue(key), "i": model.LabelValue(fmt.Sprint(i))})
		a.State = alert.Resolved
		all = append(all, a)
	}
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.AddAlerts(all), tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventOpened}, alert.Event{At: at}),
			tx.Enqueue(t0, samplePage(inc, key, "wecom")), tx.MarkSent(key, at))
	})
	return inc
}

func testPrune(t *testing.T, s Store) {
	closed(t, s, "old", t0.Add(-time.Second), 1200) // more than one step
	for i := range 30 {
		closed(t, s, fmt.Sprint("old ", i), t0.Add(-time.Minute), 2)
	}
	kept := closed(t, s, "young", t0, 1)
	update(t, s, func(tx *store.Tx) error {
		_, errOverride := tx.AddOverride(store.Override{Schedule: "a", From: t0.Add(-time.Hour), Until: t0.Add(-time.Minute)})
		_, errYoung := tx.AddOverride(store.Override{Schedule: "b", From: t0.Add(-time.Hour), Until: t0})
		return errors.Join(errOverride, errYoung, tx.SaveSilence(silence.Silence{ID: "old", EndsAt: t0.Add(-time.Minute)}),
			tx.SaveSilence(silence.Silence{ID: "young", EndsAt: t0}), tx.Audit(t0.Add(-2*time.Hour), "a", "", "", "", ""), tx.Audit(t0, "b", "", "", "", ""))
	})
	nothing, err := s.Prune(t.Context(), time.Time{}, time.Time{})
	equal(t, store.Pruned{}, nothing)
	removed, errRemoved := s.Prune(t.Context(), t0, t0.Add(-time.Hour))
	equal(t, store.Pruned{Incidents: 31, Alerts: 1260, Events: 62, Pages: 31, Silences: 1, Overrides: 1, Audit: 1}, removed)
	again, errAgain := s.Prune(t.Context(), t0, t0.Add(-time.Hour))
	equal(t, store.Pruned{}, again)
	if err := errors.Join(err, errRemoved, errAgain); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error {
		left, err := tx.ListIncidents(true, 100)
		if len(left) != 1 || left[0].ID != kept.ID || len(left[0].Alerts) != 1 {
			t.Errorf("left %+v", left)
		}
		return err
	})
}

func testPruneKeeps(t *testing.T, s Store) {
	long := t0.Add(-time.Hour)
	firing := closed(t, s, "its alert fires", long, 0)
	waits := closed(t, s, "a page of it waits", long, 0)
	heir := add(t, s, sample("open"))
	merged := closed(t, s, "merged", long, 0)
	merged.MergedInto = heir.ID
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.AddAlerts([]*alert.Alert{sampleAlert(firing.ID, model.LabelSet{"a": "b"})}),
			tx.Enqueue(t0, samplePage(waits, "waits", "wecom")), tx.SaveIncident(merged))
	})
	removed, err := s.Prune(t.Context(), t0, t0)
	equal(t, store.Pruned{}, removed)
	if err != nil {
		t.Error(err)
	}
	heir.Status, heir.ResolvedAt = alert.Closed, long
	update(t, s, func(tx *store.Tx) error { return tx.SaveIncident(heir) })
	removed, err = s.Prune(t.Context(), t0, t0)
	equal(t, 2, removed.Incidents) // the heir first, then what was merged into it
	if err != nil {
		t.Error(err)
	}
}
