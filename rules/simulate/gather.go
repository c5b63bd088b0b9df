package simulate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/slo"
)

// gatherer takes what is recorded, and keeps what a report tells of it.
type gatherer struct {
	c    Config
	slos map[string]slo.SLO
	rows map[uint64]*row // by labels without the name
}

func newGatherer(c Config) *gatherer {
	g := &gatherer{c: c, slos: map[string]slo.SLO{}, rows: map[uint64]*row{}}
	for _, s := range c.SLOs {
		if c.Only(s.ID()) {
			g.slos[s.ID()] = s
		}
	}
	return g
}

// row is one SLO, or one group of it.
type row struct {
	slo    slo.SLO
	labels labels.Labels
	budget float64 // share of events that may fail
	from   int64   // of the simulation

	errors, total []promql.FPoint // that are not settled
	last          int64           // that was settled
	first         int64           // that is known; 0: none
	sum, count    float64         // of totals, also before from
	spans         spans
	ratio         []Point
	events        float64 // from then on
	failed        float64
	left          []promql.FPoint
	excluded      []promql.FPoint
}

func (g *gatherer) record(s replay.Series) {
	found, ok := g.slos[s.Labels.Get("service")+"/"+s.Labels.Get("slo")]
	if !ok {
		return
	}
	r := g.row(found, s.Labels)
	switch s.Labels.Get(model.MetricNameLabel) {
	case errorsSeries:
		r.errors = append(r.errors, s.Points...)
	case totalSeries:
		r.total = append(r.total, s.Points...)
	case budgetSeries:
		r.left = append(r.left, s.Points...)
	case excludedSeries:
		r.excluded = append(r.excluded, s.Points...)
	}
}

func (g *gatherer) row(s slo.SLO, l labels.Labels) *row {
	bare := labels.NewBuilder(l).Del(model.MetricNameLabel).Labels()
	r, ok := g.rows[bare.Hash()]
	if !ok {
		budget, _ := s.ErrorBudget().Float64()
		r = &row{slo: s, labels: bare, budget: budget, from: g.c.From.UnixMilli()}
		r.spans.budget = budget
		g.rows[bare.Hash()] = r
	}
	return r
}

// settle takes what all rows have got so far.
func (g *gatherer) settle() {
	for _, r := range g.rows {
		r.settle()
	}
}

// settle walks through pairs of errors and total of one instant.
func (r *row) settle() {
	e := r.errors
	for _, n := range r.total {
		for len(e) > 0 && e[0].T < n.T {
			e = e[1:]
		}
		if len(e) > 0 && e[0].T == n.T {
			r.take(n.T, e[0].F, n.F)
		}
	}
	r.errors, r.total = r.errors[:0], r.total[:0]
}

// bin is the time between the points of the error ratio; what is recorded at
// its end is the rate over it.
const bin = 5 * time.Minute

func (r *row) take(t int64, failed, total float64) {
	if r.first == 0 && total > 0 {
		r.first = t
	}
	if r.first == 0 {
		return
	}
	r.sum, r.count = r.sum+total, r.count+1
	if t < r.from {
		r.last = t
		return
	}
	r.spans.take(t, failed, total, float64(t-max(r.last, r.from))/1000)
	r.last = t
	if t%bin.Milliseconds() == 0 && t > r.from {
		r.ratio = append(r.ratio, Point{time.UnixMilli(t).UTC(), quotient(failed, total)})
		r.events += total * bin.Seconds()
		r.failed += failed * bin.Seconds()
	}
}

// quotient returns a share, 0 of nothing.
func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// spans finds the times in which more events fail than the objective allows.
type spans struct {
	budget  float64
	found   []burning
	pending burning // since the last time that was too much
}

// burning is a time in which too many events fail.
type burning struct {
	from, to int64   // first and last evaluation with too many errors
	failed   float64 // events
	worst    float64 // ratio
}

// joined is how long no more than allowed may fail within one incident.
const joined = 30 * time.Minute

// take takes what failed over the last five minutes, of which seconds are
// new.
func (s *spans) take(t int64, failed, total, seconds float64) {
	s.pending.failed += failed * seconds
	if !(failed > s.budget*total) {
		return
	}
	ratio := 1.0
	if total > 0 {
		ratio = failed / total
	}
	n := len(s.found)
	if n == 0 || t-s.found[n-1].to > joined.Milliseconds() {
		s.found = append(s.found, burning{from: t})
		s.pending.failed = failed * seconds
		n++
	}
	b := &s.found[n-1]
	b.to, b.failed, b.worst = t, b.failed+s.pending.failed, max(b.worst, ratio)
	s.pending.failed = 0
}

// report tells what was gathered.
func (g *gatherer) report(result replay.Result) Report {
	out := Report{From: g.c.From.UTC(), To: g.c.To.UTC(), SLOs: []SLO{}, Warnings: []string{}}
	for _, f := range result.Failures {
		out.Warnings = append(out.Warnings, fmt.Sprintf("rule %s of group %s cannot be evaluated at %d moments, the first %s: %v", f.Rule, f.Group, f.Times, f.First.UTC().Format(time.RFC3339), f.Err))
	}
	counted := map[string]bool{}
	for _, r := range g.rows {
		if r.first == 0 && len(r.left) == 0 {
			continue // its exclusions alone
		}
		counted[r.slo.ID()] = true
		out.SLOs = append(out.SLOs, g.tell(r, result.Firings))
	}
	for id, s := range g.slos {
		if !counted[id] {
			r := &row{slo: s, labels: labels.FromStrings("service", s.Service, "slo", s.Name)}
			out.SLOs = append(out.SLOs, g.tell(r, result.Firings))
		}
	}
	slices.SortFunc(out.SLOs, func(a, b SLO) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name), labels.Compare(labels.FromMap(a.Labels), labels.FromMap(b.Labels)))
	})
	return out
}

// tell tells of one row.
func (g *gatherer) tell(r *row, firings []replay.Firing) SLO {
	s := SLO{
		Service: r.slo.Service, Name: r.slo.Name, Objective: r.slo.Objective.Float64(), Window: r.slo.Window.String(),
		Needed: g.needed(r.slo), Alerts: []Alert{}, Incidents: []Incident{}, Ratio: r.ratio, Events: r.events, Errors: r.failed,
	}
	r.labels.Range(func(l labels.Label) {
		if l.Name != "service" && l.Name != "slo" {
			if s.Labels == nil {
				s.Labels = map[string]string{}
			}
			s.Labels[l.Name] = l.Value
		}
	})
	if r.first != 0 {
		at := time.UnixMilli(r.first).UTC()
		s.History = &at
	}
	for _, f := range firings {
		if about(f.Labels, r.labels) {
			s.Alerts = append(s.Alerts, alertOf(f))
		}
	}
	s.Budget = budgetOf(r.left, g.c.From)
	s.Excluded = g.excluded(r)
	s.Incidents = g.incidents(r)
	g.judge(&s, r.slo)
	return s
}

// needed returns since when history fills all windows of an SLO.
func (g *gatherer) needed(s slo.SLO) time.Time {
	from, _ := s.Window.Bounds(g.c.From)
	for _, t := range s.Alerts.Tiers {
		if begin := g.c.From.Add(-t.Long); begin.Before(from) {
			from = begin
		}
	}
	return from.UTC()
}

// kept is the time between the points of a budget.
const kept = 10 * time.Minute

func budgetOf(points []promql.FPoint, from time.Time) (b Budget) {
	b.Points = []Point{}
	b.Lowest.Value = math.Inf(1)
	for _, p := range points {
		if p.T < from.UnixMilli() {
			continue
		}
		at := Point{time.UnixMilli(p.T).UTC(), p.F}
		b.End = p.F
		if p.F < b.Lowest.Value {
			b.Lowest = at
		}
		if n := len(b.Points); n == 0 || at.At.Sub(b.Points[n-1].At) >= kept {
			b.Points = append(b.Points, at)
		}
	}
	if len(b.Points) == 0 {
		b.Lowest.Value = 0
		return b
	}
	b.Begin = b.Points[0].Value
	return b
}

// excluded returns when a row was excluded: as the SLO is, not its groups.
func (g *gatherer) excluded(r *row) (out []Span) {
	for _, other := range g.rows {
		if other.slo.ID() != r.slo.ID() {
			continue
		}
		for _, p := range other.excluded {
			at := time.UnixMilli(p.T).UTC()
			switch n := len(out); {
			case p.F != 1 || at.Before(g.c.From):
			case n > 0 && at.Sub(out[n-1].To) <= 2*time.Minute:
				out[n-1].To = at
			default:
				out = append(out, Span{at, at})
			}
		}
	}
	return out
}
