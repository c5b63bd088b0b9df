package slo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

const maxComponents = 50

// composite checks the parts of a composite. That there are such SLOs is
// checked by CheckSet.
func (c *checker) composite(in []ComponentText) []Component {
	const field = "spec.sli.composite"
	if len(in) == 0 || len(in) > maxComponents {
		c.add(field, fmt.Sprintf("made of %d SLOs", len(in)), fmt.Sprintf("1 to %d, such as {slo: payment-service/payment-availability, weight: 2}", maxComponents))
		return nil
	}
	var out []Component
	for i, text := range in {
		at := fmt.Sprintf("%s.%d", field, i)
		part := Component{Weight: mustDecimal("1")}
		if text.SLO == "" {
			c.missing(at+".slo", "service/name of an SLO, such as payment-service/payment-availability")
		} else {
			part.Service, part.Name = c.reference(at+".slo", text.SLO)
		}
		if slices.ContainsFunc(out, func(other Component) bool { return part.Name != "" && other.ID() == part.ID() }) {
			c.add(at+".slo", fmt.Sprintf("%s is given twice", clip(text.SLO)), "add its weights")
		}
		if text.Weight != "" {
			part.Weight = c.decimal(at+".weight", text.Weight, 999_999, "how much it counts beside the others, such as 2")
		}
		out = append(out, part)
	}
	return out
}

// reference reads service/name.
func (c *checker) reference(field, text string) (service, name string) {
	service, name, ok := strings.Cut(text, "/")
	switch {
	case !ok || !isName(service) || !isName(name):
		c.add(field, fmt.Sprintf("%q is not service/name", clip(text)), "such as payment-service/payment-availability")
	case service == c.out.Service && name == c.out.Name:
		c.add(field, "the SLO itself", "name others")
	default:
		return service, name
	}
	return "", ""
}

// ID returns "service/name" of the component.
func (c Component) ID() string { return c.Service + "/" + c.Name }

// CheckSet returns what is wrong with SLOs beside each other: the parts of a
// composite that are not there, are composites themselves or do not have its
// groups, and services whose files would be one where upper and lower case are
// the same.
func CheckSet(slos []SLO) diag.Problems {
	var problems diag.Problems
	byID, services := map[string]*SLO{}, map[string]*SLO{}
	for i := range slos {
		s := &slos[i]
		byID[s.ID()] = s
		folded := strings.ToLower(s.Service)
		first := services[folded]
		if first == nil {
			services[folded] = s
		} else if first.Service != s.Service {
			problems = append(problems, s.problem("spec.service",
				fmt.Sprintf("service %q differs from %q in %s, line %d, only by case", s.Service, first.Service, first.File, first.Line),
				"write both the same: their rules would be in one file where case does not count"))
		}
	}
	for i := range slos {
		problems = append(problems, slos[i].checkParts(byID)...)
	}
	return problems
}

// problem returns a problem of a field of the SLO, at its name.
func (s *SLO) problem(field, message, hint string) diag.Problem {
	return diag.Problem{File: s.File, Line: s.Line, Field: field, Message: message, Hint: hint}
}

// checkParts checks that the parts of a composite can be its parts.
func (s *SLO) checkParts(byID map[string]*SLO) diag.Problems {
	var problems diag.Problems
	for i, part := range s.SLI.Composite {
		field := fmt.Sprintf("spec.sli.composite.%d.slo", i)
		other := byID[part.ID()]
		switch {
		case other == nil:
			problems = append(problems, s.problem(field, fmt.Sprintf("there is no SLO %s", part.ID()), "name one of the SLOs that are read together with this one"))
		case other.SLI.Composite != nil:
			problems = append(problems, s.problem(field, fmt.Sprintf("SLO %s is a composite itself", part.ID()), "name the SLOs that it is made of"))
		default:
			for _, group := range s.GroupBy {
				if !slices.Contains(other.GroupBy, group) {
					problems = append(problems, s.problem("spec.group_by", fmt.Sprintf("SLO %s, a part of it, is not grouped by %s", part.ID(), group), "group all of them by it, or none"))
				}
			}
		}
	}
	return problems
}
