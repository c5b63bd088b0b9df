package replay

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// lookback is how far an instant looks back, Prometheus' default.
const lookback = 5 * time.Minute

// node is a rule, or a part of rules that the source evaluates.
type node struct {
	order    int // of evaluation at one instant; parts of the source come before all rules
	group    string
	title    string        // for errors
	name     string        // of what it records; "" for an alert
	labels   labels.Labels // that the rule sets
	expr     string
	source   bool // expr is for the source
	constant bool // expr gives the same at every time
	every    int64
	phase    int64
	hold     int64 // before an alert fires
	keep     int64 // it firing
	wanted   bool

	parsed     parser.Expr
	selectors  []*selected
	reads      []read
	readInPast bool  // by a node that is evaluated before it at one instant
	circle     int   // of nodes that read each other
	reached    bool  // it is wanted, or read by what is
	start      int64 // of its evaluations
	reach      int64 // how far back others read it

	// What follows is of a run.
	columns map[uint64][]*column
	ordered []*column
	version int
	seen    map[*node]int // versions of what it read last
	fixed   promql.Matrix // of a constant
	failed  map[int64]bool
	failure Failure
	alerts  alerts
	peak    int // most points of one evaluation
}

// selected is a selector of recorded series in a rule, and who records them.
type selected struct {
	node      *parser.VectorSelector
	producers []*node
	reach     time.Duration // how far back it reads
	offset    time.Duration // of what it reads first
	nested    bool          // in a subquery
}

// read is one node reading another.
type read struct {
	producer *node
	reach    int64
	past     bool // the producer is evaluated after the reader at one instant
}

// plan is nodes in the order in which they can be evaluated over a span.
type plan struct {
	nodes  []*node
	levels [][][]*node // parts that read each other in a circle, after those that they read
	begin  int64
	total  int64 // evaluations
}

const never = math.MaxInt64

func newPlan(c Config) (*plan, error) {
	b := &builder{c: c, byName: map[string][]*node{}, parts: map[string]*node{}, parser: newParser()}
	for _, g := range c.Groups {
		for _, r := range g.Rules {
			if err := b.add(g, r); err != nil {
				return nil, fmt.Errorf("group %s: rule %s: %w", g.Name, r.Record+r.Alert, err)
			}
		}
	}
	for _, n := range b.rules {
		if err := b.resolve(n); err != nil {
			return nil, fmt.Errorf("group %s: rule %s: %w", n.group, n.title, err)
		}
	}
	p := &plan{nodes: reached(append(b.fetches, b.rules...))}
	for _, n := range p.nodes {
		n.finish()
	}
	groups := circles(p.nodes)
	p.schedule(c, groups)
	p.levels = levels(groups)
	return p, nil
}

// builder makes nodes of rules.
type builder struct {
	c       Config
	parser  parser.Parser
	rules   []*node
	fetches []*node
	byName  map[string][]*node
	parts   map[string]*node
}

func (b *builder) add(g rulefmt.RuleGroup, r rulefmt.Rule) error {
	expr, err := b.parser.ParseExpr(r.Expr)
	if err != nil {
		return err
	}
	every := time.Duration(g.Interval)
	if every < time.Second {
		return fmt.Errorf("interval %s is shorter than a second", every)
	}
	n := &node{
		order: len(b.rules) + 1, group: g.Name, title: r.Record + r.Alert, name: r.Record, labels: labels.FromMap(r.Labels),
		parsed: expr, every: every.Milliseconds(), phase: b.c.Phase(g.Name).Milliseconds(),
		hold: time.Duration(r.For).Milliseconds(), keep: time.Duration(r.KeepFiringFor).Milliseconds(),
		wanted: r.Record != "" && b.c.Wanted(r.Record) || r.Alert != "" && b.c.Alerts(r),
	}
	n.alerts.node = n
	if r.Alert != "" {
		n.labels = labels.NewBuilder(n.labels).Set(model.AlertNameLabel, r.Alert).Labels()
	}
	if r.Alert != "" && templated(n.labels) && n.wanted {
		return fmt.Errorf("its labels %s have templates, which are not replayed", n.labels)
	}
	b.rules = append(b.rules, n)
	if n.name != "" {
		b.byName[n.name] = append(b.byName[n.name], n)
	}
	return nil
}

// reached returns the nodes that are wanted or read by such.
func reached(nodes []*node) []*node {
	var visit func(*node)
	visit = func(n *node) {
		if n.reached {
			return
		}
		n.reached = true
		for _, r := range n.reads {
			visit(r.producer)
		}
	}
	for _, n := range nodes {
		if n.wanted {
			visit(n)
		}
	}
	return slices.DeleteFunc(nodes, func(n *node) bool { return !n.reached })
}

// schedule says from when on each node is evaluated, and how long what it
// gives is read.
func (p *plan) schedule(c Config, groups [][]*node) {
	for _, n := range p.nodes {
		n.start = never
		if n.wanted {
			n.start = c.From.UnixMilli()
		}
		for _, r := range n.reads {
			r.producer.reach = max(r.producer.reach, r.reach)
			r.producer.readInPast = r.producer.readInPast || r.past
		}
	}
	for _, g := range slices.Backward(groups) { // readers before what they read
		n0 := g[0]
		for _, n := range slices.Backward(g) {
			for _, r := range n.reads {
				if r.producer.circle == n.circle && !r.past {
					r.producer.start = min(r.producer.start, n.start-r.reach)
				}
			}
			n0.start = min(n0.start, n.start)
		}
		for _, n := range g {
			n.start = n0.start
			for _, r := range n.reads {
				if r.producer.circle != n.circle {
					r.producer.start = min(r.producer.start, n.start-r.reach)
				}
			}
		}
	}
	p.begin = c.To.UnixMilli()
	for _, n := range p.nodes {
		n.start = n.at(max(n.start, sinceMilli(c.Since)))
		p.begin = min(p.begin, n.start)
		if last := c.To.UnixMilli(); last >= n.start {
			p.total += (last-n.start)/n.every + 1
		}
	}
}

func sinceMilli(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixMilli()
}

// at returns the first time of evaluation that is not before t.
func (n *node) at(t int64) int64 {
	past := (t - n.phase) % n.every
	if past < 0 {
		past += n.every
	}
	if past == 0 {
		return t
	}
	return t + n.every - past
}

// circles returns the nodes in groups that read each other in a circle, each
// group after those that it reads (Tarjan). Within a group they are in their
// order.
func circles(nodes []*node) (groups [][]*node) {
	index, low, on := map[*node]int{}, map[*node]int{}, map[*node]bool{}
	var stack []*node
	var visit func(*node)
	visit = func(n *node) {
		index[n] = len(index) + 1
		low[n] = index[n]
		stack, on[n] = append(stack, n), true
		for _, r := range n.reads {
			if index[r.producer] == 0 {
				visit(r.producer)
				low[n] = min(low[n], low[r.producer])
			} else if on[r.producer] {
				low[n] = min(low[n], index[r.producer])
			}
		}
		if low[n] != index[n] {
			return
		}
		at := slices.Index(stack, n)
		group := slices.Clone(stack[at:])
		stack = stack[:at]
		slices.SortFunc(group, func(a, b *node) int { return a.order - b.order })
		for _, m := range group {
			on[m], m.circle = false, len(groups)
		}
		groups = append(groups, group)
	}
	for _, n := range nodes {
		if index[n] == 0 {
			visit(n)
		}
	}
	return groups
}

// levels puts groups that do not read each other side by side.
func levels(groups [][]*node) (out [][][]*node) {
	level := map[*node]int{}
	for _, g := range groups {
		at := 0
		for _, n := range g {
			for _, r := range n.reads {
				if r.producer.circle != n.circle {
					at = max(at, level[r.producer]+1)
				}
			}
		}
		for _, n := range g {
			level[n] = at
		}
		if at == len(out) {
			out = append(out, nil)
		}
		out[at] = append(out[at], g)
	}
	return out
}
