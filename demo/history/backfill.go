package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
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
	reads  map[string]time.Duration // recorded names, and how far back it looks for each
}

// backfill records the past of rules: each recorded series as far back as
// some rule looks for it, at the interval of its own group.
type backfill struct {
	Config
	db     storage.Storage
	engine *promql.Engine
	rules  map[string][]*rule       // by recorded name
	back   map[string]time.Duration // how far back each name is read
}

// lookback is how long a sample stands for an instant.
const lookback = 5 * time.Minute

// chartStep is the distance of points that only people look at: no chart
// shows a gap between points that are nearer than the look-back.
const chartStep = 4 * time.Minute

func newBackfill(c Config, db storage.Storage) (*backfill, error) {
	b := &backfill{Config: c, db: db, engine: newEngine(), rules: map[string][]*rule{}, back: map[string]time.Duration{}}
	var all []*rule
	for _, g := range c.Groups {
		for _, r := range g.Rules {
			x := &rule{record: r.Record, expr: r.Expr, every: time.Duration(g.Interval), labels: map[string]string{}}
			maps.Copy(x.labels, g.Labels)
			maps.Copy(x.labels, r.Labels)
			if x.every == 0 {
				return nil, fmt.Errorf("backfill: group %s has no interval", g.Name)
			}
			all = append(all, x)
			if r.Record != "" {
				b.rules[r.Record] = append(b.rules[r.Record], x)
			}
		}
	}
	for _, r := range all {
		if err := b.findReads(r); err != nil {
			return nil, err
		}
	}
	for _, r := range all {
		for name, back := range r.reads {
			b.need(name, back)
		}
	}
	return b, nil
}

// findReads notes which recorded names a rule reads, and how far back.
func (b *backfill) findReads(r *rule) error {
	expr, err := newParser().ParseExpr(r.expr)
	if err != nil {
		return fmt.Errorf("backfill %s: %w", r.record, err)
	}
	r.reads = map[string]time.Duration{}
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		vs, ok := n.(*parser.VectorSelector)
		if !ok || b.rules[vs.Name] == nil {
			return nil
		}
		back := vs.OriginalOffset
		for _, p := range path {
			switch x := p.(type) {
			case *parser.MatrixSelector:
				back += x.Range
			case *parser.SubqueryExpr:
				back += x.Range + x.OriginalOffset
			}
		}
		r.reads[vs.Name] = max(r.reads[vs.Name], back)
		return nil
	})
	return nil
}

// need notes that a name is read that far back, and what follows for the
// names that it is made from.
func (b *backfill) need(name string, back time.Duration) {
	if back <= b.back[name] {
		return
	}
	b.back[name] = back
	for _, r := range b.rules[name] {
		for n, more := range r.reads {
			if n != name {
				b.need(n, back+more)
			}
		}
	}
}

// run records every name that is read over a range, those first that others
// are made from, and then the charts.
func (b *backfill) run(ctx context.Context) error {
	done := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(b.back)) {
		if err := b.record(ctx, name, done); err != nil {
			return err
		}
	}
	return nil
}

func (b *backfill) record(ctx context.Context, name string, done map[string]bool) error {
	if done[name] {
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
		if err := b.evaluate(ctx, r, b.back[name]+lookback, r.every); err != nil {
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
		lb.Set(labels.MetricName, r.record)
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
