package lint

import (
	"fmt"
	"strings"
)

func cronEitherDay() Check {
	return Check{
		Name: "cron-either-day", Severity: Warning,
		Finds: "An exclusion's cron expression with both a day of the month and a weekday, such as 0 2 1 * 0.",
		Why:   "Cron takes either: this is the first of each month and every Sunday, not a first that is a Sunday.",
		one: func(s *subject) {
			for i, x := range s.slo.Exclusions {
				fields := strings.Fields(x.Cron)
				if len(fields) == 5 && !strings.HasPrefix(fields[2], "*") && fields[2] != "?" && !strings.HasPrefix(fields[4], "*") && fields[4] != "?" {
					s.add(fmt.Sprintf("spec.exclusions.%d.cron", i), "leave one of them *", "%q comes on every such day of the month, and on every such weekday too", x.Cron)
				}
			}
		},
	}
}
