package federation

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// fromLocal asks what is held here, and returns the answers to one question.
func fromLocal[T any](l *lister, ask func(storage.Querier) ([]T, error)) ([]T, error) {
	var all []T
	for _, local := range l.fed.config.Local {
		q, err := local.Queryable.Querier(l.mint, l.maxt)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", local.Name, err)
		}
		answer, err := ask(q)
		if closing := q.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", local.Name, err)
		}
		all = append(all, answer...)
	}
	return all, nil
}

// localSeries returns the labels of the series that are held here.
func (l *lister) localSeries(ctx context.Context, limit int, ms []*labels.Matcher) ([]labels.Labels, error) {
	return fromLocal(l, func(q storage.Querier) ([]labels.Labels, error) {
		set := q.Select(ctx, true, &storage.SelectHints{Start: l.mint, End: l.maxt, Func: "series", Limit: limit}, ms...)
		var out []labels.Labels
		for set.Next() {
			out = append(out, set.At().Labels())
		}
		return out, set.Err()
	})
}

// localNames returns the names of the labels of series that are held here.
func (l *lister) localNames(ctx context.Context, hints *storage.LabelHints, ms []*labels.Matcher) ([]string, error) {
	return fromLocal(l, func(q storage.Querier) ([]string, error) {
		names, _, err := q.LabelNames(ctx, hints, ms...)
		return slices.Clone(names), err
	})
}

// localValues returns the values of a label of series that are held here.
func (l *lister) localValues(ctx context.Context, name string, hints *storage.LabelHints, ms []*labels.Matcher) ([]string, error) {
	return fromLocal(l, func(q storage.Querier) ([]string, error) {
		values, _, err := q.LabelValues(ctx, name, hints, ms...)
		return slices.Clone(values), err
	})
}
