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
		if one.to >= add.from-1 && one.from <= add.to+1 {
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
	mu     sync.Mutex
	seen   []spans // of each replica: when it was compared with all that answered then
	lacks  []spans // of each replica: when others have what it has not
	latest span    // last compared up to now: from when, up to when; both 0 before
	wanted int64   // the earliest time that a query has asked for
	resume int64   // when the past is compared again, after that failed
	failed int     // times in a row that it did
	wake   chan struct{}
}

func newHoles(replicas int) *holes {
	return &holes{
		seen: make([]spans, replicas), lacks: make([]spans, replicas),
		wanted: math.MaxInt64, wake: make(chan struct{}, 1),
	}
}

// finding is what a comparison over a time found of one replica.
type finding struct {
	answered bool
	lacks    spans
}

// note takes in a comparison. One up to now replaces what was thought to go
// on after it.
func (h *holes) note(t span, upToNow bool, found []finding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cut := t
	if upToNow {
		h.latest, cut.to = t, math.MaxInt64
	}
	h.delay(t, upToNow, found)
	for r, f := range found {
		if !f.answered {
			continue
		}
		h.seen[r] = h.seen[r].with(t)
		h.lacks[r] = h.lacks[r].without(cut)
		for _, one := range f.lacks {
			h.lacks[r] = h.lacks[r].with(one)
		}
	}
}

// delay keeps the past from being compared again at once when a replica did
// not answer, longer each time. The caller holds the lock.
func (h *holes) delay(t span, upToNow bool, found []finding) {
	switch {
	case upToNow:
	case !slices.ContainsFunc(found, func(f finding) bool { return !f.answered }):
		h.failed, h.resume = 0, 0
	default:
		h.failed++
		h.resume = h.latest.to + holesRefresh.Milliseconds()<<min(h.failed, 8)
	}
}

// judge tells of each replica whether it has no hole in a time, and whether
// that is known: all replicas that count have been compared over it. The time
// after the latest comparison is taken to go on as that ended, for as long as
// a comparison is not overdue.
func (h *holes) judge(t span, counts []bool, now int64) (whole []bool, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.want(t.from)
	compared := t
	if now-h.latest.to <= 3*holesRefresh.Milliseconds() {
		compared.to = min(t.to, h.latest.to)
	}
	compared.from = min(compared.from, compared.to)
	whole, known = make([]bool, len(h.lacks)), true
	for r := range h.lacks {
		whole[r] = len(h.lacks[r].within(t)) == 0
		known = known && (!counts[r] || h.seen[r].cover(compared))
	}
	return whole, known
}

// want has a time compared soon. The caller holds the lock.
func (h *holes) want(from int64) {
	if from >= h.wanted && h.latest.to != 0 {
		return
	}
	h.wanted = min(h.wanted, from)
	select {
	case h.wake <- struct{}{}:
	default: // it is awake
	}
}

// next returns the newest piece, aligned, of what is wanted and was not
// compared with a replica that counts, and false when there is none.
func (h *holes) next(counts []bool, now int64) (span, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	piece := holesPiece.Milliseconds()
	earliest := max(min(h.wanted, now-holesAhead.Milliseconds()), now-holesDepth.Milliseconds())
	missing := spans{}
	for r, counted := range counts {
		if !counted {
			continue
		}
		left := spans{{min(earliest, h.latest.from), h.latest.from}}
		for _, one := range h.seen[r] {
			left = left.without(one)
		}
		for _, one := range left {
			missing = missing.with(one)
		}
	}
	if len(missing) == 0 || h.latest.to == 0 || now < h.resume {
		return span{}, false
	}
	last := missing[len(missing)-1].to
	begin := last - (last%piece+piece)%piece
	return span{begin, min(begin+piece-1, h.latest.from)}, true
}

// doubt says what a replica is known to lack in a time, "" when nothing.
func (h *holes) doubt(r int, t span) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	in := h.lacks[r].within(t)
	if len(in) == 0 {
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
	return strings.Join(parts, ", ")
}
