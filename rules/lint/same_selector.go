package lint

import (
	"fmt"
)

func sameSelector() Check {
	return Check{
		Name: "same-selector", Severity: Error,
		Finds: "Errors, or good, that are the same expression as the total.",
		Why:   "All events are then errors, or none is.",
		one: func(s *subject) {
			part, ok := s.side("errors", "good")
			total, also := s.side("total")
			if ok && also && canonical(part) == canonical(total) {
				s.add(part.field, fmt.Sprintf("say what tells %s from the others, such as status=~\"5..\"", part.what), "%s is the same as total: every event is one of them", part.what)
			}
		},
	}
}

// canonical returns an expression as its parser prints it, whatever the order
// of its matchers.
func canonical(d side) string {
	if vs := d.selector(); vs != nil {
		return fmt.Sprint(name(vs), matchers(vs))
	}
	if d.expr == nil {
		return d.text
	}
	return d.expr.String()
}
