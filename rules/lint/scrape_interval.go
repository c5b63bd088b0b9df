package lint

import (
	"context"
	"time"
)

func scrapeInterval() Check {
	return Check{
		Name: "scrape-interval", Severity: Warning,
		Finds: "Series that are scraped so rarely that a tier's short window, or Midwatch's own windows of five minutes, hold fewer than four scrapes.",
		Why:   "A rate needs two samples, and one more for each scrape that fails: with fewer the window is empty at times, and alerts come and go.",
		ask: func(ctx context.Context, s *subject) error {
			d, ok := s.side("total", "histogram", "gauge")
			if !ok || d.selector() == nil {
				return nil
			}
			const within = 30 * time.Minute // what is younger shows fewer scrapes than there will be
			most, ok, err := s.number(ctx, "max(count_over_time(%[1]s[%[2]s]) and %[1]s offset %[2]s)", s.seriesOf(d, d.selector()), span(within))
			if err != nil || !ok || most < 2 {
				return err
			}
			interval := time.Duration(float64(within) / most).Round(time.Second)
			for _, t := range s.slo.Alerts.Tiers {
				if t.Short < 4*interval {
					s.add(s.tiersField(), "scrape more often, or use longer windows", "tier %s looks at %s, and what it counts was scraped each %s", t.Name, span(t.Short), span(interval))
				}
			}
			if interval > time.Minute {
				s.add(d.field, "scrape it each minute or more often", "it was scraped each %s, and windows are made of five minutes", span(interval))
			}
			return nil
		},
	}
}
