package federation

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// condition is whether something answers, in the words of Prometheus' API for
// targets.
type condition string

const (
	healthUnknown condition = "unknown" // nobody asked yet
	healthUp      condition = "up"
	healthDown    condition = "down"
)

func healthOf(up bool) condition {
	if up {
		return healthUp
	}
	return healthDown
}

// snapshot is what is known of whether something answers.
type snapshot struct {
	health condition
	since  time.Time // of the last change, or of the first answer
	cause  string    // why it is down
}

func (s snapshot) known() snapshot {
	if s.health == "" {
		s.health = healthUnknown
	}
	return s
}

// serverState is whether one server answers probes.
type serverState struct {
	mu      sync.Mutex
	now     snapshot
	doubtAt time.Time // of the first of the probes in a row that failed
}

func (s *serverState) get() snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.known()
}

// set notes whether the server answers; since counts where that has changed.
func (s *serverState) set(up bool, cause string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.health != healthOf(up) {
		s.now = snapshot{health: healthOf(up), since: since}
	}
	s.now.cause = cause
}

func (s *serverState) doubt(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubtAt = at
}

func (s *serverState) doubted() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doubtAt
}

// health remembers whether a cluster answers, and since when: as probes say,
// or, while nobody probes it, as queries do.
type health struct {
	logger *slog.Logger
	pace   pace // of probes; set before there are any

	mu      sync.Mutex
	watched bool
	now     snapshot
}

func (h *health) watch(watched bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watched = watched
}

// note takes in the outcome of a query's request; err is nil when it was
// answered.
func (h *health) note(ctx context.Context, c *cluster, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watched {
		return
	}
	next := snapshot{health: healthOf(err == nil), since: time.Now()}
	if err != nil {
		next.cause = cause(err, c.timeout)
	}
	h.become(ctx, c, next)
}

// observe takes in what the probes of the servers say: a cluster answers when
// one of them does.
func (h *health) observe(ctx context.Context, c *cluster) {
	var (
		causes []string
		next   snapshot
	)
	for _, r := range c.replicas {
		s := r.state.get()
		switch s.health {
		case healthUp:
			if next.health != healthUp || s.since.Before(next.since) {
				next = s
			}
		case healthUnknown:
			if next.health != healthUp {
				next = s
			}
		default:
			causes = append(causes, s.cause)
			if next.health == "" || next.health == healthDown && s.since.After(next.since) {
				next = s // the cluster is down since the last of them went
			}
		}
	}
	if next.health == healthDown {
		next.cause = ofReplicas(causes)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if next.health != healthUnknown {
		h.become(ctx, c, next)
	}
}

// become notes how the cluster is now. Only changes are logged. The caller
// holds the lock.
func (h *health) become(ctx context.Context, c *cluster, next snapshot) {
	before := h.now
	c.metrics.setUp(c.name, next.health == healthUp)
	if before.health == next.health {
		h.now.cause = next.cause
		return
	}
	h.now = next
	c.metrics.setChanged(c.name, next.since)
	switch {
	case next.health == healthDown:
		h.logger.WarnContext(ctx, "cluster does not answer", "cluster", c.name, "cause", next.cause)
	case before.health == healthDown:
		h.logger.InfoContext(ctx, "cluster answers again", "cluster", c.name, "away", time.Since(before.since).Round(time.Millisecond))
	}
}

// get returns whether the cluster answers and since when that is so.
func (h *health) get() snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now.known()
}

// Inherit takes over what another federation has found out of the servers that
// both have: since when they answer or do not, and what they are.
func (f *Federation) Inherit(before *Federation) {
	for _, c := range f.clusters {
		for _, old := range before.clusters {
			if c.name == old.name {
				c.inherit(old)
			}
		}
	}
}

func (c *cluster) inherit(old *cluster) {
	c.health.mu.Lock()
	c.health.now = old.health.get()
	if now := c.health.now; now.health != healthUnknown {
		c.metrics.setUp(c.name, now.health == healthUp)
		c.metrics.setChanged(c.name, now.since)
	}
	c.health.mu.Unlock()
	if c.sameReplicas(old) {
		c.holes.inherit(old.holes)
	}
	for _, r := range c.replicas {
		for _, was := range old.replicas {
			if r.base.String() == was.base.String() {
				r.inherit(was)
			}
		}
	}
}

func (r *replica) inherit(was *replica) {
	r.own.inherit(was.own)
	r.is.inherit(was.is)
	r.stores.inherit(&was.stores)
	r.census.inherit(was.census)
	r.remoteRead.Store(was.remoteRead.Load())
	now := was.state.get()
	r.state.mu.Lock()
	r.state.now = now
	r.state.mu.Unlock()
}
