package silence

import (
	"math/bits"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/midwatch-slo/midwatch/internal/localtime"
)

// spans are the times of a recurrence, ready to be asked. They are never
// changed.
type spans struct {
	spec     *cron.SpecSchedule // of readings of the clock, as times in UTC
	duration time.Duration
	loc      *time.Location
}

// maxJoined bounds how many spans are joined to one. A span may begin each
// minute and last 31 days: then it never ends.
const maxJoined = 1000

// cover tells whether an instant is in a span, and until when that lasts;
// spans that overlap or touch are one, of which at most a thousand are
// joined. Times of day are readings of the zone's clock: a reading that is
// left out begins when the clock has jumped, one that comes twice begins once,
// the first time.
func (s *spans) cover(at time.Time) (until time.Time, ok bool) {
	// A span that has not ended began after at minus its length, when the clock
	// showed no less than this.
	reading := localtime.Reading(at.Add(-s.duration), s.loc).Add(-time.Minute)
	for joined := 0; joined < maxJoined; {
		if reading = following(s.spec, reading); reading.IsZero() {
			return until, ok
		}
		begin := localtime.FirstInstant(reading, s.loc)
		limit := at
		if ok {
			limit = until
		}
		if begin.After(limit) {
			return until, ok
		}
		if end := begin.Add(s.duration); end.After(at) {
			until, ok = end, true
			joined++
		}
	}
	return until, ok
}

// next returns when the first span after an instant begins.
func (s *spans) next(at time.Time) (from time.Time, ok bool) {
	reading := localtime.Reading(at, s.loc)
	for {
		if reading = following(s.spec, reading); reading.IsZero() {
			return time.Time{}, false
		}
		if begin := localtime.FirstInstant(reading, s.loc); begin.After(at) {
			return begin, true
		}
	}
}

// maxDays is how far ahead a specification is looked for: over the eight
// years that may be between two 29ths of February.
const maxDays = 8*366 + 1

// following returns the first reading after one that a specification names,
// the zero time when there is none within eight years. Cron's own Next knows
// daylight saving, wrongly, and goes through every minute.
func following(spec *cron.SpecSchedule, after time.Time) time.Time {
	t := after.Truncate(time.Minute).Add(time.Minute)
	hour, minute := t.Hour(), t.Minute()
	day := t.Truncate(24 * time.Hour)
	for range maxDays {
		if dayMatches(spec, day) {
			if h, m, ok := timeOfDay(spec, hour, minute); ok {
				return day.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
			}
		}
		day, hour, minute = day.Add(24*time.Hour), 0, 0
	}
	return time.Time{}
}

// star is set by cron in a field that restricts nothing.
const star = 1 << 63

// dayMatches tells whether a specification names a day: by either of the two
// fields where both restrict it, as in every cron.
func dayMatches(spec *cron.SpecSchedule, day time.Time) bool {
	if spec.Month>>uint(day.Month())&1 == 0 {
		return false
	}
	date, weekday := spec.Dom>>uint(day.Day())&1 == 1, spec.Dow>>uint(day.Weekday())&1 == 1
	if spec.Dom&star != 0 || spec.Dow&star != 0 {
		return date && weekday
	}
	return date || weekday
}

// timeOfDay returns the first time of a day from hour and minute on.
func timeOfDay(spec *cron.SpecSchedule, hour, minute int) (h, m int, ok bool) {
	hours, minutes := spec.Hour&^star, spec.Minute&^star
	if hours>>hour&1 == 1 {
		if rest := minutes >> minute; rest != 0 {
			return hour, minute + bits.TrailingZeros64(rest), true
		}
	}
	rest := hours >> (hour + 1)
	if rest == 0 {
		return 0, 0, false
	}
	return hour + 1 + bits.TrailingZeros64(rest), bits.TrailingZeros64(minutes), true
}
