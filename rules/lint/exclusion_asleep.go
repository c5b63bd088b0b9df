package lint

import (
	"fmt"

	"github.com/midwatch-slo/midwatch/rules/explain"
)

func exclusionAsleep() Check {
	return Check{
		Name: "exclusion-asleep", Severity: Info,
		Finds: "An exclusion that is over for good, or that comes next in more than a year.",
		Why:   "It does nothing now. One that was meant for this year's maintenance has last year's date.",
		one: func(s *subject) {
			for i, x := range s.slo.Exclusions {
				field := fmt.Sprintf("spec.exclusions.%d", i)
				next, err := explain.Periods(x, s.linter.o.Now, 1)
				switch {
				case err != nil:
				case len(next) == 0 && x.Cron == "" && x.To.Add(s.slo.Window.Duration()).Before(s.linter.o.Now):
					s.add(field, "remove it, or mend its date", "%q ended on %s, and the budget's window is past it", x.Name, x.To.Format("2006-01-02"))
				case len(next) > 0 && x.Cron != "" && next[0].From.Sub(s.linter.o.Now).Hours() > 366*24:
					s.add(field, "look at its day and month", "%q comes next on %s", x.Name, next[0].From.Format("2006-01-02"))
				}
			}
		},
	}
}
