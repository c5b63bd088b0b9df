package fleet

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// AlertDataMissing is the alert that says which clusters' data the fleet's
// rules are without, and since when.
const AlertDataMissing = "SLOFleetDataMissing"

const (
	ownService = "midwatch"
	ownLife    = 5 * time.Minute // of the alert, which is sent again before
)

// absence is that a cluster does not answer.
type absence struct {
	since time.Time // of the first evaluation without it
	cause string
}

// absences are the clusters that are missing.
type absences struct {
	metric *prometheus.GaugeVec

	mu      sync.Mutex
	byGroup map[string]Lack // of the last evaluation of each
	byName  map[string]absence
	seen    bool // any evaluation
	said    time.Time
	says    string // what the alert says that fires; "" when none does
	began   time.Time
	ended   bool // it was said, since the start, that nothing is missing
}

// note keeps which clusters the last evaluation of a group was without, and
// tells whether none is missing from any group any more.
func (a *absences) note(group string, lack Lack, members []Member, at time.Time) (over bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = true
	before := len(a.byName)
	a.byGroup[group] = lack
	all := Missing{}
	for _, of := range a.byGroup {
		maps.Copy(all, of.all())
	}
	there := map[string]bool{}
	for _, m := range members {
		there[m.Name] = true
		cause, gone := all[m.Name]
		if !gone {
			delete(a.byName, m.Name)
			a.metric.WithLabelValues(m.Name).Set(0)
			continue
		}
		was, known := a.byName[m.Name]
		if !known {
			was.since = at
		}
		a.byName[m.Name] = absence{since: was.since, cause: cause}
		a.metric.WithLabelValues(m.Name).Set(1)
	}
	for name := range a.byName {
		if !there[name] {
			delete(a.byName, name)
			a.metric.DeleteLabelValues(name)
		}
	}
	return before > 0 && len(a.byName) == 0
}

// keep forgets what is of none of the groups.
func (a *absences) keep(group map[string]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.byGroup, func(name string, _ Lack) bool { return !group[name] })
}

// answered tells whether all of some clusters answered, if not with all data.
func (a *absences) answered(some Missing) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, lack := range a.byGroup {
		for name := range some {
			if _, gone := lack.Missing[name]; gone {
				return false
			}
		}
	}
	return true
}

// since lists clusters, each with its cause and since when it is missing.
func (a *absences) since(missing Missing) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list(missing.names(), missing)
}

// list is since for who holds the lock.
func (a *absences) list(names []string, causes Missing) string {
	parts := make([]string, 0, len(names))
	for _, name := range names {
		part := name
		if was, known := a.byName[name]; known {
			part += " since " + was.since.UTC().Format("2006-01-02 15:04:05 MST")
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", part, causes[name]))
	}
	return strings.Join(parts, ", ")
}

// tell returns the alert that is due, if one is.
func (a *absences) tell(after time.Duration, at time.Time) (out alert.Alert, due bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.seen {
		return out, false
	}
	causes := Missing{}
	var first time.Time
	for name, one := range a.byName {
		if at.Sub(one.since) < after {
			continue
		}
		causes[name] = one.cause
		if first.IsZero() || one.since.Before(first) {
			first = one.since
		}
	}
	if len(causes) == 0 {
		if a.says == "" && (a.ended || len(a.byName) > 0) {
			return out, false
		}
		if a.began.IsZero() {
			a.began = at
		}
		out = dataMissing(nil, "", a.began, at, at)
		a.says, a.ended, a.began = "", true, time.Time{}
		return out, true
	}
	text := a.list(causes.names(), causes)
	if text == a.says && at.Sub(a.said) < ownLife/3 {
		return out, false
	}
	a.says, a.said, a.began = text, at, first
	return dataMissing(causes.names(), text, first, at, at.Add(ownLife+after)), true
}

// dataMissing is the alert; it is over when it ends at once.
func dataMissing(names []string, text string, since, at, ends time.Time) alert.Alert {
	a := alert.Alert{
		Labels: model.LabelSet{
			model.AlertNameLabel: AlertDataMissing, alert.LabelService: ownService, alert.LabelSeverity: "P2",
		},
		State: alert.Firing, StartsAt: since.UTC(), EndsAt: ends.UTC(), UpdatedAt: at.UTC(),
		Annotations: model.LabelSet{},
	}
	if !ends.After(at) {
		a.State = alert.Resolved
		return a
	}
	a.Annotations["summary"] = model.LabelValue("SLOs of the fleet are without the data of " + strings.Join(names, ", "))
	a.Annotations[annotationDescription] = model.LabelValue("Missing: " + text + ". Until all of it is there nothing is recorded for the fleet, alerts that fire go on, and new ones fire when the other clusters suffice.")
	return a
}

// tellAbsences sends the alert when it is due.
func (f *Fleet) tellAbsences(at time.Time) {
	if a, due := f.absences.tell(f.c.MissingAfter, at); due {
		f.send(a)
	}
}
