package federation

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

const (
	// mergeMargin is how much more than what is asked is fetched on each side
	// of it, so that what becomes of a sample does not depend on the query.
	mergeMargin = 5 * time.Minute
	// usualPace is taken where too few samples tell how far apart they are:
	// Prometheus' default scrape interval.
	usualPace = time.Minute

	// missedPaces is how many scrape intervals lie between two samples, at the
	// least, when a scrape between them is missing.
	missedPaces = 1.75
	// seamPaces is how many scrape intervals lie between two samples of
	// different replicas, at the least. With a half, each missing scrape is
	// replaced by exactly one.
	seamPaces = 0.5
	// skewPaces is how far from a seam a sample can be that shows a counter
	// earlier than the sample on the other side.
	skewPaces = 2
)

// lane is what one replica has of a series, in order of time.
type lane struct {
	real  []sample // all but staleness markers
	marks []sample // staleness markers
}

// seaming fills the gaps in one lane from another.
//
// A gap is the time between two successive samples of a that are more than
// missedPaces scrape intervals apart. In it are used those samples of b that
// are at least seamPaces intervals away from both of its ends. The scrape
// interval is that of the place: see pace.
type seaming struct {
	a, b         lane
	since, until int64 // what is known of both; a gap at an end of a is one when it is long enough within this

	out   lane
	last  origin // of the last sample of out
	paces []int64
}

// origin tells where a sample comes from.
type origin struct {
	other bool // b
	index int
}

// fillGaps returns a with its gaps filled from b.
func fillGaps(a, b lane, since, until int64) lane {
	s := seaming{a: a, b: b, since: since, until: until}
	s.out.real = make([]sample, 0, len(a.real)+len(b.real)/4)
	s.fill()
	s.mark()
	return s.out
}

// fill goes through the times between the samples of a: before the first,
// between the first and the second, up to after the last.
func (s *seaming) fill() {
	begin := 0
	for i := 0; i <= len(s.a.real); i++ {
		end := len(s.b.real)
		if i < len(s.a.real) {
			end = begin
			for end < len(s.b.real) && s.b.real[end].t < s.a.real[i].t {
				end++
			}
		}
		if begin < end {
			from, to := s.usable(i, begin, end)
			for k := from; k < to; k++ {
				s.take(s.b.real[k], origin{true, k})
			}
		}
		if i < len(s.a.real) {
			s.take(s.a.real[i], origin{false, i})
			if end < len(s.b.real) && s.b.real[end].t == s.a.real[i].t {
				end++
			}
		}
		begin = end
	}
}

// take adds a sample. A histogram knows whether it continues the one before
// it in its own lane; where another is before it now, it does not.
func (s *seaming) take(one sample, from origin) {
	if n := len(s.out.real); n > 0 && s.last != (origin{from.other, from.index - 1}) {
		one = forgetful(one)
	}
	s.out.real, s.last = append(s.out.real, one), from
}

func forgetful(one sample) sample {
	switch {
	case one.h != nil && one.h.CounterResetHint != histogram.GaugeType:
		one.h = one.h.Copy()
		one.h.CounterResetHint = histogram.UnknownCounterReset
	case one.fh != nil && one.fh.CounterResetHint != histogram.GaugeType:
		one.fh = one.fh.Copy()
		one.fh.CounterResetHint = histogram.UnknownCounterReset
	}
	return one
}

// usable returns which of the samples begin to end of b, all before sample i
// of a and after the one before it, fill a gap there.
func (s *seaming) usable(i, begin, end int) (from, to int) {
	if len(s.a.real) == 0 {
		return begin, end
	}
	lo, hi := s.since, s.until
	if i > 0 {
		lo = s.a.real[i-1].t
	}
	if i < len(s.a.real) {
		hi = s.a.real[i].t
	}
	pace := s.pace(i, begin, end)
	if float64(hi-lo) <= missedPaces*pace {
		return 0, 0
	}
	from, to = begin, end
	if i > 0 {
		for from < to && float64(s.b.real[from].t-lo) < seamPaces*pace {
			from++
		}
		for from < to && float64(s.b.real[from].t-lo) <= skewPaces*pace && s.behind(begin-1, from, s.a.real[i-1], s.b.real[from]) {
			from++
		}
	}
	if i < len(s.a.real) {
		for to > from && float64(hi-s.b.real[to-1].t) < seamPaces*pace {
			to--
		}
		for to > from && float64(hi-s.b.real[to-1].t) <= skewPaces*pace && s.behind(to-1, end, s.b.real[to-1], s.a.real[i]) {
			to--
		}
	}
	return from, to
}

// behind tells whether one of two samples beside a seam shows an earlier state
// of a counter than the sample before it: its value is lower, but b, which
// has samples first and last on either side of the other lane's sample, rises
// all the time.
func (s *seaming) behind(first, last int, before, after sample) bool {
	was, ok := before.level()
	is, ok2 := after.level()
	if !ok || !ok2 || is >= was || first < 0 || last >= len(s.b.real) {
		return false
	}
	around := s.b.real[max(0, first-1):min(len(s.b.real), last+2)]
	for k := 1; k < len(around); k++ {
		was, ok := around[k-1].level()
		is, ok2 := around[k].level()
		if !ok || !ok2 || is < was {
			return false
		}
	}
	return true
}

// level returns what never falls in a counter: the value, or the count of a
// histogram. It is false for a number that cannot be compared.
func (s sample) level() (float64, bool) {
	v := s.f
	switch {
	case s.h != nil:
		v = float64(s.h.Count)
	case s.fh != nil:
		v = s.fh.Count
	}
	return v, !math.IsNaN(v)
}

// stale tells whether a sample is a staleness marker.
func (s sample) stale() bool {
	switch {
	case s.h != nil:
		return value.IsStaleNaN(s.h.Sum)
	case s.fh != nil:
		return value.IsStaleNaN(s.fh.Sum)
	}
	return value.IsStaleNaN(s.f)
}

// pace returns the scrape interval, in milliseconds, around the time between
// the samples i-1 and i of a, in which begin to end are those of b: the lower
// median of the distances between successive samples of one replica, those
// that overlap this time and the next on either side.
func (s *seaming) pace(i, begin, end int) float64 {
	s.paces = distances(s.paces[:0], s.a.real, i-2, i+1)
	s.paces = distances(s.paces, s.b.real, begin-2, end+1)
	if len(s.paces) == 0 {
		return float64(usualPace.Milliseconds())
	}
	slices.Sort(s.paces)
	return float64(s.paces[(len(s.paces)-1)/2])
}

// distances adds those between successive samples from first to last, as far
// as there are such.
func distances(into []int64, real []sample, first, last int) []int64 {
	for k := max(0, first); k < min(last, len(real)-1); k++ {
		into = append(into, real[k+1].t-real[k].t)
	}
	return into
}

// mark puts a staleness marker after a sample where one of the replicas has
// one and no replica has the series.
func (s *seaming) mark() {
	all := slices.Concat(s.a.marks, s.b.marks)
	slices.SortStableFunc(all, func(x, y sample) int { return int(x.t - y.t) })
	at, done := 0, false
	for _, m := range all {
		for at < len(s.out.real) && s.out.real[at].t <= m.t {
			at, done = at+1, false
		}
		if at == 0 || done || s.out.real[at-1].t == m.t || s.alive(m.t) {
			continue
		}
		s.out.marks, done = append(s.out.marks, m), true
	}
}

// alive tells whether a replica has the series at a time: it lies between two
// successive samples, of which the first is not a marker and the second, be it
// one or the end of what is known, is not more than missedPaces later.
func (s *seaming) alive(t int64) bool {
	i, k := after(s.a.real, t), after(s.b.real, t)
	longest := missedPaces * s.pace(i, k, k)
	return s.a.alive(i, t, s.until, longest) || s.b.alive(k, t, s.until, longest)
}

// alive tells the same of one; the first i samples are not after t.
func (l lane) alive(i int, t, until int64, longest float64) bool {
	if i == 0 {
		return false
	}
	last, next, k := l.real[i-1].t, until, after(l.marks, t)
	if k > 0 && l.marks[k-1].t > last {
		return false
	}
	if i < len(l.real) {
		next = min(next, l.real[i].t)
	}
	if k < len(l.marks) {
		next = min(next, l.marks[k].t)
	}
	return float64(next-last) <= longest
}

// after returns the index of the first sample after t.
func after(samples []sample, t int64) int {
	i, _ := slices.BinarySearchFunc(samples, t, func(s sample, t int64) int {
		if s.t <= t {
			return -1
		}
		return 1
	})
	return i
}
