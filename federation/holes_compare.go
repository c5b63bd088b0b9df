package federation

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

const (
	// holesMaxBytes bounds what one comparison may make all replicas send: two
	// hours of 200,000 targets, scraped every 15 s, are less.
	holesMaxBytes = 256 << 20
	// tolerated is how much longer one replica may have a target that the
	// other learns of later, or forgets earlier, before that is a hole.
	tolerated = 2 * time.Minute
)

// compare reads what all replicas know of their targets over a time, and
// returns what each lacks of it. upToNow says that the time ends now: what a
// replica lacks at its end then goes on.
func (c *cluster) compare(ctx context.Context, t span, upToNow bool) []finding {
	up := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up")
	w, wide := widen(selection{mint: t.from, maxt: t.to, matchers: []*labels.Matcher{up}}, time.Now().UnixMilli())
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	read := c.readEach(ctx, wide)
	found := make([]finding, len(read))
	for r, one := range read {
		found[r].answered, found[r].targets = one.err == nil, len(one.series) > 0
		if errors.Is(one.err, errTooMuch) { // never taken to be whole
			found[r] = finding{answered: true, targets: true, lacks: spans{t}}
		}
	}
	if alone := answering(read); alone >= 0 {
		grace := tolerated
		if c.holes.back(alone) {
			grace = 0
		}
		found[alone].lacks = silences(read[alone].series, w, upToNow, grace)
	}
	for r := range read {
		for o := range read {
			if r != o && read[r].err == nil && read[o].err == nil {
				found[r].lacks = lacking(found[r].lacks, read[r].series, read[o].series, w, upToNow)
				if upToNow {
					found[r].missing = c.missedTargets(found[r].missing, read[r].series, read[o].series, w)
				}
			}
		}
	}
	return found
}

// answering returns the only one that answered, -1 when there is not just one.
func answering(read []replicaSeries) int {
	only := -1
	for r, one := range read {
		if one.err != nil {
			continue
		}
		if only >= 0 {
			return -1
		}
		only = r
	}
	return only
}

// silences returns the times in which a replica that cannot be compared with
// another knows of no target that is up, and did before; of the newest time
// when it is longer than grace.
func silences(up []storage.Series, w mergeWindow, upToNow bool, grace time.Duration) spans {
	var known spans
	for _, one := range up {
		l := readUp(one)
		s := seaming{a: l}
		for i := range l.real {
			to := l.real[i].t + int64(missedPaces*s.pace(i+1, 0, 0))
			if n := len(known); n > 0 && known[n-1].from <= l.real[i].t && known[n-1].to >= l.real[i].t-1 {
				known[n-1].to = max(known[n-1].to, to)
				continue
			}
			known = known.with(span{l.real[i].t, to})
		}
	}
	if len(known) == 0 {
		return nil
	}
	last := known[len(known)-1].to
	silent := spans{{known[0].from, last}}
	if upToNow && w.maxt-last > grace.Milliseconds() {
		silent = spans{{known[0].from, math.MaxInt64}}
	}
	for _, one := range known {
		silent = silent.without(one)
	}
	return silent.without(span{math.MinInt64, w.mint - 1})
}

// replicaSeries is what one replica answered.
type replicaSeries struct {
	series []storage.Series
	merged int
	warned bool // a server warned of its answer
	err    error
}

// readEach reads a selection from every replica at once.
func (c *cluster) readEach(ctx context.Context, sel selection) []replicaSeries {
	out := make([]replicaSeries, len(c.replicas))
	limit := &budget{limit: holesMaxBytes}
	var running sync.WaitGroup
	for i, r := range c.replicas {
		running.Go(func() {
			out[i] = c.attempt(ctx, r, sel, limit)
			c.answered(r, out[i].err)
		})
	}
	running.Wait()
	return out
}

// lacking adds to into the times in which a lacks what b has.
func lacking(into spans, a, b []storage.Series, w mergeWindow, upToNow bool) spans {
	byLabels := func(s storage.Series, set labels.Labels) int { return labels.Compare(s.Labels(), set) }
	for _, theirs := range b {
		var own lane
		if i, ok := slices.BinarySearchFunc(a, theirs.Labels(), byLabels); ok {
			own = readUp(a[i])
		}
		s := seaming{a: own, b: readUp(theirs), since: w.since, until: w.until}
		for _, hole := range s.holes(upToNow) {
			from, to := max(hole.from, w.mint), min(hole.to, w.maxt)
			if upToNow && hole.to == math.MaxInt64 {
				to = hole.to
			}
			if from <= to {
				into = into.with(span{from, to})
			}
		}
	}
	return into
}

// readUp reads when a target was up. What cannot be read was not.
func readUp(s storage.Series) lane {
	l, err := readLane(s)
	if err != nil {
		return lane{}
	}
	l.real = slices.DeleteFunc(l.real, func(one sample) bool { return one.f == 0 })
	return l
}

// holes returns the gaps of a that b fills with two samples or more. Where a
// has nothing at all before or after, both may just have learnt of a target,
// or forgotten it, at different times; that is tolerated. What is open at the
// end goes on for ever.
func (s *seaming) holes(upToNow bool) spans {
	var out spans
	begin := 0
	for i := 0; i <= len(s.a.real); i++ {
		end := len(s.b.real)
		if i < len(s.a.real) {
			end = begin + after(s.b.real[begin:], s.a.real[i].t-1)
		}
		from, to := 0, 0
		if begin < end {
			from, to = s.usable(i, begin, end)
		}
		if hole, ok := s.hole(i, from, to, upToNow); ok {
			out = out.with(hole)
		}
		begin = end
		if i < len(s.a.real) && end < len(s.b.real) && s.b.real[end].t == s.a.real[i].t {
			begin++
		}
	}
	return out
}

// hole returns the gap before sample i of a, when it is a hole: the samples
// from to to of b would fill it.
func (s *seaming) hole(i, from, to int, upToNow bool) (span, bool) {
	if to-from < 2 {
		return span{}, false
	}
	first, last := i == 0, i == len(s.a.real)
	open := last && upToNow && !first
	length := s.b.real[to-1].t - s.b.real[from].t
	if (first || last) && !open && length <= tolerated.Milliseconds() {
		return span{}, false
	}
	hole := span{s.b.real[from].t, s.b.real[to-1].t}
	if !first {
		hole.from = s.a.real[i-1].t + 1
	}
	switch {
	case !last:
		hole.to = s.a.real[i].t - 1
	case upToNow:
		hole.to = math.MaxInt64
	}
	return hole, true
}
