package lint

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
)

func exclusionTooLong() Check {
	return Check{
		Name: "exclusion-too-long", Severity: Warning,
		Finds: "Exclusions that take more than half of the budget's window, or all of it.",
		Why:   "Most failures are then not counted, and alerts are held most of the time.",
		one: func(s *subject) {
			for i, x := range s.slo.Exclusions {
				window := s.slo.Window.Duration()
				out := excludedWithin(x, s.linter.o.Now, window)
				field := fmt.Sprintf("spec.exclusions.%d", i)
				switch {
				case out >= window:
					s.addAs(Error, field, "a shorter duration, or a rarer time", "%q excludes all of the time: nothing ever counts", x.Name)
				case out > window/2:
					s.add(field, "a shorter duration, or a rarer time", "%q excludes %s of %s", x.Name, explain.Ratio(float64(out)/float64(window)), s.slo.Window)
				}
			}
		},
	}
}

// maxPeriods bounds how many periods of an exclusion are looked at.
const maxPeriods = 5000

// excludedWithin returns how much of a time from an instant on is excluded,
// or, for an exclusion that is once, how long it is.
func excludedWithin(x slo.Exclusion, from time.Time, window time.Duration) time.Duration {
	if x.Cron == "" {
		return x.To.Sub(x.From)
	}
	periods, err := explain.Periods(x, from, maxPeriods)
	if err != nil || len(periods) == 0 {
		return 0
	}
	var sum time.Duration
	end, until := from, from.Add(window)
	for _, p := range periods {
		begin, stop := later(p.From, end), p.To
		if stop.After(until) {
			stop = until
		}
		if stop.After(begin) {
			sum += stop.Sub(begin)
			end = stop
		}
	}
	if len(periods) == maxPeriods && periods[maxPeriods-1].From.Before(until) { // there are more
		sum = time.Duration(float64(sum) * float64(window) / float64(end.Sub(from)))
	}
	return sum
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
