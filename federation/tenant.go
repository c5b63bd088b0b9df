package federation

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// boundKey is the context key of WithMatchers.
type boundKey struct{}

// WithMatchers returns a context whose requests see only series, alerts,
// rules and targets that all matchers match, external labels included. Bound
// twice, both hold. Without it everything is seen.
func WithMatchers(ctx context.Context, ms ...*labels.Matcher) context.Context {
	return context.WithValue(ctx, boundKey{}, slices.Concat(bound(ctx), ms))
}

// bound returns the matchers that the context is bound to, none when it sees
// everything.
func bound(ctx context.Context) []*labels.Matcher {
	ms, _ := ctx.Value(boundKey{}).([]*labels.Matcher)
	return ms
}

// narrow returns matchers together with those that the context is bound to,
// which enforce may have put there already.
func narrow(ctx context.Context, ms []*labels.Matcher) []*labels.Matcher {
	out := slices.Clip(ms)
	for _, m := range bound(ctx) {
		if !slices.Contains(ms, m) {
			out = append(out, m)
		}
	}
	return out
}

// enforce adds the matchers that the context is bound to to every selector of
// an expression, subqueries and ranges included. It changes the expression.
func enforce(ctx context.Context, expr parser.Expr) {
	ms := bound(ctx)
	if len(ms) == 0 {
		return
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			v.LabelMatchers = slices.Concat(v.LabelMatchers, ms)
		}
		return nil
	})
}

// ParseMatchers reads matchers such as cluster="hangzhou" and
// namespace=~"shop|shop-.*", each as it would stand in a selector. An error
// names the text that is none.
func ParseMatchers(texts []string) ([]*labels.Matcher, error) {
	var all []*labels.Matcher
	for _, text := range texts {
		ms, err := parser.NewParser(parser.Options{}).ParseMetricSelector("{" + text + "}")
		if err != nil || len(ms) == 0 {
			return nil, fmt.Errorf("%q is not a matcher: want such as namespace=%q", text, "shop")
		}
		all = append(all, ms...)
	}
	return all, nil
}

// matches tells whether all matchers match labels.
func matches(set labels.Labels, ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !m.Matches(set.Get(m.Name)) {
			return false
		}
	}
	return true
}

// matchesAny tells whether labels match one of several sets of matchers, as
// match[] means it. No set matches all.
func matchesAny(set labels.Labels, sets [][]*labels.Matcher) bool {
	return len(sets) == 0 || slices.ContainsFunc(sets, func(ms []*labels.Matcher) bool { return matches(set, ms) })
}

// decide returns what is left of matchers once those on labels that are known
// of the cluster are decided, and whether it can have anything that they all
// match.
func (c *cluster) decide(ms []*labels.Matcher) (rest []*labels.Matcher, ok bool) {
	for _, m := range ms {
		switch {
		case !c.known(m.Name):
			rest = append(rest, m)
		case !m.Matches(c.external[m.Name]):
			return nil, false
		}
	}
	return rest, true
}

// Visible tells whether anything of the cluster of that name may be seen.
func (f *Federation) Visible(ctx context.Context, name string) bool {
	return slices.ContainsFunc(f.clusters, func(c *cluster) bool { return c.name == name && c.visible(ctx) })
}

// visible tells whether anything of the cluster may be seen.
func (c *cluster) visible(ctx context.Context) bool {
	_, ok := c.decide(bound(ctx))
	return ok
}

// open tells whether everything of the cluster may be seen.
func (c *cluster) open(ctx context.Context) bool {
	rest, ok := c.decide(bound(ctx))
	return ok && len(rest) == 0
}

// dress returns labels as they are seen here: without replica labels, under
// the external labels of the cluster.
func (c *cluster) dress(b *labels.Builder, set labels.Labels) labels.Labels {
	b.Reset(set)
	for name := range c.dropped {
		b.Del(name)
	}
	for name, value := range c.external {
		b.Set(name, value)
	}
	return b.Labels()
}
