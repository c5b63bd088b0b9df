package federation

import (
	"context"
	"time"
)

const (
	// holesRefresh is how often the newest time is compared.
	holesRefresh = 15 * time.Second
	// holesOverlap is how much of what was compared already is compared again
	// then: a sample can be late by a scrape's length.
	holesOverlap = 2 * time.Minute
	// holesNewest is how far back the first comparison goes.
	holesNewest = time.Hour
	// holesPiece is how much of the past one comparison covers, aligned.
	holesPiece = 2 * time.Hour
	// holesAhead is how much of the past is compared before a query wants it,
	// holesDepth how much at most of what queries want.
	holesAhead = 24 * time.Hour
	holesDepth = 400 * 24 * time.Hour
	// holesShare is the part of its time that comparing the past takes.
	holesShare = 0.2
)

// watchHoles compares the newest time again and again, and in between, bit by
// bit, the past, until ctx ends. A cluster of one replica is not asked.
func (c *cluster) watchHoles(ctx context.Context) {
	for len(c.replicas) > 1 && ctx.Err() == nil {
		begin := time.Now()
		c.compareNewest(ctx, begin)
		c.comparePast(ctx, begin.Add(c.holes.refresh))
	}
}

// compareNewest compares what is new since it was last compared.
func (c *cluster) compareNewest(ctx context.Context, now time.Time) {
	from := now.Add(-holesNewest).UnixMilli()
	if last := c.holes.last(); last > 0 {
		from = max(from, last-holesOverlap.Milliseconds())
	}
	t := span{from, now.UnixMilli()}
	c.holes.note(t, true, c.compare(ctx, t, true))
	c.review(time.Now())
}

// comparePast compares pieces of the past until a time.
func (c *cluster) comparePast(ctx context.Context, until time.Time) {
	for ctx.Err() == nil {
		wait := time.Until(until)
		if wait <= 0 {
			return
		}
		if piece, ok := c.holes.next(c.alive(), time.Now().UnixMilli()); ok {
			begin := time.Now()
			c.holes.note(piece, false, c.compare(ctx, piece, false))
			took := time.Since(begin)
			pause(ctx, min(wait, time.Duration(float64(took)*(1/holesShare-1))), nil)
			continue
		}
		pause(ctx, wait, c.holes.wake)
	}
}

// pause waits, until it is woken.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// last returns up to when the newest time was compared, 0 before.
func (h *holes) last() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest.to
}
