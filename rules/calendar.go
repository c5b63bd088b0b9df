package rules

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// What is recorded of each calendar, with the labels calendar and timezone.
const (
	localSeries   = "slo:calendar_local:seconds"  // local time, as if it were UTC
	startSeries   = "slo:calendar_start:seconds"  // Unix time at which the unit began
	lengthSeries  = "slo:calendar_length:seconds" // of the unit
	elapsedSeries = "slo:calendar_elapsed:ratio"  // of the unit, 0 to 1
	tileSeries    = "slo:calendar_tile:number"    // of the unit of the tile that ended last, or late before the last
)

// labelPeriod tells the units of a calendar apart.
const labelPeriod = "period"

// calendar is a unit in a zone, and how its events are added up: from tiles of
// a fixed length that begin and end where units can, and that are added up in
// turn from tiles of five minutes.
type calendar struct {
	unit  slo.Calendar
	zone  string
	clock clock
	tile  time.Duration
	begin time.Duration // how long after a multiple of tile, in Unix time, tiles begin
}

// calendarsOf returns the distinct calendars of SLOs.
func calendarsOf(slos []slo.SLO) []calendar {
	var out []calendar
	for _, s := range slos {
		unit, zone := s.Window.Calendar()
		if unit == "" || slices.ContainsFunc(out, func(k calendar) bool { return k.is(s.Window) }) {
			continue
		}
		out = append(out, newCalendar(unit, zone))
	}
	slices.SortFunc(out, func(a, b calendar) int { return cmp.Or(cmp.Compare(a.unit, b.unit), cmp.Compare(a.zone, b.zone)) })
	return out
}

func newCalendar(unit slo.Calendar, zone *time.Location) calendar {
	k := calendar{unit: unit, zone: zone.String(), clock: newClock(zone)}
	k.tile, k.begin, _ = grid([]int{0}, k.clock)
	return k
}

// is says whether a window is the calendar's.
func (k calendar) is(w slo.Window) bool {
	unit, zone := w.Calendar()
	return unit == k.unit && zone.String() == k.zone
}

// labels are those of what is recorded of a calendar.
func (k calendar) labels() map[string]string {
	return map[string]string{"calendar": string(k.unit), "timezone": k.zone}
}

func (k calendar) matchers() []*labels.Matcher {
	return []*labels.Matcher{eq("calendar", string(k.unit)), eq("timezone", k.zone)}
}

// own returns what is recorded of the calendar, one series whatever else has
// the same name.
func (k calendar) own(name string, more ...*labels.Matcher) parser.Expr {
	return maxBy(inZone(), series(name, append(k.matchers(), more...)...))
}

// inZone is what the series of a calendar are joined on.
func inZone() []string { return []string{"calendar", "timezone"} }

// slos returns something for each SLO that has the calendar.
func (k calendar) slos() parser.Expr {
	one := parameters(parameterCalendar)
	one.LabelMatchers = append(one.LabelMatchers, k.matchers()...)
	return maxBy(identity(), one)
}

// id returns the number of the unit that a local time is in.
func (k calendar) id(local parser.Expr) parser.Expr {
	year := call("year", local)
	switch k.unit {
	case slo.Week: // 1970 began on a Thursday
		return call("floor", div(add(local, num(3*86400)), num(7*86400)))
	case slo.Month:
		return add(mul(num(100), year), call("month", local))
	case slo.Quarter:
		return add(mul(num(10), year), call("ceil", div(call("month", local), num(3))))
	default:
		return year
	}
}

// day returns how many days of its unit were over when a local day began.
func (k calendar) day(local parser.Expr) parser.Expr {
	yearDay := sub(call("day_of_year", local), num(1))
	switch k.unit {
	case slo.Week:
		return modulo(add(call("day_of_week", local), num(6)), 7)
	case slo.Month:
		return sub(call("day_of_month", local), num(1))
	case slo.Quarter:
		month := call("month", local)
		past := add(mul(atLeast(month, 4), add(num(90), leap(local))), mul(num(91), atLeast(month, 7)))
		return plus(plus(yearDay, past, true), mul(num(92), atLeast(month, 10)), true)
	default:
		return yearDay
	}
}

// days returns how many days the unit has that a local time is in.
func (k calendar) days(local parser.Expr) parser.Expr {
	switch k.unit {
	case slo.Week:
		return add(mul(num(0), local), num(7))
	case slo.Month:
		return call("days_in_month", local)
	case slo.Quarter:
		month := call("month", local)
		short := mul(below(month, 4), sub(num(1), leap(local)))
		return plus(sub(num(92), below(month, 7)), short, true)
	default:
		return add(num(365), leap(local))
	}
}

// leap returns 1 in a leap year, else 0. The next year for which this is not
// so is 2100.
func leap(local parser.Expr) parser.Expr { return is(modulo(call("year", local), 4), 0) }

// longest returns how far back the unit can reach, and a day.
func (k calendar) longest() time.Duration {
	switch k.unit {
	case slo.Week:
		return 8 * day
	case slo.Month:
		return 32 * day
	case slo.Quarter:
		return 93 * day
	default:
		return 367 * day
	}
}

// calendars returns the groups that record the windows of calendar budgets:
// one for each unit.
func (c *compiler) calendars(slos []slo.SLO) []rulefmt.RuleGroup {
	if c.scope == fleetScope {
		return c.fleetCalendars(slos)
	}
	var out []rulefmt.RuleGroup
	for _, unit := range unitsOf(slos) {
		var rules []rulefmt.Rule
		windows := map[string][]parser.Expr{} // by side, of each zone
		for _, k := range calendarsOf(slos) {
			if k.unit != unit {
				continue
			}
			rules = append(rules, c.almanac(k)...)
			for _, side := range []string{errorsSide, totalSide} {
				rules = append(rules, c.tiles(k, side)...)
				windows[side] = append(windows[side], c.sinceBegin(k, side))
			}
			rules = append(rules, c.excludedTiles(k, slos)...)
		}
		for _, side := range []string{errorsSide, totalSide} {
			rules = append(rules, c.record(calendarMetric(side, unit), chain(parser.LOR, windows[side]...), nil))
		}
		rules = append(rules, c.record("slo:sli_error:ratio_rate"+string(unit), c.calendarRatio(unit), nil))
		out = append(out, group("calendar/"+string(unit), slow, rules...))
	}
	return out
}

// fleetCalendars returns the groups of a fleet's budgets: one for each unit.
func (c *compiler) fleetCalendars(slos []slo.SLO) []rulefmt.RuleGroup {
	var out []rulefmt.RuleGroup
	for _, unit := range unitsOf(slos) {
		rules := c.summedAs(func(side string) string { return calendarMetric(side, unit) })
		rules = append(rules, c.record("slo:sli_error:ratio_rate"+string(unit), c.calendarRatio(unit), nil))
		out = append(out, c.group("calendar/"+string(unit), slow, rules...))
	}
	return out
}

// unitsOf returns the distinct units that are the windows of SLOs.
func unitsOf(slos []slo.SLO) []slo.Calendar {
	var out []slo.Calendar
	for _, k := range calendarsOf(slos) {
		out = append(out, k.unit)
	}
	return slices.Compact(out)
}

func calendarMetric(side string, unit slo.Calendar) string {
	return "slo:sli_" + side + ":rate" + string(unit)
}

// almanac returns the rules of the calendar itself.
func (c *compiler) almanac(k calendar) []rulefmt.Rule {
	local := k.own(localSeries)
	midnight := plus(local, modulo(local, 86400), true)
	begin := plus(midnight, mul(num(86400), k.day(local)), true)
	end := plus(begin, mul(num(86400), k.days(local)), false)
	const began, ends = "slo:calendar_begin_local:seconds", "slo:calendar_end_local:seconds"
	late := k.labels()
	late["late"] = "true"
	return []rulefmt.Rule{
		c.record(localSeries, k.clock.local(0), k.labels()),
		c.record(began, begin, k.labels()),
		c.record(ends, end, k.labels()),
		c.record(startSeries, k.clock.instant(k.own(began)), k.labels()),
		c.record(lengthSeries, sub(k.clock.instant(k.own(ends)), k.own(startSeries)), k.labels()),
		c.record(elapsedSeries, div(sub(call("time"), k.own(startSeries)), k.own(lengthSeries)), k.labels()),
		c.record(tileSeries, k.id(k.clock.local(-k.tile)), k.labels()),
		c.record(tileSeries, k.id(k.clock.local(-k.tile-lateness(k.tile))), late),
	}
}

// tiling is one of the two lengths of tiles. What tiles are added up to has a
// number: now is that of what is going on, ended and endedLate are those of a
// tile that ended just now, or by lateness before.
type tiling struct {
	length, begin         time.Duration
	source                time.Duration // the window that is recorded as a tile
	now, ended, endedLate parser.Expr
	reach                 time.Duration // how far back tiles of what is going on can be
}

// lateness is how long after its end a tile is recorded that was missed then.
func lateness(tile time.Duration) time.Duration { return max((tile / 2).Truncate(edge), slow) }

// tilings returns the tiles of a tile, of which every second has the same
// number, and those of a unit.
func (k calendar) tilings() []tiling {
	parity := func(shift time.Duration) parser.Expr {
		now := moved(call("time"), (shift - k.begin).Seconds(), nil)
		return vector(atLeast(modulo(now, 2*k.tile.Seconds()), k.tile.Seconds()))
	}
	number := func(late string) parser.Expr { return k.own(tileSeries, eq("late", late)) }
	return []tiling{
		{length: edge, source: edge, reach: k.tile - edge, now: parity(0), ended: parity(-edge), endedLate: parity(-edge - lateness(edge))},
		{length: k.tile, begin: k.begin, source: k.tile, reach: k.longest(), now: k.id(k.own(localSeries)), ended: number(""), endedLate: number("true")},
	}
}

func tileMetric(side string, d time.Duration) string { return "slo:sli_" + side + ":tile" + span(d) }

// newestMetric names the rate of a side over the newest minutes.
func newestMetric(side string) string { return "slo:sli_" + side + ":newest" }

// newest returns the rate of a side over the newest minutes.
func (k calendar) newest(side string) parser.Expr {
	return withoutLabels(series(newestMetric(side), k.matchers()...), inZone()...)
}

// tiles returns the rules of the newest rate and of the tiles of a side.
func (c *compiler) tiles(k calendar, side string) []rulefmt.Rule {
	const begun = 5 * time.Minute   // of a unit: the rate over five minutes would reach back before it
	newest := withoutLabels(either( // one series, whichever it is from
		onNothing(parser.LAND, c.all(metric(side, edge)), atLeastOf(sub(call("time"), k.own(startSeries)), begun.Seconds())),
		c.all(metric(side, c.burst))))
	rules := []rulefmt.Rule{c.record(newestMetric(side), onIdentity(parser.LAND, newest, k.slos()), k.labels())}
	for _, l := range k.tilings() {
		rules = append(rules, c.tileRules(k, side, l)...)
	}
	return rules
}

// tileRules returns the rules that record each tile once: at the first
// evaluation after its end, or else late, if that was missed.
func (c *compiler) tileRules(k calendar, side string, l tiling) []rulefmt.Rule {
	name, late := tileMetric(side, l.length), lateness(l.length)
	mark := k.labels()
	mark["late"] = "true"
	recorded := series(name, append(k.matchers(), eq("late", ""))...)
	missed := call("last_over_time", over(recorded, late+slow))
	return []rulefmt.Rule{
		c.record(name, c.tile(k, side, l, 0, l.ended), k.labels()),
		c.record(name, unless(c.tile(k, side, l, late, l.endedLate), withoutLabels(missed, inZone()...)), mark),
	}
}

// tile returns the tile that ended last, with its number, in the first
// evaluation that is ago after its end.
func (c *compiler) tile(k calendar, side string, l tiling, ago time.Duration, number parser.Expr) parser.Expr {
	return c.numbered(k, l, c.ended(side, l.source, ago.Truncate(edge)), ago, number)
}

// numbered returns what is recorded as a tile.
func (c *compiler) numbered(k calendar, l tiling, e parser.Expr, ago time.Duration, number parser.Expr) parser.Expr {
	now := vector(modulo(moved(call("time"), -(l.begin+ago).Seconds(), nil), l.length.Seconds()))
	due := binary(parser.LSS, now, num(slow.Seconds()))
	e = onNothing(parser.LAND, e, due)
	numbered := onNothing(parser.MUL, onIdentity(parser.LAND, e, k.slos()), numberedAs(number)).(*parser.BinaryExpr)
	numbered.VectorMatching.Card = parser.CardManyToOne
	numbered.VectorMatching.Include = []string{labelPeriod}
	return numbered
}

// numberedAs returns 1 with a number as a label.
func numberedAs(number parser.Expr) parser.Expr {
	return &parser.AggregateExpr{Op: parser.COUNT_VALUES, Param: str(labelPeriod), Expr: number}
}

// ended returns the rate of a side over a length of time that ended at the
// last multiple of five minutes, but for an offset.
func (c *compiler) ended(side string, d, offset time.Duration) parser.Expr {
	if d == edge || d == hour {
		return call("last_over_time", every(ago(c.all(metric(side, d)), offset), edge, edge, 0))
	}
	fives := every(ago(c.all(metric(side, edge)), offset), d, edge, 0)
	return call("avg_over_time", fives)
}

// sinceBegin returns the events a second of a side since the unit began. What
// was not recorded had no errors, at the traffic that there was.
func (c *compiler) sinceBegin(k calendar, side string) parser.Expr {
	newest := k.newest(side)
	parts := []parser.Expr{mul(newest, modulo(call("time"), edge.Seconds()))}
	for _, l := range k.tilings() {
		sum := k.sum("sum_over_time", side, l)
		if side == errorsSide {
			parts = append(parts, mul(num(l.length.Seconds()), either(sum, mul(num(0), newest))))
			continue
		}
		since := sub(call("time"), scalar(k.own(startSeries)))
		if l.length == edge {
			since = modulo(moved(call("time"), -k.begin.Seconds(), nil), k.tile.Seconds())
		}
		whole := plus(since, modulo(since, l.length.Seconds()), true)
		average := div(sum, k.sum("count_over_time", side, l))
		parts = append(parts, mul(either(average, newest), whole))
	}
	return div(chain(parser.ADD, parts...), k.elapsed())
}

// elapsed returns how many seconds of the unit are over, at least one.
func (k calendar) elapsed() parser.Expr {
	return scalar(call("clamp_min", sub(call("time"), k.own(startSeries)), num(1)))
}

// sum adds up the tiles of what is going on now.
func (k calendar) sum(function, side string, l tiling) parser.Expr {
	tiles := series(tileMetric(side, l.length), k.matchers()...)
	of := onLabels(parser.LAND, call(function, over(tiles, l.reach)), numberedAs(l.now), labelPeriod)
	return withoutLabels(of, "calendar", "late", labelPeriod, "timezone")
}

// calendarRatio returns errors over total since the unit began, 0 where there
// is no traffic.
func (c *compiler) calendarRatio(unit slo.Calendar) parser.Expr {
	return div(c.all(calendarMetric(errorsSide, unit)), call("clamp_min", c.all(calendarMetric(totalSide, unit)), num(leastTraffic)))
}

// calendarBurns returns, for each unit that is some budget's window, the burn
// rate so far, and the share of the unit's budget that is spent: the burn
// rate times the part of the unit that is over.
func (c *compiler) calendarBurns(slos []slo.SLO) (burns, spent []parser.Expr) {
	over := onLabels(parser.MUL, parameters(parameterCalendar), maxBy(inZone(), series(elapsedSeries)), inZone()...).(*parser.BinaryExpr)
	over.VectorMatching.Card = parser.CardManyToOne
	for _, unit := range unitsOf(slos) {
		budget := onIdentity(parser.LAND, parameter(parameterBudget), parameter(parameterCalendar))
		burn := onIdentity(parser.DIV, c.calendarRatio(unit), budget)
		burns = append(burns, burn)
		spent = append(spent, onIdentity(parser.MUL, burn, maxBy(identity(), over)))
	}
	return burns, spent
}

// onLabels joins two vectors on some labels.
func onLabels(op parser.ItemType, l, r parser.Expr, on ...string) parser.Expr {
	b := binary(op, l, r).(*parser.BinaryExpr)
	b.VectorMatching.On, b.VectorMatching.MatchingLabels = true, on
	return b
}

// withoutLabels sums over some labels.
func withoutLabels(e parser.Expr, names ...string) parser.Expr {
	return &parser.AggregateExpr{Op: parser.SUM, Without: true, Grouping: names, Expr: e}
}

// atLeastOf keeps what is at least a number.
func atLeastOf(e parser.Expr, v float64) parser.Expr { return binary(parser.GTE, e, num(v)) }
