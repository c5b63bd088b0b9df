package lint

func noMatchers() Check {
	return Check{
		Name: "no-matchers", Severity: Info,
		Finds: "A total without any matcher.",
		Why:   "It counts every series of that name in the Prometheus, also those of other services that use the same library.",
		one: func(s *subject) {
			total, ok := s.side("total", "histogram")
			if !ok || total.selector() == nil || len(matchers(total.selector())) > 0 {
				return
			}
			s.add(total.field, "say whose they are, such as {app=\""+s.slo.Service+"\"}", "%s counts %s of everything that this Prometheus scrapes", total.what, name(total.selector()))
		},
	}
}
