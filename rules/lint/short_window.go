package lint

import "fmt"

func shortWindow() Check {
	return Check{
		Name: "short-window", Severity: Warning,
		Finds: "A tier whose short window holds fewer than four scrapes.",
		Why:   "A missed scrape or two leave it empty, and the alert resolves, or never fires.",
		one: func(s *subject) {
			for _, t := range s.slo.Alerts.Tiers {
				if t.Short < 4*s.linter.o.Scrape {
					s.add(s.tiersField(), "a longer window, or scrapes that are closer together", "tier %s looks at %s, which is %s of %s each",
						t.Name, span(t.Short), scrapes(int(t.Short/s.linter.o.Scrape)), span(s.linter.o.Scrape))
				}
			}
		},
	}
}

func scrapes(n int) string {
	if n == 1 {
		return "one scrape"
	}
	return fmt.Sprintf("%d scrapes", n)
}

// tiersField is where the tiers are in the file: their own place, or that of
// the preset they come from.
func (s *subject) tiersField() string {
	if s.slo.Alerts.Preset != "" {
		return "spec.alerts"
	}
	return "spec.alerts.tiers"
}
