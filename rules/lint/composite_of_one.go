package lint

func compositeOfOne() Check {
	return Check{
		Name: "composite-of-one", Severity: Warning,
		Finds: "A composite with one component, or one whose weight is 95% of all or more.",
		Why:   "It is that SLO again, under another name and counting time instead of events.",
		one: func(s *subject) {
			parts := s.slo.SLI.Composite
			if len(parts) == 0 {
				return
			}
			if len(parts) == 1 {
				s.add("spec.sli.composite", "add others, or remove this SLO", "it is made of %s/%s alone", parts[0].Service, parts[0].Name)
				return
			}
			sum := 0.0
			for _, c := range parts {
				sum += c.Weight.Float64()
			}
			for _, c := range parts {
				if sum > 0 && c.Weight.Float64() >= 0.95*sum {
					s.addAs(Info, "spec.sli.composite", "weights that are nearer to each other", "%s/%s is next to all of it: weight %s of %g", c.Service, c.Name, c.Weight, sum)
				}
			}
		},
	}
}
