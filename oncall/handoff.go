package oncall

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// handoff is a cron specification, read by robfig/cron and evaluated on the
// readings of a local clock. The library's own evaluation skips a reading
// that daylight saving removes and repeats one that it repeats, looks ahead
// only, and cannot count.
type handoff struct {
	spec   cron.SpecSchedule
	perDay int       // hand-offs on a day that has any
	days   [4][7]int // days with hand-offs in a month of 28+i days that begins on weekday j
}

// starBit is how robfig/cron marks a field that was a star.
const starBit = 1 << 63

// horizon is how many days without a hand-off are the end of all of them: a
// 29 February may be eight years away.
const horizon = 9 * 366

// problem is what is wrong with a value, and how to mend it.
type problem struct{ message, hint string }

func (p problem) Error() string { return p.message }

func parseHandoff(text string) (handoff, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return handoff{}, problem{"missing", `five fields: minute, hour, day of month, month, weekday, such as "0 9 * * mon"`}
	case strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ="):
		return handoff{}, problem{"a time zone is not allowed here", "the schedule has a timezone of its own"}
	case strings.HasPrefix(text, "@every"):
		return handoff{}, problem{"@every has no time of day", `name the hours, such as "0 */8 * * *"`}
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return handoff{}, problem{fmt.Sprintf("not a cron specification: %s", strings.ReplaceAll(err.Error(), "failed to ", "cannot ")), handoffHint(text)}
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return handoff{}, errors.New("not a cron specification of days and times")
	}
	h := newHandoff(*spec)
	if _, ok := h.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return handoff{}, problem{"it never comes", "no month has that day, or a field is empty"}
	}
	return h, nil
}

func handoffHint(text string) string {
	fields := strings.Fields(text)
	switch {
	case len(fields) == 5 && strings.Contains(fields[4], "7"):
		return "Sunday is 0 or sun"
	case len(fields) != 5:
		return "five fields: minute, hour, day of month, month, weekday"
	}
	return `such as "0 9 * * mon", or @daily, @weekly, @monthly`
}

func newHandoff(spec cron.SpecSchedule) handoff {
	h := handoff{spec: spec}
	h.perDay = bits.OnesCount64(spec.Hour&^starBit) * bits.OnesCount64(spec.Minute&^starBit)
	for i := range h.days {
		for first := range h.days[i] {
			for d := range 28 + i {
				if h.dayMatches(d+1, (first+d)%7) {
					h.days[i][first]++
				}
			}
		}
	}
	return h
}

// dayMatches is cron's rule: of day and weekday both must match when one of
// them is a star, else one is enough.
func (h handoff) dayMatches(day, weekday int) bool {
	dom := h.spec.Dom&(1<<day) != 0
	dow := h.spec.Dow&(1<<weekday) != 0
	if h.spec.Dom&starBit != 0 || h.spec.Dow&starBit != 0 {
		return dom && dow
	}
	return dom || dow
}

// on tells whether a day, a reading at its midnight, has hand-offs.
func (h handoff) on(day time.Time) bool {
	return h.perDay > 0 && h.spec.Month&(1<<day.Month()) != 0 && h.dayMatches(day.Day(), int(day.Weekday()))
}

// from returns the first hand-off of a day that has any, from a minute of it
// on; 0 to 1440.
func (h handoff) from(minute int) (int, bool) {
	hours, minutes := h.spec.Hour&^starBit, h.spec.Minute&^starBit
	hour := minute / 60
	if here := minutes >> (minute % 60) << (minute % 60); hours&(1<<hour) != 0 && here != 0 {
		return hour*60 + bits.TrailingZeros64(here), true
	}
	hours = hours >> (hour + 1) << (hour + 1)
	return bits.TrailingZeros64(hours)*60 + bits.TrailingZeros64(minutes), hours != 0 && minutes != 0
}

// upTo returns the last hand-off of a day that has any, up to a minute of it.
func (h handoff) upTo(minute int) (int, bool) {
	hours, minutes := h.spec.Hour&^starBit, h.spec.Minute&^starBit
	hour := minute / 60
	if here := minutes & (1<<(minute%60+1) - 1); hours&(1<<hour) != 0 && here != 0 {
		return hour*60 + bits.Len64(here) - 1, true
	}
	hours &= 1<<hour - 1
	return (bits.Len64(hours)-1)*60 + bits.Len64(minutes) - 1, hours != 0 && minutes != 0
}

// next returns the first hand-off after a reading.
func (h handoff) next(after time.Time) (time.Time, bool) {
	day, from := midnight(after), minuteOf(after)+1
	for range horizon {
		if h.on(day) {
			if m, ok := h.from(from); ok {
				return day.Add(time.Duration(m) * time.Minute), true
			}
		}
		day, from = day.Add(24*time.Hour), 0
	}
	return time.Time{}, false
}

// last returns the last hand-off at or before a reading.
func (h handoff) last(upTo time.Time) (time.Time, bool) {
	day, from := midnight(upTo), minuteOf(upTo)
	for range horizon {
		if h.on(day) {
			if m, ok := h.upTo(from); ok {
				return day.Add(time.Duration(m) * time.Minute), true
			}
		}
		day, from = day.Add(-24*time.Hour), 24*60-1
	}
	return time.Time{}, false
}

// count returns how many hand-offs there are after one reading up to another.
func (h handoff) count(after, upTo time.Time) int {
	if !upTo.After(after) {
		return 0
	}
	n := h.upToMinute(upTo) - h.upToMinute(after)
	if from, to := midnight(after), midnight(upTo); from.Before(to) {
		n += h.perDay * h.daysBetween(from, to)
	}
	return n
}

// upToMinute returns how many hand-offs a reading's day has had.
func (h handoff) upToMinute(reading time.Time) int {
	if !h.on(midnight(reading)) {
		return 0
	}
	hour, minute := reading.Hour(), reading.Minute()
	whole := bits.OnesCount64(h.spec.Hour&(1<<hour-1)) * bits.OnesCount64(h.spec.Minute&^starBit)
	if h.spec.Hour&(1<<hour) == 0 {
		return whole
	}
	return whole + bits.OnesCount64(h.spec.Minute&(1<<(minute+1)-1))
}

// daysBetween returns how many days have hand-offs, from one midnight up to,
// not with, another.
func (h handoff) daysBetween(from, to time.Time) int {
	return h.daysBefore(from, to) - h.daysBefore(from, from)
}

// daysBefore counts from the first of from's month.
func (h handoff) daysBefore(from, to time.Time) int {
	n := 0
	first := from.AddDate(0, 0, 1-from.Day())
	for next := first.AddDate(0, 1, 0); !next.After(to); first, next = next, next.AddDate(0, 1, 0) {
		if h.spec.Month&(1<<first.Month()) != 0 {
			length := int(next.Sub(first) / (24 * time.Hour))
			n += h.days[length-28][first.Weekday()]
		}
	}
	if h.spec.Month&(1<<first.Month()) == 0 {
		return n
	}
	for d, weekday := 1, int(first.Weekday()); d < to.Day(); d++ {
		if h.dayMatches(d, (weekday+d-1)%7) {
			n++
		}
	}
	return n
}
