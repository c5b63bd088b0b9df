package rules_test

import (
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// What SLOs have in common is made once: each has the parameters that it has
// alone, also where it differs from others by one thing only.
func TestParametersAreThoseOfEachSLOAlone(t *testing.T) {
	var slos []slo.SLO
	for i, change := range []func(*slo.SLO){
		func(*slo.SLO) {},
		func(s *slo.SLO) { s.Critical = true },
		func(s *slo.SLO) { s.Alerts.Tiers = slices.Clone(s.Alerts.Tiers)[:2] },
		func(s *slo.SLO) {
			s.Alerts.Tiers = slices.Clone(s.Alerts.Tiers)
			s.Alerts.Tiers[0].Factor = big.NewRat(13, 1)
		},
		func(s *slo.SLO) {
			s.Alerts.Tiers = slices.Clone(s.Alerts.Tiers)
			s.Alerts.Tiers[0].For = time.Minute
		},
		func(s *slo.SLO) {
			s.Alerts.Tiers = slices.Clone(s.Alerts.Tiers)
			s.Alerts.Tiers[1].Severity = "P3"
		},
		func(s *slo.SLO) { s.Alerts.Tiers = append([]slo.Tier{slo.OutageTier()}, s.Alerts.Tiers...) },
		func(s *slo.SLO) { s.Alerts.Page.Labels = map[string]string{"team": "a"} },
		func(s *slo.SLO) { s.Alerts.Ticket.Labels = map[string]string{"team": "a"} },
		func(s *slo.SLO) { s.Alerts.Page.Labels = map[string]string{"team": "b"} },
		func(s *slo.SLO) { s.Scope = slo.ScopeFleet },
	} {
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
