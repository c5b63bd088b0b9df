package lint

import (
	"strconv"

	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

func calendarWithoutZone() Check {
	return Check{
		Name: "calendar-without-zone", Severity: Warning,
		Finds: "A calendar window, or a recurring exclusion, without a time zone.",
		Why:   "It is UTC then: in Shanghai the month's budget begins at eight in the morning, and the exclusion of two at night is at ten.",
		one: func(s *subject) {
			if s.doc == nil {
				return
			}
			if unit, _ := s.slo.Window.Calendar(); unit != "" && s.absent("spec.window", "timezone") {
				s.add("spec.window", "timezone, such as Asia/Shanghai, or UTC where it is meant", "the %s begins at midnight UTC", unit)
			}
			for i, x := range s.slo.Exclusions {
				field := yamldoc.Lookup(s.doc, "spec.exclusions")
				if x.Cron == "" || i >= len(field.Content) || yamldoc.Lookup(field.Content[i], "timezone") != field.Content[i] {
					continue
				}
				s.add("spec.exclusions."+strconv.Itoa(i), "timezone, such as Asia/Shanghai, or UTC where it is meant", "%q is at %q UTC", x.Name, x.Cron)
			}
		},
	}
}

// absent says whether a mapping of the file has no such key.
func (s *subject) absent(field, key string) bool {
	n := yamldoc.Lookup(s.doc, field)
	return yamldoc.Lookup(n, key) == n
}
