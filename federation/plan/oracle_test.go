package plan

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	scrape  = 15_000
	scrapes = 80
	origin  = int64(1_700_000_000_000) // when the data begins
)

var options = Options{Lookback: 5 * time.Minute, SubqueryStep: time.Minute}

// oracle is clusters, each over its own series, beside one TSDB that holds
// the series of all under their external labels.
type oracle struct {
	clusters  []Cluster
	members   []storage.Queryable
	reference storage.Queryable
	engine    *promql.Engine
	planned   *promql.Engine
	tree      *tree
	labels    []labels.Labels // of the reference's series

	parts, held, undetermined int
}

// tree is a parser that hands out one tree.
type tree struct {
	parser.Parser
	expr parser.Expr
}

func (t *tree) ParseExpr(string) (parser.Expr, error) { return t.expr, nil }

func newEngine(p parser.Parser) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: options.Lookback, Parser: p,
		NoStepSubqueryIntervalFn: func(int64) int64 { return options.SubqueryStep.Milliseconds() },
		EnableAtModifier:         true, EnableNegativeOffset: true,
	})
}

func newOracle(t testing.TB, seed uint64, clusters ...Cluster) *oracle {
	t.Helper()
	plain := parser.NewParser(parser.Options{})
	o := &oracle{clusters: slices.Clone(clusters), engine: newEngine(plain), tree: &tree{Parser: plain}}
	o.planned = newEngine(o.tree)
	var all []series
	for i, c := range clusters {
		own := data(rand.New(rand.NewPCG(seed, uint64(i))))
		if seed%2 == 0 {
			own = slices.DeleteFunc(own, func(s series) bool { return slices.ContainsFunc(foreign(c), s.labels.Has) })
		}
		own = lacking(c, own)
		o.members = append(o.members, load(t, own))
		for _, s := range own {
			o.clusters[i].Unclean = o.clusters[i].Unclean || slices.ContainsFunc(foreign(c), s.labels.Has)
			b := labels.NewBuilder(s.labels)
			b.Del(c.Dropped...)
			for name, value := range c.Labels {
				b.Set(name, value)
			}
			s.labels = b.Labels()
			o.labels = append(o.labels, s.labels)
			all = append(all, s)
		}
	}
	slices.SortFunc(o.labels, labels.Compare)
	o.reference = load(t, all)
	return o
}

// lacking returns series without those that have a label which the cluster
// lacks; one that is late has some under a label that tells another.
func lacking(c Cluster, own []series) []series {
	out := slices.DeleteFunc(own, func(s series) bool { return slices.ContainsFunc(c.Absent, s.labels.Has) })
	if c.Name != late {
		return out
	}
	for i, s := range out {
		if b := labels.NewBuilder(s.labels); i%3 == 0 {
			out[i].labels = b.Set("region", "y").Labels()
		}
	}
	return out
}

// ask runs a query over a window.
func ask(e *promql.Engine, q storage.Queryable, query string, w Window) *promql.Result {
	var run promql.Query
	var err error
	if w.Step == 0 {
		run, err = e.NewInstantQuery(context.Background(), q, nil, query, timestamp.Time(w.Start))
	} else {
		run, err = e.NewRangeQuery(context.Background(), q, nil, query, timestamp.Time(w.Start), timestamp.Time(w.End), millis(w.Step))
	}
	if err != nil {
		return &promql.Result{Err: err}
	}
	return run.Exec(context.Background())
}

// check compares the planned answer with the reference's, if the plan holds.
func (o *oracle) check(t testing.TB, query string, w Window) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return // a label in on and in group_left, a duration of nothing
	}
	want := ask(o.engine, o.reference, query, w)
	before := expr.String()
	p, err := New(expr, o.clusters, w, options)
	if err != nil {
		if want.Err == nil {
			t.Errorf("%s: %v", query, err)
		}
		return
	}
	if expr.String() != before {
		t.Errorf("%s: the planner changed it to %s", query, expr)
	}
	got, held := o.execute(t, p, query, w)
	if !held {
		return
	}
	o.held++
	difference := diff(query, got, want)
	for range 12 {
		if difference == "" {
			return
		}
		if diff(query, ask(o.engine, shuffled{o.reference}, query, w), want) != "" {
			o.undetermined++
			return
		}
		if got, held = o.execute(t, p2(t, query, o, w), query, w); held {
			difference = diff(query, got, want)
		}
	}
	var texts []string
	for _, part := range p.Parts {
		for _, q := range part.Queries {
			texts = append(texts, fmt.Sprintf("  %d %v %s %v", q.Cluster, part.Window, q.Text, q.Labels))
		}
	}
	t.Errorf("%s\nover %v\nplanned as %s\n%s\n%s", query, w, p.Expr, strings.Join(texts, "\n"), difference)
}

// p2 plans anew: the engine changes the tree that it evaluates.
func p2(t testing.TB, query string, o *oracle, w Window) *Plan {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(expr, o.clusters, w, options)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// execute asks the clusters and evaluates the rest. It reports whether the
// plan holds.
func (o *oracle) execute(t testing.TB, p *Plan, query string, w Window) (*promql.Result, bool) {
	t.Helper()
	answers := substitute{Queryable: o.reference, parts: map[*labels.Matcher][]storage.Series{}}
	notes := map[string]string{} // what is said → where
	for _, part := range p.Parts {
		own := part.Selector.LabelMatchers[0]
		answers.parts[own] = nil
		for _, q := range part.Queries {
			o.parts++
			res := ask(o.engine, o.members[q.Cluster], q.Text, part.Window)
			if !translate(t, q, query, res, notes) {
				return nil, false
			}
			all, ok := placeholders(q, part.Window, res)
			if !ok {
				return nil, false
			}
			answers.parts[own] = append(answers.parts[own], all...)
		}
		if part.Quantile != nil && len(part.Queries) > 0 {
			answers.parts[own] = o.quantile(t, part, answers)
		}
	}
	o.tree.expr = p.Expr
	res := ask(o.planned, answers, query, w)
	for _, note := range said(query, res) {
		m := position.FindStringSubmatch(note)
		if m == nil || notes[m[1]] != "" && notes[m[1]] != m[2] {
			return nil, false // the engine says it once, of the place evaluated last
		}
	}
	for note, where := range notes {
		res.Warnings.Add(fmt.Errorf("%s (1:%s)", note, where))
	}
	return res, true
}

// quantile has an engine evaluate what a part stands for over the series of its
// queries.
func (o *oracle) quantile(t testing.TB, part Part, over storage.Queryable) []storage.Series {
	t.Helper()
	o.tree.expr = &parser.AggregateExpr{
		Op: parser.QUANTILE, Param: &parser.NumberLiteral{Val: *part.Quantile}, Grouping: part.Queries[0].Keep,
		Expr: &parser.VectorSelector{LabelMatchers: part.Selector.LabelMatchers},
	}
	out, ok := placeholders(Query{}, part.Window, ask(o.planned, over, "", part.Window))
	if !ok {
		t.Fatalf("no quantile of %s", part.Queries[0].Text)
	}
	return out
}

var position = regexp.MustCompile(`^(.*) \(1:(\d+)\)$`)

// translate notes the annotations of an answer under the user's positions.
func translate(t testing.TB, q Query, query string, res *promql.Result, into map[string]string) bool {
	if res.Err != nil {
		if strings.Contains(res.Err.Error(), "parse error") {
			t.Errorf("%s: %s: %v", query, q.Text, res.Err)
		}
		return false
	}
	warnings, _ := res.Warnings.AsStrings(q.Text, 0, 0)
	if q.Sums && len(warnings) > 0 {
		return false
	}
	origins, err := q.Origins(parser.NewParser(parser.Options{}))
	if err != nil {
		t.Errorf("%s: %s: %v", query, q.Text, err)
	}
	for _, note := range said(q.Text, res) {
		m := position.FindStringSubmatch(note)
		if m == nil || strings.Contains(note, "fixed for monotonicity") {
			return false // the engine adds up what it says of these
		}
		at, _ := strconv.Atoi(m[2])
		to, ok := origins[posrange.Pos(at-1)]
		if !ok {
			return false
		}
		into[m[1]] = strconv.Itoa(int(to) + 1)
	}
	return true
}

// placeholders are the series of an answer: a stale marker where it has no
// value.
func placeholders(q Query, w Window, res *promql.Result) ([]storage.Series, bool) {
	m, ok := res.Value.(promql.Matrix)
	if v, isVector := res.Value.(promql.Vector); isVector {
		for _, s := range v {
			one := promql.Series{Metric: s.Metric, Floats: []promql.FPoint{{T: s.T, F: s.F}}}
			if s.H != nil {
				one.Histograms = []promql.HPoint{{T: s.T, H: s.H}}
			}
			m = append(m, one)
		}
		ok = true
	}
	if !ok {
		return nil, false
	}
	var out []storage.Series
	for _, s := range m {
		b := labels.NewBuilder(s.Metric)
		if slices.ContainsFunc(q.Foreign, s.Metric.Has) {
			return nil, false
		}
		if q.Projected {
			b.Keep(q.Keep...)
		}
		for name, v := range q.Labels {
			b.Set(name, v)
		}
		if len(s.Histograms) > 0 {
			return nil, false
		}
		one := promql.Series{Metric: b.Labels()}
		for _, p := range s.Floats {
			if q.Sums && math.Abs(p.F) > 1e300 {
				return nil, false
			}
		}
		for at := w.Start; at <= w.End; at += max(w.Step, 1) {
			point := promql.FPoint{T: at, F: math.Float64frombits(value.StaleNaN)}
			if len(s.Floats) > 0 && s.Floats[0].T == at {
				point.F = s.Floats[0].F
				s.Floats = s.Floats[1:]
			}
			one.Floats = append(one.Floats, point)
		}
		if len(s.Floats) > 0 {
			panic("a value between the steps")
		}
		out = append(out, promql.NewStorageSeries(one))
	}
	return out, true
}

// substitute answers for parts what the clusters gave, and for other
// selectors what the reference holds.
type substitute struct {
	storage.Queryable
	parts map[*labels.Matcher][]storage.Series
}

func (s substitute) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := s.Queryable.Querier(mint, maxt)
	return substituteQuerier{Querier: q, parts: s.parts}, err
}

type substituteQuerier struct {
	storage.Querier
	parts map[*labels.Matcher][]storage.Series
}

func (q substituteQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	if all, ok := q.parts[ms[0]]; ok {
		return &listed{all: all, at: -1}
	}
	return q.Querier.Select(ctx, sorted, hints, ms...)
}

// shuffled gives series in another order: an answer that this changes is one
// of several that Prometheus may give.
type shuffled struct{ storage.Queryable }

func (s shuffled) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := s.Queryable.Querier(mint, maxt)
	return shuffledQuerier{q}, err
}

type shuffledQuerier struct{ storage.Querier }

func (q shuffledQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := q.Querier.Select(ctx, sorted, hints, ms...)
	var all []storage.Series
	for set.Next() {
		all = append(all, set.At())
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return &listed{all: all, at: -1}
}

type listed struct {
	storage.SeriesSet
	all []storage.Series
	at  int
}

func (l *listed) Next() bool {
	l.at++
	return l.at < len(l.all)
}
func (l *listed) At() storage.Series              { return l.all[l.at] }
func (*listed) Err() error                        { return nil }
func (*listed) Warnings() annotations.Annotations { return nil }

// diff compares answers. It returns "" when they are the same.
func diff(query string, got, want *promql.Result) string {
	if failure(got.Err) != failure(want.Err) {
		return fmt.Sprintf(" got error %v\nwant error %v", got.Err, want.Err)
	}
	if want.Err != nil {
		return ""
	}
	if g, r := said(query, got), said(query, want); !slices.Equal(g, r) {
		return fmt.Sprintf(" got annotations %q\nwant annotations %q", g, r)
	}
	g, r := points(got.Value), points(want.Value)
	for i := range min(len(g), len(r)) {
		if g[i].key != r[i].key || !near(g[i].f, r[i].f) {
			return fmt.Sprintf(" got %s %v\nwant %s %v", g[i].key, g[i].f, r[i].key, r[i].f)
		}
	}
	if len(g) != len(r) {
		return fmt.Sprintf(" got %d points\nwant %d points", len(g), len(r))
	}
	return ""
}

// failure leaves out of an error which series it names: the first that the
// storage gives.
func failure(err error) string {
	text, _, _ := strings.Cut(fmt.Sprint(err), " for the match group ")
	return text
}

func said(query string, r *promql.Result) []string {
	warnings, infos := r.Warnings.AsStrings(query, 0, 0)
	all := slices.Concat(warnings, infos)
	slices.Sort(all)
	return slices.Compact(all)
}

func near(a, b float64) bool {
	larger := max(math.Abs(a), math.Abs(b))
	return a == b || math.IsNaN(a) && math.IsNaN(b) || !math.IsInf(larger, 0) && math.Abs(a-b) <= 1e-9*(1+larger)
}

// point is one value of an answer.
type point struct {
	key string
	f   float64
}

func points(v parser.Value) []point {
	var out []point
	add := func(metric labels.Labels, t int64, f float64, h *histogram.FloatHistogram) {
		key := fmt.Sprintf("%s %d", metric, t)
		if h != nil {
			key += " " + h.Copy().Compact(0).TestExpression()
		}
		out = append(out, point{key: key, f: f})
	}
	switch v := v.(type) {
	case promql.Scalar:
		add(labels.EmptyLabels(), v.T, v.V, nil)
	case promql.Vector:
		for _, s := range v {
			add(s.Metric, s.T, s.F, s.H)
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				add(s.Metric, p.T, p.F, nil)
			}
			for _, p := range s.Histograms {
				add(s.Metric, p.T, 0, p.H)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b point) int { return strings.Compare(a.key, b.key) })
	return out
}
