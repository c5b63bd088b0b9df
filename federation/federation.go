package federation

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/features"

	"github.com/midwatch-slo/midwatch/federation/plan"
	"github.com/midwatch-slo/midwatch/internal/diag"
)

// subqueryStep is the step of a subquery that names none: Prometheus' default
// evaluation interval.
const subqueryStep = time.Minute

// Federation answers queries over all clusters. It is safe for concurrent use.
type Federation struct {
	config   Config
	clusters []*cluster
	fixed    []plan.Cluster // what does not change of what planning must know
	metrics  *metrics
	runs     *runs
	memory   *memory
	parser   parser.Parser
	trees    *treeParser
	engine   *promql.Engine     // evaluates trees
	inner    *promql.Engine     // evaluates parts over what is held here
	features features.Collector // of what queries can
	handler  http.Handler
}

// New returns a federation of the configured clusters. It connects to none of
// them yet. What is wrong with the clusters is told as diag.Problems, as by
// Validate.
func New(c Config) (*Federation, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, err
	}
	counted, err := newRuns(c.Registerer)
	if err != nil {
		return nil, err
	}
	kept, err := openCache(c.CacheBytes, c.Registerer)
	if err != nil {
		return nil, err
	}
	f := &Federation{config: c, metrics: m, runs: counted, memory: newMemory()}
	f.parser = patientParser{parser.NewParser(parser.Options{ExperimentalDurationExpr: true})} // as Prometheus has it by default
	f.trees = newTreeParser(f.parser)
	var unreachable diag.Problems
	for i, one := range c.Clusters {
		cl, err := newCluster(one, orDefault(time.Duration(one.Timeout), c.Timeout), m)
		if err != nil { // of its files, those of TLS alone are read already
			unreachable = append(unreachable, diag.Problem{Field: fmt.Sprintf("clusters.%d.tls_config", i), Message: err.Error()})
			continue
		}
		cl.health.logger = c.Logger
		kept.follow(cl, time.Duration(one.SettledAfter))
		f.clusters = append(f.clusters, cl)
	}
	if err := unreachable.Err(); err != nil {
		return nil, err
	}
	setCounted(f.clusters)
	f.fixed = fixedMembers(f.clusters, c.Local)
	f.features = features.NewRegistry()
	f.engine = newEngine(&f.config, f.trees, make(turnstile, c.MaxQueries), f.features)
	f.inner = newEngine(&f.config, f.parser, nil, nil)
	f.handler = newHandler(f)
	return f, nil
}

func newEngine(c *Config, p parser.Parser, tracker promql.QueryTracker, can features.Collector) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		Logger:                   c.Logger,
		MaxSamples:               c.MaxSamples,
		Timeout:                  c.QueryTimeout,
		ActiveQueryTracker:       tracker,
		LookbackDelta:            c.LookbackDelta,
		NoStepSubqueryIntervalFn: func(int64) int64 { return subqueryStep.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   p,
		FeatureRegistry:          can,
	})
}

// Close lets go of kept connections. Queries that still run are not ended.
func (f *Federation) Close() {
	for _, c := range f.clusters {
		for _, r := range c.replicas {
			r.client.CloseIdleConnections()
		}
	}
}

// Instant answers a query at an instant. A scalar becomes a vector of one
// sample without labels. Annotations name clusters that are missing from the
// answer; the error is ErrUnavailable when none that was asked answered, or,
// under FailPartial, when one did not.
func (f *Federation) Instant(ctx context.Context, query string, at time.Time) (promql.Vector, annotations.Annotations, error) {
	q, err := f.NewInstantQuery(ctx, nil, nil, query, at)
	if err != nil {
		return nil, nil, fmt.Errorf("query %q: %w", query, err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, res.Warnings, fmt.Errorf("query %q: %w", query, res.Err)
	}
	switch v := res.Value.(type) {
	case promql.Vector:
		return v, res.Warnings, nil
	case promql.Scalar:
		return promql.Vector{{T: v.T, F: v.V, Metric: labels.EmptyLabels()}}, res.Warnings, nil
	}
	return nil, res.Warnings, fmt.Errorf("query %q: it is a %s, not an instant vector", query, res.Value.Type())
}

// Range answers a query at every step from start to end, both included. For
// annotations and errors see Instant.
func (f *Federation) Range(ctx context.Context, query string, start, end time.Time, step time.Duration) (promql.Matrix, annotations.Annotations, error) {
	if step < time.Millisecond || end.Before(start) {
		return nil, nil, fmt.Errorf("query %q: want a step of 1ms or more and an end that is not before the start", query)
	}
	q, err := f.NewRangeQuery(ctx, nil, nil, query, start, end, step)
	if err != nil {
		return nil, nil, fmt.Errorf("query %q: %w", query, err)
	}
	// The query is not closed: that would take back the points of the answer.
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, res.Warnings, fmt.Errorf("query %q: %w", query, res.Err)
	}
	m, err := res.Matrix()
	if err != nil {
		return nil, res.Warnings, fmt.Errorf("query %q: %w", query, err)
	}
	return m, res.Warnings, nil
}

var _ promql.QueryEngine = (*Federation)(nil)

// NewInstantQuery returns a query over all clusters; the queryable is not
// used.
func (f *Federation) NewInstantQuery(ctx context.Context, _ storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	return f.newQuery(ctx, asked{text: qs, opts: opts, start: ts, end: ts, instant: true})
}

// NewRangeQuery returns a query over all clusters; the queryable is not used.
func (f *Federation) NewRangeQuery(ctx context.Context, _ storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, step time.Duration) (promql.Query, error) {
	return f.newQuery(ctx, asked{text: qs, opts: opts, start: start, end: end, step: step})
}

// unplannedKey is the context key of Unplanned.
type unplannedKey struct{}

// Unplanned returns a context whose queries are evaluated here as a whole,
// over raw samples. Their answers are the same, and take longer.
func Unplanned(ctx context.Context) context.Context {
	return context.WithValue(ctx, unplannedKey{}, true)
}

func unplanned(ctx context.Context) bool {
	is, _ := ctx.Value(unplannedKey{}).(bool)
	return is
}

// partialKey is the context key of FailPartial.
type partialKey struct{}

// FailPartial returns a context whose queries fail with ErrUnavailable when
// any cluster they ask does not answer, instead of answering without it.
func FailPartial(ctx context.Context) context.Context {
	return context.WithValue(ctx, partialKey{}, true)
}

func failsPartial(ctx context.Context) bool {
	fails, _ := ctx.Value(partialKey{}).(bool)
	return fails
}
