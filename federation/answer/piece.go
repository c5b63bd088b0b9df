package answer

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

// seriesBytes is about what a series takes besides its values and its labels.
const seriesBytes = 96

// Cut returns what an answer has at n steps of its grid, from one on, over a
// grid of these steps alone. It shares labels with the answer, and nothing
// else; notes are left out.
func Cut(a *Answer, of Grid, from, n int) *Answer {
	g := &Grid{Start: of.Start + int64(from)*of.Step, Step: of.Step, Steps: n}
	out := &Answer{}
	for _, s := range a.Series {
		if cut := s.cut(g, from); len(cut.values) > 0 {
			out.Series = append(out.Series, cut)
		}
	}
	return out
}

// cut returns what the series has at the steps of g, the first of which is the
// step from of its own grid.
func (s *Series) cut(g *Grid, from int) *Series {
	out := &Series{labels: s.labels, grid: g}
	step, next := s.first, 0
	for i, f := range s.values {
		if n := isGap(f); n > 0 {
			step += n
			continue
		}
		if step >= from+g.Steps {
			break
		}
		if step >= from {
			if out.values == nil {
				out.values = make([]float64, 0, min(g.Steps, len(s.values)-i))
			}
			out.extend(next, step-from, f)
			next = step - from + 1
		}
		step++
	}
	return out
}

// Size returns about how many bytes an answer takes.
func (a *Answer) Size() int64 {
	size := int64(seriesBytes)
	for _, s := range a.Series {
		size += seriesBytes + 8*int64(cap(s.values)) + int64(s.labels.ByteSize())
	}
	return size
}

// Sort puts the series in order of their labels, and returns false when two
// have the same.
func (a *Answer) Sort() bool {
	compare := func(x, y *Series) int { return labels.Compare(x.labels, y.labels) }
	if !slices.IsSortedFunc(a.Series, compare) {
		slices.SortFunc(a.Series, compare)
	}
	for i := 1; i < len(a.Series); i++ {
		if labels.Equal(a.Series[i-1].labels, a.Series[i].labels) {
			return false
		}
	}
	return true
}
