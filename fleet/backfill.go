package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

const (
	fillStep  = 5 * time.Minute // between samples: no longer than a query looks back
	fillChunk = 6 * time.Hour   // that is computed at once
	// lateWindow is how late a sample may come into the part of the database
	// that is not on disk yet.
	lateWindow = 2 * fillChunk

	fillPause   = 200 * time.Millisecond // between questions, for the clusters' sake
	fillTimeout = time.Minute            // of a question
	fillRetry   = time.Minute
	fillLog     = 30 * time.Second
)

// errIncomplete says that a cluster was missing from what would be backfilled.
var errIncomplete = errors.New("data is missing")

// fill backfills until ctx ends: what the SLOs recorded before they were the
// fleet's, and what was not recorded while Midwatch or clusters were away.
func (f *Fleet) fill(ctx context.Context) {
	for {
		again := time.Duration(math.MaxInt64)
		if err := f.fillAll(ctx); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "history of the fleet is not complete yet", "again_in", fillRetry, "err", err)
			again = fillRetry
		}
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-f.filler.due:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// fillAll backfills all that there is to.
func (f *Fleet) fillAll(ctx context.Context) error {
	p := f.program.Load()
	if len(p.groups) == 0 {
		return nil
	}
	if err := f.fillGap(ctx, p); err != nil {
		return err
	}
	return f.fillFresh(ctx, p)
}

// fillGap backfills the time for which SLOs whose history was complete may
// lack samples.
func (f *Fleet) fillGap(ctx context.Context, p *program) error {
	known := f.filler.known(p.slos)
	gap := f.filler.begin()
	if gap.IsZero() {
		return nil
	}
	if now := time.Now(); len(known) > 0 && now.Sub(gap) > fillStep {
		// From before the gap: which clusters had samples then tells holes.
		start := maxTime(gap.Add(-2*fillStep), now.Add(-f.c.Retention))
		if err := f.fillRange(ctx, p, known, start, now, map[string]bool{}, nil); err != nil {
			return err
		}
	}
	return f.filler.change(func(d *filled) { d.Filling = 0 })
}

// fillFresh backfills the SLOs that have no history yet.
func (f *Fleet) fillFresh(ctx context.Context, p *program) error {
	known := f.filler.known(p.slos)
	fresh := slices.DeleteFunc(slices.Clone(p.slos), func(s string) bool { return slices.Contains(known, s) })
	if len(fresh) == 0 {
		return nil
	}
	end := time.Now()
	start, seen := end.Add(-f.c.Retention), map[string]bool{}
	if until, had, again := f.filler.doing(fresh); again {
		start, seen = maxTime(start, until.Add(fillStep)), had
	}
	err := f.fillRange(ctx, p, fresh, start, end, seen, func(until time.Time) error {
		return f.filler.change(func(d *filled) {
			d.Doing, d.Until, d.Seen = fresh, until.UnixMilli(), slices.Sorted(maps.Keys(seen))
		})
	})
	if err != nil {
		return err
	}
	return f.filler.change(func(d *filled) {
		d.SLOs = slices.Sorted(slices.Values(slices.Concat(known, fresh)))
		d.Doing, d.Until, d.Seen = nil, 0, nil
	})
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// fillRange backfills SLOs from start to end, the oldest first. The clusters
// that had samples before are seen; those that have come to it.
func (f *Fleet) fillRange(ctx context.Context, p *program, slos []string, start, end time.Time, seen map[string]bool, progress func(time.Time) error) error {
	f.log.InfoContext(ctx, "backfill of the fleet begins", "slos", len(slos), "from", start.UTC(), "to", end.UTC())
	began, logged, samples := time.Now(), time.Now(), 0
	j := &fillJob{fleet: f, program: p, slos: slos, seen: seen}
	defer f.metrics.fillUntil.Set(0)
	for at := start.Truncate(fillStep); at.Before(end); at = at.Truncate(fillChunk).Add(fillChunk) {
		last := at.Truncate(fillChunk).Add(fillChunk - fillStep)
		if last.After(end) {
			last = end.Truncate(fillStep)
		}
		f.metrics.fillUntil.Set(end.Sub(at).Seconds())
		n, err := j.chunk(ctx, at, last)
		if err != nil {
			return fmt.Errorf("backfill from %s: %w", at.UTC().Format(time.RFC3339), err)
		}
		samples += n
		if progress != nil {
			if err := progress(last); err != nil {
				return err
			}
		}
		if time.Since(logged) > fillLog {
			logged = time.Now()
			f.log.InfoContext(ctx, "backfill of the fleet goes on", "at", last.UTC(), "to", end.UTC(), "samples", samples)
		}
	}
	f.log.InfoContext(ctx, "backfill of the fleet is done", "slos", len(slos), "samples", samples, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// fillJob is one backfill.
type fillJob struct {
	fleet   *Fleet
	program *program
	slos    []string
	seen    map[string]bool // clusters that had samples already: where they have none, there is a hole
}

// chunk backfills from start to end, both included, and returns how many
// samples that gave.
func (j *fillJob) chunk(ctx context.Context, start, end time.Time) (int, error) {
	foreign, err := j.fetch(ctx, start, end)
	if err != nil || len(foreign) == 0 {
		return 0, err
	}
	made, err := j.evaluate(ctx, foreign, start, end)
	if err != nil {
		return 0, err
	}
	n, err := j.fleet.keep(ctx, made, start, end)
	j.fleet.metrics.filled.Add(float64(n))
	return n, err
}

// fetch reads what the rules read of the clusters. Of the steps at which a
// cluster has a hole nothing is returned.
func (j *fillJob) fetch(ctx context.Context, start, end time.Time) ([]promql.Series, error) {
	var reads []*parser.VectorSelector
	for _, g := range j.program.groups {
		reads = append(reads, j.program.reads[g.Name]...)
	}
	var all []promql.Series
	for _, ask := range combined(reads, ofSLOs(j.slos)) {
		if err := pause(ctx, fillPause); err != nil {
			return nil, err
		}
		m, err := j.ask(ctx, ask, start, end)
		if err != nil {
			return nil, err
		}
		all = append(all, m...)
	}
	holes := j.holes(all, start, end)
	out := all[:0]
	for _, s := range all {
		s.Floats = slices.DeleteFunc(s.Floats, func(p promql.FPoint) bool { return holes[p.T] })
		if len(s.Floats) > 0 {
			s.Floats = ended(s.Floats, fillStep.Milliseconds(), end.UnixMilli())
			out = append(out, s)
		}
	}
	return out, nil
}

func (j *fillJob) ask(ctx context.Context, query string, start, end time.Time) (promql.Matrix, error) {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	m, lack, err := j.fleet.c.Clusters.Range(ctx, query, start, end, fillStep)
	j.fleet.metrics.queries.WithLabelValues("backfill").Inc()
	if missing := lack.all(); err == nil && len(missing) > 0 {
		err = fmt.Errorf("%w: %s", errIncomplete, missing)
	}
	return m, err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// holes returns the steps at which a cluster has nothing that had something
// before.
func (j *fillJob) holes(all []promql.Series, start, end time.Time) map[int64]bool {
	members := j.fleet.c.Members()
	there := map[string]map[int64]bool{}
	for _, s := range all {
		name := memberOf(members, s.Metric)
		if there[name] == nil {
			there[name] = map[int64]bool{}
		}
		for _, p := range s.Floats {
			there[name][p.T] = true
		}
	}
	out := map[int64]bool{}
	for _, m := range members {
		for t := start; !t.After(end); t = t.Add(fillStep) {
			switch has := there[m.Name][t.UnixMilli()]; {
			case has:
				j.seen[m.Name] = true
			case j.seen[m.Name]:
				out[t.UnixMilli()] = true
			}
		}
	}
	return out
}

// evaluate returns what the recording rules give at each step.
func (j *fillJob) evaluate(ctx context.Context, foreign []promql.Series, start, end time.Time) ([]promql.Series, error) {
	var made []promql.Series
	bySLO := map[string][]promql.Series{}
	beside := func(ms []*labels.Matcher, _, _ int64) (out []promql.Series, _ Missing) {
		candidates := made
		if i := slices.IndexFunc(ms, func(m *labels.Matcher) bool { return m.Name == "slo" && m.Type == labels.MatchEqual && m.Value != "" }); i >= 0 {
			candidates = bySLO[ms[i].Value]
		}
		for _, s := range candidates {
			if matches(s.Metric, ms) {
				out = append(out, s)
			}
		}
		return out, nil
	}
	for _, g := range j.program.groups {
		for i, r := range g.Rules {
			if r.Record == "" {
				continue
			}
			v := &view{db: nothing{}, program: j.program, foreign: foreign, beside: beside}
			m, err := j.fleet.rangeOf(ctx, v, j.program.exprs[g.Name][i], start, end)
			if err != nil {
				return nil, fmt.Errorf("rule %s: %w", r.Record, err)
			}
			set := labels.FromMap(r.Labels)
			for _, s := range m {
				s.Metric = recorded(s.Metric, r.Record, set)
				s.Floats = ended(s.Floats, fillStep.Milliseconds(), end.UnixMilli())
				made = append(made, s)
				bySLO[s.Metric.Get("slo")] = append(bySLO[s.Metric.Get("slo")], s)
			}
		}
	}
	out := make([]promql.Series, 0, len(made))
	for _, s := range made {
		if len(s.Floats) > 0 && slices.Contains(j.slos, s.Metric.Get("slo")) {
			out = append(out, s)
		}
	}
	return out, nil
}

// rangeOf evaluates an expression at each step.
func (f *Fleet) rangeOf(ctx context.Context, v storage.Queryable, e parser.Expr, start, end time.Time) (promql.Matrix, error) {
	q, err := f.engine.NewRangeQuery(ctx, v, nil, e.String(), start, end, fillStep)
	if err != nil {
		return nil, err
	}
	// The query is not closed: that would take back the points of the answer.
	return q.Exec(ctx).Matrix()
}

// nothing is a database without series.
type nothing struct{}

// Querier implements storage.Queryable.
func (nothing) Querier(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil }

// recordedAt returns when each series has samples.
func (f *Fleet) recordedAt(ctx context.Context, start, end time.Time) (map[uint64][]int64, error) {
	q, err := f.db.Querier(start.UnixMilli(), end.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer q.Close()
	out := map[uint64][]int64{}
	set := q.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchNotEqual, "slo", ""))
	for set.Next() {
		s := set.At()
		h := s.Labels().Hash()
		it := s.Iterator(nil)
		for it.Next() != 0 {
			if t, v := it.At(); !value.IsStaleNaN(v) {
				out[h] = append(out[h], t)
			}
		}
	}
	return out, set.Err()
}

// missed returns the points that are not near one that is recorded.
func missed(points []promql.FPoint, at []int64) []promql.FPoint {
	step := fillStep.Milliseconds()
	var out []promql.FPoint
	for _, p := range points {
		i, _ := slices.BinarySearch(at, p.T-step+1)
		if value.IsStaleNaN(p.F) || i < len(at) && at[i] < p.T+step {
			continue
		}
		out = append(out, p)
	}
	return out
}

// keep writes what is not recorded yet: what is old as a block of its own, the
// rest as samples that come late.
func (f *Fleet) keep(ctx context.Context, made []promql.Series, start, end time.Time) (int, error) {
	recorded, err := f.recordedAt(ctx, start.Add(-fillStep), end.Add(fillStep))
	if err != nil {
		return 0, err
	}
	edge := time.Now().Add(-lateWindow / 2).UnixMilli()
	old, late := map[int]promql.Series{}, map[int]promql.Series{}
	n := 0
	for i, s := range made {
		points := missed(s.Floats, recorded[s.Metric.Hash()])
		cut, _ := slices.BinarySearchFunc(points, edge, func(p promql.FPoint, at int64) int { return int(min(1, max(-1, p.T-at))) })
		if cut > 0 {
			old[i] = promql.Series{Metric: s.Metric, Floats: points[:cut]}
		}
		if cut < len(points) {
			late[i] = promql.Series{Metric: s.Metric, Floats: points[cut:]}
		}
		n += len(points)
	}
	if err := f.writeBlock(ctx, old); err != nil {
		return 0, err
	}
	return n, write(f.db.Appender(ctx), late)
}

// known tells whether a sample is refused since there is one already.
func known(err error) bool {
	return errors.Is(err, storage.ErrOutOfOrderSample) || errors.Is(err, storage.ErrDuplicateSampleForTimestamp) || errors.Is(err, storage.ErrTooOldSample)
}

func write(app storage.Appender, series map[int]promql.Series) error {
	for _, i := range slices.Sorted(maps.Keys(series)) {
		var ref storage.SeriesRef
		for _, p := range series[i].Floats {
			next, err := app.Append(ref, series[i].Metric, p.T, p.F)
			if err == nil {
				ref = next
			} else if !known(err) {
				return errors.Join(fmt.Errorf("keep %s: %w", series[i].Metric, err), app.Rollback())
			}
		}
	}
	return app.Commit()
}
