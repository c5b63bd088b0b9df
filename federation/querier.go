package federation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/midwatch-slo/midwatch/federation/plan"
)

// queryable serves one query.
type queryable struct {
	federation *Federation
	scope      *scope
	parts      map[*labels.Matcher]*plan.Part // of a plan, if there is one
	members    []plan.Cluster                 // that it was made for
	lookback   time.Duration
}

var _ storage.Queryable = queryable{}

// Querier returns a querier over all clusters.
func (q queryable) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{queryable: q, mint: mint, maxt: maxt, fetches: map[string]*fetch{}}, nil
}

// querier sends each selector to all clusters at once, and does not wait for
// the answers before the next selector.
type querier struct {
	queryable
	mint, maxt int64

	running sync.WaitGroup
	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // of all that is fetched; nil before the first selector.
	stop    context.CancelCauseFunc
	fetches map[string]*fetch
	pieces  map[pieceKey]*piece
	closers []io.Closer
}

var (
	_ storage.Querier = (*querier)(nil)

	errNotServed = errors.New("federation does not serve label names and values")
)

// begin returns the context of all that is fetched. The caller holds the lock.
func (q *querier) begin(ctx context.Context) context.Context {
	if q.ctx == nil {
		q.ctx, q.stop = context.WithCancelCause(ctx)
	}
	return q.ctx
}

// fetch is the answer of all clusters to one selector.
type fetch struct {
	answers [][]storage.Series // sorted, by cluster, then by what is held here
	err     error

	combined bool
	series   []storage.Series
}

// Select returns the series of all clusters that match. Equal selectors over
// the same time are fetched once.
func (q *querier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	if len(ms) > 0 {
		if part, ok := q.parts[ms[0]]; ok {
			return q.selectPart(ctx, part)
		}
	}
	ms = narrow(ctx, ms) // what the engine selects by itself is bound as well
	mint, maxt := q.mint, q.maxt
	if hints != nil {
		mint, maxt = hints.Start, hints.End
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	ctx = q.begin(ctx)
	key := selectKey(mint, maxt, ms)
	f, ok := q.fetches[key]
	if !ok {
		f = &fetch{}
		q.fetches[key] = f
		q.running.Go(func() {
			if f.answers, f.err = q.gather(ctx, mint, maxt, ms); f.err != nil {
				q.stop(f.err) // nobody needs the rest
			}
		})
	}
	return &seriesSet{querier: q, fetch: f, at: -1}
}

func selectKey(mint, maxt int64, ms []*labels.Matcher) string {
	var b strings.Builder
	fmt.Fprint(&b, mint, " ", maxt)
	for _, m := range ms {
		fmt.Fprintf(&b, " %q%s%q", m.Name, m.Type, m.Value)
	}
	return b.String()
}

// gather fetches a selection from every cluster that can have series of it.
func (q *querier) gather(ctx context.Context, mint, maxt int64, ms []*labels.Matcher) ([][]storage.Series, error) {
	clusters, locals := q.federation.clusters, q.federation.config.Local
	answers := make([][]storage.Series, len(clusters)+len(locals))
	errs := make([]error, len(clusters))
	var running sync.WaitGroup
	for i, c := range clusters {
		send, ok := c.pick(ms)
		if !ok {
			continue
		}
		q.scope.ask(c)
		running.Go(func() {
			var merged int
			answers[i], merged, errs[i] = c.read(ctx, selection{mint: mint, maxt: maxt, matchers: send}, &q.scope.budget, q.scope.doubt)
			q.scope.merged(c.name, merged)
		})
	}
	for i, l := range locals {
		var err error
		if answers[len(clusters)+i], err = q.readLocal(ctx, l, mint, maxt, ms); err != nil {
			return nil, err
		}
	}
	running.Wait()
	if err := q.judge(ctx, errs); err != nil {
		return nil, err
	}
	return answers, nil
}

// settle waits for all that is fetched, and returns what ended it early. Only
// then it is known which clusters are missing from the answer, and those must
// be missing from all of it: half of what a cluster has makes wrong numbers.
func (q *querier) settle() error {
	q.running.Wait()
	if q.ctx.Err() != nil {
		return context.Cause(q.ctx)
	}
	return nil
}

// judge notes the clusters that did not answer, and returns an error when the
// query cannot go on without them.
func (q *querier) judge(ctx context.Context, errs []error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	failed, err := q.scope.missAll(q.federation.clusters, errs)
	if err != nil {
		return err
	}
	if failed && q.scope.failPartial {
		return q.scope.unavailable()
	}
	return nil
}

// combine merges the sorted answers of the clusters that are not missing.
func (q *querier) combine(answers [][]storage.Series) []storage.Series {
	for i, c := range q.federation.clusters {
		if q.scope.misses(c.name) {
			answers[i] = nil
		}
	}
	all := slices.Concat(answers...)
	compare := func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) }
	slices.SortStableFunc(all, compare)
	out := all[:0]
	for i, s := range all {
		if i > 0 && compare(out[len(out)-1], s) == 0 {
			last := len(out) - 1
			out[last] = chain(s.Labels(), []storage.Series{out[last], s})
			q.scope.merged("", 1)
			continue
		}
		out = append(out, s)
	}
	return out
}

// LabelValues is not served.
func (*querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errNotServed
}

// LabelNames is not served.
func (*querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errNotServed
}

// Close ends what is still being fetched and waits for it.
func (q *querier) Close() error {
	q.mu.Lock()
	stop := q.stop
	q.mu.Unlock()
	if stop != nil {
		stop(context.Canceled)
	}
	q.running.Wait()
	for _, c := range q.closers {
		_ = c.Close() // nothing was written
	}
	return nil
}

// seriesSet waits, when it is first read, for all that is fetched.
type seriesSet struct {
	querier *querier
	fetch   *fetch
	at      int
	err     error
}

var _ storage.SeriesSet = (*seriesSet)(nil)

// Next moves to the next series.
func (s *seriesSet) Next() bool {
	if s.at < 0 {
		if s.err = s.querier.settle(); s.err == nil && !s.fetch.combined {
			s.fetch.series, s.fetch.combined = s.querier.combine(s.fetch.answers), true
		}
	}
	s.at++
	return s.err == nil && s.at < len(s.fetch.series)
}

// At returns the current series.
func (s *seriesSet) At() storage.Series { return s.fetch.series[s.at] }

// Err returns what ended the set early.
func (s *seriesSet) Err() error { return s.err }

// Warnings returns nothing: what is missing is said once, of the whole query.
func (*seriesSet) Warnings() annotations.Annotations { return nil }
