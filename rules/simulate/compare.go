package simulate

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Changes is what changes from one report to another of the same time.
type Changes struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	SLOs []Change  `json:"slos"` // that are in either
}

// Change is what changes for an SLO, or a group of it.
type Change struct {
	Service string            `json:"service"`
	Name    string            `json:"slo"`
	Labels  map[string]string `json:"labels,omitempty"`
	Gone    []Alert           `json:"gone"` // that are not sent any more
	New     []Alert           `json:"new"`
	Kept    int               `json:"kept"`
	// Missed are the incidents that are missed now, MissedBefore those that
	// were.
	Missed       int `json:"missed"`
	MissedBefore int `json:"missed_before"`
}

// ID returns "service/name".
func (c Change) ID() string { return c.Service + "/" + c.Name }

// Compare tells what changes. An alert is the same when one of its name, tier
// and severity fires at a time in both.
func Compare(before, after Report) Changes {
	out := Changes{From: after.From, To: after.To, SLOs: []Change{}}
	was, is := byLabels(before.SLOs), byLabels(after.SLOs)
	keys := maps.Clone(was)
	maps.Copy(keys, is)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		a, b := was[key], is[key]
		c := Change{Service: keys[key].Service, Name: keys[key].Name, Labels: keys[key].Labels, Gone: without(a.Alerts, b.Alerts, after.To), New: without(b.Alerts, a.Alerts, after.To)}
		c.Kept = len(b.Alerts) - len(c.New)
		c.MissedBefore, c.Missed = missed(a), missed(b)
		out.SLOs = append(out.SLOs, c)
	}
	return out
}

func byLabels(slos []SLO) map[string]SLO {
	out := map[string]SLO{}
	for _, s := range slos {
		out[s.ID()+labels.FromMap(s.Labels).String()] = s
	}
	return out
}

// without returns the alerts that others do not have.
func without(alerts, others []Alert, last time.Time) []Alert {
	out := []Alert{}
	for _, a := range alerts {
		if !slices.ContainsFunc(others, func(b Alert) bool {
			return a.Name == b.Name && a.Severity == b.Severity && a.Tier == b.Tier && a.Percent == b.Percent &&
				!a.From.After(b.end(last)) && !b.From.After(a.end(last))
		}) {
			out = append(out, a)
		}
	}
	return out
}

func missed(s SLO) (n int) {
	for _, i := range s.Incidents {
		if i.Missed() {
			n++
		}
	}
	return n
}
