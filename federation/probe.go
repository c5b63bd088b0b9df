package federation

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// pace is how often servers are probed.
type pace struct {
	every  time.Duration // one that answers
	again  time.Duration // one that does not, or that failed a request
	labels time.Duration // which labels its series have
}

func defaultPace() pace { return pace{every: 5 * time.Second, again: time.Second, labels: learnEvery} }

const (
	learnEvery = 15 * time.Second // what a server says of itself
	// probeTimeout is how long a probe may take; less where the cluster has
	// less.
	probeTimeout = 3 * time.Second
	// opensAfter is how many probes in a row must fail before a server that
	// answered is not asked any more.
	opensAfter = 2

	probeMetric = "midwatch_federation_probe" // which nobody has
)

// openError is that a server is not asked, since it does not answer probes.
type openError struct {
	cause string // of the last probe's failure
	err   error
}

// Error says why it is not asked.
func (e openError) Error() string { return e.cause }

// Unwrap returns what the last probe failed with.
func (e openError) Unwrap() error { return e.err }

// Watch probes every server of every cluster until ctx ends: so it is known of
// each whether it answers before somebody asks, one that does not is not asked
// until it does again, and what servers say of themselves is known in advance.
// Replicas of a cluster are compared, so that it is known which have holes.
// A Federation that is not watched asks all the same.
func (f *Federation) Watch(ctx context.Context) {
	done := make(chan struct{})
	running := 0
	for _, c := range f.clusters {
		c.health.watch(true)
		c.health.pace = orDefault(c.health.pace, defaultPace())
		running++
		go func() {
			c.watchHoles(ctx)
			done <- struct{}{}
		}()
		for _, r := range c.replicas {
			running += 2
			go func() {
				c.watchReplica(ctx, r)
				done <- struct{}{}
			}()
			go func() {
				c.watchLabels(ctx, r)
				done <- struct{}{}
			}()
		}
	}
	for range running {
		<-done
	}
	for _, c := range f.clusters {
		c.health.watch(false)
	}
}

// watchReplica probes a server until ctx ends.
func (c *cluster) watchReplica(ctx context.Context, r *replica) {
	defer r.breaker.set(nil) // nobody would close it
	failures := 0
	for {
		err := c.probeReplica(ctx, r)
		if ctx.Err() != nil {
			return
		}
		failures++
		if err == nil {
			failures = 0
		}
		c.probed(ctx, r, err, failures)
		if !r.breaker.pause(ctx, c.health.pace, failures > 0) {
			return
		}
	}
}

// pause waits until the next probe is due; it returns false when ctx ends.
func (b *breaker) pause(ctx context.Context, p pace, failing bool) bool {
	least := time.NewTimer(p.again)
	defer least.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-least.C:
	}
	if failing {
		return true
	}
	most := time.NewTimer(p.every - p.again)
	defer most.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-b.doubts:
	case <-most.C:
	}
	return true
}

// probed takes in the outcome of a probe, the last of so many that failed.
func (c *cluster) probed(ctx context.Context, r *replica, err error, failures int) {
	before := r.state.get()
	if err == nil {
		r.breaker.set(nil)
		r.state.set(true, "", time.Now())
	} else {
		why := cause(err, c.probeTimeout())
		since := time.Now()
		if failures > 1 {
			since = r.state.doubted()
		}
		r.state.doubt(since)
		if failures >= opensAfter || before.health != healthUp {
			r.breaker.set(openError{cause: why, err: err})
			r.state.set(false, why, since)
		}
	}
	c.metrics.setReplica(c.name, r)
	c.health.observe(ctx, c)
	c.review(time.Now())
}

func (c *cluster) probeTimeout() time.Duration { return min(c.timeout, probeTimeout) }

// probeReplica asks a server for nothing, now and then what it says of itself,
// and a Thanos for its stores.
func (c *cluster) probeReplica(ctx context.Context, r *replica) error {
	ctx, cancel := context.WithTimeout(probing(ctx), c.probeTimeout())
	defer cancel()
	if err := r.learn(ctx); err != nil {
		return inTime(ctx, err)
	}
	if err := r.probe(ctx); err != nil {
		return inTime(ctx, err)
	}
	c.probeStores(ctx, r)
	return nil
}

// learn asks the server what it says of itself, unless that is known of late.
func (r *replica) learn(ctx context.Context) error {
	if !r.is.newer(learnEvery) {
		b, err := r.askBackend(ctx)
		if err != nil {
			return err
		}
		if before, known := r.is.last(); known && before != b {
			r.remoteRead.Store(readUntried) // another server, or another version
		}
		r.is.set(b)
	}
	if !r.own.newer(learnEvery) {
		own, err := r.askIdentity(ctx)
		if err != nil {
			return err
		}
		r.own.set(own)
	}
	return nil
}

// newer tells whether it was heard less than d ago.
func (b *belief[T]) newer(d time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known && time.Since(b.since) < d
}

// probe reads a series that does not exist, as queries read raw samples.
func (r *replica) probe(ctx context.Context) error {
	if b, _ := r.is.last(); r.readless(b) {
		return r.probeQuery(ctx)
	}
	err := r.probeRead(ctx)
	if notServed(err) && r.probeQuery(ctx) == nil {
		r.remoteRead.Store(readRefused)
		return nil
	}
	if err == nil {
		r.remoteRead.Store(readWorks)
	}
	return err
}

func (r *replica) probeRead(ctx context.Context) error {
	now := time.Now().UnixMilli()
	sel := selection{mint: now, maxt: now, matchers: []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, probeMetric),
	}}
	p, err := newReading(sel, nil, nil)
	if err != nil {
		return err
	}
	resp, err := r.post(ctx, p.request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = decode(resp, sel, len(p.request.Queries), &budget{limit: maxBuildInfoBytes})
	return err
}

func (r *replica) probeQuery(ctx context.Context) error {
	resp, err := r.ask(ctx, "query", url.Values{"query": {probeMetric}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBuildInfoBytes))
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return statusError(resp.StatusCode)
	case !bytes.Contains(body, []byte(`"success"`)):
		return brokenError("not the JSON that a Prometheus answers")
	}
	return nil
}
