package federation

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// deadlineShare is the part of a query's remaining time that clusters may
// use, so that the query still answers when one of them does not.
const deadlineShare = 0.9

// cluster is one Prometheus with its replicas.
type cluster struct {
	name     string
	external map[string]string
	dropped  map[string]bool // replica labels
	counted  []string        // labels that its servers are asked for: those that are known in any cluster
	timeout  time.Duration
	replicas []*replica
	away     []atomic.Int64 // of each replica: until when (Unix ms) it is asked last, since it did not answer
	slow     []atomic.Int64 // of each replica: until when it is asked after the others, since it was slower
	latency  latency
	holes    *holes
	health   health
	metrics  *metrics
	cache    *cache // nil: nothing is kept
}

func newCluster(c Cluster, timeout time.Duration, m *metrics) (*cluster, error) {
	out := &cluster{
		name:     c.Name,
		external: c.ExternalLabels(),
		dropped:  map[string]bool{},
		timeout:  timeout,
		metrics:  m,
		latency:  latency{tokens: hedgeBurst},
	}
	for _, name := range c.ReplicaLabels {
		out.dropped[name] = true
	}
	for _, raw := range c.URLs {
		r, err := newReplica(c, raw)
		if err != nil {
			return nil, fmt.Errorf("cluster %q: %w", c.Name, err)
		}
		out.replicas = append(out.replicas, r)
	}
	out.away, out.slow = make([]atomic.Int64, len(out.replicas)), make([]atomic.Int64, len(out.replicas))
	out.holes = newHoles(len(out.replicas))
	return out, nil
}

// known tells whether the value of a label does not depend on the server: it
// is an external label as configured, or dropped.
func (c *cluster) known(name string) bool {
	_, external := c.external[name]
	return external || c.dropped[name]
}

// pick returns the matchers to send to the cluster, and whether it can have
// series that match at all. Matchers on external labels are decided here.
//
// A server rewrites a matcher that is equal to one of its own external labels
// so that it finds the series without that label. Only label values that
// series have themselves are asked for here, so equality is sent as a regular
// expression, which no server rewrites and every one looks up as fast.
func (c *cluster) pick(ms []*labels.Matcher) ([]*labels.Matcher, bool) {
	var send []*labels.Matcher
	for _, m := range ms {
		if c.known(m.Name) {
			if !m.Matches(c.external[m.Name]) {
				return nil, false
			}
			continue
		}
		send = append(send, verbatim(m))
	}
	if len(send) == 0 {
		send = append(send, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*"))
	}
	return send, true
}

// verbatim returns a matcher that means the same and that no server rewrites.
func verbatim(m *labels.Matcher) *labels.Matcher {
	if m.Type != labels.MatchEqual || m.Value == "" || m.Name == model.MetricNameLabel || !utf8.ValidString(m.Value) {
		return m
	}
	re, err := labels.NewMatcher(labels.MatchRegexp, m.Name, regexp.QuoteMeta(m.Value))
	if err != nil {
		return m
	}
	return re
}

// read returns the series of the cluster under their external labels, sorted,
// and how many of them became the same as another: those of one replica where
// that has no hole in the time, else those of all, merged.
func (c *cluster) read(ctx context.Context, sel selection, budget *budget, tell func(cluster, text string)) ([]storage.Series, int, error) {
	within, cancel := context.WithTimeout(ctx, c.limit(ctx))
	defer cancel()
	begin := time.Now()
	got := c.readReplicas(within, sel, budget, tell)
	if ctx.Err() != nil {
		got.err = ctx.Err() // the query's end, not the cluster's fault
	}
	c.metrics.observe(c.name, outcome(got.err), time.Since(begin))
	if ctx.Err() == nil && !errors.Is(got.err, errTooMuch) {
		c.health.note(ctx, c, got.err)
	}
	return got.series, got.merged, got.err
}

func (c *cluster) readReplicas(ctx context.Context, sel selection, budget *budget, tell func(cluster, text string)) replicaSeries {
	order, whole := c.whole(sel.mint, sel.maxt)
	if !whole {
		return c.readMerged(ctx, order, sel, budget, tell)
	}
	got, _, err := first(ctx, c, order, sel.window(), func(ctx context.Context, r *replica) (replicaSeries, error) {
		one := c.attempt(ctx, r, sel, budget)
		return one, one.err
	}, tell)
	got.err = err
	if err == nil {
		c.warn(got, tell)
	}
	return got
}

// warn tells that a server warned of its answer: it may be partial.
func (c *cluster) warn(one replicaSeries, tell func(cluster, text string)) {
	if one.warned && tell != nil {
		tell(c.name, itsOwnWarnings)
	}
}

// limit returns how long the cluster may take, which leaves the query time to
// say that it did not answer.
func (c *cluster) limit(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return c.timeout
	}
	return min(c.timeout, time.Duration(float64(time.Until(deadline))*deadlineShare))
}

// attempt reads a selection from one replica.
func (c *cluster) attempt(ctx context.Context, r *replica, sel selection, budget *budget) replicaSeries {
	p, raw, err := r.read(ctx, sel, c.known, budget)
	if err != nil {
		return replicaSeries{err: inTime(ctx, err)}
	}
	series, merged := mergeEqual(c.relabel(p, raw))
	return replicaSeries{series: series, merged: merged, warned: p.warned}
}

// relabel gives every series the external labels, which win over its own, and
// takes off what does not belong to it.
func (c *cluster) relabel(p reading, raw []rawSeries) []rawSeries {
	b := labels.NewBuilder(labels.EmptyLabels())
	for i, s := range raw {
		b.Reset(s.labels)
		p.undo(b, s)
		for name := range c.dropped {
			b.Del(name)
		}
		for name, value := range c.external {
			b.Set(name, value)
		}
		raw[i].labels = b.Labels()
	}
	return raw
}

// mergeEqual sorts series and makes one of those with the same labels, as a
// single Prometheus would hold them: samples in order of time, one for each
// instant. It also returns how many series went into another.
func mergeEqual(raw []rawSeries) ([]storage.Series, int) {
	slices.SortStableFunc(raw, func(a, b rawSeries) int { return labels.Compare(a.labels, b.labels) })
	out := make([]storage.Series, 0, len(raw))
	merged := 0
	for begin := 0; begin < len(raw); {
		end := begin + 1
		parts := raw[begin].parts
		for ; end < len(raw) && labels.Equal(raw[begin].labels, raw[end].labels); end++ {
			parts = append(slices.Clip(parts), raw[end].parts...)
			merged++
		}
		out = append(out, chain(raw[begin].labels, parts))
		begin = end
	}
	return out, merged
}

func chain(set labels.Labels, parts []storage.Series) storage.Series {
	if len(parts) == 1 {
		return relabelled{Series: parts[0], labels: set}
	}
	return relabelled{Series: storage.ChainedSeriesMerge(parts...), labels: set}
}
