package federation

import (
	recency "container/list"
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/midwatch-slo/midwatch/federation/answer"
)

const (
	// pieceSteps is how many steps a piece has. Pieces of queries that have the
	// same step begin at the same times, whenever their windows do.
	pieceSteps = 32
	// pieceTTL is how long a piece is kept.
	pieceTTL = time.Hour
)

// cache keeps what servers answered to parts of range queries, in pieces of
// time in which their samples do not change any more. It keeps nothing of an
// answer that has notes, or that says itself that it is partial: then the
// pieces of the answer are not what the answer was made of.
type cache struct {
	limit   int64
	metrics *cacheMetrics
	whole   *memory // what is not to be asked for in pieces
	// histories is not changed once there are queries.
	histories map[*replica]*history

	mu     sync.Mutex
	bytes  int64
	pieces map[cacheKey]*recency.Element // of *cached
	order  *recency.List                 // the one used last is first
}

// openCache returns a cache of so many bytes, or nil for none.
func openCache(limit int64, reg prometheus.Registerer) (*cache, error) {
	m, err := newCacheMetrics(reg)
	if err != nil || limit == 0 {
		return nil, err
	}
	m.bytes.Set(0)
	return newCache(limit, m), nil
}

// follow keeps answers of a cluster, whose samples are settled after a while,
// or, if that is 0, when its servers say so.
func (c *cache) follow(of *cluster, settled time.Duration) {
	if c == nil {
		return
	}
	of.cache = c
	for _, r := range of.replicas {
		c.histories[r] = &history{settled: settled, belief: newBelief[past](pastTTL)}
	}
}

func newCache(limit int64, m *cacheMetrics) *cache {
	return &cache{limit: limit, metrics: m, whole: newMemory(), pieces: map[cacheKey]*recency.Element{}, order: recency.New(), histories: map[*replica]*history{}}
}

// cacheSubject is what a server is asked, at whatever steps.
type cacheSubject struct {
	replica         *replica
	server          backend
	text            string
	labels, foreign string
	sums            bool
	lookback        time.Duration
	step, phase     int64
}

// cacheKey is a piece of it.
type cacheKey struct {
	cacheSubject

	piece int64
}

// cached is a piece, or a part of one: what the server answered at some steps
// in a row.
type cached struct {
	key    cacheKey
	epoch  uint64 // of the server's past
	from   int64  // the first step, counted from 1970
	steps  int
	newest int64 // time of the newest sample that it can have read
	answer *answer.Answer
	bytes  int64
	since  time.Time
}

// find returns what is kept of a piece, if that has all of so many steps.
func (c *cache) find(key cacheKey, epoch uint64, from int64, steps int, now time.Time) *answer.Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.pieces[key]
	if !ok {
		return nil
	}
	one := e.Value.(*cached) //nolint:forcetypeassert // there is nothing else.
	switch {
	case one.epoch != epoch, now.Sub(one.since) > pieceTTL:
		c.drop(e)
		return nil
	case from < one.from, from+int64(steps) > one.from+int64(one.steps):
		return nil
	}
	c.order.MoveToFront(e)
	if from == one.from && steps == one.steps {
		return one.answer
	}
	of := answer.Grid{Start: key.phase + one.from*key.step, Step: key.step, Steps: one.steps}
	return answer.Cut(one.answer, of, int(from-one.from), steps)
}

// keep takes in a piece, and lets go of those that were not used for long when
// there is no room. Of one piece, the longest part is kept.
func (c *cache) keep(one *cached) {
	one.bytes = one.answer.Size() + int64(len(one.key.text)+len(one.key.labels)+len(one.key.foreign))
	if one.bytes > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.pieces[one.key]; ok {
		known := e.Value.(*cached) //nolint:forcetypeassert // there is nothing else.
		if known.epoch == one.epoch && known.steps > one.steps && one.since.Sub(known.since) < pieceTTL/2 {
			return
		}
		c.drop(e)
	}
	for c.bytes+one.bytes > c.limit {
		c.drop(c.order.Back())
	}
	c.pieces[one.key] = c.order.PushFront(one)
	c.bytes += one.bytes
	c.metrics.bytes.Set(float64(c.bytes))
}

// drop lets go of a piece. The caller holds the lock.
func (c *cache) drop(e *recency.Element) {
	one := c.order.Remove(e).(*cached) //nolint:forcetypeassert // there is nothing else.
	delete(c.pieces, one.key)
	c.bytes -= one.bytes
	c.metrics.bytes.Set(float64(c.bytes))
}

// forget lets go of all pieces of a server that may have read a sample of a
// time or a newer one; the others are of a new epoch from then on.
func (c *cache) forget(r *replica, from int64, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if one := e.Value.(*cached); one.key.replica == r { //nolint:forcetypeassert // there is nothing else.
			if one.newest >= from || one.epoch != epoch-1 {
				c.drop(e)
			} else {
				one.epoch = epoch
			}
		}
		e = next
	}
}

// anytime is before all samples.
const anytime = math.MinInt64

// uncachedKey is the context key of Uncached.
type uncachedKey struct{}

// Uncached returns a context whose queries take nothing from what is kept of
// earlier ones, and leave nothing.
func Uncached(ctx context.Context) context.Context {
	return context.WithValue(ctx, uncachedKey{}, true)
}

func uncached(ctx context.Context) bool {
	is, _ := ctx.Value(uncachedKey{}).(bool)
	return is
}

// cacheMetrics count what is kept, and how much of it is of use.
type cacheMetrics struct {
	hits, misses prometheus.Counter
	bytes        prometheus.Gauge
}

// newCacheMetrics registers the metrics, or takes those that a federation
// built before has registered.
func newCacheMetrics(reg prometheus.Registerer) (*cacheMetrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "midwatch", Subsystem: "federation", Name: name, Help: help})
	}
	m := &cacheMetrics{
		hits:   counter("cache_hits_total", "Pieces of answers that were kept, and not asked for again."),
		misses: counter("cache_misses_total", "Pieces of answers, of a past that does not change, that were not kept and so asked for."),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "midwatch", Subsystem: "federation", Name: "cache_bytes", Help: "About how many bytes the kept pieces of answers take.",
		}),
	}
	var err error
	if reg != nil {
		m.hits = register(reg, m.hits, &err)
		m.misses = register(reg, m.misses, &err)
		m.bytes = register(reg, m.bytes, &err)
	}
	return m, err
}
