package rules

import (
	"math"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// clock is a time zone as PromQL can compute it: seconds east of UTC, which
// change at known instants. The changes are those that the time zone database
// has between two fixed years, whatever the day of compilation: before them
// the zone has the first offset, after them the last.
type clock struct {
	base    int // the offset before the first change
	changes []change
}

// change is an instant at which a zone's offset changes.
type change struct {
	at       int64 // Unix time
	from, to int   // offsets
}

// The years whose changes are compiled: the first, and the one after the last.
const (
	clockFrom  = 2025
	clockUntil = 2041
)

// newClock returns the clock of a zone, UTC for nil.
func newClock(zone *time.Location) clock {
	if zone == nil {
		zone = time.UTC
	}
	at := time.Date(clockFrom, time.January, 1, 0, 0, 0, 0, time.UTC).In(zone)
	until := time.Date(clockUntil, time.January, 1, 0, 0, 0, 0, time.UTC)
	_, offset := at.Zone()
	k := clock{base: offset}
	for {
		_, end := at.ZoneBounds()
		if !end.IsZero() && !end.After(at) {
			end = at.Add(24 * time.Hour) // on the last day of a leap year, the bounds end before it
		}
		if end.IsZero() || !end.Before(until) {
			return k
		}
		at = end.In(zone)
		if _, next := at.Zone(); next != offset {
			k.changes = append(k.changes, change{at: end.Unix(), from: offset, to: next})
			offset = next
		}
	}
}

// offsets returns every offset that the zone has.
func (k clock) offsets() []int {
	out := []int{k.base}
	for _, c := range k.changes {
		out = append(out, c.to)
	}
	return out
}

// local returns the local time of the moment that is shift after that of the
// evaluation, as a scalar: seconds since 1970 as if the zone's time were UTC.
func (k clock) local(shift time.Duration) parser.Expr {
	now := call("time")
	return moved(now, float64(k.base)+shift.Seconds(), k.steps(func(c change) parser.Expr {
		return atLeast(now, float64(c.at)-shift.Seconds())
	}))
}

// instant returns the moment at which a local time, given as an expression,
// is first shown. A local time that the zone skips is as long after the skip
// as if it had none.
func (k clock) instant(local parser.Expr) parser.Expr {
	steps := k.steps(func(c change) parser.Expr {
		return atLeast(local, float64(c.at)+float64(max(c.from, c.to)))
	})
	for i := range steps {
		steps[i].factor = -steps[i].factor
	}
	return moved(local, -float64(k.base), steps)
}

// step is a part of an offset: a number of seconds times a sum of flags, of
// which every second is taken off.
type step struct {
	factor int
	flags  []parser.Expr
	minus  []bool
}

// steps returns the changes that have been passed, by how far they move the
// clock.
func (k clock) steps(passed func(change) parser.Expr) []step {
	var out []step
	for _, c := range k.changes {
		by := c.to - c.from
		i := 0
		for i < len(out) && out[i].factor != by && out[i].factor != -by {
			i++
		}
		if i == len(out) {
			out = append(out, step{factor: by})
		}
		out[i].flags = append(out[i].flags, passed(c))
		out[i].minus = append(out[i].minus, out[i].factor != by)
	}
	return out
}

// moved adds a constant and steps to an expression.
func moved(e parser.Expr, constant float64, steps []step) parser.Expr {
	if constant != 0 {
		e = plus(e, num(math.Abs(constant)), constant < 0)
	}
	for _, s := range steps {
		flags := s.flags[0]
		for i, flag := range s.flags[1:] {
			flags = plus(flags, flag, s.minus[i+1])
		}
		e = plus(e, mul(num(math.Abs(float64(s.factor))), flags), s.factor < 0)
	}
	return e
}

// plus adds an operand to a sum, or takes it off, without parentheses around
// the sum.
func plus(e, operand parser.Expr, minus bool) parser.Expr {
	op := parser.ItemType(parser.ADD)
	if minus {
		op = parser.SUB
	}
	b := binary(op, e, operand).(*parser.BinaryExpr)
	if sum, ok := e.(*parser.BinaryExpr); ok && (sum.Op == parser.ADD || sum.Op == parser.SUB) {
		b.LHS = sum
	}
	return b
}

// compare returns 1 where a comparison holds, else 0.
func compare(op parser.ItemType, l, r parser.Expr) parser.Expr {
	b := binary(op, l, r).(*parser.BinaryExpr)
	b.ReturnBool = true
	return b
}

func atLeast(e parser.Expr, v float64) parser.Expr { return compare(parser.GTE, e, num(v)) }
func below(e parser.Expr, v float64) parser.Expr   { return compare(parser.LSS, e, num(v)) }
func is(e parser.Expr, v float64) parser.Expr      { return compare(parser.EQLC, e, num(v)) }
func modulo(e parser.Expr, v float64) parser.Expr  { return binary(parser.MOD, e, num(v)) }
func vector(e parser.Expr) parser.Expr             { return call("vector", e) }
func scalar(e parser.Expr) parser.Expr             { return call("scalar", e) }

// every returns a range of an expression's values at the multiples of step,
// up to ago before the evaluation.
func every(e parser.Expr, length, step, ago time.Duration) parser.Expr {
	if _, ok := e.(*parser.BinaryExpr); ok {
		e = &parser.ParenExpr{Expr: e}
	}
	return &parser.SubqueryExpr{Expr: e, Range: length, Step: step, OriginalOffset: ago}
}
