package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
)

// failedPrefix begins the names of the series that count failed events. Of a
// cluster that does not answer none are assumed.
const failedPrefix = "slo:sli_errors:"

// memory is what was last known of each cluster, by group: what an evaluation
// goes on when a cluster does not answer.
type memory struct {
	mu    sync.Mutex
	known map[string]map[string][]promql.Series // by group and cluster
}

// complete keeps what the clusters that answered have, and adds what is known
// of those that did not: the events that they last had, of which none failed.
// What fires nevertheless would fire whatever these clusters have, unless they
// have become busier. The names are those of clusters of which nothing is known.
func (k *memory) complete(group string, members []Member, series []promql.Series, missing Missing, at int64) (all []promql.Series, unknown []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = map[string]map[string][]promql.Series{}
	}
	before := k.known[group]
	now := make(map[string][]promql.Series, len(members))
	for _, s := range series {
		name := memberOf(members, s.Metric)
		now[name] = append(now[name], s)
	}
	for _, m := range members {
		if _, gone := missing[m.Name]; !gone {
			continue
		}
		known, ok := before[m.Name]
		if !ok {
			unknown = append(unknown, m.Name)
			continue
		}
		now[m.Name] = known
		series = append(series, assumed(known, at)...)
	}
	k.known[group] = now
	return series, unknown
}

// memberOf returns the cluster that a series is of, "" for none: that of whose
// labels it has all, and of several the one with the most.
func memberOf(members []Member, set labels.Labels) string {
	best, most := "", -1
	for _, m := range members {
		all := true
		for name, v := range m.Labels {
			all = all && set.Get(name) == v
		}
		if all && len(m.Labels) > most {
			best, most = m.Name, len(m.Labels)
		}
	}
	return best
}

// assumed returns series as they are assumed to go on.
func assumed(known []promql.Series, at int64) []promql.Series {
	out := make([]promql.Series, len(known))
	for i, s := range known {
		v := s.Floats[0].F
		if strings.HasPrefix(s.Metric.Get(model.MetricNameLabel), failedPrefix) {
			v = 0
		}
		out[i] = promql.Series{Metric: s.Metric, Floats: []promql.FPoint{{T: at, F: v}}}
	}
	return out
}

// aside keeps what rules gave while data was missing, for the rules that read
// it. It is recorded nowhere.
type aside struct {
	mu     sync.Mutex
	byRule map[string]setAside
}

// setAside is the result of one recording rule.
type setAside struct {
	named   labels.Labels // what all of its series have: the name and the rule's labels
	at      int64
	series  []promql.Series
	missing Missing // clusters that it is without
}

// put keeps the result of a recording rule in the place of that before; none
// when nothing is missing from it.
func (a *aside) put(rule string, d rules.RuleDetail, v promql.Vector, missing Missing, at int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(missing) == 0 {
		delete(a.byRule, rule)
		return
	}
	if a.byRule == nil {
		a.byRule = map[string]setAside{}
	}
	kept := setAside{named: recorded(labels.EmptyLabels(), d.Name, d.Labels), at: at, missing: missing}
	for _, s := range v {
		set := recorded(s.Metric, d.Name, d.Labels)
		kept.series = append(kept.series, promql.Series{Metric: set, Floats: []promql.FPoint{{T: at, F: s.F}}})
	}
	a.byRule[rule] = kept
}

// read returns what was kept from mint to maxt and matches, and which clusters
// it is without. That nothing matches says as little as what does.
func (a *aside) read(ms []*labels.Matcher, mint, maxt int64) (out []promql.Series, missing Missing) {
	a.mu.Lock()
	defer a.mu.Unlock()
	missing = Missing{}
	for _, kept := range a.byRule {
		if kept.at < mint || kept.at > maxt || !kept.mayMatch(ms) {
			continue
		}
		maps.Copy(missing, kept.missing)
		for _, s := range kept.series {
			if matches(s.Metric, ms) {
				out = append(out, s)
			}
		}
	}
	return out, missing
}

// mayMatch tells whether a series of the rule can match.
func (s setAside) mayMatch(ms []*labels.Matcher) bool {
	return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return s.named.Has(m.Name) && !m.Matches(s.named.Get(m.Name)) })
}

// recorded returns the labels under which a rule records.
func recorded(set labels.Labels, name string, more labels.Labels) labels.Labels {
	b := labels.NewBuilder(set)
	b.Set(model.MetricNameLabel, name)
	more.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
	return b.Labels()
}

// keep forgets what is of none of the rules.
func (a *aside) keep(rule map[string]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.byRule, func(name string, _ setAside) bool { return !rule[name] })
}

// names returns the clusters' names, sorted.
func (m Missing) names() []string { return slices.Sorted(maps.Keys(m)) }

// String lists the clusters, each with its cause.
func (m Missing) String() string {
	parts := make([]string, 0, len(m))
	for _, name := range m.names() {
		parts = append(parts, fmt.Sprintf("%s (%s)", name, m[name]))
	}
	return strings.Join(parts, ", ")
}
