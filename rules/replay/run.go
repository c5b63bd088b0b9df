package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"golang.org/x/sync/errgroup"
)

// Limits of one evaluation over a span: its points, 16 bytes each, and for how
// long.
const (
	maxPoints   = 4_000_000
	maxSamples  = 50_000_000
	maxDuration = 5 * time.Minute
)

// maxFailures is how many evaluations of one rule may fail one by one, each of
// which is looked for with some queries: after that, a span fails as a whole.
const maxFailures = 2000

// maxSweeps is how often rules that read each other are evaluated over a span
// before they are over half of it.
const maxSweeps = 8

func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: maxSamples, Timeout: maxDuration, LookbackDelta: lookback, Parser: newParser(),
		EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
	})
}

// run is a replay on its way.
type run struct {
	c      Config
	plan   *plan
	store  *store
	engine *promql.Engine
	record sync.Mutex // of Config.Record
	done   atomic.Int64
}

func newRun(c Config, p *plan) *run {
	return &run{c: c, plan: p, store: newStore(p.nodes), engine: newEngine()}
}

// all evaluates span after span.
func (r *run) all(ctx context.Context) error {
	last := r.c.To.UnixMilli()
	for at := r.plan.begin - 1; at < last; {
		end := min(at+r.span(), last)
		if err := r.evaluateAll(ctx, at, end); err != nil {
			return err
		}
		for _, n := range r.plan.nodes {
			r.forget(n, end)
		}
		at = end
		r.c.Progress(Progress{At: time.UnixMilli(end), Done: r.done.Load(), Total: r.plan.total})
	}
	return nil
}

// span returns how much time is evaluated at once, by how many points the
// most that one rule gave at one instant are.
func (r *run) span() int64 {
	span := r.c.Span.Milliseconds()
	for _, n := range r.plan.nodes {
		if n.peak > 0 {
			span = min(span, maxPoints/int64(n.peak)*n.every)
		}
	}
	return max(span, (10 * time.Minute).Milliseconds())
}

// forget drops what nobody reads any more.
func (r *run) forget(n *node, now int64) {
	for _, c := range n.ordered {
		c.forget(now - n.reach - time.Minute.Milliseconds())
	}
}

// evaluateAll evaluates all nodes after one time, up to and with another.
func (r *run) evaluateAll(ctx context.Context, after, until int64) error {
	for _, level := range r.plan.levels {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(r.c.Workers)
		for _, circle := range level {
			g.Go(func() error { return r.circle(ctx, circle, after, until) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// circle evaluates nodes that read each other, or one that does not.
func (r *run) circle(ctx context.Context, nodes []*node, after, until int64) error {
	n := nodes[0]
	if len(nodes) > 1 || n.readsItself() {
		if err := r.settle(ctx, nodes, after, until); err != nil {
			return err
		}
	} else if _, err := r.evaluate(ctx, n, after, until); err != nil {
		return err
	}
	for _, n := range nodes {
		r.done.Add(int64(len(n.steps(after, until))))
		r.hand(n, after)
	}
	return nil
}

func (n *node) readsItself() bool {
	for _, r := range n.reads {
		if r.producer == n {
			return true
		}
	}
	return false
}

// settle evaluates nodes that read each other's past until nothing changes.
// It begins with the guess that what is recorded goes on, which is nearly
// always so. Where they do not settle soon, it does half the time first.
func (r *run) settle(ctx context.Context, nodes []*node, after, until int64) error {
	for _, n := range nodes {
		r.guess(n, after, until)
		clear(n.seen)
	}
	for sweep := range maxSweeps {
		settled, err := r.sweep(ctx, nodes, after, until)
		if err != nil {
			return err
		}
		if settled && sweep > 0 {
			return nil
		}
		if sweep == 0 {
			for _, n := range nodes {
				r.guess(n, after, until)
			}
		}
	}
	shortest := int64(math.MaxInt64)
	for _, n := range nodes {
		shortest = min(shortest, n.every)
	}
	if until-after < shortest {
		return fmt.Errorf("rules that read each other do not settle, such as %s", nodes[0].title)
	}
	middle := after + (until-after)/2
	for _, half := range [][2]int64{{after, middle}, {middle, until}} {
		for _, n := range nodes {
			r.store.write(n, half[0], nil, nil)
		}
		if err := r.settle(ctx, nodes, half[0], half[1]); err != nil {
			return err
		}
	}
	return nil
}

// sweep evaluates each node that reads what has changed since it was
// evaluated. It tells whether there was none.
func (r *run) sweep(ctx context.Context, nodes []*node, after, until int64) (settled bool, err error) {
	settled = true
	for _, n := range nodes {
		if !n.outdated() {
			continue
		}
		settled = false
		for _, rd := range n.reads {
			n.seen[rd.producer] = rd.producer.version
		}
		changed, err := r.evaluate(ctx, n, after, until)
		if err != nil {
			return false, err
		}
		if changed {
			n.version++
		}
	}
	return settled, nil
}

// outdated tells whether what a node reads has changed.
func (n *node) outdated() bool {
	for _, rd := range n.reads {
		if version, ok := n.seen[rd.producer]; !ok || version != rd.producer.version {
			return true
		}
	}
	return false
}

// guess lets what a node recorded last go on until the end, where other nodes
// read its past.
func (r *run) guess(n *node, after, until int64) {
	steps := n.steps(after, until)
	if len(steps) == 0 || !n.readInPast {
		return
	}
	var found promql.Matrix
	r.store.mu.RLock()
	for _, c := range n.ordered {
		if s, ok := c.continued(n, steps, after); ok {
			found = append(found, s)
		}
	}
	r.store.mu.RUnlock()
	if r.store.write(n, after, steps, found) {
		n.version++
		clear(n.seen) // it is no result yet
	}
}

// continued returns the points of a series after a time, and its last value
// at the steps at which it is no more.
func (c *column) continued(n *node, steps []int64, after int64) (promql.Series, bool) {
	i := c.after(after)
	last, known := 0.0, c.lives(i)
	if known {
		last = c.vs[i-1]
		known = c.ts[i-1] >= n.previousStep(steps[0])
	}
	out := promql.Series{Metric: c.labels}
	for _, t := range steps {
		for i < len(c.ts) && c.ts[i] < t {
			i++
		}
		if i < len(c.ts) && c.ts[i] == t && !value.IsStaleNaN(c.vs[i]) {
			last, known = c.vs[i], true
		}
		if known {
			out.Floats = append(out.Floats, promql.FPoint{T: t, F: last})
		}
	}
	return out, known
}

func (n *node) previousStep(t int64) int64 { return t - n.every }

// steps returns when a node is evaluated after one time, up to and with
// another.
func (n *node) steps(after, until int64) (out []int64) {
	for t := n.at(max(after+1, n.start)); t <= until; t += n.every {
		out = append(out, t)
	}
	return out
}

// evaluate evaluates a node over a time. It tells whether what it records is
// any different from what it recorded there before.
func (r *run) evaluate(ctx context.Context, n *node, after, until int64) (changed bool, err error) {
	n.failed = map[int64]bool{}
	for _, rd := range n.reads {
		if rd.producer.order <= 0 {
			for t := range rd.producer.failed {
				n.failed[t] = true
			}
		}
	}
	found, err := r.query(ctx, n, n.steps(after, until))
	if err != nil {
		return false, fmt.Errorf("rule %s of %s: %w", n.title, n.group, err)
	}
	steps := n.steps(after, until)
	if len(n.failed) > 0 {
		kept := steps[:0]
		for _, t := range steps {
			if !n.failed[t] {
				kept = append(kept, t)
			}
		}
		steps = kept
	}
	if len(steps) > 0 {
		n.peak = max(n.peak, points(found)/len(steps))
	}
	if n.name == "" {
		n.alerts.advance(steps, found)
		return false, nil
	}
	return r.store.write(n, after, steps, found), nil
}

func points(m promql.Matrix) (n int) {
	for _, s := range m {
		n += len(s.Floats)
	}
	return n
}

// label gives series the labels of what is recorded. Those of which only one
// is there at a time become one.
func (n *node) label(found promql.Matrix) (out promql.Matrix, err error) {
	at := map[uint64]int{}
	b := labels.NewBuilder(labels.EmptyLabels())
	for _, s := range found {
		if len(s.Histograms) > 0 {
			return nil, &EvaluationError{errors.New("it gives histograms, which are not replayed")}
		}
		b.Reset(s.Metric)
		b.Del(model.MetricNameLabel)
		if n.name != "" {
			b.Set(model.MetricNameLabel, n.name)
		}
		n.labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
		s.Metric = b.Labels()
		i, twice := at[s.Metric.Hash()]
		if !twice {
			at[s.Metric.Hash()] = len(out)
			out = append(out, s)
			continue
		}
		if out[i].Floats, err = merged(out[i].Floats, s.Floats); err != nil {
			return nil, &EvaluationError{fmt.Errorf("it gives %s %w", s.Metric, err)}
		}
	}
	return out, nil
}

// merged returns the points of two series in the order of time.
func merged(a, b []promql.FPoint) ([]promql.FPoint, error) {
	all := slices.SortedStableFunc(slices.Values(slices.Concat(a, b)), func(p, q promql.FPoint) int { return cmp.Compare(p.T, q.T) })
	for i := 1; i < len(all); i++ {
		if all[i].T == all[i-1].T {
			return nil, fmt.Errorf("twice at %s", time.UnixMilli(all[i].T).UTC())
		}
	}
	return all, nil
}

// query evaluates a node's expression at steps. Where that fails, each step
// is evaluated that does not, as in Prometheus.
func (r *run) query(ctx context.Context, n *node, steps []int64) (promql.Matrix, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	over := r.over
	if n.constant {
		over = r.constant
	}
	found, err := over(ctx, n, steps)
	failed, evaluation := errors.AsType[*EvaluationError](err)
	switch {
	case err == nil || !evaluation:
		return found, err
	case len(steps) == 1 || n.failure.Times >= maxFailures:
		for _, t := range steps {
			n.fail(t, failed)
		}
		return nil, nil
	}
	half := len(steps) / 2
	first, err := r.query(ctx, n, steps[:half])
	if err != nil {
		return nil, err
	}
	second, err := r.query(ctx, n, steps[half:])
	return joined(first, second), err
}

func (n *node) fail(t int64, err *EvaluationError) {
	n.failed[t] = true
	n.failure.Times++
	if n.failure.Times == 1 {
		n.failure.Group, n.failure.Rule, n.failure.First, n.failure.Err = n.group, n.title, time.UnixMilli(t), err
	}
}

// joined puts series of two times that follow each other together.
func joined(a, b promql.Matrix) promql.Matrix {
	at := map[string]int{}
	for i, s := range a {
		at[s.Metric.String()] = i
	}
	for _, s := range b {
		i, ok := at[s.Metric.String()]
		if !ok {
			a = append(a, s)
			continue
		}
		a[i].Floats = append(a[i].Floats, s.Floats...)
	}
	return a
}

// constant evaluates once what is the same at every step.
func (r *run) constant(ctx context.Context, n *node, steps []int64) (promql.Matrix, error) {
	if n.fixed == nil {
		found, err := r.over(ctx, n, steps[:1])
		if err != nil {
			return nil, err
		}
		n.fixed = found
	}
	out := make(promql.Matrix, len(n.fixed))
	for i, s := range n.fixed {
		out[i].Metric = s.Metric
		for _, t := range steps {
			out[i].Floats = append(out[i].Floats, promql.FPoint{T: t, F: s.Floats[0].F})
		}
	}
	return out, nil
}

// over returns what a node records, or its alerts' values, at steps.
func (r *run) over(ctx context.Context, n *node, steps []int64) (promql.Matrix, error) {
	from, to := time.UnixMilli(steps[0]), time.UnixMilli(steps[len(steps)-1])
	every := time.Duration(n.every) * time.Millisecond
	source := r.c.Source
	if !n.source {
		source = &Local{engine: r.engine, queryable: view{r.store, n}}
	}
	found, err := source.Range(ctx, n.expr, from, to, every)
	if err != nil {
		return nil, err
	}
	return n.label(found)
}

// hand gives what was recorded after a time to whoever wants it.
func (r *run) hand(n *node, after int64) {
	if !n.wanted || n.name == "" {
		return
	}
	r.record.Lock()
	defer r.record.Unlock()
	for _, c := range n.ordered {
		var out []promql.FPoint
		for i := c.after(after); i < len(c.ts); i++ {
			if !value.IsStaleNaN(c.vs[i]) {
				out = append(out, promql.FPoint{T: c.ts[i], F: c.vs[i]})
			}
		}
		if len(out) > 0 {
			r.c.Record(Series{Labels: c.labels, Points: out})
		}
	}
}
