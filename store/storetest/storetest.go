// Package storetest is the contract that every store passes. It tests what
// callers rely on, not how a store does it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

// Store is what is tested.
type Store interface {
	Update(ctx context.Context, f func(*store.Tx) error) error
	Claim(ctx context.Context, f func(*store.Tx) error) error
	View(ctx context.Context, f func(*store.Tx) error) error
	Prune(ctx context.Context, before, auditBefore time.Time) (store.Pruned, error)
	Backup(ctx context.Context, w io.Writer) error
	Close() error
}

var _ Store = (*store.Store)(nil)

// Run tests the store that open opens: a new and empty one for each test.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"incidents come back as they were":      testIncidents,
		"a key has one unresolved incident":     testUniqueKey,
		"the latest alert of a label set":       testLatestAlerts,
		"alerts change":                         testAlertChanges,
		"what is due":                           testDue,
		"a page is claimed once":                testClaim,
		"a page ends once":                      testSettle,
		"a page is put off":                     testPutOff,
		"superseded pages":                      testSupersede,
		"of which level a page reached anybody": testReached,
		"a page settles":                        testSettling,
		"evidence is looked for once":           testGather,
		"a bundle":                              testBundle,
		"another contact instead":               testFailover,
		"messages and their updates":            testMessages,
		"merged incidents":                      testMerge,
		"drills":                                testDrills,
		"stories and evidence":                  testStory,
		"an error undoes its own update alone":  testRollback,
		"updates at once":                       testConcurrent,
		"a view sees one state and changes not": testView,
		"after its end a store refuses":         testClosed,
		"a failed statement undoes its update":  testFailedStatement,
		"texts that no database keeps":          testTexts,
		"many rows keep their order":            testManyRows,
		"the audit":                             testAudit,
		"claims":                                testClaims,
		"overrides":                             testOverrides,
		"a job runs once":                       testOnce,
		"figures":                               testFigures,
		"what is old goes":                      testPrune,
		"what must stay known stays":            testPruneKeeps,
		"silences":                              testSilences,
		"what inhibits":                         testInhibitors,
		"what is muted wakes":                   testMuted,
		"recoveries":                            testRecoveries,
		"who was told of the end":               testToldOfTheEnd,
		"heartbeats and marks":                  testHeartbeats,
		"the foremost of many alerts":           testForemost,
		"what joins":                            testJoins,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			test(t, s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// t0 is a time with milliseconds, which is what a store keeps.
var t0 = time.Date(2026, 11, 21, 3, 0, 0, 123e6, time.UTC)

func update(t *testing.T, s Store, f func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func sample(key string) alert.Incident {
	return alert.Incident{
		Key: key, Service: "payment-service", SLO: "payment-availability", Title: "预算在燃烧 '\"", Level: alert.P1, Status: alert.Open,
		Since: t0.Add(-time.Minute), OpenedAt: t0, Round: 2, NextPageAt: t0.Add(5 * time.Minute),
	}
}

func sampleAlert(incident int64, labels model.LabelSet) *alert.Alert {
	return &alert.Alert{
		IncidentID: incident, Labels: labels, Annotations: model.LabelSet{"summary": "x"}, GeneratorURL: "http://p",
		State: alert.Firing, StartsAt: t0, EndsAt: t0.Add(4 * time.Minute), UpdatedAt: t0,
	}
}

// add keeps an incident and returns it as it must come back.
func add(t *testing.T, s Store, inc alert.Incident, alerts ...model.LabelSet) alert.Incident {
	t.Helper()
	update(t, s, func(tx *store.Tx) (err error) {
		if inc.ID, err = tx.AddIncident(inc); err != nil {
			return err
		}
		for _, labels := range alerts {
			a := sampleAlert(inc.ID, labels)
			if err := tx.AddAlerts([]*alert.Alert{a}); err != nil {
				return err
			}
			inc.Alerts = append(inc.Alerts, *a)
		}
		return nil
	})
	return inc
}

func testIncidents(t *testing.T, s Store) {
	first := add(t, s, sample("a"), model.LabelSet{"cluster": "hangzhou", "名": "值"}, model.LabelSet{"cluster": "beijing"})
	second := add(t, s, sample("b"))
	first.Status, first.AckedAt, first.AckedBy, first.NextPageAt = alert.Acknowledged, t0.Add(time.Second), "张", time.Time{}
	second.Status, second.ResolvedAt, second.ResolvedBy, second.Stale, second.Level = alert.Closed, t0.Add(time.Hour), "li", true, alert.Info
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.SaveIncident(first), tx.SaveIncident(second)) })
	update(t, s, func(tx *store.Tx) error {
		got, ok, err := tx.Incident(first.ID)
		equal(t, first, got)
		equal(t, true, ok)
		_, ok, errNone := tx.Incident(99)
		equal(t, false, ok)
		all, errAll := tx.ListIncidents(true, 10)
		equal(t, []alert.Incident{second, first}, all)
		newest, errNewest := tx.ListIncidents(true, 1)
		equal(t, []alert.Incident{second}, newest)
		unresolved, errList := tx.ListIncidents(false, 10)
		equal(t, []alert.Incident{first}, unresolved)
		counts, errCount := tx.CountIncidents()
		equal(t, map[alert.Level]int{alert.P1: 1}, counts)
		return errors.Join(err, errNone, errAll, errNewest, errList, errCount)
	})
}

func testUniqueKey(t *testing.T, s Store) {
	first := add(t, s, sample("a"))
	err := s.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.AddIncident(sample("a")); return err })
	if err == nil {
		t.Error("two unresolved incidents of one key")
	}
	first.Status = alert.Closed
	update(t, s, func(tx *store.Tx) error { return tx.SaveIncident(first) })
	second := add(t, s, sample("a"))
	keys := []string{"a", "a", "none"}
	for i := range 100 { // more than one statement takes
		keys = append(keys, fmt.Sprint("k", i))
	}
	update(t, s, func(tx *store.Tx) error {
		got, err := tx.UnresolvedIncidents(keys)
		equal(t, []alert.Incident{second}, got)
		byID, errID := tx.IncidentsByID([]int64{first.ID, 77})
		equal(t, []alert.Incident{first}, byID)
		return errors.Join(err, errID)
	})
}

func testLatestAlerts(t *testing.T, s Store) {
	labels, other := model.LabelSet{"cluster": "hangzhou"}, model.LabelSet{"cluster": "beijing"}
	first := add(t, s, sample("a"), labels, other)
	first.Status = alert.Closed
	update(t, s, func(tx *store.Tx) error { return tx.SaveIncident(first) })
	second := add(t, s, sample("a"), labels)
	update(t, s, func(tx *store.Tx) error {
		got, err := tx.LatestAlerts([]model.Fingerprint{labels.Fingerprint(), 1<<64 - 1})
		equal(t, second.Alerts, got)
		got, errOther := tx.LatestAlerts([]model.Fingerprint{other.Fingerprint()})
		equal(t, first.Alerts[1:], got)
		none, errNone := tx.LatestAlerts(nil)
		equal(t, 0, len(none))
		return errors.Join(err, errOther, errNone)
	})
}

func testAlertChanges(t *testing.T, s Store) {
	var sets []model.LabelSet
	var ids []int64
	for i := range 70 {
		sets = append(sets, model.LabelSet{"i": model.LabelValue(fmt.Sprint(i))})
	}
	inc := add(t, s, sample("a"), sets...)
	for i := range inc.Alerts {
		inc.Alerts[i].EndsAt, inc.Alerts[i].UpdatedAt = t0.Add(time.Hour), t0.Add(time.Minute)
		ids = append(ids, inc.Alerts[i].ID)
	}
	changed := &inc.Alerts[3]
	changed.State, changed.StartsAt, changed.GeneratorURL = alert.Resolved, t0.Add(time.Second), ""
	changed.Annotations = model.LabelSet{"summary": "y"}
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.RefreshAlerts(ids, t0.Add(time.Hour), t0.Add(time.Minute)), tx.SaveAlerts([]*alert.Alert{changed}))
	})
	update(t, s, func(tx *store.Tx) error {
		got, _, err := tx.Incident(inc.ID)
		equal(t, inc, got)
		counts, errCount := tx.CountAlerts(inc.ID)
		equal(t, map[alert.State]int{alert.Firing: 69, alert.Resolved: 1}, counts)
		return errors.Join(err, errCount)
	})
}

func testDue(t *testing.T, s Store) {
	late, urgent := sample("late"), sample("urgent")
	late.Level, late.NextPageAt = alert.P2, t0.Add(-time.Minute)
	urgent.NextPageAt = t0
	idle := sample("idle")
	idle.NextPageAt = time.Time{}
	update(t, s, func(tx *store.Tx) error {
		next, err := tx.NextDue()
		equal(t, time.Time{}, next)
		return err
	})
	late, urgent = add(t, s, late), add(t, s, urgent)
	add(t, s, idle, model.LabelSet{"a": "b"})
	update(t, s, func(tx *store.Tx) error {
		next, err := tx.NextDue()
		equal(t, t0.Add(-time.Minute), next)
		due, errDue := tx.DueIncidents(t0, 10)
		equal(t, []alert.Incident{urgent, late}, due)
		one, errOne := tx.DueIncidents(t0, 1)
		equal(t, []alert.Incident{urgent}, one)
		before, errBefore := tx.OverdueAlerts(t0.Add(4*time.Minute-time.Millisecond), 10)
		equal(t, 0, len(before))
		overdue, errOver := tx.OverdueAlerts(t0.Add(4*time.Minute), 10)
		equal(t, 1, len(overdue))
		return errors.Join(err, errDue, errOne, errBefore, errOver)
	})
}

func testStory(t *testing.T, s Store) {
	inc, other := add(t, s, sample("a")), add(t, s, sample("b"))
	events := []alert.Event{{At: t0, Kind: alert.EventOpened, Text: "opened"}, {At: t0, Kind: alert.EventAcknowledged, Actor: "张", Text: "x"}}
	found := []page.Evidence{{Source: "logs", Window: time.Minute, Patterns: []page.LogPattern{{Template: "<*>", Count: 7, AtLeast: true}}}}
	update(t, s, func(tx *store.Tx) error {
		_, looked, err := tx.Evidence(inc.ID)
		equal(t, false, looked)
		return errors.Join(err, tx.AddEvents(inc.ID, events...), tx.SaveEvidence(inc.ID, found), tx.SaveEvidence(other.ID, nil))
	})
	update(t, s, func(tx *store.Tx) error {
		got, err := tx.Events(inc.ID)
		equal(t, events, got)
		evidence, looked, errEvidence := tx.Evidence(inc.ID)
		equal(t, found, evidence)
		equal(t, true, looked)
		none, looked, errNone := tx.Evidence(other.ID)
		equal(t, 0, len(none))
		equal(t, true, looked)
		return errors.Join(err, errEvidence, errNone)
	})
}

func testRollback(t *testing.T, s Store) {
	boom := errors.New("boom")
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.AddIncident(sample(fmt.Sprint("k", i)))
				if err == nil && i%2 == 1 {
					err = boom
				}
				return err
			})
			if errors.Is(err, boom) != (i%2 == 1) || (err == nil) != (i%2 == 0) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	all.Wait()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Update(gone, func(*store.Tx) error { t.Error("runs for nobody"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("update for nobody: %v", err)
	}
	update(t, s, func(tx *store.Tx) error {
		kept, err := tx.ListIncidents(true, 100)
		equal(t, 20, len(kept))
		return err
	})
}

func testConcurrent(t *testing.T, s Store) {
	inc := add(t, s, sample("a"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					got, _, err := tx.Incident(inc.ID)
					got.Round++
					return errors.Join(err, tx.SaveIncident(got))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		got, _, err := tx.Incident(inc.ID)
		equal(t, inc.Round+160, got.Round) // none was lost
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func testView(t *testing.T, s Store) {
	add(t, s, sample("a"))
	err := s.View(t.Context(), func(tx *store.Tx) error {
		before, err := tx.ListIncidents(true, 10)
		add(t, s, sample("b"))
		after, errAfter := tx.ListIncidents(true, 10)
		equal(t, before, after)
		return errors.Join(err, errAfter)
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.AddIncident(sample("c")); return err }); err == nil {
		t.Error("a view wrote")
	}
}

func testClosed(t *testing.T, s Store) {
	add(t, s, sample("a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	nothing := func(*store.Tx) error { return nil }
	if err := s.Update(t.Context(), nothing); !errors.Is(err, store.ErrClosed) {
		t.Errorf("update: %v", err)
	}
	if err := s.View(t.Context(), nothing); !errors.Is(err, store.ErrClosed) {
		t.Errorf("view: %v", err)
	}
}
