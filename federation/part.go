package federation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/midwatch-slo/midwatch/federation/answer"
	"github.com/midwatch-slo/midwatch/federation/plan"
)

// partsOf returns the parts of a plan by the matcher that tells their
// selectors.
func partsOf(p *plan.Plan) map[*labels.Matcher]*plan.Part {
	if p == nil {
		return nil
	}
	out := make(map[*labels.Matcher]*plan.Part, len(p.Parts))
	for i := range p.Parts {
		out[p.Parts[i].Selector.LabelMatchers[0]] = &p.Parts[i]
	}
	return out
}

// pieceKey tells what a cluster is asked; what is the same is asked once.
type pieceKey struct {
	cluster int
	window  plan.Window
	text    string
	labels  string
	keep    string
	grouped bool
	sums    bool
}

// piece is what one cluster answers to one query of a part.
type piece struct {
	query   *plan.Query
	cluster string
	instant bool
	answer  *answer.Answer // set once the querier has settled
}

// selectPart returns the series of a part. All clusters are asked at once, and
// not waited for.
func (q *querier) selectPart(ctx context.Context, part *plan.Part) storage.SeriesSet {
	q.mu.Lock()
	defer q.mu.Unlock()
	ctx = q.begin(ctx)
	set := &partSet{querier: q, part: part, at: -1, pieces: make([]*piece, len(part.Queries))}
	for i := range part.Queries {
		set.pieces[i] = q.ask(ctx, part, &part.Queries[i])
	}
	return set
}

// ask puts a query of a part to its cluster, unless the same was already put.
// The caller holds the lock.
func (q *querier) ask(ctx context.Context, part *plan.Part, one *plan.Query) *piece {
	w, grouped := part.Window, part.Quantile != nil
	given := labels.FromMap(one.Labels)
	key := pieceKey{cluster: one.Cluster, window: w, text: one.Text, labels: given.String(), grouped: grouped, sums: one.Sums}
	if one.Projected {
		key.keep = strconv.Quote(strings.Join(one.Keep, "\xff")) // of all labels it is empty
	}
	if p, ok := q.pieces[key]; ok {
		return p
	}
	p := &piece{query: one, cluster: q.federation.nameOf(one.Cluster), instant: w.Start == w.End}
	if q.pieces == nil {
		q.pieces = map[pieceKey]*piece{}
	}
	q.pieces[key] = p
	q.running.Go(func() {
		var err error
		if p.answer, err = q.evaluate(ctx, evaluation{query: one, window: w, labels: given, grouped: grouped}); err != nil {
			q.stop(err) // nobody needs the rest
		}
	})
	return p
}

// evaluate returns what a cluster answers. An error is one that the query
// cannot go on with.
func (q *querier) evaluate(ctx context.Context, e evaluation) (*answer.Answer, error) {
	f, member := q.federation, e.query.Cluster
	if member >= len(f.clusters) {
		return q.evaluateLocal(ctx, f.config.Local[member-len(f.clusters)], e.query, e.window, e.labels)
	}
	c := f.clusters[member]
	q.scope.ask(c)
	at := q.members[member]
	e.lookback, e.pushes, e.absent, e.scope = q.lookback, at.Pushes, at.Absent, q.scope
	a, err := c.evaluate(ctx, e)
	var unheld unheldError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, &unheld):
		return nil, unheld
	case errors.Is(err, errTooMuch):
		return nil, promql.ErrTooManySamples("query execution")
	case err == nil && a.Partial:
		err = brokenError("it says itself that data is missing")
	}
	if err == nil {
		var warned bool
		if a.Warnings, warned = ofServers(a.Warnings); warned {
			q.scope.doubt(c.name, itsOwnWarnings)
		}
		return a, nil
	}
	q.scope.miss(c, err)
	if q.scope.failPartial {
		return nil, q.scope.unavailable()
	}
	return &answer.Answer{}, nil
}

// partSet is the series of a part, those of all clusters.
type partSet struct {
	querier *querier
	part    *plan.Part
	pieces  []*piece
	series  []*answer.Series
	at      int
	notes   annotations.Annotations
	err     error
}

var _ storage.SeriesSet = (*partSet)(nil)

// Next moves to the next series.
func (s *partSet) Next() bool {
	if s.at < 0 {
		s.err = s.settle()
	}
	s.at++
	return s.err == nil && s.at < len(s.series)
}

// settle takes the answers of the clusters that are not missing.
func (s *partSet) settle() error {
	if err := s.querier.settle(); err != nil {
		return err
	}
	there := make([]*piece, 0, len(s.pieces))
	for _, p := range s.pieces {
		if !s.querier.scope.misses(p.cluster) {
			there = append(there, p)
		}
	}
	var err error
	if s.notes, err = placed(there, s.querier.federation.parser); err != nil {
		return err
	}
	s.querier.scope.tellForced(s.notes)
	if s.part.Quantile != nil {
		s.series, err = s.quantile(there)
		return err
	}
	var odd *piece
	if s.series, odd = inOrder(there); odd != nil {
		return unheldError{why: Unclean, cluster: odd.cluster, text: odd.query.Text}
	}
	return nil
}

// quantile returns what a part that is a quantile stands for.
func (s *partSet) quantile(of []*piece) ([]*answer.Series, error) {
	g := gridOf(s.part.Window)
	answers := make([]*answer.Answer, len(of))
	for i, p := range of {
		answers[i] = p.answer
	}
	var keep []string
	if len(of) > 0 {
		keep = of[0].query.Keep
	}
	series, err := answer.Quantile(s.querier.ctx, *s.part.Quantile, &g, keep, answers)
	if err != nil {
		return nil, context.Cause(s.querier.ctx)
	}
	return series, nil
}

// At returns the current series.
func (s *partSet) At() storage.Series { return s.series[s.at] }

// Err returns what ended the set early.
func (s *partSet) Err() error { return s.err }

// Warnings returns what the clusters noted, placed where the user wrote what
// it is about.
func (s *partSet) Warnings() annotations.Annotations { return s.notes }

// maxUnsorted is how many series are put in order that did not come in order.
const maxUnsorted = 4096

// inOrder returns the series of all clusters in order of their labels, as a
// Prometheus that read them from a block would have them: of equal values,
// topk takes the first. Answers come in order unless the query asks for
// another; then many of them are left as they are. It also returns an answer,
// if there is one, that has a series twice, which none should.
func inOrder(pieces []*piece) ([]*answer.Series, *piece) {
	total, sorted := 0, true
	for _, p := range pieces {
		total += len(p.answer.Series)
	}
	out := make([]*answer.Series, 0, total)
	for _, p := range pieces {
		ordered, twice := order(p.answer.Series)
		if twice && !p.query.Projected {
			return nil, p
		}
		sorted = sorted && ordered
		out = append(out, p.answer.Series...)
	}
	if sorted && len(pieces) > 1 {
		return merged(pieces, out), nil
	}
	if !sorted && total <= maxUnsorted {
		slices.SortStableFunc(out, byLabels)
	}
	return out, nil
}

// order tells whether series are in order of their labels and, as far as they
// are, whether there are two with the same.
func order(series []*answer.Series) (sorted, twice bool) {
	for i := 1; i < len(series); i++ {
		switch c := byLabels(series[i-1], series[i]); {
		case c > 0:
			return false, twice
		case c == 0:
			twice = true
		}
	}
	return true, twice
}

// merged puts the series of all clusters, of which each has its own in order,
// in order; it uses the memory of out.
func merged(pieces []*piece, out []*answer.Series) []*answer.Series {
	out = out[:0]
	next := make([]int, len(pieces))
	for range cap(out) {
		best := -1
		for k, p := range pieces {
			if next[k] < len(p.answer.Series) && (best < 0 || byLabels(p.answer.Series[next[k]], pieces[best].answer.Series[next[best]]) < 0) {
				best = k
			}
		}
		if best < 0 {
			break
		}
		out = append(out, pieces[best].answer.Series[next[best]])
		next[best]++
	}
	return out
}

func byLabels(a, b *answer.Series) int { return labels.Compare(a.Labels(), b.Labels()) }

// gridOf returns the steps of a window.
func gridOf(w plan.Window) answer.Grid {
	g := answer.Grid{Start: w.Start, Step: w.Step, Steps: 1}
	if w.Step > 0 {
		g.Steps = int((w.End-w.Start)/w.Step) + 1
	}
	return g
}

// fixedMembers returns what planning must know of the clusters, and of what is
// held here, after them, and what does not change.
func fixedMembers(clusters []*cluster, locals []Local) []plan.Cluster {
	out := make([]plan.Cluster, 0, len(clusters)+len(locals))
	known := map[string]bool{}
	for _, c := range clusters {
		for name := range c.external {
			known[name] = true
		}
		maps.Copy(known, c.dropped)
		out = append(out, plan.Cluster{Name: c.name, Labels: c.external, Dropped: slices.Sorted(maps.Keys(c.dropped))})
	}
	for _, l := range locals {
		out = append(out, plan.Cluster{Name: l.Name, Dropped: slices.Sorted(maps.Keys(known)), Pushes: plan.PushAll})
	}
	return out
}

// members returns what planning must know now.
func (f *Federation) members() []plan.Cluster {
	out := slices.Clone(f.fixed)
	for i, c := range f.clusters {
		out[i].Pushes = c.assumed()
		out[i].Absent, out[i].Unclean = c.strays()
	}
	return out
}

func (f *Federation) nameOf(member int) string {
	if member < len(f.clusters) {
		return f.clusters[member].name
	}
	return f.config.Local[member-len(f.clusters)].Name
}

// sinceEpoch writes a time in a way that no server rounds.
func sinceEpoch(ms int64) string {
	t := time.UnixMilli(ms).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return formatSeconds(ms)
	}
	return t.Format("2006-01-02T15:04:05.000Z07:00")
}
