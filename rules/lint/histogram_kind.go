package lint

import "context"

func histogramKind() Check {
	return Check{
		Name: "histogram-kind", Severity: Error,
		Finds: "A histogram that is said to be classic and has native series alone, or the other way round.",
		Why:   "Classic and native histograms are read by different rules, and the wrong ones find nothing.",
		ask: func(ctx context.Context, s *subject) error {
			d, ok := s.side("histogram")
			if !ok || d.selector() == nil {
				return nil
			}
			metric := name(d.selector())
			classic, err := s.exists(ctx, withName(d.selector(), metric+"_bucket"))
			if err != nil {
				return err
			}
			n, native, err := s.number(ctx, "count(histogram_count(last_over_time(%s[%s])))", withName(d.selector(), metric), span(recently))
			if err != nil {
				return err
			}
			native = native && n > 0
			switch said := s.slo.SLI.Latency.Native; {
			case said && !native && classic:
				s.add(d.field, "say histogram: instead of native:", "%s is a classic histogram here", metric)
			case !said && native && !classic:
				s.add(d.field, "say native: instead of histogram:", "%s is a native histogram here", metric)
			}
			return nil
		},
	}
}
