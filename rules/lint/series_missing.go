package lint

import "context"

func seriesMissing() Check {
	return Check{
		Name: "series-missing", Severity: Error,
		Finds: "A total, histogram or gauge of which there was no series in the last day; errors whose metric is not there at all.",
		Why:   "The SLO has no data: its budget stays whole and no tier ever fires.",
		ask: func(ctx context.Context, s *subject) error {
			for _, d := range s.sides {
				for _, vs := range d.selectors() {
					if err := s.missing(ctx, d, name(vs), s.seriesOf(d, vs)); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// missing finds that there was no series of a selector, which for errors is
// as it should be while nothing fails.
func (s *subject) missing(ctx context.Context, d side, metric, selector string) error {
	there, err := s.exists(ctx, selector)
	if err != nil || there {
		return err
	}
	if d.what != "errors" {
		s.add(d.field, "look for it in Prometheus, and at its targets", "there was no series of %s in the last day", selector)
		return nil
	}
	there, err = s.exists(ctx, metric)
	if err != nil || there || metric == "" {
		return err
	}
	s.addAs(Warning, d.field, "look for it in Prometheus: metrics with labels often begin with their first event", "there was no series of %s in the last day, with any labels", metric)
	return nil
}
