package rules_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// unlike returns changes that each make an SLO have other parameters.
func unlike(t *testing.T) []func(*slo.SLO) {
	t.Helper()
	first := func(change func(*slo.Tier)) func(*slo.SLO) {
		return func(s *slo.SLO) {
			s.Alerts.Tiers = slices.Clone(s.Alerts.Tiers)
			change(&s.Alerts.Tiers[0])
		}
	}
	spec := func(text string) func(*slo.SLO) {
		return func(s *slo.SLO) {
			read, err := slo.Parse("a.yaml", []byte("apiVersion: midwatch.dev/v1\nkind: ServiceLevelObjective\nmetadata: {name: "+s.Name+"}\nspec: {service: shop, objective: 99.9, sli: {events: {errors: f, total: r}}, "+text+"}"))
			if err != nil {
				t.Fatal(err)
			}
			s.Window, s.GroupBy, s.Alerts, s.Scope = read[0].Window, read[0].GroupBy, read[0].Alerts, read[0].Scope
		}
	}
	return []func(*slo.SLO){
		func(*slo.SLO) {},
		func(s *slo.SLO) { s.Critical = true },
		func(s *slo.SLO) { s.Alerts.Tiers = slices.Clone(s.Alerts.Tiers)[:2] },
		first(func(tier *slo.Tier) { tier.Factor = big.NewRat(13, 1) }),
		first(func(tier *slo.Tier) { tier.For = time.Minute }),
		first(func(tier *slo.Tier) { tier.Severity = "P3" }),
		func(s *slo.SLO) { s.Alerts.Tiers = append([]slo.Tier{slo.OutageTier()}, s.Alerts.Tiers...) },
		func(s *slo.SLO) { s.Alerts.Page.Labels = map[string]string{"team": "a"} },
		func(s *slo.SLO) { s.Alerts.Ticket.Labels = map[string]string{"team": "a"} },
		func(s *slo.SLO) { s.Alerts.Page.Labels = map[string]string{"team": "b"} },
		func(s *slo.SLO) { s.Labels = map[string]string{"squad": "a"} },
		func(s *slo.SLO) { s.Labels = map[string]string{"squad": "b"} },
		func(s *slo.SLO) { s.Team = "a" },
		func(s *slo.SLO) { s.Owner = "a" },
		spec("window: 7d"),
		spec("scope: fleet"),
		spec("scope: both"),
		spec("scope: both, group_by: [code]"),
		spec("scope: both, group_by: [code, path]"),
		spec("window: {calendar: month}"),
		spec("window: {calendar: month, timezone: Asia/Shanghai}"),
		spec("window: {calendar: quarter}"),
		spec("alerts: {low_traffic: {min_failures: 5}}"),
		spec("alerts: {low_traffic: {confidence: 99}}"),
		spec("alerts: {budget_spent: [{percent: 50}]}"),
		spec("alerts: {budget_spent: [{percent: 50, severity: P1}]}"),
	}
}

// parametersAt returns what is recorded of the parameters of each SLO, but for
// what they share them by.
func (w *world) parametersAt(at time.Duration) map[string]string {
	out := map[string][]string{}
	for _, s := range w.ask(at, "slo:parameter:value") {
		out[s.Metric.Get("slo")] = append(out[s.Metric.Get("slo")], fmt.Sprint(labels.NewBuilder(s.Metric).Del("parameters").Labels(), s.F))
	}
	joined := map[string]string{}
	for name, of := range out {
		slices.Sort(of)
		joined[name] = strings.Join(of, "\n")
	}
	return joined
}

// Of many SLOs of a service, those that are alike share their parameters: each
// has those that it has alone, also where it differs by one thing only.
func TestAlikeSLOsHaveTheParametersOfEachAlone(t *testing.T) {
	t.Parallel()
	var slos []slo.SLO
	for i, change := range unlike(t) {
		for _, objective := range []string{"99.9", "99.95"} {
			for k := range 17 {
				slos = append(slos, availability(t, fmt.Sprintf("slo-%d-%s-%d", i, objective, k), objective, func(s *slo.SLO) {
					change(s)
					s.Runbook = fmt.Sprintf("https://runbooks.example.com/%d", k)
				}))
			}
		}
	}
	set := onlyParameters(compile(t, rules.Options{}, slos...))
	together := newWorld(t, set)
	together.live(time.Second) // each rule once
	got := together.parametersAt(time.Second)
	taken := 0
	for _, text := range parametersOf(set) {
		if strings.Contains(text, "slo:parameter:value{") {
			taken++
		}
	}
	if want := len(slos) * 16 / 17; taken != want {
		t.Errorf("%d SLOs take their parameters from others, want %d", taken, want)
	}
	for i := 0; i < len(slos); i += 17 {
		few := newWorld(t, onlyParameters(compile(t, rules.Options{}, slos[i:i+15]...)))
		few.live(time.Second)
		for name, want := range few.parametersAt(time.Second) {
			if got[name] != want {
				t.Errorf("%s has\n%s\nwant\n%s", name, got[name], want)
			}
		}
	}
}

// onlyParameters leaves out all other rules.
func onlyParameters(set rules.Set) rules.Set {
	var out rules.Set
	for _, f := range set.Files {
		f.Groups = slices.Clone(f.Groups)
		for i := range f.Groups {
			f.Groups[i].Rules = slices.DeleteFunc(slices.Clone(f.Groups[i].Rules), func(r rulefmt.Rule) bool { return r.Record != "slo:parameter:value" })
		}
		f.Groups = slices.DeleteFunc(f.Groups, func(g rulefmt.RuleGroup) bool { return len(g.Rules) == 0 })
		out.Files = append(out.Files, f)
	}
	return out
}

// Whatever becomes of the SLO that others take their parameters from, or of
// all of them, none is ever without, nor has any but its own.
func TestAlikeSLOsWhenTheyAreEdited(t *testing.T) {
	t.Parallel()
	of := func(objective string, from, to int, change func(*slo.SLO)) rules.Set {
		var slos []slo.SLO
		for k := from; k < to; k++ {
			slos = append(slos, availability(t, fmt.Sprintf("slo-%03d", k), objective, change))
		}
		return compile(t, rules.Options{}, slos...)
	}
	const all = 400 // in several groups
	before := of("99.9", 0, all, nil)
	for what, after := range map[string]rules.Set{
		"the first ones are gone":         of("99.9", 30, all, nil),
		"all have another objective":      of("99.99", 0, all, nil),
		"all have another label":          of("99.9", 0, all, func(s *slo.SLO) { s.Team = "a" }),
		"some have another objective":     of("99.9", 0, all, func(s *slo.SLO) { s.Critical = s.Name < "slo-050" }),
		"a few are left, each for itself": of("99.9", 0, 10, nil),
	} {
		for _, restarted := range []bool{false, true} {
			w := newWorld(t, onlyParameters(before))
			w.live(10 * minute)
			w.load(onlyParameters(after))
			if !restarted { // what the rules before recorded ends
				w.end(10*minute + time.Second)
			}
			w.live(12 * minute)
			got := w.parametersAt(12 * minute)
			alone := func(set rules.Set) map[string]string {
				one := newWorld(t, onlyParameters(set))
				one.live(time.Second)
				return one.parametersAt(time.Second)
			}
			now, was := alone(after), alone(before)
			for name := range was {
				for line := range strings.SplitSeq(now[name], "\n") {
					if !strings.Contains(got[name], line) {
						t.Errorf("%s, restarted %v: %s has no %s", what, restarted, name, line)
					}
				}
				for line := range strings.SplitSeq(got[name], "\n") {
					if !strings.Contains(now[name], line) && (!restarted || !strings.Contains(was[name], line)) {
						t.Errorf("%s, restarted %v: %s has %s", what, restarted, name, line)
					}
				}
			}
		}
	}
}

// end marks all series as ended, as Prometheus does with those of rules that
// are gone.
func (w *world) end(at time.Duration) {
	w.t.Helper()
	app := w.db.Appender(w.t.Context())
	for _, s := range w.ask(at, `{__name__=~"slo:.+"}`) {
		if _, err := app.Append(0, s.Metric, epoch.Add(at).UnixMilli(), math.Float64frombits(value.StaleNaN)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// vmalert sees at the next evaluation what a rule recorded: until then those
// that take their parameters from another keep their own.
func TestAlikeSLOsOfVictoriaMetrics(t *testing.T) {
	t.Parallel()
	var slos []slo.SLO
	for k := range 20 {
		slos = append(slos, availability(t, fmt.Sprintf("slo-%02d", k), "99.9", func(s *slo.SLO) { s.Runbook = "https://runbooks.example.com/" + s.Name }))
	}
	dir := t.TempDir()
	if _, err := compile(t, rules.Options{}, slos...).Write(dir, rules.Output{Format: rules.FormatVictoriaMetrics}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(contents(t, dir)["midwatch-slo-shop.yaml"]), " ")
	const own = `or on () max without (parameters) ( slo:parameter:value{parameter!="text",parameter!="text_page",parameter!="text_ticket",service="shop",slo="slo-19"} )`
	if n := strings.Count(text, "or on ()"); n != 19 || !strings.Contains(text, own) {
		t.Errorf("%d SLOs keep their own, want 19", n)
	}
}

// SLOs with long texts are in groups of their own, which any file has room for.
func TestAlikeSLOsWithLongTexts(t *testing.T) {
	t.Parallel()
	var slos []slo.SLO
	for k := range 100 {
		slos = append(slos, availability(t, fmt.Sprintf("slo-%02d", k), "99.9", func(s *slo.SLO) {
			s.Annotations = map[string]string{"note": strings.Repeat("x", 1000)}
			for i := range k % 5 {
				s.Annotations[fmt.Sprint("more", i)] = strings.Repeat("x", 2000)
			}
		}))
	}
	set := compile(t, rules.Options{}, slos...)
	taken := 0
	for _, text := range parametersOf(set) {
		if strings.Contains(text, "slo:parameter:value{") {
			taken++
		}
	}
	if taken != 19 { // of the twenty with one annotation
		t.Errorf("%d take their parameters from others, want 19", taken)
	}
	for _, format := range []rules.Format{rules.FormatPrometheus, rules.FormatOperator} {
		if _, err := set.Write(t.TempDir(), rules.Output{Format: format}); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}
