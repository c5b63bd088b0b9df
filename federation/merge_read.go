package federation

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/storage"
)

// mergePatience is the least time that replicas have once the first of them
// has answered.
const mergePatience = time.Second

// tooSlowError is that a replica was not waited for any longer.
type tooSlowError struct{}

// Error says what it is.
func (tooSlowError) Error() string { return "much slower than the others" }

// Unwrap tells that it is one of time.
func (tooSlowError) Unwrap() error { return context.DeadlineExceeded }

// readMerged reads a selection from all replicas at once and merges what they
// answer. One that is much slower than the others is not waited for; that
// data may be missing by that is then a doubt.
func (c *cluster) readMerged(ctx context.Context, order []*replica, sel selection, budget *budget, tell func(cluster, text string)) replicaSeries {
	window, wide := widen(sel, time.Now().UnixMilli())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type numbered struct {
		index int
		replicaSeries
	}
	answers := make(chan numbered, len(order))
	begin := time.Now()
	for i, r := range order {
		go func() { answers <- numbered{i, c.attempt(ctx, r, wide, budget)} }()
	}
	got := make([]replicaSeries, len(order))
	for i := range got {
		got[i].err = tooSlowError{}
	}
	var late <-chan time.Time
	for range order {
		select {
		case one := <-answers:
			got[one.index] = one.replicaSeries
			if one.err == nil && late == nil {
				timer := time.NewTimer(max(mergePatience, 2*time.Since(begin)))
				defer timer.Stop()
				late = timer.C
			}
			continue
		case <-late:
		}
		break
	}
	return c.merge(ctx, order, got, window, tell)
}

// merge merges the answers of replicas.
func (c *cluster) merge(ctx context.Context, order []*replica, got []replicaSeries, w mergeWindow, tell func(cluster, text string)) replicaSeries {
	var (
		sets [][]storage.Series
		used []*replica
		errs = map[*replica]error{}
		out  replicaSeries
	)
	for i, one := range got {
		switch {
		case errors.Is(one.err, errTooMuch):
			return replicaSeries{err: one.err}
		case one.err != nil:
			errs[order[i]] = one.err
			switch {
			case errors.Is(ctx.Err(), context.Canceled):
			case errors.Is(one.err, tooSlowError{}): // it may answer all the same
				c.outrun(order[i])
			default:
				c.answered(order[i], one.err)
			}
		default:
			sets, used = append(sets, one.series), append(used, order[i])
			out.merged = max(out.merged, one.merged)
			c.warn(one, tell)
			c.vouch(ctx, order[i], span{w.mint, w.maxt}, tell)
		}
	}
	if len(sets) == 0 {
		return replicaSeries{err: c.join(errs)}
	}
	if len(errs) > 0 {
		for _, r := range used {
			c.doubt(r, span{w.mint, w.maxt}, tell)
		}
	}
	out.series = mergeReplicas(sets, w)
	return out
}
