package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/web/wire"
)

const (
	loadedTimeout  = time.Minute // of one question
	maxLoaded      = 512 << 20   // bytes of one answer
	maxDifferences = 200         // of one cluster that are told
	ourGroups      = "midwatch-" // begins the names of all groups of ours
)

// loadedGroup is a group as a Prometheus says that it has loaded it.
type loadedGroup struct {
	Name     string       `json:"name"`
	Interval float64      `json:"interval"` // seconds
	Rules    []loadedRule `json:"rules"`
}

type loadedRule struct {
	Type          string            `json:"type"` // alerting or recording
	Name          string            `json:"name"`
	Query         string            `json:"query"`
	Duration      float64           `json:"duration"` // seconds
	KeepFiringFor float64           `json:"keepFiringFor"`
	Labels        map[string]string `json:"labels"`
	Annotations   map[string]string `json:"annotations"`
}

// wantedRules are the groups that clusters should have loaded, with their
// expressions as Prometheus prints them.
type wantedRules struct {
	once      sync.Once
	groups    map[string]loadedGroup
	elsewhere map[string]bool // groups that a cluster may have and need not
}

func (w *wantedRules) of(set rules.Set) map[string]loadedGroup {
	w.once.Do(func() {
		w.groups, w.elsewhere = map[string]loadedGroup{}, map[string]bool{}
		for _, f := range set.Files {
			for _, g := range f.Groups {
				if partOf(f) == partCluster {
					w.groups[g.Name] = asLoaded(g)
				} else {
					w.elsewhere[g.Name] = true
				}
			}
		}
	})
	return w.groups
}

func asLoaded(g rulefmt.RuleGroup) loadedGroup {
	out := loadedGroup{Name: g.Name, Interval: time.Duration(g.Interval).Seconds()}
	for _, r := range g.Rules {
		l := loadedRule{
			Type: "alerting", Name: r.Alert, Query: canonical(r.Expr), Labels: r.Labels, Annotations: r.Annotations,
			Duration: time.Duration(r.For).Seconds(), KeepFiringFor: time.Duration(r.KeepFiringFor).Seconds(),
		}
		if r.Record != "" {
			l.Type, l.Name = "recording", r.Record
		}
		out.Rules = append(out.Rules, l)
	}
	return out
}

// canonical returns an expression as Prometheus prints it, or as it is when it
// is none.
func canonical(text string) string {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return text
	}
	return e.String()
}

// loaded asks one Prometheus of a cluster for its rules.
func (k *ruleKeeper) loaded(ctx context.Context, cluster string, replica int) ([]loadedGroup, error) {
	ctx, cancel := context.WithTimeout(ctx, loadedTimeout)
	defer cancel()
	resp, err := k.current().federation.Get(ctx, cluster, replica, "rules", url.Values{"exclude_alerts": {"true"}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Status string `json:"status"`
		Data   struct {
			Groups []loadedGroup `json:"groups"`
		} `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxLoaded)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("its answer is not that of a Prometheus: %w", err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("its answer has the status %q", answer.Status)
	}
	return answer.Data.Groups, nil
}

// differences compares what is loaded with what should be, in the order of the
// groups' names.
func (r *ruleTargets) differences(loaded []loadedGroup) (out []wire.RuleDifference) {
	want := maps.Clone(r.wanted.of(r.set))
	seen := map[string]bool{}
	for _, g := range loaded {
		w, known := want[g.Name]
		switch {
		case !strings.HasPrefix(g.Name, ourGroups):
		case seen[g.Name]:
			out = append(out, wire.RuleDifference{Group: g.Name, What: "loaded twice, from two files"})
		case known:
			if d, differs := w.differs(g); differs {
				out = append(out, d)
			}
		case !r.wanted.elsewhere[g.Name]:
			out = append(out, wire.RuleDifference{Group: g.Name, What: "loaded, and of no SLO that there is"})
		}
		seen[g.Name] = true
	}
	for name := range want {
		if !seen[name] {
			out = append(out, wire.RuleDifference{Group: name, What: "not loaded"})
		}
	}
	slices.SortFunc(out, func(a, b wire.RuleDifference) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// differs returns the first difference of a loaded group.
func (g loadedGroup) differs(loaded loadedGroup) (d wire.RuleDifference, differs bool) {
	d.Group = g.Name
	if len(g.Rules) != len(loaded.Rules) {
		d.What = fmt.Sprintf("%d rules are loaded, not %d", len(loaded.Rules), len(g.Rules))
		return d, true
	}
	if loaded.Interval != g.Interval {
		d.What = fmt.Sprintf("evaluated every %gs, not every %gs", loaded.Interval, g.Interval)
		return d, true
	}
	for i, r := range g.Rules {
		if d.What, d.Want, d.Have = r.differs(loaded.Rules[i]); d.What != "" {
			d.Rule = r.Name
			return d, true
		}
	}
	return d, false
}

// differs says what is otherwise in a loaded rule, "" when nothing is.
func (r loadedRule) differs(l loadedRule) (what, want, have string) {
	switch {
	case r.Type != l.Type || r.Name != l.Name:
		return "another rule", r.Type + " " + r.Name, l.Type + " " + l.Name
	case r.Query != l.Query && r.Query != canonical(l.Query):
		return "another expression", r.Query, l.Query
	case r.Duration != l.Duration || r.KeepFiringFor != l.KeepFiringFor:
		return "another duration", fmt.Sprintf("for %gs, keep firing for %gs", r.Duration, r.KeepFiringFor), fmt.Sprintf("for %gs, keep firing for %gs", l.Duration, l.KeepFiringFor)
	case !maps.Equal(r.Labels, l.Labels):
		return "other labels", fmt.Sprint(r.Labels), fmt.Sprint(l.Labels)
	case !maps.Equal(r.Annotations, l.Annotations):
		return "other annotations", fmt.Sprint(r.Annotations), fmt.Sprint(l.Annotations)
	}
	return "", "", ""
}
