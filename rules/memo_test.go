package rules_test

import (
	"fmt"
	"testing"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// What SLOs have in common is made once: each has the parameters that it has
// alone, also where it differs from others by one thing only.
func TestParametersAreThoseOfEachSLOAlone(t *testing.T) {
	var slos []slo.SLO
	for i, change := range unlike(t) {
		for _, objective := range []string{"99.9", "99.90", "99.95"} {
			slos = append(slos, availability(t, fmt.Sprintf("slo-%d-%s", i, objective), objective, change))
		}
	}
	together := parametersOf(compile(t, rules.Options{}, slos...))
	for _, s := range slos {
		alone := parametersOf(compile(t, rules.Options{}, s))
		if alone[s.Name] == "" || alone[s.Name] != together[s.Name] {
			t.Errorf("%s: alone\n%s\ntogether\n%s", s.Name, alone[s.Name], together[s.Name])
		}
	}
}

// parametersOf returns the expressions of parameters by the names of SLOs.
func parametersOf(set rules.Set) map[string]string {
	out := map[string]string{}
	for _, g := range set.Groups() {
		for _, r := range g.Rules {
			if r.Record == "slo:parameter:value" {
				out[r.Labels["slo"]] = r.Expr
			}
		}
	}
	return out
}
