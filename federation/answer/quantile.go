package answer

import (
	"context"
	"math"
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

// Group is the series of an answer that are alike in what is kept of their
// labels.
type Group struct {
	labels labels.Labels
	values []float64 // of an instant: one of each series
	series []*Series // of several steps
}

// add takes in a series. It keeps it where it has several steps.
func (g *Group) add(s *Series) {
	if s.grid.Steps == 1 {
		g.values = append(g.values, s.values...)
	} else {
		g.series = append(g.series, s)
	}
}

// Quantile returns, for all series of several answers that are alike in what
// is kept of their labels, the quantile of their values at each step, as
// Prometheus' aggregation by these labels gives it. It is 0 or more and at most
// 1. All answers are over the grid, which it keeps. The series are in order of
// their labels. The error is that of a context that has ended.
func Quantile(ctx context.Context, quantile float64, g *Grid, keep []string, of []*Answer) ([]*Series, error) {
	m := merger{index: map[string]*Group{}}
	for _, a := range of {
		for _, one := range a.Groups {
			to := m.group(one.labels)
			to.values = append(to.values, one.values...)
			to.series = append(to.series, one.series...)
		}
		for _, s := range a.Series {
			m.group(s.labels.MatchLabels(true, keep...)).add(s)
		}
	}
	slices.SortFunc(m.groups, func(a, b *Group) int { return labels.Compare(a.labels, b.labels) })
	out := make([]*Series, len(m.groups))
	work := work{ctx: ctx}
	for i, one := range m.groups {
		out[i] = one.quantile(quantile, g, &work)
	}
	return out, ctx.Err()
}

// work is what is done until a context ends.
type work struct {
	ctx  context.Context //nolint:containedctx // of one call.
	done int
}

// over adds to what is done and tells whether the context has ended, which it
// asks now and then.
func (w *work) over(n int) bool {
	const often = 1 << 16
	if w.done += n; w.done < often {
		return false
	}
	w.done = 0
	return w.ctx.Err() != nil
}

// merger finds groups by their labels.
type merger struct {
	index  map[string]*Group
	groups []*Group
	key    []byte
}

func (m *merger) group(of labels.Labels) *Group {
	m.key = of.Bytes(m.key)
	one, ok := m.index[string(m.key)]
	if !ok {
		one = &Group{labels: of}
		m.index[string(m.key)] = one
		m.groups = append(m.groups, one)
	}
	return one
}

// quantile returns the quantile of the group at each step that has a value.
// The order of its values is lost.
func (g *Group) quantile(q float64, grid *Grid, w *work) *Series {
	out := &Series{labels: g.labels, grid: grid}
	if grid.Steps == 1 && len(g.values) > 0 && !w.over(len(g.values)) {
		out.extend(0, 0, quantileOf(q, g.values))
	}
	begin, end := grid.Steps, 0
	at := make([]cursor, len(g.series))
	for i, s := range g.series {
		at[i] = cursor{step: s.first}
		begin, end = min(begin, s.first), max(end, s.end())
	}
	next := 0
	for step := begin; step < end && !w.over(len(g.series)); step++ {
		g.values = g.values[:0]
		for i, s := range g.series {
			if f, ok := at[i].value(s, step); ok {
				g.values = append(g.values, f)
			}
		}
		if len(g.values) > 0 {
			out.extend(next, step, quantileOf(q, g.values))
			next = step + 1
		}
	}
	return out
}

// cursor is where in a series one is.
type cursor struct{ next, step int }

// value returns the value at a step, to which each one before was asked for.
func (c *cursor) value(s *Series, step int) (float64, bool) {
	if c.step != step || c.next == len(s.values) {
		return 0, false
	}
	f := s.values[c.next]
	c.next++
	if n := isGap(f); n > 0 {
		c.step += n
		return 0, false
	}
	c.step++
	return f, true
}

// quantileOf returns a quantile of at least one value, whose order it changes.
func quantileOf(q float64, values []float64) float64 {
	n := float64(len(values))
	rank := q * (n - 1)
	below := math.Max(0, math.Floor(rank))
	above := math.Min(n-1, below+1)
	weight := rank - math.Floor(rank)
	low, high := ranked(values, int(below), int(above)) // high is low, or the next
	return low*(1-weight) + high*weight
}

// ranked returns what values[low] and values[high] would be if values were
// sorted, with NaN first; high is low, or the next.
func ranked(values []float64, low, high int) (float64, float64) {
	from, to := 0, len(values)
	for i, f := range values {
		if math.IsNaN(f) {
			values[i], values[from] = values[from], f
			from++
		}
	}
	if low < from {
		return math.NaN(), math.NaN() // whatever the other is, so is the quantile
	}
	// Narrow down where they are; not for long, if the order is one against it.
	for range 2 * bits.Len(uint(to)) {
		if to-from < 16 {
			break
		}
		less, more := parted(values, from, to)
		switch {
		case high < less:
			to = less
		case low >= more:
			from = more
		case low < less:
			return slices.Max(values[from:less]), values[high]
		case high >= more:
			return values[low], slices.Min(values[more:to])
		default:
			return values[low], values[high]
		}
	}
	slices.Sort(values[from:to])
	return values[low], values[high]
}

// parted puts what is less than one of the values before those that are the
// same, and these before what is more. It returns where they are.
func parted(values []float64, from, to int) (less, more int) {
	a, b, c := values[from], values[from+(to-from)/2], values[to-1]
	pivot := max(min(a, b), min(max(a, b), c))
	less, more = from, to
	for i := from; i < more; {
		switch f := values[i]; {
		case f < pivot:
			values[i], values[less] = values[less], f
			less++
			i++
		case f > pivot:
			more--
			values[i], values[more] = values[more], f
		default:
			i++
		}
	}
	return less, more
}
