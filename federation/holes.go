package federation

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxHolesNamed is how many holes a warning names.
const maxHolesNamed = 3

// span is a time in milliseconds, both ends included.
type span struct{ from, to int64 }

// spans are in order, and neither overlap nor touch.
type spans []span

// with returns the spans with one more.
func (s spans) with(add span) spans {
	out := make(spans, 0, len(s)+1)
	for _, one := range s {
		if one.to >= add.from-1 && (add.to == math.MaxInt64 || one.from <= add.to+1) {
			add = span{min(add.from, one.from), max(add.to, one.to)}
			continue
		}
		out = append(out, one)
	}
	out = append(out, add)
	slices.SortFunc(out, func(a, b span) int {
		if a.from < b.from {
			return -1
		}
		return 1
	})
	return out
}

// without returns the spans less what is in cut.
func (s spans) without(cut span) spans {
	out := make(spans, 0, len(s)+1)
	for _, one := range s {
		if one.to < cut.from || one.from > cut.to {
			out = append(out, one)
			continue
		}
		if one.from < cut.from {
			out = append(out, span{one.from, cut.from - 1})
		}
		if one.to > cut.to {
			out = append(out, span{cut.to + 1, one.to})
		}
	}
	return out
}

// within returns those that overlap a time.
func (s spans) within(t span) spans {
	from, _ := slices.BinarySearchFunc(s, t.from, func(one span, t int64) int {
		if one.to < t {
			return -1
		}
		return 1
	})
	to := from
	for to < len(s) && s[to].from <= t.to {
		to++
	}
	return s[from:to]
}

// cover tells whether one of them holds all of a time.
func (s spans) cover(t span) bool {
	in := s.within(t)
	return len(in) == 1 && in[0].from <= t.from && in[0].to >= t.to
}

// holes is what is known of the holes of a cluster's replicas.
type holes struct {
	mu      sync.Mutex
	seen    []spans            // of each replica: when it was compared with all that answered then
	lacks   []spans            // of each replica: when others have what it has not
	latest  span               // last compared up to now: from when, up to when; both 0 before
	missing []map[string]int64 // of each replica: targets that others find up and it does not, and since when (Unix ms)
	doubted doubtful
	sighted bool  // some replica had targets some time: there is something to tell holes by
	wanted  spans // what queries have asked for, in whole pieces
	resume  int64 // when the past is compared again, after that failed
	failed  int   // times in a row that it did
	wake    chan struct{}
	// refresh is how often the newest time is compared.
	refresh time.Duration
}

func newHoles(replicas int) *holes {
	return &holes{
		seen: make([]spans, replicas), lacks: make([]spans, replicas), missing: make([]map[string]int64, replicas),
		wake: make(chan struct{}, 1), refresh: holesRefresh,
	}
}

// finding is what a comparison over a time found of one replica.
type finding struct {
	answered bool
	targets  bool // it has any
	lacks    spans
	missing  []string // targets that others find up, and it does not; only known up to now
}

// note takes in a comparison. One up to now replaces what was thought to go
// on after it.
func (h *holes) note(t span, upToNow bool, found []finding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cut := t
	if upToNow {
		h.latest, cut.to = t, math.MaxInt64
		h.miss(t.to, found)
	}
	h.sighted = h.sighted || slices.ContainsFunc(found, func(f finding) bool { return f.targets })
	h.delay(upToNow, found)
	for r, f := range found {
		if !f.answered {
			continue
		}
		h.seen[r] = h.seen[r].with(t)
		h.lacks[r] = h.lacks[r].without(cut)
		h.lacks[r] = h.lacks[r].union(f.lacks)
	}
}

// back tells whether a replica did not answer the latest comparison, or has
// scraped nothing since: until it does, what it was away for is a gap.
func (h *holes) back(r int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	missed := h.latest.to > 0 && !h.seen[r].cover(span{h.latest.to, h.latest.to})
	n := len(h.lacks[r])
	return missed || n > 0 && h.lacks[r][n-1].to == math.MaxInt64
}

// delay keeps the past from being compared again at once when a replica did
// not answer, longer each time. The caller holds the lock.
func (h *holes) delay(upToNow bool, found []finding) {
	switch {
	case upToNow:
	case !slices.ContainsFunc(found, func(f finding) bool { return !f.answered }):
		h.failed, h.resume = 0, 0
	default:
		h.failed++
		h.resume = h.latest.to + h.refresh.Milliseconds()<<min(h.failed, 8)
	}
}

// judge tells of each replica whether it has no hole in a time, and whether
// that is known: all replicas that count have been compared over it.
func (h *holes) judge(t span, counts []bool, now int64) (whole []bool, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.want(t, now)
	compared := h.compared(t, now)
	whole, known = make([]bool, len(h.lacks)), h.sighted
	for r := range h.lacks {
		whole[r] = len(h.lacks[r].within(t)) == 0
		known = known && (!counts[r] || h.seen[r].cover(compared))
	}
	return whole, known
}

// compared returns what must have been compared for a time to be known. The
// time after the latest comparison is taken to go on as that ended, for as
// long as a comparison is not overdue. The caller holds the lock.
func (h *holes) compared(t span, now int64) span {
	if now-h.latest.to <= 3*h.refresh.Milliseconds() {
		t.to = min(t.to, h.latest.to)
	}
	t.from = min(t.from, t.to)
	return t
}

// want has a time up to now compared soon, or the newest part of it when it is
// long; of what was wanted before, the oldest is given up for it. The caller
// holds the lock.
func (h *holes) want(t span, now int64) {
	depth := holesDepth.Milliseconds()
	t.to = min(t.to, now)
	t.from = max(t.from, t.to-depth, 0)
	if t.from > t.to {
		return
	}
	t = span{pieceOf(t.from).from, pieceOf(t.to).to}
	if h.wanted.cover(t) {
		return
	}
	h.wanted = h.wanted.with(t)
	for excess := h.wanted.length() - depth; excess > 0; excess = h.wanted.length() - depth {
		first := h.wanted[0]
		h.wanted = h.wanted.without(span{first.from, min(first.to, pieceOf(first.from+excess).to)})
	}
	select {
	case h.wake <- struct{}{}:
	default: // it is awake
	}
}

// pieceOf returns the piece that a time lies in.
func pieceOf(t int64) span {
	length := holesPiece.Milliseconds()
	begin := t - (t%length+length)%length
	return span{begin, begin + length - 1}
}

// length returns the milliseconds of all together.
func (s spans) length() int64 {
	sum := int64(0)
	for _, one := range s {
		sum += one.to - one.from + 1
	}
	return sum
}

// next returns the newest piece of what is wanted, or of the time just past,
// that was not compared with a replica that counts, and false when there is
// none.
func (h *holes) next(counts []bool, now int64) (span, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.latest.to == 0 || now < h.resume {
		return span{}, false
	}
	for _, wanted := range []spans{h.wanted, {{now - holesAhead.Milliseconds(), now}}} {
		left := spans{}
		for r, counted := range counts {
			if counted {
				left = left.union(h.unseen(r, wanted))
			}
		}
		left = left.without(span{h.latest.from + 1, math.MaxInt64})
		if len(left) > 0 {
			piece := pieceOf(left[len(left)-1].to)
			return span{piece.from, min(piece.to, h.latest.from)}, true
		}
	}
	return span{}, false
}

// unseen returns what of a time a replica was not compared over.
func (h *holes) unseen(r int, of spans) spans {
	for _, one := range h.seen[r] {
		of = of.without(one)
	}
	return of
}

func (s spans) union(more spans) spans {
	for _, one := range more {
		s = s.with(one)
	}
	return s
}

// doubt says what a replica is known to lack in a time, or that it has not
// been looked at yet, "" when neither. Where replicas are not compared at all,
// there is no doubt.
func (h *holes) doubt(r int, t span, now int64) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	in := h.lacks[r].within(t)
	switch {
	case h.latest.to == 0:
		return ""
	case len(in) == 0 && !h.seen[r].cover(h.compared(t, now)):
		return "and has not been searched for gaps yet"
	case len(in) == 0:
		return ""
	}
	parts := []string{}
	for _, one := range in[:min(len(in), maxHolesNamed)] {
		end := "now"
		if one.to < math.MaxInt64 {
			end = time.UnixMilli(one.to).UTC().Format(time.RFC3339)
		}
		parts = append(parts, fmt.Sprintf("%s to %s", time.UnixMilli(one.from).UTC().Format(time.RFC3339), end))
	}
	if more := len(in) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("%d more times", more))
	}
	return "and lacks data of " + strings.Join(parts, ", ")
}
