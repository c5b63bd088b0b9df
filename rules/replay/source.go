package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// Local is a source that evaluates on a storage of this process.
type Local struct {
	engine    *promql.Engine
	queryable storage.Queryable
}

var _ Source = (*Local)(nil)

// NewLocal returns a source over a storage, which must bear being asked by
// several goroutines.
func NewLocal(q storage.Queryable) *Local { return &Local{engine: newEngine(), queryable: q} }

// Range implements Source.
func (l *Local) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	return rangeQuery(ctx, l.engine, l.queryable, expr, from, to, step)
}

// rangeQuery returns a copy of what an expression gives over a time. At one
// instant it is no range query, which engines answer no better.
func rangeQuery(ctx context.Context, engine *promql.Engine, q storage.Queryable, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	query, err := engine.NewRangeQuery(ctx, q, nil, expr, from, to, step)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", expr, err)
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, evaluationError(ctx, result.Err)
	}
	m, err := result.Matrix()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	out := make(promql.Matrix, len(m))
	for i, s := range m { // the engine takes its points back
		out[i] = promql.Series{Metric: s.Metric, Floats: append([]promql.FPoint(nil), s.Floats...), Histograms: append([]promql.HPoint(nil), s.Histograms...)}
	}
	return out, nil
}

// evaluationError tells errors of the expression from those of the storage
// and of a caller that goes away.
func evaluationError(ctx context.Context, err error) error {
	if _, ok := errors.AsType[promql.ErrStorage](err); ok || ctx.Err() != nil {
		return err
	}
	return &EvaluationError{err}
}
