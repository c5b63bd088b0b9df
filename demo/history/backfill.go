package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// rule is a recording rule with what its group adds.
type rule struct {
	record string
	expr   string
	every  time.Duration
	labels map[string]string
	reads  map[string]read // by recorded name
}

// read is how a rule reads a recorded series.
type read struct {
	back  time.Duration // how far
	dense bool          // every sample counts, not just the last one
}

// backfill records the past of rules: each recorded series as far back as
// somebody looks.
type backfill struct {
	Config
	db     storage.Storage
	engine *promql.Engine
	rules  map[string][]*rule // by recorded name
	all    []*rule
	need   map[string]read // of each name
}

// lookback is how long a sample stands for an instant.
const lookback = 5 * time.Minute

// sparse is the distance of samples of which only the last one counts: below
// the look-back, so that there is always one.
const sparse = 4 * time.Minute

func newBackfill(c Config, db storage.Storage, groups []rulefmt.RuleGroup) (*backfill, error) {
	b := &backfill{Config: c, db: db, engine: newEngine(), rules: map[string][]*rule{}, need: map[string]read{}}
	for _, g := range groups {
		if g.Interval == 0 {
			return nil, fmt.Errorf("backfill: group %s has no interval", g.Name)
		}
		for _, r := range g.Rules {
			x := &rule{record: r.Record, expr: r.Expr, every: time.Duration(g.Interval), labels: map[string]string{}, reads: map[string]read{}}
			maps.Copy(x.labels, g.Labels)
			maps.Copy(x.labels, r.Labels)
			b.all = append(b.all, x)
			if r.Record != "" {
				b.rules[r.Record] = append(b.rules[r.Record], x)
			}
		}
	}
	for _, r := range b.all {
		if err := b.findReads(r); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// findReads notes which recorded names a rule reads, and how.
func (b *backfill) findReads(r *rule) error {
	expr, err := newParser().ParseExpr(r.expr)
	if err != nil {
		return fmt.Errorf("backfill %s: %w", r.record, err)
	}
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		vs, ok := n.(*parser.VectorSelector)
		if !ok || b.rules[vs.Name] == nil {
			return nil
		}
		at := read{back: vs.OriginalOffset}
		for i, p := range path {
			switch x := p.(type) {
			case *parser.MatrixSelector:
				at.back += x.Range
				at.dense = i == 0 || !isLast(path[i-1])
			case *parser.SubqueryExpr:
				at.back += x.Range + x.OriginalOffset
			}
		}
		r.reads[vs.Name] = r.reads[vs.Name].and(at)
		return nil
	})
	return nil
}

func isLast(n parser.Node) bool {
	call, ok := n.(*parser.Call)
	return ok && call.Func.Name == "last_over_time"
}

// and returns what serves both.
func (r read) and(o read) read {
	return read{back: max(r.back, o.back), dense: r.dense || o.dense}
}

// needs notes that a name is read, and what follows for the names that it is
// made from.
func (b *backfill) needs(name string, how read) {
	old, known := b.need[name]
	now := old.and(how)
	if known && now == old {
		return
	}
	b.need[name] = now
	for _, r := range b.rules[name] {
		for n, more := range r.reads {
			if n != name {
				b.needs(n, read{back: now.back + more.back, dense: more.dense})
			}
		}
	}
}

// past records everything that is read: by other rules, now or when they were
// evaluated in the past, and by people who look at charts.
func (b *backfill) past(ctx context.Context, charts []string, over time.Duration) error {
	for _, r := range b.all {
		if r.record != "" {
			b.needs(r.record, read{})
		}
		for name, how := range r.reads {
			b.needs(name, how)
		}
	}
	for _, name := range charts {
		if b.rules[name] == nil {
			return fmt.Errorf("backfill: no rule records %s", name)
		}
		b.needs(name, read{back: over})
	}
	return b.run(ctx)
}

// present records what is read now and not recorded by others.
func (b *backfill) present(ctx context.Context, others *backfill) error {
	for _, r := range b.all {
		for name, how := range r.reads {
			if others.rules[name] == nil {
				b.need[name] = b.need[name].and(how)
			}
		}
	}
	return b.run(ctx)
}

// run records every name that is needed, those first that others are made
// from.
func (b *backfill) run(ctx context.Context) error {
	done := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(b.need)) {
		if err := b.record(ctx, name, done); err != nil {
			return err
		}
	}
	return nil
}

func (b *backfill) record(ctx context.Context, name string, done map[string]bool) error {
	how, needed := b.need[name]
	if done[name] || !needed {
		return nil
	}
	done[name] = true
	for _, r := range b.rules[name] {
		for _, n := range slices.Sorted(maps.Keys(r.reads)) {
			if err := b.record(ctx, n, done); err != nil {
				return err
			}
		}
	}
	for _, r := range b.rules[name] {
		step := sparse
		if how.dense {
			step = r.every
		}
		if err := b.evaluate(ctx, r, how.back+lookback, step); err != nil {
			return fmt.Errorf("backfill %s: %w", name, err)
		}
		if how.dense {
			continue // one sample more would count as another span
		}
		if err := b.last(ctx, r); err != nil {
			return fmt.Errorf("backfill %s: %w", name, err)
		}
	}
	return nil
}

// chunk bounds the points that one evaluation holds in memory.
const chunk = 20_000

// evaluate records a rule's result on the multiples of step in the time back
// from the end.
func (b *backfill) evaluate(ctx context.Context, r *rule, back, step time.Duration) error {
	from := b.End.Add(-back)
	if begin := b.begin(); from.Before(begin) {
		from = begin
	}
	from = from.Add(step - 1).Truncate(step)
	for from.Before(b.End) {
		to := from.Add(chunk * step)
		if last := b.End.Add(-1).Truncate(step); to.After(last) {
			to = last
		}
		m, err := b.query(ctx, r.expr, from, to, step)
		if err != nil {
			return err
		}
		if err := b.write(ctx, r, m); err != nil {
			return err
		}
		from = to.Add(step)
	}
	return nil
}

// last records a rule's result at the end: a server's first evaluation may be
// later than Prometheus looks back for the one before.
func (b *backfill) last(ctx context.Context, r *rule) error {
	at := b.End.Add(-time.Second)
	m, err := b.query(ctx, r.expr, at, at, time.Second)
	if err != nil {
		return err
	}
	return b.write(ctx, r, m)
}

func (b *backfill) query(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	q, err := b.engine.NewRangeQuery(ctx, b.db, nil, expr, from, to, step)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, res.Err
	}
	m, err := res.Matrix()
	if err != nil {
		return nil, err
	}
	out := make(promql.Matrix, 0, len(m)) // the engine takes its points back on Close
	for _, s := range m {
		out = append(out, promql.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats)})
	}
	return out, nil
}

func (b *backfill) write(ctx context.Context, r *rule, m promql.Matrix) error {
	app := b.db.Appender(ctx)
	for _, s := range m {
		lb := labels.NewBuilder(s.Metric)
		for k, v := range r.labels {
			lb.Set(k, v)
		}
		lb.Set(model.MetricNameLabel, r.record)
		ls := lb.Labels()
		var ref storage.SeriesRef
		var err error
		for _, p := range s.Floats {
			if ref, err = app.Append(ref, ls, p.T, p.F); err != nil {
				return fmt.Errorf("append %s: %w", ls, err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
