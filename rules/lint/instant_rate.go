package lint

func instantRate() Check {
	return Check{
		Name: "instant-rate", Severity: Error,
		Finds: "irate or idelta in an expression over $window.",
		Why:   "They look at the last two scrapes alone, however long the window: an outage of an hour is gone from the budget a minute after it ends.",
		one: func(s *subject) {
			for _, d := range s.sides {
				for _, c := range d.calls("irate", "idelta") {
					s.add(d.field, "write rate, or increase", "%s sees the last two scrapes of the window, not the window", c.Func.Name)
				}
			}
		},
	}
}
