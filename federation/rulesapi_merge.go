package federation

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// Rules knows the rules that Midwatch evaluates itself, such as a
// *rules.Manager of Prometheus does. It is safe for concurrent use.
type Rules interface {
	RuleGroups() []*rules.Group
}

var _ Rules = (*rules.Manager)(nil)

// ruleGroup is a group of rules in an answer of the API.
type ruleGroup struct {
	Name           string    `json:"name"`
	File           string    `json:"file"`
	Rules          []rule    `json:"rules"`
	Interval       float64   `json:"interval"`
	Limit          int       `json:"limit"`
	EvaluationTime float64   `json:"evaluationTime"`
	LastEvaluation time.Time `json:"lastEvaluation"`

	cluster string // that it is of; "" is Midwatch itself
}

// rule is a rule of either kind.
type rule struct {
	v1.AlertingRule
	Alerts []*v1.Alert `json:"alerts"`
}

func (g ruleGroup) api(shown []v1.Rule) *v1.RuleGroup {
	return &v1.RuleGroup{
		Name: g.Name, File: g.File, Rules: shown, Interval: g.Interval, Limit: g.Limit,
		EvaluationTime: g.EvaluationTime, LastEvaluation: g.LastEvaluation,
	}
}

func (r rule) api() v1.Rule {
	if r.Type == "recording" {
		return v1.RecordingRule{
			Name: r.Name, Query: r.Query, Labels: r.Labels, Health: r.Health, LastError: r.LastError,
			EvaluationTime: r.EvaluationTime, LastEvaluation: r.LastEvaluation, Type: r.Type,
		}
	}
	out := r.AlertingRule
	out.Alerts = r.Alerts
	return out
}

// bind leaves of a rule what the context may see of it, and tells whether that
// is anything: the rule has labels that may be seen, or an alert of it has.
// Of a rule that is seen for its alerts alone, the state is theirs, and the
// last error, which can name series, is left out.
func (r *rule) bind(ctx context.Context) bool {
	ms := bound(ctx)
	if len(ms) == 0 {
		return true
	}
	r.Alerts = slices.DeleteFunc(slices.Clone(r.Alerts), func(a *v1.Alert) bool { return !matches(a.Labels, ms) })
	if matches(r.Labels, ms) {
		return true
	}
	r.LastError, r.State = "", stateOf(r.Alerts)
	return len(r.Alerts) > 0
}

func ruleGroupsOf(ctx context.Context, s *survey, c *cluster, form url.Values) ([]ruleGroup, error) {
	type answer struct {
		Groups []ruleGroup `json:"groups"`
	}
	answers, err := put[answer](ctx, s, c, question{"rules", form})
	if err != nil {
		return nil, err
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	var all []ruleGroup
	for _, a := range answers {
		for i := range a.Groups {
			a.Groups[i].cluster = c.name
			for k := range a.Groups[i].Rules {
				one := &a.Groups[i].Rules[k]
				one.Labels = c.dress(b, one.Labels)
				one.Alerts = c.dressAlerts(b, one.Alerts)
			}
		}
		all = mergeGroups(all, a.Groups)
	}
	return all, nil
}

func (c *cluster) dressAlerts(b *labels.Builder, all []*v1.Alert) []*v1.Alert {
	all = slices.DeleteFunc(all, func(a *v1.Alert) bool { return a == nil })
	for _, a := range all {
		a.Labels = c.dress(b, a.Labels)
	}
	return all
}

func alertsOf(ctx context.Context, s *survey, c *cluster) ([]*v1.Alert, error) {
	answers, err := put[v1.AlertDiscovery](ctx, s, c, question{"alerts", nil})
	if err != nil {
		return nil, err
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	var all []*v1.Alert
	for _, a := range answers {
		all = mergeAlerts(all, c.dressAlerts(b, a.Alerts))
	}
	return all, nil
}

// mergeGroups adds to the groups of one replica those of another.
func mergeGroups(into, from []ruleGroup) []ruleGroup {
	have := make(map[[2]string]int, len(into))
	for i, g := range into {
		have[[2]string{g.File, g.Name}] = i
	}
	for _, g := range from {
		if i, known := have[[2]string{g.File, g.Name}]; known {
			into[i].Rules = mergeRules(into[i].Rules, g.Rules)
		} else {
			into = append(into, g)
		}
	}
	return into
}

// mergeRules adds to the rules of one replica those of another. Equal rules
// may be there more than once: each stands for one.
func mergeRules(into, from []rule) []rule {
	have := make(map[string][]int, len(into))
	for i, r := range into {
		have[r.key()] = append(have[r.key()], i)
	}
	for _, r := range from {
		equal := have[r.key()]
		if len(equal) == 0 {
			into = append(into, r)
			continue
		}
		known := &into[equal[0]]
		have[r.key()] = equal[1:]
		known.Alerts = mergeAlerts(known.Alerts, r.Alerts)
		if rank(r.State) > rank(known.State) {
			known.State = r.State
		}
	}
	return into
}

// key is the same for rules that differ in nothing but their evaluation.
func (r rule) key() string {
	return fmt.Sprintf("%q %q %q %g %s", r.Type, r.Name, r.Query, r.Duration, r.Labels)
}

// mergeAlerts adds to the alerts of one replica those of another: one that
// both have fires where one of them says so, and since when the first did.
func mergeAlerts(into, from []*v1.Alert) []*v1.Alert {
	have := make(map[string]*v1.Alert, len(into))
	for _, a := range into {
		have[string(a.Labels.Bytes(nil))] = a
	}
	for _, a := range from {
		known := have[string(a.Labels.Bytes(nil))]
		if known == nil {
			into = append(into, a)
			continue
		}
		known.ActiveAt = earlier(known.ActiveAt, a.ActiveAt)
		if rank(a.State) > rank(known.State) {
			known.State, known.Value, known.KeepFiringSince = a.State, a.Value, a.KeepFiringSince
		}
	}
	return into
}

func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

func rank(state string) int { return slices.Index([]string{"inactive", "pending", "firing"}, state) }

// stateOf returns the state of a rule that has these alerts.
func stateOf(all []*v1.Alert) string {
	if len(all) == 0 {
		return "inactive"
	}
	return slices.MaxFunc(all, func(a, b *v1.Alert) int { return cmp.Compare(rank(a.State), rank(b.State)) }).State
}

// ownGroups returns groups of Prometheus' rule manager as the API shows them.
func ownGroups(groups []*rules.Group) []ruleGroup {
	out := make([]ruleGroup, 0, len(groups))
	for _, g := range groups {
		one := ruleGroup{
			Name: g.Name(), File: g.File(), Interval: g.Interval().Seconds(), Limit: g.Limit(),
			EvaluationTime: g.GetEvaluationTime().Seconds(), LastEvaluation: g.GetLastEvaluation(),
		}
		for _, r := range g.Rules() {
			one.Rules = append(one.Rules, ownRule(r))
		}
		out = append(out, one)
	}
	return out
}

func ownRule(r rules.Rule) rule {
	out := rule{AlertingRule: v1.AlertingRule{
		Name: r.Name(), Query: r.Query().String(), Labels: r.Labels(), Health: r.Health(), Type: "recording",
		EvaluationTime: r.GetEvaluationDuration().Seconds(), LastEvaluation: r.GetEvaluationTimestamp(),
	}}
	if err := r.LastError(); err != nil {
		out.LastError = err.Error()
	}
	if a, ok := r.(*rules.AlertingRule); ok {
		out.Type, out.State, out.Annotations = "alerting", a.State().String(), a.Annotations()
		out.Duration, out.KeepFiringFor = a.HoldDuration().Seconds(), a.KeepFiringFor().Seconds()
		out.Alerts = ownAlerts(a.ActiveAlerts())
	}
	return out
}

func ownAlerts(active []*rules.Alert) []*v1.Alert {
	out := make([]*v1.Alert, 0, len(active))
	for _, a := range active {
		one := &v1.Alert{
			Labels: a.Labels, Annotations: a.Annotations, State: a.State.String(), ActiveAt: &a.ActiveAt,
			Value: strconv.FormatFloat(a.Value, 'e', -1, 64),
		}
		if !a.KeepFiringSince.IsZero() {
			one.KeepFiringSince = &a.KeepFiringSince
		}
		out = append(out, one)
	}
	return out
}
