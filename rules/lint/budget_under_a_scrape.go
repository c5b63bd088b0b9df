package lint

import (
	"time"

	"github.com/midwatch-slo/midwatch/rules/explain"
)

func budgetUnderAScrape() Check {
	return Check{
		Name: "budget-under-a-scrape", Severity: Warning,
		Finds: "An error budget of less total outage than the time between two scrapes, such as 99.9999% over 1d: 0.09 s.",
		Why:   "The shortest outage that can be seen spends all of it, many times over: the budget is always whole or gone.",
		one: func(s *subject) {
			share, _ := s.slo.ErrorBudget().Float64()
			outage := time.Duration(share * float64(s.slo.Window.Duration()))
			if outage < s.linter.o.Scrape {
				s.add("spec.objective", "a lower objective, or a longer window", "%s%% over %s allows %s of total outage, and what is counted is scraped each %s",
					s.slo.Objective, s.slo.Window, explain.Span(outage), span(s.linter.o.Scrape))
			}
		},
	}
}
