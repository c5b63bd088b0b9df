package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// cluster is what a fleet sees of a cluster: external labels, and how many
// events a second there are of each SLO, and fail.
type cluster struct {
	labels        string
	total, failed func(float64) float64 // counters
}

// fleetWorld records clusters as their own Prometheus would, and puts what
// they record into one storage under their external labels. It returns that
// storage with the fleet's rules.
func fleetWorld(t *testing.T, until time.Duration, clusters []cluster, slos ...slo.SLO) *world {
	t.Helper()
	set := compile(t, rules.Options{}, slos...)
	var own, fleet rules.Set
	for _, f := range set.Files {
		if strings.HasPrefix(f.Name, "fleet/") {
			fleet.Files = append(fleet.Files, f)
		} else {
			own.Files = append(own.Files, f)
		}
	}
	if len(fleet.Files) != 1 || fleet.Files[0].Name != "fleet/midwatch-fleet.yaml" {
		t.Fatalf("the fleet's files: %v", fleet.Files)
	}
	out := newWorld(t, fleet)
	for _, c := range clusters {
		w := newWorld(t, own)
		for _, s := range slos {
			for _, path := range []string{"/a", "/b"} {
				ls := fmt.Sprintf(`{app="%s",path="%s"}`, s.Name, path)
				w.scrape("requests_total"+ls, 0, until, scrape, c.total)
				if c.failed != nil {
					w.scrape("failures_total"+ls, 0, until, scrape, after(1000, c.failed))
				}
			}
		}
		w.replay(0, until)
		out.receive(w, until, c.labels)
	}
	return out
}

// receive copies what another world recorded, with more labels.
func (w *world) receive(from *world, until time.Duration, external string) {
	w.t.Helper()
	more, err := parser.NewParser(parser.Options{}).ParseMetric(external)
	if err != nil {
		w.t.Fatal(err)
	}
	q, err := from.engine.NewInstantQuery(w.t.Context(), from.db, nil, fmt.Sprintf(`{__name__=~"slo:.+"}[%s]`, model.Duration(until+time.Minute)), epoch.Add(until))
	if err != nil {
		w.t.Fatal(err)
	}
	defer q.Close()
	m, err := q.Exec(w.t.Context()).Matrix()
	if err != nil {
		w.t.Fatal(err)
	}
	app := w.db.Appender(w.t.Context())
	for _, s := range m {
		b := labels.NewBuilder(s.Metric)
		more.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
		for _, p := range s.Floats {
			if _, err := app.Append(0, b.Labels(), p.T, p.F); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// A large cluster in which 0.01% fails and a tiny one in which half does:
// of all that the fleet is asked, 0.06% fails, not the average of both.
func TestFleetRatioIsOfAllEvents(t *testing.T) {
	t.Parallel()
	const until = 2 * hour
	a := written(t, "a", "99.9", "", "  scope: both\n  group_by: [path]\n")
	b := written(t, "b", "99.9", "", "  scope: fleet\n  window: 2h\n  alerts: {preset: none}\n")
	here := written(t, "here", "99.9", "", "")
	w := fleetWorld(t, until, []cluster{
		{`{cluster="large"}`, steady(1000), steady(0.1)},
		{`{cluster="tiny",region="eu"}`, steady(1), steady(0.5)},
		{`{cluster="new",region="us",zone="1"}`, steady(0.1), nil}, // no series of errors
	}, a, b, here)
	w.until = epoch.Add(until - 5*minute)
	w.live(until)
	truth := 0.6 / 1001.1
	for _, window := range []string{"5m", "30m", "1h", "2h"} {
		for _, v := range w.ask(until, `slo:sli_error:ratio_rate`+window+`{scope="fleet"}`) {
			near(t, window+" of "+v.Metric.String(), v.F, truth, 0.01)
		}
	}
	var got []string
	for _, v := range w.ask(until, `slo:sli_total:rate1h{scope="fleet"}`) {
		got = append(got, v.Metric.Get("slo")+v.Metric.Get("path"))
		if v.Metric.Get("cluster") != "" {
			t.Errorf("%s is of a cluster", v.Metric)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"a/a", "a/b", "b"}) {
		t.Errorf("the fleet records %v", got)
	}
	near(t, "budget left", w.value(until, `slo:period_error_budget_remaining:ratio{scope="fleet",slo="b"}`), 1-truth/0.001, 0.02)
	if len(w.fired) != 0 {
		t.Errorf("fired: %v", w.fired)
	}
}

// Where a fleet and its clusters both have a budget, both page, each with its
// own labels; the SLO of the fleet alone pages for the fleet alone.
func TestFleetAndClustersFire(t *testing.T) {
	t.Parallel()
	const onset, until = 2 * hour, 2*hour + 10*minute
	both := written(t, "both", "99.9", ", labels: {region: eu}", "  scope: both\n  team: payments\n  alerts: {outage: true}\n")
	fleet := written(t, "fleet", "99.9", "", "  scope: fleet\n")
	failing := cluster{`{cluster="one"}`, steady(100), burst(100, onset, until)}
	w := fleetWorld(t, until, []cluster{failing, {`{cluster="two",region="us"}`, steady(10), burst(10, onset, until)}}, both, fleet)
	w.until = epoch.Add(onset)
	w.live(until)
	for _, tier := range []string{"1h5m", "6h30m", outageTier} {
		f := w.alertOfTier("both", tier)
		check(t, "scope", f.labels.Get("scope"), "fleet")
		check(t, "team", f.labels.Get("team"), "payments")
		check(t, "region", f.labels.Get("region"), "eu")
		check(t, "cluster", f.labels.Get("cluster"), "")
	}
	check(t, "scope", w.alertOfTier("fleet", "1h5m").labels.Get("scope"), "fleet")

	// What each cluster makes of it by itself.
	own := newWorld(t, compile(t, rules.Options{}, both, fleet))
	own.set.Files = slices.DeleteFunc(own.set.Files, func(f rules.File) bool { return strings.HasPrefix(f.Name, "fleet/") })
	own.load(own.set)
	for _, app := range []string{"both", "fleet"} {
		own.scrape(`requests_total{app="`+app+`"}`, 0, until, scrape, steady(100))
		own.scrape(`failures_total{app="`+app+`"}`, 0, until, scrape, after(1000, burst(100, onset, until)))
	}
	own.replay(0, onset)
	own.live(until)
	check(t, "scope of a cluster's", own.alertOfTier("both", "1h5m").labels.Get("scope"), "")
	check(t, "scope of a cluster's", own.alertOfTier("both", outageTier).labels.Get("scope"), "")
	for _, f := range own.fired {
		if f.slo == "fleet" {
			t.Errorf("a cluster pages for the fleet: %v", f)
		}
	}
}

func (w *world) alertOfTier(slo, tier string) firing {
	w.t.Helper()
	for _, f := range w.fired {
		if f.slo == slo && f.tier == tier {
			return f
		}
	}
	w.t.Fatalf("no alert of %s of tier %s in %v", slo, tier, w.fired)
	return firing{}
}

// Where one Prometheus holds all and evaluates both, the clusters' rules do
// not read the fleet's series, nor the fleet its own.
func TestFleetAndClusterInOneStore(t *testing.T) {
	t.Parallel()
	const until = 40 * minute
	set := compile(t, rules.Options{}, written(t, "a", "99.9", "", "  scope: both\n  alerts: {outage: true}\n"))
	w := newWorld(t, set)
	w.scrape(`requests_total{app="a"}`, 0, until, scrape, steady(100))
	w.scrape(`failures_total{app="a"}`, 0, until, scrape, after(1000, steady(0.1)))
	w.live(until)
	for _, name := range []string{"slo:sli_total:rate5m", "slo:sli_total:rate1m", "slo:sli_total:rate30m", "slo:sli_total:rate1h", "slo:sli_total:rate6h", "slo:sli_total:rate1d", "slo:sli_total:rate30d"} {
		for _, scope := range []string{"", "fleet"} {
			near(t, name+" of "+scope, w.value(until, name+`{scope="`+scope+`"}`), 100, 0.02)
		}
	}
}

// The rules of a fleet are as many for two SLOs as for twenty.
func TestFleetRulesAreFixedInNumber(t *testing.T) {
	count := func(n int) int {
		var slos []slo.SLO
		for i := range n {
			slos = append(slos, written(t, fmt.Sprintf("a%d", i), "99.9", "", "  scope: fleet\n"))
		}
		total := 0
		for _, f := range compile(t, rules.Options{}, slos...).Files {
			if strings.HasPrefix(f.Name, "fleet/") {
				for _, g := range f.Groups {
					total += len(g.Rules)
				}
			}
		}
		return total
	}
	if two, twenty := count(2), count(20); two != twenty || two == 0 {
		t.Errorf("%d rules for two SLOs, %d for twenty", two, twenty)
	}
}
