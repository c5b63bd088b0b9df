package compare_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/compare"
	"github.com/midwatch-slo/midwatch/slo"
)

// shop returns an SLO with some lines of its file changed.
func shop(t *testing.T, name string, change ...string) slo.SLO {
	t.Helper()
	text := fmt.Sprintf(`apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: %s}
spec:
  service: shop
  objective: 99.9
  window: 30d
  critical: true
  sli:
    events:
      errors: failures_total{app="shop",code=~"5.."}
      total: requests_total{app="shop"}
`, name)
	slos, err := slo.Parse(name+".yaml", []byte(strings.NewReplacer(change...).Replace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return slos[0]
}

func diff(t *testing.T, before, after []slo.SLO) compare.Diff {
	t.Helper()
	d, err := compare.SLOs(before, after, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNothingChanges(t *testing.T) {
	respaced := shop(t, "a", `{app="shop",code=~"5.."}`, `{code=~"5..", app="shop"}`)
	if d := diff(t, []slo.SLO{shop(t, "a"), shop(t, "b")}, []slo.SLO{shop(t, "b"), shop(t, "a")}); !d.Nothing() {
		t.Errorf("another order: %+v", d)
	}
	if d := diff(t, []slo.SLO{shop(t, "a")}, []slo.SLO{respaced}); len(d.Changed) != 1 || d.Changed[0].Anew != nil || d.Wakes == nil || len(d.Wakes) > 0 {
		t.Errorf("other spaces: %+v", d)
	}
}

func TestAddedRemovedAndRenamed(t *testing.T) {
	other := shop(t, "other", "requests_total", "calls_total")
	d := diff(t, []slo.SLO{shop(t, "a"), other}, []slo.SLO{shop(t, "b"), shop(t, "c", "failures", "timeouts")})
	got := fmt.Sprint(d.Added, d.Removed, d.Renamed)
	if want := "[shop/c] [shop/other] [{shop/a shop/b}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(d.Changed) != 1 || len(d.Changed[0].Anew) != 1 || !strings.HasPrefix(d.Changed[0].Anew[0], "all its series") {
		t.Errorf("the renamed one: %+v", d.Changed)
	}
}

// An objective of 99 instead of 99.9 has thresholds ten times as high: 14.4%
// instead of 1.44% and 6% instead of 0.6%. So 5%, 2% and 1% wake nobody any
// more, and 10% wakes by tier 6h30m.
func TestLostPagesAreFound(t *testing.T) {
	d := diff(t, []slo.SLO{shop(t, "a")}, []slo.SLO{shop(t, "a", "99.9", "99")})
	var lost []float64
	for _, w := range d.Lost {
		lost = append(lost, w.Ratio)
	}
	if diff := cmp.Diff([]float64{0.05, 0.02, 0.01}, lost); diff != "" {
		t.Error(diff)
	}
	for _, w := range d.Wakes {
		if w.Ratio == 0.1 && (w.Before.Tier != "1h5m" || w.Before.Severity != "P1" || w.After.Tier != "6h30m" || w.After.Severity != "P2" || w.Lost) {
			t.Errorf("10%%: %+v, then %+v", w.Before, w.After)
		}
	}
	want := []compare.Field{{Name: "objective", Old: "99.9", New: "99"}}
	if diff := cmp.Diff([]compare.Change{{SLO: "shop/a", Fields: want}}, d.Changed); diff != "" {
		t.Error(diff)
	}
}

func TestARemovedSLOWakesNobody(t *testing.T) {
	d := diff(t, []slo.SLO{shop(t, "a"), shop(t, "b", "requests", "calls")}, []slo.SLO{shop(t, "a")})
	if len(d.Lost) == 0 || d.Lost[0].SLO != "shop/b" || d.Lost[0].After != nil {
		t.Errorf("lost: %+v", d.Lost)
	}
}

func TestSeverityIsAChange(t *testing.T) {
	d := diff(t, []slo.SLO{shop(t, "a")}, []slo.SLO{shop(t, "a", "critical: true", "critical: false")})
	if len(d.Lost) > 0 || len(d.Wakes) == 0 || d.Wakes[0].Before.Severity != "P1" || d.Wakes[0].After.Severity != "P2" {
		t.Errorf("%+v", d.Wakes)
	}
}

func TestWhatBeginsAnew(t *testing.T) {
	before := []slo.SLO{shop(t, "a")}
	for change, want := range map[string]string{
		`failures_total{→timeouts_total{`:   "slo:sli_errors:* and slo:sli_total:* count something else",
		"window: 30d→window: 7d":            "slo:sli_error:ratio_rate7d: the budget's window is another",
		"critical: true→group_by: [region]": "all its series: they are recorded by other groups",
		"critical: true→description: Other": "",
	} {
		old, other, _ := strings.Cut(change, "→")
		d := diff(t, before, []slo.SLO{shop(t, "a", old, other)})
		got := strings.Join(d.Changed[0].Anew, "; ")
		if !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", change, got, want)
		}
	}
}

// The parameters of an SLO are one rule, so an objective changes one.
func TestRulesAreCounted(t *testing.T) {
	one, two := []slo.SLO{shop(t, "a")}, []slo.SLO{shop(t, "a"), shop(t, "b", "requests", "calls")}
	d := diff(t, one, two).Rules
	if d.Added < 5 || d.Removed != 0 || d.After-d.Before != d.Added {
		t.Errorf("another SLO: %+v", d)
	}
	d = diff(t, one, []slo.SLO{shop(t, "a", "99.9", "99.95")}).Rules
	if d.Added != 0 || d.Removed != 0 || d.Changed != 1 || !strings.Contains(d.Unified, "-") {
		t.Errorf("another objective: %+v", d)
	}
}
