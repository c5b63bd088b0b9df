package federation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// awayFor is how long a replica that did not answer is asked last, unless
	// it answers a comparison before, and one that was slow after the others.
	awayFor = time.Minute
	// latencies are remembered to know how long answers usually take.
	latencies = 64
	// firstPatience is how long the first answers may take, before it is
	// known how long they do; leastPatience is the least.
	firstPatience = 500 * time.Millisecond
	leastPatience = 20 * time.Millisecond
	// hedgeShare is the part of all requests that are put to a second replica
	// because the first is slow, hedgeBurst how many may be in a row.
	hedgeShare = 0.05
	hedgeBurst = 10
)

// whole returns the replicas in the order in which they are to be asked for
// what lies from mint to maxt (milliseconds, both included), and whether the
// first is known to have no hole in that time that another could fill. A
// cluster of which only one replica answers always is; what that one lacks is
// a doubt of its answer.
func (c *cluster) whole(mint, maxt int64) ([]*replica, bool) {
	if len(c.replicas) == 1 {
		return c.replicas, true
	}
	alive := c.alive()
	whole, known := c.holes.judge(span{mint, maxt}, alive, time.Now().UnixMilli())
	now := time.Now().UnixMilli()
	rank := func(r *replica) int {
		switch i := slices.Index(c.replicas, r); {
		case !alive[i]:
			return 3
		case !whole[i]:
			return 2
		case c.slow[i].Load() > now:
			return 1
		}
		return 0
	}
	order := slices.Clone(c.replicas)
	slices.SortStableFunc(order, func(a, b *replica) int { return rank(a) - rank(b) })
	answering := len(order) - len(slices.DeleteFunc(slices.Clone(alive), func(a bool) bool { return a }))
	return order, answering <= 1 || known && rank(order[0]) < 2
}

// window returns the time of a selection.
func (s selection) window() span { return span{s.mint, s.maxt} }

// alive tells of each replica whether it answers, as far as is known.
func (c *cluster) alive() []bool {
	now := time.Now().UnixMilli()
	out := make([]bool, len(c.replicas))
	for i, r := range c.replicas {
		out[i] = c.away[i].Load() <= now && r.breaker.open() == nil
	}
	if !slices.Contains(out, true) { // then any may
		return slices.Repeat([]bool{true}, len(out))
	}
	return out
}

// answered takes in whether a replica answered.
func (c *cluster) answered(r *replica, err error) {
	i := slices.Index(c.replicas, r)
	switch {
	case err == nil || errors.Is(err, errTooMuch):
		c.away[i].Store(0)
	case !errors.Is(err, context.Canceled):
		c.away[i].Store(time.Now().Add(awayFor).UnixMilli())
	}
}

// outrun takes in that a replica was slower than another: it is asked after
// the others for a while.
func (c *cluster) outrun(r *replica) {
	c.slow[slices.Index(c.replicas, r)].Store(time.Now().Add(awayFor).UnixMilli())
}

// doubt tells what a replica is known to lack in a time, when it is used all
// the same.
func (c *cluster) doubt(r *replica, t span, tell func(cluster, text string)) {
	if len(c.replicas) == 1 || tell == nil {
		return
	}
	i := slices.Index(c.replicas, r)
	if text := c.holes.doubt(i, t, time.Now().UnixMilli()); text != "" {
		tell(c.name, fmt.Sprintf("replica %d answers alone, %s", i+1, text))
	}
}

// asGood tells whether a replica is known to have no hole in a time.
func (c *cluster) asGood(r *replica, t span) bool {
	whole, known := c.holes.judge(t, c.alive(), time.Now().UnixMilli())
	return known && whole[slices.Index(c.replicas, r)]
}

// first asks replicas in order: the next one when the one before fails, or
// takes longer than answers usually do. It returns the answer that comes
// first, and whose it is. What the replica that answers is known to lack in
// the time that is read is told. try may run for several replicas at once; the
// context of those that are not needed any more ends.
func first[T any](ctx context.Context, c *cluster, order []*replica, read span, try func(context.Context, *replica) (T, error), tell func(cluster, text string)) (T, *replica, error) {
	if len(order) == 1 { // there is no race, nor a hole that another fills
		value, err := try(ctx, order[0])
		if err != nil {
			return value, nil, err
		}
		c.vouch(ctx, order[0], read, tell)
		return value, order[0], nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	race := race[T]{cluster: c, order: order, read: read, try: try, results: make(chan result[T], 2*len(order)), errs: map[*replica]error{}}
	defer func() { race.stop() }()
	race.next(ctx)
	for {
		select {
		case got := <-race.results:
			if got.err == nil {
				race.won(got)
				c.doubt(got.replica, read, tell)
				c.vouch(ctx, got.replica, read, tell)
				return got.value, got.replica, nil
			}
			if done, err := race.lost(ctx, got); done {
				return got.value, nil, err
			}
		case <-race.slow():
			race.hedge(ctx)
		}
	}
}

// race is one question put to replicas.
type race[T any] struct {
	cluster *cluster
	order   []*replica
	read    span
	try     func(context.Context, *replica) (T, error)

	results chan result[T]
	asked   int
	running int
	timer   *time.Timer // until the latest request takes long; nil when there is no other to ask
	denied  bool        // it takes long, but too many did lately
	insists bool        // those are asked too that nothing is let through to
	errs    map[*replica]error
}

type result[T any] struct {
	replica *replica
	value   T
	err     error
	took    time.Duration
}

// next asks the next replica, and is false when there is none.
func (r *race[T]) next(ctx context.Context) bool {
	if r.asked == len(r.order) && !r.insist() {
		return false
	}
	if r.insists {
		ctx = probing(ctx)
	}
	one := r.order[r.asked]
	r.asked++
	r.running++
	go func() {
		begin := time.Now()
		value, err := r.try(ctx, one)
		r.results <- result[T]{one, value, err, time.Since(begin)}
	}()
	r.denied = false
	r.wait(min(r.cluster.latency.patience(), r.share(ctx)))
	return true
}

// insist adds those replicas to the order that nothing was let through to,
// once all others failed: they may answer again and no probe know it yet. It
// is false when there is none, or no other.
func (r *race[T]) insist() bool {
	if r.insists {
		return false
	}
	var shut []*replica
	for _, one := range r.order {
		if one.breaker.open() != nil {
			shut = append(shut, one)
		}
	}
	if len(shut) == 0 || len(shut) == len(r.order) {
		return false
	}
	r.insists = true
	r.order = slices.Concat(r.order, shut)
	return true
}

// share returns the part of the time left that a replica may take for itself.
func (r *race[T]) share(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return r.cluster.timeout
	}
	return time.Until(deadline) / time.Duration(len(r.order)-r.asked+1)
}

// wait sets the time until another replica is asked.
func (r *race[T]) wait(d time.Duration) {
	r.stop()
	r.timer = nil
	if r.asked < len(r.order) {
		r.timer = time.NewTimer(d)
	}
}

// slow returns a channel that tells when the latest request takes long.
func (r *race[T]) slow() <-chan time.Time {
	if r.timer == nil {
		return nil
	}
	return r.timer.C
}

func (r *race[T]) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// hedge asks the next replica too. If that may lack data, or if it is done too
// often, it is put off until only the next one's share of the time is left.
func (r *race[T]) hedge(ctx context.Context) {
	if r.denied || r.cluster.asGood(r.order[r.asked], r.read) && r.cluster.latency.hedge() {
		r.next(ctx)
		return
	}
	r.denied = true
	r.wait(r.share(ctx))
}

// won takes in an answer. Replicas that were asked before it and have not
// answered are asked after it for a while.
func (r *race[T]) won(got result[T]) {
	r.cluster.latency.add(got.took)
	r.cluster.answered(got.replica, nil)
	if got.replica.breaker.open() != nil {
		got.replica.breaker.doubt()
	}
	for _, one := range r.order[:r.asked] {
		if one == got.replica {
			return
		}
		r.cluster.outrun(one)
	}
}

// lost takes in that a replica did not answer; when none is left, it is done,
// with the reason.
func (r *race[T]) lost(ctx context.Context, got result[T]) (bool, error) {
	if errors.Is(got.err, errTooMuch) {
		return true, got.err
	}
	r.running--
	r.errs[got.replica] = got.err
	if ctx.Err() == nil {
		r.cluster.answered(got.replica, got.err)
		if r.next(ctx) {
			return false, nil
		}
	}
	return r.running == 0, r.cluster.join(r.errs)
}

// join makes one error of those of replicas.
func (c *cluster) join(errs map[*replica]error) error {
	var out replicaErrors
	for _, r := range c.replicas {
		if err, ok := errs[r]; ok {
			out = append(out, err)
		}
	}
	if len(c.replicas) == 1 && len(out) == 1 {
		return out[0]
	}
	return out
}

// latency is how long a cluster's answers took lately.
type latency struct {
	mu     sync.Mutex
	took   [latencies]time.Duration
	n      int
	tokens float64 // hedges that may be made
}

// add takes in how long an answer took.
func (l *latency) add(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took[l.n%latencies] = took
	l.n++
	l.tokens = min(hedgeBurst, l.tokens+hedgeShare)
}

// patience returns how long an answer may take: one and a half times as long
// as 19 of 20 did.
func (l *latency) patience() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(l.n, latencies)
	if n < latencies/4 {
		return firstPatience
	}
	sorted := slices.Sorted(slices.Values(l.took[:n]))
	return max(leastPatience, sorted[n*19/20]*3/2)
}

// hedge takes leave to ask a second replica.
func (l *latency) hedge() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}
