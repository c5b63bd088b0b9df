package fleet

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const (
	// heldFor is how long ago an alert may last have been evaluated and still
	// be held or restored.
	heldFor = time.Hour
	// patience is the part of its interval that a group waits for clusters.
	patience = 2. / 3
)

// moment is what one evaluation of a group knows of the clusters.
type moment struct {
	group   string
	alerts  []*rules.AlertingRule
	series  []promql.Series
	missing Missing  // of these data is, or may be, missing
	lack    Lack     // the same by kind
	unknown []string // those that did not answer, and of which nothing is known
}

type momentKey struct{}

// evaluate evaluates a group: the clusters are asked once for all its rules.
func (f *Fleet) evaluate(ctx context.Context, g *rules.Group, at time.Time) {
	p := f.program.Load()
	m := &moment{group: g.Name(), alerts: g.AlertingRules()}
	if asks := p.asks[g.Name()]; len(asks) > 0 {
		f.fetch(ctx, m, asks, time.Duration(float64(g.Interval())*patience), at)
		if ctx.Err() != nil { // it ends
			return
		}
		if f.absences.note(m.group, m.lack, f.c.Members(), at) {
			f.filler.wake()
		}
	}
	if since, slept := f.evaluated.slept(g.Name(), g.Interval(), at); slept {
		f.filler.since(since)
		f.filler.wake()
	}
	result := "whole"
	if len(m.missing) > 0 {
		result = "partial"
		f.filler.since(at)
	}
	f.metrics.evaluations.WithLabelValues(g.Name(), result).Inc()
	rules.DefaultEvalIterationFunc(context.WithValue(ctx, momentKey{}, m), g, at)
	f.evaluated.note(g.Name(), at, len(m.missing) == 0)
}

// fetch asks the clusters.
func (f *Fleet) fetch(ctx context.Context, m *moment, asks []string, within time.Duration, at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var lack Lack
	for _, ask := range asks {
		v, without, err := f.c.Clusters.Instant(ctx, ask, at)
		f.metrics.queries.WithLabelValues("evaluation").Inc()
		if err != nil {
			f.log.WarnContext(ctx, "clusters cannot be asked", "group", m.group, "err", err)
			without = Lack{Missing: f.everybody(err)}
		}
		lack.add(without)
		m.series = append(m.series, present(v, at.UnixMilli())...)
	}
	m.missing, m.lack = lack.all(), lack
	m.series, m.unknown = f.memory.complete(m.group, f.c.Members(), without(m.series, f.c.Members(), lack.Missing), lack.Missing, at.UnixMilli())
}

// without leaves out what a cluster answered that did not answer all.
func without(series []promql.Series, members []Member, missing Missing) []promql.Series {
	if len(missing) == 0 {
		return series
	}
	out := series[:0]
	for _, s := range series {
		if _, gone := missing[memberOf(members, s.Metric)]; !gone {
			out = append(out, s)
		}
	}
	return out
}

// everybody is missing when nobody can be asked.
func (f *Fleet) everybody(err error) Missing {
	out := Missing{}
	for _, m := range f.c.Members() {
		out[m.Name] = err.Error()
	}
	return out
}

// query is the rules' view of the fleet. What is not whole is not recorded;
// alerts are held.
func (f *Fleet) query(ctx context.Context, text string, at time.Time) (promql.Vector, error) {
	m, _ := ctx.Value(momentKey{}).(*moment)
	if m == nil {
		m = &moment{}
	}
	v := &view{db: f.db, program: f.program.Load(), foreign: m.series, missing: m.missing, beside: f.aside.read}
	result, err := rules.EngineQueryFunc(f.engine, v)(ctx, text, at)
	rule := rules.FromOriginContext(ctx)
	if err != nil || rule.Query != text { // or a template's
		return result, err
	}
	lack := v.lacks()
	switch rule.Kind {
	case rules.KindRecording:
		f.aside.put(ruleKey(m.group, rule), rule, result, lack, at.UnixMilli())
		if len(lack) > 0 {
			return nil, nil
		}
	case rules.KindAlerting:
		return f.hold(ctx, m, rule, result, lack, at)
	}
	return result, nil
}

func ruleKey(group string, d rules.RuleDetail) string {
	return group + "\n" + d.Name + "\n" + d.Labels.String() + "\n" + d.Query
}

// standing is what an alerting rule last found.
type standing struct {
	rule    rules.RuleDetail
	missing Missing
	part    bool // those that are missing answered all the same, all of them
	unknown []string
	values  map[uint64]float64 // by what identifies an alert of the rule
	held    map[uint64]bool    // those that fire because they did before
}

type standings struct {
	mu     sync.Mutex
	byRule map[string]standing // by name, labels and expression
}

// hold adds to what an alerting rule found the alerts of it that fire and that
// nobody can say are over, when data is missing.
func (f *Fleet) hold(ctx context.Context, m *moment, d rules.RuleDetail, found promql.Vector, lack Missing, at time.Time) (promql.Vector, error) {
	key := standingKey(d)
	f.standings.mu.Lock()
	before := f.standings.byRule[key]
	f.standings.mu.Unlock()
	now := standing{rule: d, missing: lack, values: map[uint64]float64{}, held: map[uint64]bool{}}
	for _, s := range found {
		now.values[identity(s.Metric, d)] = s.F
	}
	if len(lack) > 0 {
		now.unknown, now.part = m.unknown, f.absences.answered(lack)
		firing, err := f.fired(ctx, d, at)
		if err != nil {
			return nil, err
		}
		for _, set := range append(m.firing(d), firing...) {
			id := identity(set, d)
			if _, again := now.values[id]; again {
				continue
			}
			v, ok := before.values[id]
			if !ok {
				v = math.NaN()
			}
			now.values[id], now.held[id] = v, true
			found = append(found, promql.Sample{T: at.UnixMilli(), F: v, Metric: set})
		}
	}
	f.standings.mu.Lock()
	defer f.standings.mu.Unlock()
	f.standings.byRule[key] = now
	return found, nil
}

func standingKey(d rules.RuleDetail) string {
	return d.Name + "\n" + d.Labels.String() + "\n" + d.Query
}

// identity tells alerts of one rule apart: by the labels that it does not set.
func identity(set labels.Labels, d rules.RuleDetail) uint64 {
	return given(set, d).Hash()
}

// firing returns the labels, as the rule's expression gives them, of the
// rule's alerts that fire.
func (m *moment) firing(d rules.RuleDetail) (out []labels.Labels) {
	for _, r := range m.alerts {
		if standingKey(rules.NewRuleDetail(r)) != standingKey(d) {
			continue
		}
		r.ForEachActiveAlert(func(a *rules.Alert) {
			if a.State == rules.StateFiring {
				out = append(out, given(a.Labels, d))
			}
		})
	}
	return out
}

// given returns the labels of an alert that its rule does not set.
func given(set labels.Labels, d rules.RuleDetail) labels.Labels {
	b := labels.NewBuilder(set).Del(model.MetricNameLabel, labels.AlertName, "alertstate")
	d.Labels.Range(func(l labels.Label) { b.Del(l.Name) })
	return b.Labels()
}

// fired returns the same of the alerts that fired when the rule was last
// evaluated, which may have been before a restart.
func (f *Fleet) fired(ctx context.Context, d rules.RuleDetail, at time.Time) ([]labels.Labels, error) {
	q, err := f.db.Querier(at.Add(-heldFor).UnixMilli(), at.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer q.Close()
	ms := []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, alertsSeries),
		labels.MustNewMatcher(labels.MatchEqual, labels.AlertName, d.Name),
		labels.MustNewMatcher(labels.MatchEqual, "alertstate", "firing"),
	}
	d.Labels.Range(func(l labels.Label) { ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value)) })
	set := q.Select(ctx, false, nil, ms...)
	var out []labels.Labels
	var it chunkenc.Iterator
	for set.Next() {
		var last float64
		it = set.At().Iterator(it)
		for it.Next() == chunkenc.ValFloat {
			_, last = it.At()
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		if last == 1 && !value.IsStaleNaN(last) {
			out = append(out, given(set.At().Labels(), d))
		}
	}
	return out, set.Err()
}

// evaluations keeps when groups were evaluated.
type evaluations struct {
	mu     sync.Mutex
	groups map[string]evaluated
}

type evaluated struct {
	times int // in a row without data missing
	at    time.Time
}

func (e *evaluations) note(group string, at time.Time, whole bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.groups == nil {
		e.groups = map[string]evaluated{}
	}
	was := e.groups[group]
	if !whole {
		was.times = -1
	}
	e.groups[group] = evaluated{times: was.times + 1, at: at}
}

// slept tells whether a group was not evaluated for long before now, such as
// when the machine stood still, and when it last was.
func (e *evaluations) slept(group string, interval time.Duration, at time.Time) (since time.Time, is bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was, known := e.groups[group]
	return was.at, known && at.Sub(was.at) > interval+fillStep
}

// settled tells whether a group was evaluated several times in a row with no
// data missing: what it says of alerts is then all that there is to say.
func (e *evaluations) settled(group string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.groups[group].times >= 3
}
