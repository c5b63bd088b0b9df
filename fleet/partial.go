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
