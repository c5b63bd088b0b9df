package ruler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// Changes says what Sync did, by names of groups, sorted.
type Changes struct {
	Set     []string
	Deleted []string
	Same    int
}

// undoTimeout is how long undoing what was half done may take.
const undoTimeout = time.Minute

// Sync makes a namespace hold these groups and no others. What is there and
// means the same is left alone. When a change fails, those before it are
// undone as far as the ruler lets them, so that no half of the rules is in
// force; the error says when that failed too.
func (c *Client) Sync(ctx context.Context, namespace string, want []rulefmt.RuleGroup) (Changes, error) {
	list, err := c.List(ctx, namespace)
	if err != nil {
		return Changes{}, err
	}
	s := syncing{client: c, namespace: namespace, before: map[string]rulefmt.RuleGroup{}}
	for _, g := range list {
		s.before[g.Name] = g
	}
	done, err := s.run(ctx, want)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		if undo := s.undo(ctx, done); undo != nil {
			err = fmt.Errorf("%w; and what was done before is not undone: %w", err, undo)
		}
		return Changes{}, err
	}
	return done, nil
}

// syncing is one run over a namespace.
type syncing struct {
	client    *Client
	namespace string
	before    map[string]rulefmt.RuleGroup
}

func (s *syncing) run(ctx context.Context, want []rulefmt.RuleGroup) (done Changes, err error) {
	stale := maps.Clone(s.before)
	for _, g := range want {
		delete(stale, g.Name)
		if there, ok := s.before[g.Name]; ok && s.client.Same(there, g) {
			done.Same++
			continue
		}
		if err := s.client.Set(ctx, s.namespace, g); err != nil {
			return done, err
		}
		done.Set = append(done.Set, g.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(stale)) {
		if err := s.client.Delete(ctx, s.namespace, name); err != nil {
			return done, err
		}
		done.Deleted = append(done.Deleted, name)
	}
	slices.Sort(done.Set)
	return done, nil
}

// undo puts back what was there.
func (s *syncing) undo(ctx context.Context, done Changes) error {
	var errs []error
	for _, name := range slices.Concat(done.Set, done.Deleted) {
		if g, ok := s.before[name]; ok {
			errs = append(errs, s.client.Set(ctx, s.namespace, g))
		} else {
			errs = append(errs, s.client.Delete(ctx, s.namespace, name))
		}
	}
	return errors.Join(errs...)
}

// Same says whether two groups mean the same: expressions may be laid out
// otherwise.
func (c *Client) Same(a, b rulefmt.RuleGroup) bool {
	if a.Name != b.Name || a.Interval != b.Interval || a.Limit != b.Limit || len(a.Rules) != len(b.Rules) ||
		(a.QueryOffset == nil) != (b.QueryOffset == nil) || a.QueryOffset != nil && *a.QueryOffset != *b.QueryOffset ||
		!maps.Equal(a.Labels, b.Labels) {
		return false
	}
	for i, x := range a.Rules {
		y := b.Rules[i]
		if x.Record != y.Record || x.Alert != y.Alert || x.For != y.For || x.KeepFiringFor != y.KeepFiringFor ||
			!maps.Equal(x.Labels, y.Labels) || !maps.Equal(x.Annotations, y.Annotations) || !c.sameExpr(x.Expr, y.Expr) {
			return false
		}
	}
	return true
}

func (c *Client) sameExpr(a, b string) bool {
	if a == b {
		return true
	}
	if c.api == Loki { // LogQL, of which no parser is here
		return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
	}
	p := parser.NewParser(parser.Options{})
	x, err := p.ParseExpr(a)
	if err != nil {
		return false
	}
	y, err := p.ParseExpr(b)
	return err == nil && x.String() == y.String()
}
