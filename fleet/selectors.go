package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/grafana/regexp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	labelScope = "scope" // fleet on everything that is recorded here
	scopeFleet = "fleet"

	alertsSeries   = "ALERTS"
	forStateSeries = "ALERTS_FOR_STATE"
)

// program is a set of groups, ready to be evaluated.
type program struct {
	groups []rulefmt.RuleGroup
	own    map[string]bool                     // names of series that no cluster is asked for
	asks   map[string][]string                 // what the clusters are asked, by group
	reads  map[string][]*parser.VectorSelector // what rules read of the clusters, by group
	slos   []string                            // the names that are read, sorted
	exprs  map[string]groupExpr                // by group
}

// groupExpr are the expressions of the rules of a group.
type groupExpr []parser.Expr

// newProgram parses the rules. Series that are recorded without reading any
// are never asked of the clusters.
func newProgram(p parser.Parser, groups []rulefmt.RuleGroup, slos []string) (*program, error) {
	out := &program{
		groups: groups, slos: slices.Compact(slices.Sorted(slices.Values(slos))), asks: map[string][]string{}, reads: map[string][]*parser.VectorSelector{}, exprs: map[string]groupExpr{},
		own: map[string]bool{alertsSeries: true, forStateSeries: true},
	}
	seen := map[string]bool{}
	for _, g := range groups {
		if seen[g.Name] {
			return nil, fmt.Errorf("group %q is given twice", g.Name)
		}
		seen[g.Name] = true
		for _, r := range g.Rules {
			e, err := p.ParseExpr(r.Expr)
			if err != nil {
				return nil, fmt.Errorf("group %q: rule %s%s: %w", g.Name, r.Record, r.Alert, err)
			}
			out.exprs[g.Name] = append(out.exprs[g.Name], e)
			if r.Record != "" && len(parser.ExtractSelectors(e)) == 0 {
				out.own[r.Record] = true
			}
		}
	}
	for _, g := range groups {
		for i, e := range out.exprs[g.Name] {
			found, err := out.foreign(e)
			if err != nil {
				return nil, fmt.Errorf("group %q: rule %s%s: %w", g.Name, g.Rules[i].Record, g.Rules[i].Alert, err)
			}
			out.reads[g.Name] = append(out.reads[g.Name], found...)
		}
		out.asks[g.Name] = combined(out.reads[g.Name], ofSLOs(out.slos))
	}
	return out, nil
}

// mine tells whether only series that are recorded here can match.
func (p *program) mine(ms []*labels.Matcher) bool {
	return slices.ContainsFunc(ms, func(m *labels.Matcher) bool {
		return m.Type == labels.MatchEqual && (m.Name == labelScope && m.Value == scopeFleet || m.Name == model.MetricNameLabel && p.own[m.Value])
	})
}

// foreign returns the selectors of clusters' series in an expression. These
// can be read as they are at the moment, and not otherwise.
func (p *program) foreign(e parser.Expr) (out []*parser.VectorSelector, err error) {
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		vs, ok := n.(*parser.VectorSelector)
		if !ok || p.mine(vs.LabelMatchers) {
			return nil
		}
		plain := vs.OriginalOffset == 0 && vs.OriginalOffsetExpr == nil && vs.Timestamp == nil && vs.StartOrEnd == 0
		for _, above := range path {
			switch x := above.(type) {
			case *parser.MatrixSelector, *parser.SubqueryExpr:
				plain = false
			case *parser.Call:
				plain = plain && x.Func.Name != "timestamp"
			}
		}
		if !plain {
			err = fmt.Errorf("%s: of the clusters' series only the present value can be read", vs)
		}
		out = append(out, vs)
		return nil
	})
	return out, err
}

// maxNames is how many SLOs are named in a query; more are read all.
const maxNames = 1000

// ofSLOs returns a matcher of the names, as it is written; "" for no limit.
func ofSLOs(names []string) string {
	if len(names) == 0 || len(names) > maxNames {
		return ""
	}
	return oneOf("slo", names).String()
}

// oneOf matches the values of a label.
func oneOf(name string, values []string) *labels.Matcher {
	if len(values) == 1 {
		return labels.MustNewMatcher(labels.MatchEqual, name, values[0])
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return labels.MustNewMatcher(labels.MatchRegexp, name, strings.Join(quoted, "|"))
}

// combined returns the queries by which all that is selected is fetched:
// selectors that differ in nothing but the name are one. Each is limited by
// one matcher more.
func combined(selectors []*parser.VectorSelector, only string) []string {
	names := map[string]map[string]bool{} // by the other matchers
	alone := map[string]bool{}
	for _, vs := range selectors {
		name, rest := "", []string{}
		for _, m := range vs.LabelMatchers {
			if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && name == "" {
				name = m.Value
				continue
			}
			rest = append(rest, m.String())
		}
		if only != "" {
			rest = append(rest, only)
		}
		slices.Sort(rest)
		key := strings.Join(slices.Compact(rest), ",")
		switch {
		case name == "":
			alone["{"+key+"}"] = true
		case names[key] == nil:
			names[key] = map[string]bool{name: true}
		default:
			names[key][name] = true
		}
	}
	out := slices.Sorted(maps.Keys(alone))
	for _, key := range slices.Sorted(maps.Keys(names)) {
		out = append(out, named(slices.Sorted(maps.Keys(names[key])), key))
	}
	return out
}

// named returns a selector of the names and of other matchers.
func named(names []string, rest string) string {
	m := oneOf(model.MetricNameLabel, names)
	if rest == "" {
		return "{" + m.String() + "}"
	}
	return "{" + m.String() + "," + rest + "}"
}
