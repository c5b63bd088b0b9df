package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/robfig/cron/v3"

	"github.com/midwatch-slo/midwatch/slo"
)

// The series of exclusions: whether alerts are held now, whether this very
// moment is excluded, and the share of the budget's window that was.
const (
	excludedSeries = "slo:excluded:bool"
	pausedSeries   = "slo:excluded_moment:bool"
	sharedSeries   = "slo:period_excluded:ratio"
)

// excluded returns a scalar that is 1 while any moment after t - lag - span
// and not after t - lag is excluded for an SLO, else 0; nil when it has no
// exclusions.
func (c *compiler) excluded(s slo.SLO, span, lag time.Duration) parser.Expr {
	var parts []parser.Expr
	for _, x := range s.Exclusions {
		if x.Cron == "" {
			parts = append(parts, once(x, span, lag))
			continue
		}
		schedule, err := schedule(x.Cron)
		if err != nil {
			c.errs = append(c.errs, fmt.Errorf("compile %s: exclusion %q: %w", s.ID(), x.Name, err))
			continue
		}
		parts = append(parts, recurring(schedule, newClock(x.Zone), x.Duration, span, lag)...)
	}
	return anyOf(parts)
}

// anyOf returns 1 where any of some flags is 1; nil for none.
func anyOf(flags []parser.Expr) parser.Expr {
	switch len(flags) {
	case 0:
		return nil
	case 1:
		return flags[0]
	default:
		return compare(parser.GTR, chain(parser.ADD, flags...), num(0))
	}
}

// once returns whether the span that ended lag ago meets an exclusion from an
// instant until another.
func once(x slo.Exclusion, span, lag time.Duration) parser.Expr {
	unix := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
	return mul(atLeast(call("time"), unix(x.From.Add(lag))), below(call("time"), unix(x.To.Add(lag+span))))
}

// schedule reads a cron expression as the checker of SLOs accepts it.
func schedule(text string) (spec *cron.SpecSchedule, err error) {
	defer func() {
		if recover() != nil { // the library's answer to some texts
			err = fmt.Errorf("%q is not a cron expression", text)
		}
	}()
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("cron expression: %w", err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q has no fixed times", text)
	}
	return spec, nil
}

// recurring returns flags of which one is 1 when an exclusion that began at a
// time of the schedule still lasted in the span that ended lag ago: when there
// is such a time in the last duration + span.
//
// The last such time of an hour is at the last minute of the schedule, so one
// moment of each hour is looked at, and every minute that the schedule has
// only in the newest hour.
func recurring(spec *cron.SpecSchedule, k clock, duration, span, lag time.Duration) []parser.Expr {
	minutes := bitsOf(spec.Minute, 0, 59)
	begun := duration + span
	if len(minutes) == 1 || begun <= hour {
		return []parser.Expr{began(spec, minutes, k, begun, lag)}
	}
	return []parser.Expr{
		began(spec, minutes, k, hour, lag),
		began(spec, minutes[len(minutes)-1:], k, begun, lag),
	}
}

// began returns whether the schedule, of whose minutes only some count, has a
// time within a length that ended lag ago.
func began(spec *cron.SpecSchedule, minutes []int, k clock, length, lag time.Duration) parser.Expr {
	step, first, dense := grid(minutes, k)
	if dense {
		minutes = nil
	}
	regimes := k.regimes(moved(call("time"), first.Seconds(), nil))
	due := matches(spec, minutes, k.at(regimes[0].offset, first))
	for _, r := range regimes[1:] {
		due = add(due, mul(r.flag, sub(matches(spec, minutes, k.at(r.offset, first)), matches(spec, minutes, k.at(regimes[0].offset, first)))))
	}
	times := every(due, length, step, lag+first)
	return scalar(either(call("max_over_time", times), vector(num(0))))
}

// matches returns 1 where a local time is one of the schedule, whatever the
// minute is if none are given, else 0.
func matches(spec *cron.SpecSchedule, minutes []int, local parser.Expr) parser.Expr {
	part := func(name string) parser.Expr { return call(name, local) }
	var flags []parser.Expr
	if minutes != nil {
		flags = append(flags, within(part("minute"), minutes, 0, 59))
	}
	flags = append(flags,
		within(part("hour"), bitsOf(spec.Hour, 0, 23), 0, 23),
		within(part("month"), bitsOf(spec.Month, 1, 12), 1, 12),
		onDay(spec, part))
	flags = slices.DeleteFunc(flags, func(e parser.Expr) bool { return e == nil })
	if len(flags) == 0 {
		return vector(num(1))
	}
	return chain(parser.MUL, flags...)
}

// grid returns of which length the steps are that meet all minutes of an hour
// of the zone, how long after a multiple of it, and whether they meet no
// others.
func grid(minutes []int, k clock) (step, first time.Duration, dense bool) {
	var seconds []int // of a UTC hour
	for _, offset := range k.offsets() {
		for _, m := range minutes {
			seconds = append(seconds, ((m*60-offset)%3600+3600)%3600)
		}
	}
	begin := slices.Min(seconds)
	step = hour
	for _, s := range seconds {
		step = greatestCommonDivisor(step, time.Duration(s-begin)*time.Second)
	}
	first = time.Duration(begin) * time.Second % step
	return step, first, len(minutes) == int(hour/step)
}

// star is how the cron library marks a field that is a star.
const star = 1 << 63

// onDay returns whether a local time is on a day of the schedule, nil for
// every day: where both the day of the month and the weekday are given, on
// either.
func onDay(spec *cron.SpecSchedule, part func(string) parser.Expr) parser.Expr {
	date := within(part("day_of_month"), bitsOf(spec.Dom, 1, 31), 1, 31)
	weekday := within(part("day_of_week"), bitsOf(spec.Dow, 0, 6), 0, 6)
	either := spec.Dom&star == 0 && spec.Dow&star == 0
	switch {
	case either && (date == nil || weekday == nil), date == nil && weekday == nil:
		return nil
	case date == nil:
		return weekday
	case weekday == nil:
		return date
	case either:
		return compare(parser.GTR, add(date, weekday), num(0))
	default:
		return mul(date, weekday)
	}
}

// bitsOf returns the numbers whose bits are set.
func bitsOf(field uint64, low, high int) []int {
	var out []int
	for i := low; i <= high; i++ {
		if field&(1<<uint(i)) != 0 {
			out = append(out, i)
		}
	}
	return out
}

// within returns 1 where a part of the time is one of some numbers, else 0;
// nil for all that there are.
func within(part parser.Expr, numbers []int, low, high int) parser.Expr {
	if len(numbers) == high-low+1 {
		return nil
	}
	if by := stride(numbers, low, high); by > 1 {
		return is(modulo(part, float64(by)), float64(low%by))
	}
	var spans []parser.Expr
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		spans = append(spans, between(part, numbers[i], numbers[j], low, high))
		i = j + 1
	}
	return chain(parser.ADD, spans...)
}

// stride returns the n of which numbers are every n-th from low to high, 0
// where there is none.
func stride(numbers []int, low, high int) int {
	if len(numbers) < 2 || numbers[0] != low {
		return 0
	}
	by := numbers[1] - numbers[0]
	for i, n := range numbers {
		if n != low+i*by {
			return 0
		}
	}
	if low+len(numbers)*by <= high {
		return 0
	}
	return by
}

// between returns 1 where a part of the time is between two numbers.
func between(part parser.Expr, from, to, low, high int) parser.Expr {
	switch {
	case from == to:
		return is(part, float64(from))
	case from == low:
		return below(part, float64(to+1))
	case to == high:
		return atLeast(part, float64(from))
	default:
		return mul(atLeast(part, float64(from)), below(part, float64(to+1)))
	}
}

// exclusions returns the groups that record which SLOs are excluded now, and
// which share of their window was: none when nothing is excluded.
func (c *compiler) exclusions(slos []slo.SLO) []rulefmt.RuleGroup {
	var held, moment []parser.Expr
	for _, s := range slos {
		if len(s.Exclusions) == 0 {
			continue
		}
		held = append(held, flagged(s, c.excluded(s, edge, 0)))
		moment = append(moment, flagged(s, c.excluded(s, 0, 0)))
	}
	if len(held) == 0 {
		return nil
	}
	return []rulefmt.RuleGroup{
		group("exclusions", c.o.Interval, c.record(excludedSeries, disjoint(held), nil)),
		group("exclusions-slow", slow,
			append([]rulefmt.Rule{c.record(pausedSeries, disjoint(moment), nil)}, c.excludedShares(slos)...)...),
	}
}

// flagged returns a scalar as the series of an SLO.
func flagged(s slo.SLO, e parser.Expr) parser.Expr {
	return labelled(vector(e), "slo", s.Name, "service", s.Service)
}

// disjoint joins expressions no two of which have a series in common. Many
// are joined by halves: the engine would look at the first ones once for each
// of the others.
func disjoint(es []parser.Expr) parser.Expr {
	const few = 8
	if len(es) <= few {
		return chain(parser.LOR, es...)
	}
	return either(disjoint(es[:len(es)/2]), disjoint(es[len(es)/2:]))
}

// excludedShares returns the rule of the share of each window that was
// excluded, as far as it is recorded: of a calendar's unit so far, by whole
// tiles.
func (c *compiler) excludedShares(slos []slo.SLO) []rulefmt.Rule {
	slos = slices.DeleteFunc(slices.Clone(slos), func(s slo.SLO) bool { return len(s.Exclusions) == 0 })
	var shares []parser.Expr
	for _, d := range periods(slos) {
		excluded := call("sum_over_time", over(series(pausedSeries), d))
		share := div(excluded, num(float64(d)/float64(slow)))
		shares = append(shares, onIdentity(parser.LAND, share, c.lasting(d)))
	}
	for _, k := range calendarsOf(slos) {
		l := k.tilings()[1]
		none := onIdentity(parser.LAND, mul(num(0), series(pausedSeries)), k.slos())
		seconds := mul(either(k.sum("sum_over_time", excludedSide, l), none), num(l.length.Seconds()))
		shares = append(shares, div(seconds, k.elapsed()))
	}
	return []rulefmt.Rule{c.record(sharedSeries, chain(parser.LOR, shares...), nil)}
}

// excludedSide names the tiles of what was excluded.
const excludedSide = "excluded"

// excludedTiles returns the rule of the tiles of what was excluded.
func (c *compiler) excludedTiles(k calendar, slos []slo.SLO) []rulefmt.Rule {
	if !slices.ContainsFunc(slos, func(s slo.SLO) bool { return len(s.Exclusions) > 0 && k.is(s.Window) }) {
		return nil
	}
	l := k.tilings()[1]
	tile := c.numbered(k, l, call("avg_over_time", over(series(pausedSeries), l.length)), 0, l.ended)
	return []rulefmt.Rule{c.record(tileMetric(excludedSide, l.length), tile, k.labels())}
}
