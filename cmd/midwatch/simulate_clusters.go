package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/rules/replay"
)

// historyTries is how often clusters are asked for one thing, and firstPause
// how long they are left alone after the first time; after the next, twice as
// long.
const (
	historyTries = 5
	firstPause   = time.Second
)

// historyOf is a source that asks all clusters of a configuration as one. It
// gives nothing that lacks a cluster: what a cluster does not tell would count
// as if nothing had happened there.
type historyOf struct {
	all   *federation.Federation
	pause time.Duration // after the first try

	mu       sync.Mutex
	warnings []string
}

var _ replay.Source = (*historyOf)(nil)

// Range implements replay.Source.
func (h *historyOf) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	pause := h.pause
	for try := 1; ; try++ {
		found, warnings, err := h.all.Range(federation.FailPartial(ctx), expr, from, to, step)
		h.warn(warnings)
		switch {
		case err == nil:
			return found, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case tooLong(err) && to.Sub(from) >= step:
			return h.halves(ctx, expr, from, to, step)
		case errors.Is(err, federation.ErrUnavailable) && try < historyTries:
		case errors.Is(err, federation.ErrUnavailable), tooLong(err):
			return nil, fmt.Errorf("ask clusters: %w", errors.Unwrap(err)) // without the query
		default:
			return nil, &replay.EvaluationError{Err: err}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
		pause *= 2
	}
}

// tooLong tells whether less time would be answered.
func tooLong(err error) bool {
	_, samples := errors.AsType[promql.ErrTooManySamples](err)
	_, timeout := errors.AsType[promql.ErrQueryTimeout](err)
	return samples || timeout
}

// halves asks for two parts of a time.
func (h *historyOf) halves(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	middle := from.Add(to.Sub(from) / 2 / step * step)
	first, err := h.Range(ctx, expr, from, middle, step)
	if err != nil {
		return nil, err
	}
	second, err := h.Range(ctx, expr, middle.Add(step), to, step)
	return continued(first, second), err
}

// continued adds what came later to the series that it belongs to.
func continued(first, second promql.Matrix) promql.Matrix {
	at := make(map[string]int, len(first))
	for i, s := range first {
		at[s.Metric.String()] = i
	}
	for _, s := range second {
		if i, ok := at[s.Metric.String()]; ok {
			first[i].Floats = append(first[i].Floats, s.Floats...)
			first[i].Histograms = append(first[i].Histograms, s.Histograms...)
			continue
		}
		first = append(first, s)
	}
	return first
}

// warn keeps warnings, but those about the values of an expression, which are
// the same for whoever evaluates it.
func (h *historyOf) warn(found annotations.Annotations) {
	h.mu.Lock()
	defer h.mu.Unlock()
	warnings, _ := found.AsStrings("", 0, 0)
	for _, w := range warnings {
		if !strings.HasPrefix(w, "PromQL ") && !slices.Contains(h.warnings, w) && len(h.warnings) < 20 {
			h.warnings = append(h.warnings, w)
		}
	}
}

// told returns what the clusters warned of, each once.
func (h *historyOf) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.warnings)
}
