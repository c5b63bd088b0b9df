package incident

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// Receive takes alerts in and returns once all that they cause is on disk:
// alerts, incidents, the pages that are due at once, the time of the next. On
// an error nothing of it has happened.
func (e *Engine) Receive(ctx context.Context, alerts []alert.Alert) error {
	at := now()
	normal := make([]alert.Alert, 0, len(alerts))
	for _, a := range alerts {
		if a = e.normalize(a, at); len(a.Labels) > 0 {
			normal = append(normal, a)
		}
	}
	normal, err := e.hear(ctx, normal, at)
	if err == nil && len(normal) > 0 {
		err = e.receive(ctx, at, func(Tx) ([]alert.Alert, error) { return normal, nil })
	}
	if err != nil {
		return fmt.Errorf("receive %d alerts: %w", len(alerts), err)
	}
	for _, a := range normal {
		e.metrics.received.WithLabelValues(string(a.State)).Inc()
	}
	return nil
}

// receive takes in what which returns, in the same transaction.
func (e *Engine) receive(ctx context.Context, at time.Time, which func(Tx) ([]alert.Alert, error)) error {
	var in *intake
	err := e.c.Store.Update(ctx, func(tx Tx) error {
		in = &intake{engine: e, tx: &batchTx{Tx: tx}, at: at}
		alerts, err := which(tx)
		if err != nil || len(alerts) == 0 {
			return err
		}
		return in.run(alerts)
	})
	if err == nil && in.news() {
		wake(e.deliver)
		wake(e.escalate)
	}
	return err
}

func (e *Engine) normalize(a alert.Alert, at time.Time) alert.Alert {
	a = e.c.Normalize(a)
	a.StartsAt, a.EndsAt, a.UpdatedAt = a.StartsAt.UTC().Truncate(time.Millisecond), a.EndsAt.UTC().Truncate(time.Millisecond), at
	a.ID, a.IncidentID = 0, 0
	return a
}

// intake is one batch of alerts on its way into the store.
type intake struct {
	engine *Engine
	tx     Tx
	at     time.Time

	latest map[model.Fingerprint][]*alert.Alert // by label set: the alert in the latest incident
	prints []model.Fingerprint                  // of each alert of the batch
	groups []group                              // of each alert of the batch that may begin to fire
	cases  map[int64]*caseFile
	open   map[string]*caseFile  // unresolved, by key
	lately map[string]*caseFile  // resolved a moment ago, by key
	fresh  []*caseFile           // not kept yet: their IDs are stand-ins below zero
	alive  map[time.Time][]int64 // alerts that only live on, by when they end now
}

func (in *intake) run(alerts []alert.Alert) error {
	if err := in.load(alerts); err != nil {
		return err
	}
	for i, a := range alerts {
		if err := in.take(a, i); err != nil {
			return fmt.Errorf("take alert %s: %w", a.Labels, err)
		}
	}
	for _, ends := range slices.SortedFunc(maps.Keys(in.alive), time.Time.Compare) {
		if err := in.tx.RefreshAlerts(in.alive[ends], ends, in.at); err != nil {
			return err
		}
	}
	return in.saveAll()
}

// saveAll keeps what the batch did, alerts first.
func (in *intake) saveAll() error {
	var (
		touched        []*caseFile
		added, changed []*alert.Alert
	)
	if err := in.keepFresh(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(in.cases)) {
		c := in.cases[id]
		if !c.touched {
			continue
		}
		touched, added = append(touched, c), append(added, c.added...)
		changed = slices.AppendSeq(changed, maps.Values(c.changed))
	}
	if err := in.tx.AddAlerts(added); err != nil {
		return err
	}
	slices.SortFunc(changed, func(a, b *alert.Alert) int { return cmp.Compare(a.ID, b.ID) })
	if err := in.tx.SaveAlerts(changed); err != nil {
		return err
	}
	if err := in.inhibit(touched); err != nil {
		return err
	}
	touched = slices.DeleteFunc(touched, func(c *caseFile) bool {
		return c.Status == alert.Closed // somebody resolved it by hand
	})
	if err := in.tell(touched); err != nil {
		return err
	}
	for _, c := range touched {
		if err := in.save(c); err != nil {
			return fmt.Errorf("save incident %q: %w", c.Key, err)
		}
	}
	return in.refresh(touched)
}

// keepFresh keeps the incidents that the batch opens, with the level that its
// alerts give them.
func (in *intake) keepFresh() error {
	if len(in.fresh) == 0 {
		return nil
	}
	incidents := make([]alert.Incident, len(in.fresh))
	for i, c := range in.fresh {
		incidents[i] = c.Incident
	}
	ids, err := in.tx.AddIncidents(incidents)
	if err != nil {
		return err
	}
	for i, c := range in.fresh {
		delete(in.cases, c.ID)
		c.ID = ids[i]
		c.before = c.Incident
		in.cases[c.ID] = c
		for _, a := range c.added {
			a.IncidentID = c.ID
		}
	}
	return nil
}

// batchTx asks once for what no batch of alerts changes.
type batchTx struct {
	Tx

	asked    bool
	silences string
}

// Mark returns a single value by its name.
func (t *batchTx) Mark(name string) (string, error) {
	if name != silencesVersion {
		return t.Tx.Mark(name)
	}
	if !t.asked {
		version, err := t.Tx.Mark(name)
		if err != nil {
			return "", err
		}
		t.asked, t.silences = true, version
	}
	return t.silences, nil
}

// news tells whether the batch did more than keep alerts alive.
func (in *intake) news() bool {
	for _, c := range in.cases {
		if c.touched {
			return true
		}
	}
	return false
}

// load reads what is known of the alerts and of their incidents.
func (in *intake) load(alerts []alert.Alert) error {
	in.alive, in.cases = map[time.Time][]int64{}, map[int64]*caseFile{}
	in.open, in.lately = map[string]*caseFile{}, map[string]*caseFile{}
	in.prints = make([]model.Fingerprint, len(alerts))
	for i, a := range alerts {
		in.prints[i] = a.Fingerprint()
	}
	if err := in.loadLatest(in.prints); err != nil {
		return err
	}
	ids := map[int64]bool{}
	for _, known := range in.latest {
		for _, a := range known {
			ids[a.IncidentID] = true
		}
	}
	theirs, err := in.tx.IncidentsByID(slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return err
	}
	for _, inc := range theirs {
		in.file(inc)
	}
	return in.loadGroups(alerts)
}

// loadGroups reads the incidents that alerts may join or open again.
func (in *intake) loadGroups(alerts []alert.Alert) error {
	in.groups = make([]group, len(alerts))
	wanted := map[string]bool{}
	for i, a := range alerts {
		if a.State == alert.Resolved {
			continue
		}
		if known := in.find(a, i); known != nil && in.cases[known.IncidentID].Status != alert.Closed {
			continue
		}
		in.groups[i] = in.engine.groupOf(a)
		if in.open[in.groups[i].key] == nil {
			wanted[in.groups[i].key] = true
		}
	}
	keys := slices.Sorted(maps.Keys(wanted))
	unresolved, err := in.tx.UnresolvedIncidents(keys)
	if err != nil {
		return err
	}
	for _, inc := range unresolved {
		if in.cases[inc.ID] == nil {
			in.file(inc)
		}
	}
	if err := in.loadMerged(keys); err != nil || in.engine.c.ReopenWithin < 0 {
		return err
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return in.open[key] != nil })
	resolved, err := in.tx.ResolvedIncidents(keys, in.at.Add(-in.engine.c.ReopenWithin))
	for _, inc := range resolved {
		c := in.cases[inc.ID]
		if c == nil {
			c = in.file(inc)
		}
		in.lately[inc.Key] = c
	}
	return err
}

// loadMerged has alerts of a key whose incident was merged into another join
// that one.
func (in *intake) loadMerged(keys []string) error {
	missing := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return in.open[key] != nil })
	targets, err := in.tx.MergeTargets(missing)
	for key, inc := range targets {
		c := in.cases[inc.ID]
		if c == nil {
			c = in.file(inc)
		}
		in.open[key] = c
	}
	return err
}

func (in *intake) loadLatest(fingerprints []model.Fingerprint) error {
	known, err := in.tx.LatestAlerts(fingerprints)
	in.latest = make(map[model.Fingerprint][]*alert.Alert, len(known))
	seen := make(map[int64]bool, len(known))
	for _, a := range known {
		if seen[a.ID] { // a fingerprint may be asked for twice
			continue
		}
		seen[a.ID] = true
		fp := a.Fingerprint()
		in.latest[fp] = append(in.latest[fp], &a)
	}
	return err
}

func (in *intake) file(inc alert.Incident) *caseFile {
	c := &caseFile{Incident: inc, before: inc, changed: map[int64]*alert.Alert{}}
	in.cases[inc.ID] = c
	if inc.Status != alert.Closed {
		in.open[inc.Key] = c
	}
	return c
}

// find returns the alert in the latest incident that has the labels of a, the
// ith of the batch, or nil.
func (in *intake) find(a alert.Alert, i int) *alert.Alert {
	for _, known := range in.latest[in.prints[i]] {
		if known.Labels.Equal(a.Labels) {
			return known
		}
	}
	return nil
}

// take does with an alert, the ith of the batch, what judge says.
func (in *intake) take(a alert.Alert, i int) error {
	latest := in.find(a, i)
	if latest == nil {
		if judge(a, alert.Alert{}, alert.Incident{}, false) == begin {
			return in.begin(a, nil, i)
		}
		return nil
	}
	c := in.cases[latest.IncidentID]
	switch judge(a, *latest, c.Incident, true) {
	case ignore:
	case refresh:
		in.keepAlive(latest, a)
	case update:
		c.change(latest, a)
	case refire:
		c.refired = append(c.refired, latest)
		c.change(latest, a)
	case settle:
		c.settled = append(c.settled, latest)
		c.change(latest, a)
	case begin:
		return in.begin(a, latest, i)
	}
	return nil
}

// keepAlive notes that an alert goes on. It is written together with others
// that end when it does: most of what arrives is no more than that.
func (in *intake) keepAlive(known *alert.Alert, a alert.Alert) {
	known.EndsAt, known.UpdatedAt = a.EndsAt, a.UpdatedAt
	if known.ID != 0 {
		in.alive[a.EndsAt] = append(in.alive[a.EndsAt], known.ID)
	}
}

// begin adds an alert to the unresolved incident of its key, which it opens
// when there is none. latest is the alert of its labels in an incident that is
// resolved, nil for none.
func (in *intake) begin(a alert.Alert, latest *alert.Alert, i int) error {
	c, err := in.caseOf(a, in.groups[i])
	if err != nil {
		return err
	}
	if latest != nil && latest.IncidentID == c.ID {
		c.refired = append(c.refired, latest)
		c.change(latest, a)
		c.rise(a)
		return nil
	}
	a.IncidentID = c.ID
	in.remember(&a, i)
	c.add(&a)
	return nil
}

// caseOf returns the incident that an alert joins, opens again or opens.
func (in *intake) caseOf(a alert.Alert, g group) (*caseFile, error) {
	if c := in.open[g.key]; c != nil {
		return c, nil
	}
	if c := in.lately[g.key]; c != nil {
		return c, in.reopen(c, a)
	}
	inc := newIncident(g, a, in.at)
	inc.ID = -int64(len(in.fresh)) - 1
	c := in.file(inc)
	c.opened = true
	in.fresh = append(in.fresh, c)
	return c, nil
}

// remember makes a, the ith of the batch, the latest alert of its labels.
func (in *intake) remember(a *alert.Alert, i int) {
	same := in.latest[in.prints[i]]
	for i, known := range same {
		if known.Labels.Equal(a.Labels) {
			same[i] = a
			return
		}
	}
	in.latest[in.prints[i]] = append(same, a)
}
