package incident

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
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
	if len(normal) == 0 {
		return nil
	}
	var in *intake
	err := e.c.Store.Update(ctx, func(tx Tx) error {
		in = &intake{engine: e, tx: tx, at: at}
		return in.run(normal)
	})
	if err != nil {
		return fmt.Errorf("receive %d alerts: %w", len(alerts), err)
	}
	for _, a := range normal {
		e.metrics.received.WithLabelValues(string(a.State)).Inc()
	}
	if in.news() {
		wake(e.deliver)
		wake(e.escalate)
	}
	return nil
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
	cases  map[int64]*caseFile
	open   map[string]*caseFile  // unresolved, by key
	alive  map[time.Time][]int64 // alerts that only live on, by when they end now
}

// caseFile is an incident with what the batch does to it.
type caseFile struct {
	alert.Incident
	opened  bool
	touched bool
	raised  alert.Level // the level that it must rise to; 0 when it need not
	added   []*alert.Alert
	changed map[int64]*alert.Alert
	refired []*alert.Alert
	settled []*alert.Alert
}

func (in *intake) run(alerts []alert.Alert) error {
	if err := in.load(alerts); err != nil {
		return err
	}
	for _, a := range alerts {
		if err := in.take(a); err != nil {
			return fmt.Errorf("take alert %s: %w", a.Labels, err)
		}
	}
	for _, ends := range slices.SortedFunc(maps.Keys(in.alive), time.Time.Compare) {
		if err := in.tx.RefreshAlerts(in.alive[ends], ends, in.at); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(in.cases)) {
		if c := in.cases[id]; c.touched {
			if err := in.save(c); err != nil {
				return fmt.Errorf("save incident %q: %w", c.Key, err)
			}
		}
	}
	return nil
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
	fingerprints, keys := make([]model.Fingerprint, len(alerts)), map[string]bool{}
	for i, a := range alerts {
		fingerprints[i] = a.Fingerprint()
		keys[KeyOf(a)] = true
	}
	in.alive, in.cases, in.open = map[time.Time][]int64{}, map[int64]*caseFile{}, map[string]*caseFile{}
	if err := in.loadLatest(fingerprints); err != nil {
		return err
	}
	unresolved, err := in.tx.UnresolvedIncidents(slices.Sorted(maps.Keys(keys)))
	if err != nil {
		return err
	}
	for _, inc := range unresolved {
		in.file(inc)
	}
	missing := map[int64]bool{}
	for _, known := range in.latest {
		for _, a := range known {
			if in.cases[a.IncidentID] == nil {
				missing[a.IncidentID] = true
			}
		}
	}
	rest, err := in.tx.IncidentsByID(slices.Sorted(maps.Keys(missing)))
	for _, inc := range rest {
		in.file(inc)
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
		in.latest[a.Fingerprint()] = append(in.latest[a.Fingerprint()], &a)
	}
	return err
}

func (in *intake) file(inc alert.Incident) *caseFile {
	c := &caseFile{Incident: inc, changed: map[int64]*alert.Alert{}}
	in.cases[inc.ID] = c
	if inc.Status != alert.Closed {
		in.open[inc.Key] = c
	}
	return c
}

// find returns the alert of the same labels in the latest incident, or nil.
func (in *intake) find(a alert.Alert) *alert.Alert {
	for _, known := range in.latest[a.Fingerprint()] {
		if known.Labels.Equal(a.Labels) {
			return known
		}
	}
	return nil
}

// take does with an alert what judge says.
func (in *intake) take(a alert.Alert) error {
	latest := in.find(a)
	if latest == nil {
		if judge(a, alert.Alert{}, alert.Incident{}, false) == begin {
			return in.begin(a)
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
		return in.begin(a)
	}
	return nil
}

// keepAlive notes that an alert still fires. Most alerts that arrive are no
// more than that.
func (in *intake) keepAlive(known *alert.Alert, a alert.Alert) {
	known.EndsAt, known.UpdatedAt = a.EndsAt, a.UpdatedAt
	if known.ID != 0 {
		in.alive[a.EndsAt] = append(in.alive[a.EndsAt], known.ID)
	}
}

// change makes known what a says.
func (c *caseFile) change(known *alert.Alert, a alert.Alert) {
	if a.State == alert.Resolved {
		a.StartsAt, a.Annotations = known.StartsAt, known.Annotations
	}
	a.ID, a.IncidentID, a.Labels = known.ID, known.IncidentID, known.Labels
	*known = a
	if known.ID != 0 {
		c.changed[known.ID] = known
	}
	c.touched = true
}

// begin adds an alert to the unresolved incident of its key, which it opens
// when there is none.
func (in *intake) begin(a alert.Alert) error {
	key := KeyOf(a)
	c := in.open[key]
	if c == nil {
		inc := newIncident(key, a, in.at)
		id, err := in.tx.AddIncident(inc)
		if err != nil {
			return err
		}
		inc.ID = id
		c = in.file(inc)
		c.opened = true
	}
	a.IncidentID = c.ID
	in.remember(&a)
	c.add(&a)
	return nil
}

// remember makes a the latest alert of its labels.
func (in *intake) remember(a *alert.Alert) {
	same := in.latest[a.Fingerprint()]
	for i, known := range same {
		if known.Labels.Equal(a.Labels) {
			same[i] = a
			return
		}
	}
	in.latest[a.Fingerprint()] = append(same, a)
}

func (c *caseFile) add(a *alert.Alert) {
	c.added = append(c.added, a)
	c.touched = true
	if a.StartsAt.Before(c.Since) {
		c.Since = a.StartsAt
	}
	switch level := a.Level(); {
	case c.opened && level.Outranks(c.Level):
		c.Level, c.Title = level, titleOf(*a)
	case level.Outranks(c.Level) && (c.raised == 0 || level.Outranks(c.raised)):
		c.raised = level
	}
}

// save keeps the incident with all that the batch did to it, and pages whom
// that concerns.
func (in *intake) save(c *caseFile) error {
	if err := in.tx.AddAlerts(c.added); err != nil {
		return err
	}
	changed := slices.SortedFunc(maps.Values(c.changed), func(a, b *alert.Alert) int { return int(a.ID - b.ID) })
	if err := in.tx.SaveAlerts(changed); err != nil {
		return err
	}
	if c.Status == alert.Closed { // an alert of an incident that somebody resolved by hand
		return nil
	}
	if err := in.tx.AddEvents(c.ID, c.events(in.at)...); err != nil {
		return err
	}
	if err := in.page(c); err != nil {
		return err
	}
	if err := in.recount(c); err != nil {
		return err
	}
	return in.tx.SaveIncident(c.Incident)
}

// events tells what alerts did, one line for all that did the same.
func (c *caseFile) events(at time.Time) []alert.Event {
	var events []alert.Event
	add := func(kind alert.EventKind, verb string, alerts []*alert.Alert) {
		if len(alerts) > 0 {
			events = append(events, alert.Event{At: at, Kind: kind, Text: describe(verb, alerts)})
		}
	}
	if c.opened {
		events = append(events, alert.Event{At: at, Kind: alert.EventOpened, Text: fmt.Sprintf("opened as %s: %s", c.Level, c.Title)})
	}
	add(alert.EventAlert, "fires", c.added)
	add(alert.EventAlert, "fires again", c.refired)
	add(alert.EventAlert, "resolved", c.settled)
	return events
}

// page tells of an incident that opened or rose.
func (in *intake) page(c *caseFile) error {
	kind := page.Opened
	switch {
	case c.opened:
		for _, a := range c.added {
			c.Alerts = append(c.Alerts, *a)
		}
	case c.raised != 0:
		full, err := get(in.tx, c.ID)
		if err != nil {
			return err
		}
		c.Alerts = full.Alerts
		if err := in.tx.AddEvents(c.ID, raise(&c.Incident, c.raised, in.at)); err != nil {
			return err
		}
		if c.Round > 0 {
			kind = page.Raised
		}
	default:
		return nil
	}
	return in.engine.advance(in.tx, &c.Incident, kind, in.at)
}

// recount sees whether all alerts of the incident are resolved, and whether
// any is expired.
func (in *intake) recount(c *caseFile) error {
	if len(c.refired)+len(c.settled) == 0 {
		return nil
	}
	counts, err := in.tx.CountAlerts(c.ID)
	if err != nil {
		return err
	}
	c.Stale = counts[alert.Expired] > 0
	if counts[alert.Firing]+counts[alert.Expired] > 0 {
		return nil
	}
	return in.engine.closeIncident(in.tx, &c.Incident, "", in.at)
}
