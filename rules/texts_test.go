package rules_test

import (
	"slices"
	"strings"
	"testing"

	prometheusrules "github.com/prometheus/prometheus/rules"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// hostileText is a text that would break a rule, run as a template or refer to a
// part of a match, if it were ever read as more than a text.
const hostileText = "a \"quote\" 'single' `back` \\ $1 ${x} $$ {{ $labels.slo }} {{ template \"x\" }} %q \u00e9\nline"

// alert returns the newest alert of an SLO that fired at a severity.
func (w *world) alert(name, slo, severity string) firing {
	w.t.Helper()
	for _, f := range slices.Backward(w.fired) {
		if f.name == name && f.slo == slo && f.severity == severity {
			return f
		}
	}
	w.t.Fatalf("no %s of %s at %s in %v", name, slo, severity, w.fired)
	return firing{}
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: want %q, got %q", what, want, got)
	}
}

// Labels, annotations and the runbook of an SLO are on its alerts, and on no
// others: those of pages on pages, those of tickets on tickets. Whatever they
// say, they are texts.
func TestLabelsAndAnnotationsOnAlerts(t *testing.T) {
	t.Parallel()
	const begin = 4 * hour
	rich := availability(t, "rich", "99.9", func(s *slo.SLO) {
		s.Labels = map[string]string{"region": "eu", "note": strings.ReplaceAll(hostileText, "\n", " ")}
		s.Team, s.Owner = "payments", "ann"
		s.Runbook = "https://runbooks.example.com/$1?a={{b}}&c=\"d\""
		s.Annotations = map[string]string{"impact": hostileText, "summary": "ours"}
		s.Alerts.Page = slo.Extra{Labels: map[string]string{"loud": "yes"}, Annotations: map[string]string{"call": "the bridge"}}
		s.Alerts.Ticket = slo.Extra{Labels: map[string]string{"queue": "slow"}, Annotations: map[string]string{"board": "kanban"}}
		s.Alerts.BudgetSpent = []slo.BudgetSpent{{Percent: decimal(t, "5"), Severity: "P3"}}
	})
	plain := availability(t, "plain", "99.9", nil)
	w := newWorld(t, compile(t, rules.Options{}, rich, plain))
	for _, app := range []string{"rich", "plain"} {
		w.outage(app, 6*hour, begin, 6*hour)
	}
	w.replay(0, begin)
	w.live(begin + 50*minute)

	page := w.alert("SLOErrorBudgetBurn", "rich", "P2")
	for name, want := range map[string]string{
		"region": "eu", "team": "payments", "owner": "ann", "loud": "yes", "queue": "", "note": rich.Labels["note"],
		"parameter": "", "service": "shop", "tier": "6h30m", "percent": "",
	} {
		check(t, "label "+name, page.labels.Get(name), want)
	}
	for name, want := range map[string]string{"runbook_url": rich.Runbook, "impact": hostileText, "summary": "ours", "call": "the bridge", "board": ""} {
		check(t, "annotation "+name, page.annotations.Get(name), want)
	}
	ticket := w.alert("SLOErrorBudgetBurn", "rich", "P3")
	check(t, "label queue", ticket.labels.Get("queue"), "slow")
	check(t, "label loud", ticket.labels.Get("loud"), "")
	check(t, "annotation board", ticket.annotations.Get("board"), "kanban")
	check(t, "annotation call", ticket.annotations.Get("call"), "")
	check(t, "annotation runbook_url", ticket.annotations.Get("runbook_url"), rich.Runbook)
	spent := w.alert("SLOErrorBudgetSpent", "rich", "P3")
	check(t, "label team of a spent budget", spent.labels.Get("team"), "payments")
	check(t, "annotation impact of a spent budget", spent.annotations.Get("impact"), hostileText)

	none := w.alert("SLOErrorBudgetBurn", "plain", "P2")
	for _, name := range []string{"region", "team", "owner", "loud", "note"} {
		check(t, "label "+name+" of the other SLO", none.labels.Get(name), "")
	}
	check(t, "runbook of the other SLO", none.annotations.Get("runbook_url"), "")
	if summary := none.annotations.Get("summary"); !strings.HasPrefix(summary, "shop burns the error budget of plain: ") {
		t.Errorf("summary of the other SLO: %q", summary)
	}
}

func decimal(t *testing.T, text string) slo.Decimal {
	t.Helper()
	d, err := slo.ParseDecimal(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A label that is edited in mid-window is on the alert from then on; windows
// and budget go on as if nothing had happened, also while the parameters of
// both files are there.
func TestLabelEditedInMidWindow(t *testing.T) {
	t.Parallel()
	const begin, edit = 4 * hour, 4*hour + 10*minute
	team := func(name string) slo.SLO {
		return availability(t, "a", "99.9", func(s *slo.SLO) { s.Team = name })
	}
	w := newWorld(t, compile(t, rules.Options{}, team("old")))
	w.outage("a", 6*hour, begin, 6*hour)
	w.replay(0, begin)
	w.live(edit)
	check(t, "team", w.alert("SLOErrorBudgetBurn", "a", "P2").labels.Get("team"), "old")
	w.load(compile(t, rules.Options{}, team("new")))
	for at := edit + minute; at <= edit+20*minute; at += minute {
		w.live(at) // no rule fails: live says so
		near(t, "1h", w.value(at, "slo:sli_error:ratio_rate1h"), (at - begin).Hours(), 0.02)
		if teams := w.firingTeams("1h5m"); len(teams) != 1 {
			t.Errorf("at %s it fires for %v", at, teams)
		}
	}
	if teams := w.firingTeams("1h5m"); !slices.Equal(teams, []string{"new"}) {
		t.Errorf("after the edit it fires for %v", teams)
	}
	near(t, "budget left", w.value(edit+20*minute, "slo:period_error_budget_remaining:ratio"), 1-30.0/43.2, 0.05)
}

// firingTeams returns the label team of each alert of a tier that fires now.
func (w *world) firingTeams(tier string) []string {
	var out []string
	for _, g := range w.groups {
		for _, r := range g.AlertingRules() {
			for _, a := range r.ActiveAlerts() {
				if a.Labels.Get("tier") == tier && a.State == prometheusrules.StateFiring {
					out = append(out, a.Labels.Get("team"))
				}
			}
		}
	}
	return out
}

// A label that one SLO carries and another groups by stays what each says.
func TestLabelThatAnotherGroupsBy(t *testing.T) {
	t.Parallel()
	const begin = 2 * hour
	owner := availability(t, "owner", "99.9", func(s *slo.SLO) { s.Labels = map[string]string{"path": "mine", "zone": "z"} })
	grouped := availability(t, "grouped", "99.9", func(s *slo.SLO) {
		s.GroupBy, s.Team = []string{"path"}, "payments"
	})
	w := newWorld(t, compile(t, rules.Options{}, owner, grouped))
	for _, app := range []string{"owner", "grouped"} {
		for _, path := range []string{"/a", "/b"} {
			w.scrape(`requests_total{app="`+app+`",path="`+path+`"}`, 0, 3*hour, scrape, steady(100))
			w.scrape(`failures_total{app="`+app+`",path="`+path+`"}`, 0, 3*hour, scrape, after(1000, burst(100, begin, 3*hour)))
		}
	}
	w.replay(0, begin)
	w.live(begin + 5*minute)
	got := map[string]bool{}
	for _, f := range w.fired {
		if f.name == "SLOErrorBudgetBurn" && f.tier == "1h5m" {
			got[f.slo+" "+f.path+" "+f.labels.Get("team")+" "+f.labels.Get("zone")] = true
		}
	}
	for _, want := range []string{"owner mine  z", "grouped /a payments ", "grouped /b payments "} {
		if !got[want] {
			t.Errorf("no alert %q in %v", want, got)
		}
	}
	if len(got) != 3 {
		t.Errorf("alerts: %v", got)
	}
}

// Thresholds, percentages and certainties are the decimals that a person
// wrote.
func TestParametersAreExactDecimals(t *testing.T) {
	for objective, want := range map[string][]string{
		"99.9": {"0.0144", "0.006", "0.003", "0.001"}, "99.95": {"0.0072", "0.0005", "0.0015"}, "99.99": {"0.00144", "0.0001"}, "99.3": {"0.1008", "0.042", "0.021", "0.007"},
	} {
		s := availability(t, "a", objective, func(s *slo.SLO) {
			s.Alerts.BudgetSpent = []slo.BudgetSpent{{Percent: decimal(t, "33.3"), Severity: "P3"}}
			s.Alerts.Confidence = decimal(t, "99")
		})
		var expr string
		for _, g := range compile(t, rules.Options{}, s).Groups() {
			for _, r := range g.Rules {
				if r.Record == "slo:parameter:value" {
					expr = r.Expr
				}
			}
		}
		for _, number := range append(want, "0.333", "2.3263", "30", "3") {
			if !strings.Contains(expr, "vector("+number+")") {
				t.Errorf("objective %s: no %s in %s", objective, number, expr)
			}
		}
	}
}
