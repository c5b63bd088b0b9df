package federation

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// health remembers whether a cluster answers, and since when.
type health struct {
	logger *slog.Logger

	mu    sync.Mutex
	known bool
	up    bool
	since time.Time // of the last change, or of the first answer
}

// note takes in the outcome of a request; err is nil when it was answered.
// Only changes are logged.
func (h *health) note(ctx context.Context, c *cluster, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	up := err == nil
	c.metrics.setUp(c.name, up)
	if h.known && h.up == up {
		return
	}
	before, first := h.since, !h.known
	h.known, h.up, h.since = true, up, time.Now()
	switch {
	case !up:
		h.logger.WarnContext(ctx, "cluster does not answer", "cluster", c.name, "cause", cause(err, c.timeout))
	case !first:
		h.logger.InfoContext(ctx, "cluster answers again", "cluster", c.name, "away", time.Since(before).Round(time.Millisecond))
	}
}

// state returns whether the cluster answered the last request and since when
// that is so; the time is zero before the first.
func (h *health) state() (bool, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up, h.since
}
