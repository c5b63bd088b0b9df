package rules

import (
	"math"
	"slices"
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
// evaluation, as a vector: seconds since 1970 as if the zone's time were UTC.
func (k clock) local(shift time.Duration) parser.Expr {
	regimes := k.regimes(moved(call("time"), shift.Seconds(), nil))
	e := k.at(regimes[0].offset, shift)
	for _, r := range regimes[1:] {
		by := r.offset - regimes[0].offset
		e = plus(e, mul(num(math.Abs(float64(by))), r.flag), by < 0)
	}
	return e
}

// at returns the local time as local does, at one offset.
func (k clock) at(offset int, shift time.Duration) parser.Expr {
	return vector(moved(call("time"), float64(offset)+shift.Seconds(), nil))
}

// regime is an offset and a flag that is 1 while it is in force; the first of
// a clock's regimes has none: it is in force while no other is.
type regime struct {
	offset int
	flag   parser.Expr
}

// regimes returns the offsets of a zone and when they are in force, for a
// moment in Unix time.
func (k clock) regimes(now parser.Expr) []regime {
	if len(k.changes) == 0 {
		return []regime{{offset: k.base}}
	}
	if r, ok := k.yearly(now); ok {
		return r
	}
	out := []regime{{offset: k.base}}
	for _, offset := range k.offsets() {
		if slices.ContainsFunc(out, func(r regime) bool { return r.offset == offset }) {
			continue
		}
		var flag parser.Expr
		for _, c := range k.changes {
			passed := atLeast(now, float64(c.at))
			switch {
			case c.to == offset && flag == nil:
				flag = passed
			case c.to == offset:
				flag = plus(flag, passed, false)
			case c.from == offset:
				flag = plus(flag, passed, true)
			}
		}
		out = append(out, regime{offset: offset, flag: flag})
	}
	return out
}

// yearly returns the regimes of a zone whose clock goes forward and back once
// in each year, at the same time of the same weekday of a month.
func (k clock) yearly(now parser.Expr) ([]regime, bool) {
	var forward, back []change
	for _, c := range k.changes {
		if c.to > c.from {
			forward = append(forward, c)
		} else {
			back = append(back, c)
		}
	}
	up, ok := weekdayOf(forward)
	down, same := weekdayOf(back)
	if !ok || !same || len(k.changes) != 2*(clockUntil-clockFrom) || forward[0].from != back[0].to || forward[0].to != back[0].from {
		return nil, false
	}
	flag := sub(up.passed(now), down.passed(now))
	if up.month > down.month {
		flag = add(num(1), plus(up.passed(now), down.passed(now), true))
	}
	return []regime{{offset: forward[0].from}, {offset: forward[0].to, flag: flag}}, true
}

// weekday is a moment of each year: a time of the first such weekday from a
// date on, in UTC.
type weekday struct {
	month, date, day int
	time             time.Duration
}

// weekdayOf returns the moment at which changes are in each of the years.
func weekdayOf(changes []change) (weekday, bool) {
	if len(changes) != clockUntil-clockFrom {
		return weekday{}, false
	}
	var out weekday
	for i, c := range changes {
		at := time.Unix(c.at, 0).UTC()
		w := weekday{month: int(at.Month()), date: at.Day(), day: int(at.Weekday()), time: at.Sub(at.Truncate(day))}
		if i == 0 {
			out = w
		}
		out.date = min(out.date, w.date)
		if c.from != changes[0].from || c.to != changes[0].to || at.Year() != clockFrom+i ||
			w.month != out.month || w.day != out.day || w.time != out.time {
			return weekday{}, false
		}
	}
	for _, c := range changes {
		if time.Unix(c.at, 0).UTC().Day() > out.date+6 {
			return weekday{}, false
		}
	}
	return out, true
}

// passed returns 1 from the moment on until the end of its year in UTC, else
// 0. It takes off the time since the last such weekday, and compares what is
// left with the first date on which that can be; months are 32 days apart, so
// that in the first days of a month this is in the month before.
func (w weekday) passed(now parser.Expr) parser.Expr {
	const week = 7 * 86400
	first := float64((w.day+3)%7*86400) + w.time.Seconds() // since the Thursday on which 1970 began
	at := now
	if at.Type() == parser.ValueTypeScalar {
		at = vector(at)
	}
	date := add(mul(num(32*86400), call("month", at)), mul(num(86400), call("day_of_month", at)))
	date = plus(date, modulo(now, 86400), false)
	date = plus(date, modulo(moved(now, week-first, nil), week), true)
	return atLeast(date, float64((32*w.month+w.date)*86400)+w.time.Seconds())
}

// instant returns the moment at which a local time, given as an expression,
// is first shown. A local time that the zone skips is as long after the skip
// as if it had none.
func (k clock) instant(local parser.Expr) parser.Expr {
	if _, ok := k.yearly(local); ok {
		latest := slices.Max(k.offsets())
		regimes := k.regimes(moved(local, -float64(latest), nil))
		by := regimes[1].offset - regimes[0].offset
		e := moved(local, -float64(regimes[0].offset), nil)
		return plus(e, mul(num(math.Abs(float64(by))), regimes[1].flag), by > 0)
	}
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
