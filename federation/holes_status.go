package federation

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

const (
	// maxMissing is how many targets are remembered that a replica misses, and
	// maxMissingNamed how many of them a status names, each with so many bytes.
	maxMissing      = 1000
	maxMissingNamed = 10
	maxTargetBytes  = 256
	// maxGaps is how many of the times that a replica lacks a status names.
	maxGaps = 5
)

// Gap is a time that a replica lacks data of.
type Gap struct {
	From time.Time
	To   time.Time // zero when it goes on
}

// Lacking is what one of several replicas is known to lack that another has,
// over the last day.
type Lacking struct {
	Gaps     []Gap // the newest first, at most 5
	MoreGaps int   // that are not among these
	// Targets are those that another replica finds up now, and this one does not
	// scrape, or finds down, at most 10. While there are any, it is not whole.
	Targets      []string
	MoreTargets  int
	TargetsSince time.Time // since when the first of them is missed; zero when none is
}

// doubtful is whether a cluster's answers may lack data, and since when.
type doubtful struct {
	text  string
	since time.Time
}

// missedTargets adds to targets those that b finds up at the end of a window and
// a does not find up in all of it.
func (c *cluster) missedTargets(into []string, a, b []storage.Series, w mergeWindow) []string {
	byLabels := func(s storage.Series, set labels.Labels) int { return labels.Compare(s.Labels(), set) }
	for _, theirs := range b {
		if len(into) == maxMissing {
			break
		}
		if i, ok := slices.BinarySearchFunc(a, theirs.Labels(), byLabels); ok && len(readUp(a[i]).real) > 0 {
			continue
		}
		up := readUp(theirs).real
		if len(up) == 0 || w.maxt-up[len(up)-1].t > tolerated.Milliseconds() {
			continue
		}
		if name := c.target(theirs.Labels()); !slices.Contains(into, name) {
			into = append(into, name)
		}
	}
	return into
}

// target returns how a target is named: by its labels, without those of the
// cluster.
func (c *cluster) target(set labels.Labels) string {
	b := labels.NewBuilder(set).Del(model.MetricNameLabel)
	for name := range c.external {
		b.Del(name)
	}
	name := b.Labels().String()
	if len(name) > maxTargetBytes {
		name = strings.ToValidUTF8(name[:maxTargetBytes], "") + "…"
	}
	return name
}

// miss takes in which targets replicas miss now. One that answered alone was
// compared with none. The caller holds the lock.
func (h *holes) miss(now int64, found []finding) {
	if len(slices.DeleteFunc(slices.Clone(found), func(f finding) bool { return !f.answered })) < 2 {
		return
	}
	for r, f := range found {
		if !f.answered {
			continue
		}
		before := h.missing[r]
		h.missing[r] = make(map[string]int64, len(f.missing))
		for _, target := range f.missing {
			h.missing[r][target] = now
			if since, known := before[target]; known {
				h.missing[r][target] = since
			}
		}
	}
}

// lackingOf returns what a replica is known to lack in a time up to now. A
// target is only said to be missed after a while: replicas learn of one at
// different times.
func (h *holes) lackingOf(r int, t span) Lacking {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out Lacking
	for _, one := range slices.Backward(h.lacks[r].within(t)) {
		if len(out.Gaps) == maxGaps {
			out.MoreGaps++
			continue
		}
		gap := Gap{From: time.UnixMilli(one.from).UTC()}
		if one.to < math.MaxInt64 {
			gap.To = time.UnixMilli(one.to).UTC()
		}
		out.Gaps = append(out.Gaps, gap)
	}
	for _, target := range slices.Sorted(maps.Keys(h.missing[r])) {
		since := h.missing[r][target]
		switch {
		case t.to-since < tolerated.Milliseconds():
			continue
		case len(out.Targets) == maxMissingNamed:
			out.MoreTargets++
		default:
			out.Targets = append(out.Targets, target)
		}
		if at := time.UnixMilli(since).UTC(); out.TargetsSince.IsZero() || at.Before(out.TargetsSince) {
			out.TargetsSince = at
		}
	}
	return out
}

// lackingFor returns how long a replica lacks data in a time.
func (h *holes) lackingFor(r int, t span) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum := int64(0)
	for _, one := range h.lacks[r].within(t) {
		sum += min(one.to, t.to) - max(one.from, t.from) + 1
	}
	return time.Duration(sum) * time.Millisecond
}

// day is the time that a status tells of.
func day(now time.Time) span {
	return span{now.Add(-holesAhead).UnixMilli(), now.UnixMilli()}
}

// review finds out whether answers of the cluster may lack data of the last
// day, and tells it in metrics.
func (c *cluster) review(now time.Time) doubtful {
	text := ""
	for i, alive := range c.alive() {
		if alive {
			text = cmp.Or(text, c.replicas[i].stores.doubted())
		}
	}
	if len(c.replicas) == 1 {
		return c.doubtful(text, now)
	}
	if alone := c.alone(); alone >= 0 {
		if lacks := c.holes.doubt(alone, day(now), now.UnixMilli()); lacks != "" {
			text = fmt.Sprintf("replica %d answers alone, %s", alone+1, lacks)
		}
	}
	for i, r := range c.replicas {
		c.metrics.setLacking(c.name, r.address(), c.holes.lackingFor(i, day(now)), c.holes.lackingOf(i, day(now)))
	}
	return c.doubtful(text, now)
}

// doubtful notes and tells what is doubtful now, "" when nothing is.
func (c *cluster) doubtful(text string, now time.Time) doubtful {
	d := c.holes.become(text, now)
	c.metrics.setDoubtful(c.name, d.text != "")
	return d
}

// alone returns the only replica that answers, as far as is known, -1 when
// there is not just one.
func (c *cluster) alone() int {
	alive := c.alive()
	only := slices.Index(alive, true)
	if only < 0 || slices.Contains(alive[only+1:], true) {
		return -1
	}
	return only
}

// become notes what is doubtful now, "" when nothing is.
func (h *holes) become(text string, now time.Time) doubtful {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case text == "":
		h.doubted = doubtful{}
	case h.doubted.text == "":
		h.doubted.since = now
	}
	h.doubted.text = text
	return h.doubted
}

// inherit takes over what is known of the same replicas.
func (h *holes) inherit(from *holes) {
	from.mu.Lock()
	defer from.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen, h.lacks = slices.Clone(from.seen), slices.Clone(from.lacks)
	h.latest, h.sighted, h.wanted, h.doubted = from.latest, from.sighted, from.wanted, from.doubted
	for r, targets := range from.missing {
		h.missing[r] = maps.Clone(targets)
	}
}

// sameReplicas tells whether two clusters are made of the same replicas, whose
// series are the same.
func (c *cluster) sameReplicas(as *cluster) bool {
	return maps.Equal(c.external, as.external) && maps.Equal(c.dropped, as.dropped) &&
		slices.EqualFunc(c.replicas, as.replicas, func(a, b *replica) bool { return a.base.String() == b.base.String() })
}
