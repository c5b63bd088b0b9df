package federation

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/midwatch-slo/midwatch/federation/plan"
)

// Run says how a query was answered.
type Run string

// How queries are answered. Those that are not Planned are evaluated here over
// raw samples; the others say why.
const (
	Planned    Run = "planned"    // parts of it in the clusters
	Nothing    Run = "nothing"    // no part of it can be evaluated in the clusters
	Forced     Run = "forced"     // it was asked for
	Remembered Run = "remembered" // a part did not hold a short while ago
	Holes      Run = "holes"      // no replica of some cluster has all samples
	Histograms Run = "histograms" // an answer has native histograms
	Unclean    Run = "labels"     // a series has a label that is known of its cluster
	Overflow   Run = "overflow"   // a sum is infinite, or nearly
	Times      Run = "times"      // an answer is not for the times asked for
	Annotated  Run = "annotated"  // a cluster warned, or noted what cannot be placed
	Refused    Run = "refused"    // a cluster does not evaluate what it was sent
	Failed     Run = "failed"     // it is an error, which is told as one Prometheus would
)

// sameLabels is an error of evaluation that names nothing.
const sameLabels = "vector cannot contain metrics with the same labelset"

// unheldError says why a plan does not hold: the query runs without.
type unheldError struct {
	why           Run
	cluster, text string // what did not hold; empty text: nothing to remember
}

// Error says why.
func (e unheldError) Error() string { return "the plan does not hold: " + string(e.why) }

// asked is what a query asks.
type asked struct {
	text       string
	expr       parser.Expr
	opts       promql.QueryOpts
	start, end time.Time
	step       time.Duration
	instant    bool
}

// window returns when it is evaluated, and false for times that the
// engine does not see in the same way.
func (q *asked) window() (plan.Window, bool) {
	w := plan.Window{Start: timestamp.FromTime(q.start), End: timestamp.FromTime(q.end), Step: q.step.Milliseconds()}
	exact := w.Start == q.start.UnixNano()/1e6 && w.End == q.end.UnixNano()/1e6 && (q.instant || w.Step > 0)
	return w, exact
}

// sendable tells whether clusters can be asked for a lookback: they are told
// milliseconds, and take 0 for their own.
func sendable(lookback time.Duration) bool {
	return lookback >= time.Millisecond && lookback%time.Millisecond == 0
}

// lookback returns how old a sample may be, given what is configured.
func (q *asked) lookback(configured time.Duration) time.Duration {
	if q.opts != nil && q.opts.LookbackDelta() > 0 {
		return q.opts.LookbackDelta()
	}
	return configured
}

// query is a query of the engine over all clusters, planned if that can be.
// Its result says what is missing from it.
type query struct {
	asked
	federation  *Federation
	failPartial bool
	plan        *plan.Plan // nil: it runs without
	members     []plan.Cluster
	run         Run

	mu    sync.Mutex
	inner promql.Query
	scope *scope
}

var _ promql.Query = (*query)(nil)

// RunOf tells how a query of a Federation was answered, once it was executed;
// it is "" of any other.
func RunOf(q promql.Query) Run {
	if own, ok := q.(*query); ok {
		return own.run
	}
	return ""
}

func (f *Federation) newQuery(ctx context.Context, what asked) (promql.Query, error) {
	var err error
	if what.expr, err = f.parser.ParseExpr(what.text); err != nil {
		return nil, err
	}
	what.resolve(f.parser)
	q := &query{asked: what, federation: f, failPartial: failsPartial(ctx)}
	enforce(ctx, q.expr)
	q.members = f.aboutLocals(ctx, q.expr, f.members())
	q.plan, q.run = f.plan(ctx, &q.asked, q.members)
	if err := q.open(ctx); err != nil {
		return nil, err
	}
	return q, nil
}

// plan returns a plan for what is asked, or nil and why there is none.
func (f *Federation) plan(ctx context.Context, q *asked, members []plan.Cluster) (*plan.Plan, Run) {
	w, exact := q.window()
	switch {
	case unplanned(ctx):
		return nil, Forced
	case !exact, !sendable(q.lookback(f.config.LookbackDelta)):
		return nil, Nothing
	case f.memory.knows("", q.text, time.Now()):
		return nil, Remembered
	}
	p, err := plan.New(q.expr, members, w, plan.Options{Lookback: q.lookback(f.config.LookbackDelta), SubqueryStep: subqueryStep})
	if err != nil || len(p.Parts) == 0 {
		return nil, Nothing
	}
	if run := f.doubt(p); run != Planned {
		return nil, run
	}
	return p, Planned
}

// doubt returns why a plan will not hold, or Planned.
func (f *Federation) doubt(p *plan.Plan) Run {
	now := time.Now()
	for i := range p.Parts {
		for k := range p.Parts[i].Queries {
			one := &p.Parts[i].Queries[k]
			if f.memory.knows(f.nameOf(one.Cluster), one.Text, now) {
				return Remembered
			}
			if one.Cluster >= len(f.clusters) {
				continue
			}
			if _, whole := f.clusters[one.Cluster].whole(one.Mint, one.Maxt); !whole {
				return Holes
			}
		}
	}
	return Planned
}

// open makes the engine's query, of the plan if there is one.
func (q *query) open(ctx context.Context) error {
	f, expr := q.federation, q.expr
	if q.plan != nil {
		expr = q.plan.Expr
	}
	s := newScope(ctx, f.config.MaxBytes)
	s.failPartial, s.maxSamples = q.failPartial, int64(f.config.MaxSamples)
	able := queryable{federation: f, scope: s, parts: partsOf(q.plan), members: q.members, lookback: q.lookback(f.config.LookbackDelta)}
	token := f.trees.keep(expr)
	defer f.trees.drop(token)
	var inner promql.Query
	var err error
	if q.instant {
		inner, err = f.engine.NewInstantQuery(ctx, able, q.opts, token, q.start)
	} else {
		inner, err = f.engine.NewRangeQuery(ctx, able, q.opts, token, q.start, q.end, q.step)
	}
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inner, q.scope = inner, s
	return nil
}

func (q *query) current() (promql.Query, *scope) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inner, q.scope
}

// Exec runs the query, and once more without a plan when that does not hold.
func (q *query) Exec(ctx context.Context) *promql.Result {
	ctx, cancel := context.WithTimeout(ctx, q.federation.config.QueryTimeout)
	defer cancel()
	inner, s := q.current()
	res := inner.Exec(ctx)
	if q.plan != nil {
		q.run = q.verdict(ctx, res, s)
	}
	q.federation.runs.note(q.run)
	if q.plan != nil && q.run != Planned {
		inner.Close()
		q.plan = nil
		if err := q.open(ctx); err != nil {
			return &promql.Result{Err: endOfTime(err)}
		}
		before := s
		inner, s = q.current()
		s.warnedAs(before)
		res = inner.Exec(ctx)
	}
	res, result := s.conclude(res)
	q.federation.metrics.queries.WithLabelValues(result).Inc()
	return res
}

// verdict tells whether what a planned run gave is the answer. An error of
// evaluation is told better by a run without: it may name series, in an order.
func (q *query) verdict(ctx context.Context, res *promql.Result, s *scope) Run {
	var (
		unheld      unheldError
		unavailable unavailableError
		tooMany     promql.ErrTooManySamples
		timeout     promql.ErrQueryTimeout
		canceled    promql.ErrQueryCanceled
	)
	switch err := res.Err; {
	case err == nil && shadowed(res.Warnings, s.forced):
		q.federation.memory.remember("", q.text, time.Now())
		return Annotated
	case err == nil, err.Error() == sameLabels:
		return Planned
	case errors.As(err, &unheld):
		if unheld.text != "" {
			q.federation.memory.remember(unheld.cluster, unheld.text, time.Now())
		}
		return unheld.why
	case ctx.Err() != nil, errors.As(err, &unavailable), errors.As(err, &tooMany), errors.As(err, &timeout), errors.As(err, &canceled):
		return Planned
	}
	q.federation.memory.remember("", q.text, time.Now())
	return Failed
}

// Close takes back the memory of the result.
func (q *query) Close() {
	inner, _ := q.current()
	inner.Close()
}

// Statement returns the statement that is evaluated here.
func (q *query) Statement() parser.Statement {
	inner, _ := q.current()
	return inner.Statement()
}

// Stats returns statistics of what was evaluated here.
func (q *query) Stats() *stats.Statistics {
	inner, _ := q.current()
	return inner.Stats()
}

// Cancel ends the query.
func (q *query) Cancel() {
	inner, _ := q.current()
	inner.Cancel()
}

// String returns the query as it was asked.
func (q *query) String() string { return q.text }
