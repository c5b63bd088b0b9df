package lint

import (
	"context"
	"strings"
)

func metadataType() Check {
	return Check{
		Name: "metadata-type", Severity: Error,
		Finds: "A metric that is counted as events and that its targets say is a gauge, or one that is read as a gauge and is a counter.",
		Why:   "The rate of a gauge is noise; a counter is above any threshold sooner or later, and stays there.",
		ask: func(ctx context.Context, s *subject) error {
			for _, d := range s.sides {
				vs := d.selector()
				if vs == nil || d.what == "histogram" || name(vs) == "" {
					continue
				}
				kind, err := s.typeOf(ctx, name(vs))
				if err != nil {
					return err
				}
				switch {
				case d.raw && kind == "gauge":
					s.add(d.field, "count a counter; a gauge over time is sli.gauge", "%s is a gauge, say its targets", name(vs))
				case d.what == "gauge" && (kind == "counter" || kind == "" && strings.HasSuffix(name(vs), "_total")):
					s.add(d.field, "count its events with sli.events", "%s is a counter", name(vs))
				}
			}
			return nil
		},
	}
}
