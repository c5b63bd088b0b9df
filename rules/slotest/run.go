package slotest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"

	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/slo"
)

// Failure is an expectation that is not met.
type Failure struct {
	Place string `json:"place"` // file:line:column
	Field string `json:"field"` // of the test
	What  string `json:"what"`
	Want  string `json:"want"`
	Got   string `json:"got"`
}

const budgetSeries = "slo:period_error_budget_remaining:ratio"

// Run runs a test on SLOs. The error is one of the test's own: an SLO that it
// names and that there is not, rules that cannot be evaluated.
func (t *Test) Run(ctx context.Context, slos []slo.SLO) ([]Failure, error) {
	r := &running{Test: t, slos: map[string]slo.SLO{}, values: map[string]map[uint64]*recorded{}}
	for _, s := range slos {
		r.slos[s.ID()] = s
	}
	if err := r.names(); err != nil {
		return nil, err
	}
	set, err := rules.Compile(slos, t.Options)
	if err != nil {
		return nil, err
	}
	memory, err := t.memory()
	if err != nil {
		return nil, err
	}
	result, err := replay.Run(ctx, replay.Config{
		Groups: groups(set), Source: replay.NewLocal(memory), Since: t.begin, From: t.begin, To: t.begin.Add(t.until),
		Alerts: aboutSLOs, Wanted: r.wanted(), Record: r.record,
	})
	if err != nil {
		return nil, err
	}
	for _, f := range result.Failures {
		return nil, fmt.Errorf("rule %s of group %s: %w", f.Rule, f.Group, f.Err)
	}
	r.judge(result.Firings)
	return r.failures, nil
}

func groups(set rules.Set) (out []rulefmt.RuleGroup) {
	for _, f := range set.Files {
		if !strings.HasPrefix(f.Name, "loki/") {
			out = append(out, f.Groups...)
		}
	}
	return out
}

// aboutSLOs tells alerts about SLOs from those about the rules themselves.
func aboutSLOs(r rulefmt.Rule) bool {
	return !slices.Contains([]string{"Watchdog", "SLOParametersMissing", "SLORuleEvaluationFailing"}, r.Alert)
}

// running is a test that is run.
type running struct {
	*Test
	slos     map[string]slo.SLO
	values   map[string]map[uint64]*recorded // by name and labels
	failures []Failure
}

type recorded struct {
	labels labels.Labels
	points []promql.FPoint
}

// names puts in the SLO that an expectation means where it names none, and
// refuses those that there are not.
func (r *running) names() error {
	only := ""
	if len(r.slos) == 1 {
		only = slices.Collect(maps.Keys(r.slos))[0]
	}
	check := func(name *string, p place, any bool) error {
		if *name == "" && !any {
			*name = only
		}
		if _, ok := r.slos[*name]; ok || *name == "" && any {
			return nil
		}
		message := fmt.Sprintf("no SLO %q", *name)
		if *name == "" {
			message = "of which SLO is not said"
		}
		hint := "SERVICE/NAME: " + strings.Join(slices.Sorted(maps.Keys(r.slos)), ", ")
		return r.file.At(yamldoc.Lookup(p.node, "slo"), p.field+".slo", message, hint)
	}
	for i := range r.expect {
		if err := check(&r.expect[i].slo, r.expect[i].place, false); err != nil {
			return err
		}
	}
	for i := range r.alerts {
		if err := check(&r.alerts[i].slo, r.alerts[i].place, false); err != nil {
			return err
		}
	}
	for i := range r.quiet {
		if err := check(&r.quiet[i].slo, r.quiet[i].place, true); err != nil {
			return err
		}
	}
	return nil
}

func ratioSeries(window string) string { return "slo:sli_error:ratio_rate" + window }

// wanted returns which series the expectations look at.
func (r *running) wanted() func(string) bool {
	names := map[string]bool{}
	for _, e := range r.expect {
		for _, f := range slices.Concat(e.ratios, e.burns) {
			names[ratioSeries(f.window)] = true
		}
		if e.budget != nil {
			names[budgetSeries] = true
		}
	}
	return func(name string) bool { return names[name] }
}

func (r *running) record(s replay.Series) {
	name := s.Labels.Get(model.MetricNameLabel)
	if r.values[name] == nil {
		r.values[name] = map[uint64]*recorded{}
	}
	to := r.values[name][s.Labels.Hash()]
	if to == nil {
		to = &recorded{labels: s.Labels}
		r.values[name][s.Labels.Hash()] = to
	}
	to.points = append(to.points, s.Points...)
}

// value returns the last value that was recorded before a time.
func (r *running) value(name string, e expectation) (float64, string) {
	want := map[string]string{"service": r.slos[e.slo].Service, "slo": r.slos[e.slo].Name}
	maps.Copy(want, e.labels)
	var found []*recorded
	for _, s := range r.values[name] {
		if has(s.labels, want) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		if len(r.values[name]) == 0 {
			return 0, "nothing: " + name + " is not recorded"
		}
		return 0, "nothing: there is no such series"
	case 1:
	default:
		return 0, fmt.Sprintf("%d groups: say which by labels", len(found))
	}
	at := r.begin.Add(e.at).UnixMilli()
	for _, p := range slices.Backward(found[0].points) {
		if p.T <= at {
			if p.T <= at-lookback.Milliseconds() {
				break
			}
			return p.F, ""
		}
	}
	return 0, "nothing at that time"
}

const lookback = 5 * time.Minute

func has(l labels.Labels, want map[string]string) bool {
	for name, value := range want {
		if l.Get(name) != value {
			return false
		}
	}
	return true
}

func (r *running) fail(p place, field, what, want, got string) {
	n := p.node
	if field != "" {
		n = yamldoc.Lookup(n, field)
		field = "." + field
	}
	r.failures = append(r.failures, Failure{
		Place: fmt.Sprintf("%s:%d:%d", r.File, n.Line, n.Column), Field: p.field + field, What: what, Want: want, Got: got,
	})
}

func (r *running) judge(firings []replay.Firing) {
	for _, e := range r.expect {
		r.judgeValues(e)
	}
	if r.exact {
		r.judgeAlerts(firings)
	}
	for _, q := range r.quiet {
		r.judgeQuiet(q, firings)
	}
}

func (r *running) judgeValues(e expectation) {
	budget := r.slos[e.slo].ErrorBudget()
	share, _ := budget.Float64()
	title := fmt.Sprintf("%s at %s", withLabels(e.slo, e.labels), r.since(e.at))
	for _, f := range e.ratios {
		got, missing := r.value(ratioSeries(f.window), e)
		r.compare(e, "error_ratio", title+": error ratio over "+f.window, f.want, got, f.want*e.within, missing, explain.Ratio)
	}
	for _, f := range e.burns {
		got, missing := r.value(ratioSeries(f.window), e)
		r.compare(e, "burn_rate", title+": burn rate over "+f.window, f.want, got/share, f.want*e.within, missing, number)
	}
	if e.budget != nil {
		got, missing := r.value(budgetSeries, e)
		r.compare(e, "budget_left", title+": budget left", *e.budget, got, e.within, missing, explain.Ratio)
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func (r *running) compare(e expectation, field, what string, want, got, off float64, missing string, write func(float64) string) {
	if missing == "" && math.Abs(got-want) <= math.Abs(off)+1e-9 {
		return
	}
	text := write(got)
	if missing != "" {
		text = missing
	}
	r.fail(e.place, field, what, fmt.Sprintf("%s, within %s", write(want), write(math.Abs(off))), text)
}

func withLabels(id string, l map[string]string) string {
	for _, k := range slices.Sorted(maps.Keys(l)) {
		id += fmt.Sprintf(" %s=%q", k, l[k])
	}
	return id
}

// since writes a time since the begin.
func (r *running) since(d time.Duration) string { return model.Duration(d).String() }

// judgeAlerts matches what fires with what is wanted, one with one.
func (r *running) judgeAlerts(firings []replay.Firing) {
	left := slices.Clone(firings)
	for _, a := range r.alerts {
		// Of several that fit, the one that begins nearest.
		best, off := -1, time.Duration(math.MaxInt64)
		for i, f := range left {
			if d := (f.From.Sub(r.begin) - a.from).Abs(); a.fits(r.slos[a.slo], f) && d < off {
				best, off = i, d
			}
		}
		if best < 0 {
			r.fail(a.place, "", a.String(), "it fires from "+r.since(a.from), "it does not fire")
			continue
		}
		r.judgeAlert(a, left[best])
		left = slices.Delete(left, best, best+1)
	}
	for _, f := range left {
		p := place{node: yamldoc.Lookup(r.doc, "spec.alerts"), field: "spec.alerts"}
		r.fail(p, "", "an alert that is not expected", "no other alert", r.describe(f))
	}
}

func (a wantedAlert) fits(s slo.SLO, f replay.Firing) bool {
	want := map[string]string{model.AlertNameLabel: a.name, "service": s.Service, "slo": s.Name}
	if a.severity != "" {
		want["severity"] = a.severity
	}
	if a.tier != "" {
		want["tier"] = a.tier
	}
	maps.Copy(want, a.labels)
	return has(f.Labels, want)
}

// String names the alert.
func (a wantedAlert) String() string {
	return strings.Join(strings.Fields(strings.Join([]string{withLabels(a.slo, a.labels) + ":", a.severity, a.tier, a.name}, " ")), " ")
}

func (r *running) judgeAlert(a wantedAlert, f replay.Firing) {
	if from := f.From.Sub(r.begin); (from - a.from).Abs() > a.within {
		r.fail(a.place, "from", a.String(), fmt.Sprintf("it fires from %s, within %s", r.since(a.from), r.since(a.within)), "from "+r.since(from))
	}
	to := "it fires still at the end"
	if !f.To.IsZero() {
		to = "until " + r.since(f.To.Sub(r.begin))
	}
	switch {
	case a.never && !f.To.IsZero():
		r.fail(a.place, "to", a.String(), "it fires until the end", to)
	case a.to != nil && (f.To.IsZero() || (f.To.Sub(r.begin)-*a.to).Abs() > a.within):
		r.fail(a.place, "to", a.String(), fmt.Sprintf("it fires until %s, within %s", r.since(*a.to), r.since(a.within)), to)
	}
}

// describe writes an alert with the time in which it fires.
func (r *running) describe(f replay.Firing) string {
	l := f.Labels
	text := strings.Join(strings.Fields(strings.Join([]string{l.Get("service") + "/" + l.Get("slo") + ":", l.Get("severity"), l.Get("tier"), l.Get(model.AlertNameLabel)}, " ")), " ")
	text += " from " + r.since(f.From.Sub(r.begin))
	if f.To.IsZero() {
		return text + " to the end"
	}
	return text + " to " + r.since(f.To.Sub(r.begin))
}

func (r *running) judgeQuiet(q quiet, firings []replay.Firing) {
	from, to := r.begin.Add(q.from), r.begin.Add(q.to)
	for _, f := range firings {
		id := f.Labels.Get("service") + "/" + f.Labels.Get("slo")
		if q.slo != "" && id != q.slo || len(q.severities) > 0 && !slices.Contains(q.severities, f.Labels.Get("severity")) {
			continue
		}
		if f.From.Before(to) && (f.To.IsZero() || f.To.After(from)) {
			r.fail(q.place, "", fmt.Sprintf("quiet from %s to %s", r.since(q.from), r.since(q.to)), "no alert fires", r.describe(f))
		}
	}
}
