package federation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// ruleQuery is what a request wants of the rules.
type ruleQuery struct {
	kind                string // "alert", "record", or "" for both
	names, groups, file []string
	sets                [][]*labels.Matcher
	withoutAlerts       bool
	limit               int64 // groups of a page; 0 or less is all
	token               string
}

// ruleQueryOf reads the parameters of /api/v1/rules, as Prometheus does.
func (f *Federation) ruleQueryOf(r *http.Request) (q ruleQuery, err error) {
	q.names, q.groups, q.file = r.Form["rule_name[]"], r.Form["rule_group[]"], r.Form["file[]"]
	if q.sets, err = f.matcherSets(r); err != nil {
		return q, err
	}
	params := r.URL.Query()
	q.kind = strings.ToLower(params.Get("type"))
	if q.kind != "" && q.kind != "alert" && q.kind != "record" {
		return q, invalidParam(fmt.Errorf("not supported value %q", q.kind), "type")
	}
	if without := strings.ToLower(params.Get("exclude_alerts")); without != "" {
		if q.withoutAlerts, err = strconv.ParseBool(without); err != nil {
			return q, invalidParam(fmt.Errorf("error converting exclude_alerts: %w", err), "exclude_alerts")
		}
	}
	return q, q.readPage(params)
}

func (q *ruleQuery) readPage(params url.Values) (err error) {
	limit := params.Get("group_limit")
	q.token = params.Get("group_next_token")
	if limit == "" {
		if q.token != "" {
			return invalidParam(errors.New("group_limit needs to be present in order to paginate over the groups"), "group_next_token")
		}
		return nil
	}
	if q.limit, err = strconv.ParseInt(limit, 10, 32); err != nil {
		return invalidParam(fmt.Errorf("group_limit needs to be a valid number: %w", err), "group_limit")
	}
	if q.limit <= 0 {
		return invalidParam(errors.New("group_limit needs to be greater than 0"), "group_limit")
	}
	return nil
}

// form returns what of it the clusters are asked for: no less than is wanted.
// What they do not know they ignore, so all is looked at again.
func (q ruleQuery) form(ctx context.Context) url.Values {
	form := url.Values{}
	for name, values := range map[string][]string{"rule_name[]": q.names, "rule_group[]": q.groups, "file[]": q.file} {
		if len(values) > 0 {
			form[name] = values
		}
	}
	if q.kind != "" {
		form.Set("type", q.kind)
	}
	if q.withoutAlerts && len(bound(ctx)) == 0 { // else alerts say which rules are seen
		form.Set("exclude_alerts", "true")
	}
	return form
}

// rules answers with the rules of all clusters, and Midwatch's own, under the
// external labels. Groups keep file and name; equal ones of several clusters
// stand beside each other.
func (f *Federation) rules(r *http.Request) (any, annotations.Annotations, error) {
	q, err := f.ruleQueryOf(r)
	if err != nil {
		return nil, nil, err
	}
	ctx := r.Context()
	s := f.survey(ctx)
	answers, err := each(ctx, s, everywhere(ctx), func(ctx context.Context, c *cluster) ([]ruleGroup, error) {
		return ruleGroupsOf(ctx, s, c, q.form(ctx))
	})
	if err != nil {
		return nil, nil, err
	}
	groups := slices.Concat(answers...)
	if f.config.Rules != nil {
		groups = append(groups, ownGroups(f.config.Rules.RuleGroups())...)
	}
	slices.SortStableFunc(groups, func(a, b ruleGroup) int {
		if byFile := strings.Compare(a.File, b.File); byFile != 0 {
			return byFile
		}
		return strings.Compare(a.Name, b.Name)
	})
	page, err := q.page(ctx, groups)
	return page, s.notes(), err
}

// page returns the groups of the page that is wanted, with what is wanted of
// their rules.
func (q ruleQuery) page(ctx context.Context, groups []ruleGroup) (*v1.RuleDiscovery, error) {
	out := &v1.RuleDiscovery{RuleGroups: []*v1.RuleGroup{}}
	begun := q.token == ""
	for _, g := range groups {
		begun = begun || q.token == g.token()
		if !begun || !wanted(q.groups, g.Name) || !wanted(q.file, g.File) {
			continue
		}
		shown := g.api(q.filter(ctx, g.Rules))
		if len(shown.Rules) == 0 {
			continue
		}
		if q.limit > 0 && int64(len(out.RuleGroups)) == q.limit {
			out.GroupNextToken = g.token()
			break
		}
		out.RuleGroups = append(out.RuleGroups, shown)
	}
	if !begun {
		return nil, invalidParam(fmt.Errorf("invalid group_next_token '%v'. were rule groups changed?", q.token), "group_next_token")
	}
	return out, nil
}

// token names a group where a page begins.
func (g ruleGroup) token() string {
	sum := sha256.Sum256([]byte(g.File + ";" + g.Name + ";" + g.cluster))
	return hex.EncodeToString(sum[:])
}

func wanted(list []string, one string) bool { return len(list) == 0 || slices.Contains(list, one) }

// filter returns the rules that are wanted and may be seen.
func (q ruleQuery) filter(ctx context.Context, all []rule) []v1.Rule {
	out := []v1.Rule{}
	for _, one := range all {
		if !wanted(q.names, one.Name) || !q.wants(one) || !matchesAny(one.Labels, q.sets) || !one.bind(ctx) {
			continue
		}
		if q.withoutAlerts {
			one.Alerts = nil
		}
		out = append(out, one.api())
	}
	return out
}

func (q ruleQuery) wants(one rule) bool {
	switch one.Type {
	case "alerting":
		return q.kind != "record"
	case "recording":
		return q.kind != "alert"
	}
	return false
}

// alerts answers with the alerts of all clusters, and Midwatch's own, under
// the external labels.
func (f *Federation) alerts(r *http.Request) (any, annotations.Annotations, error) {
	ctx := r.Context()
	s := f.survey(ctx)
	answers, err := each(ctx, s, everywhere(ctx), func(ctx context.Context, c *cluster) ([]*v1.Alert, error) {
		return alertsOf(ctx, s, c)
	})
	if err != nil {
		return nil, nil, err
	}
	all := slices.Concat(answers...)
	if f.config.Rules != nil {
		for _, g := range ownGroups(f.config.Rules.RuleGroups()) {
			for _, one := range g.Rules {
				all = append(all, one.Alerts...)
			}
		}
	}
	all = slices.DeleteFunc(all, func(a *v1.Alert) bool { return !matches(a.Labels, bound(ctx)) })
	return &v1.AlertDiscovery{Alerts: append([]*v1.Alert{}, all...)}, s.notes(), nil
}
