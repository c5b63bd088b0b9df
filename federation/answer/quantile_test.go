package answer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/midwatch-slo/midwatch/federation/answer"
)

// listed selects the same series whatever is asked for.
type listed []storage.Series

func (l listed) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
		return &series{all: l, at: -1}
	}}, nil
}

type series struct {
	all []storage.Series
	at  int
}

func (s *series) Next() bool {
	s.at++
	return s.at < len(s.all)
}
func (s *series) At() storage.Series              { return s.all[s.at] }
func (*series) Err() error                        { return nil }
func (*series) Warnings() annotations.Annotations { return nil }

// quantiles are those that an engine gives over the series of answers.
func quantiles(t *testing.T, q float64, g answer.Grid, of []*answer.Answer) map[string][]promql.FPoint {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	var all listed
	for _, a := range of {
		for _, s := range a.Series {
			all = append(all, s)
		}
	}
	end := timestamp.Time(g.Start + int64(g.Steps-1)*g.Step)
	run, err := engine.NewRangeQuery(context.Background(), all, nil, fmt.Sprintf("quantile by (app, cluster) (%v, x)", q), timestamp.Time(g.Start), end, time.Duration(max(g.Step, 1))*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.Exec(context.Background()).Matrix()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]promql.FPoint{}
	for _, s := range m {
		out[s.Metric.String()] = slices.Clone(s.Floats)
	}
	return out
}

// equal compares points. Which zero an engine gives depends on the order of
// series.
func equal(a, b promql.FPoint) bool {
	return a.T == b.T && (a.F == b.F || math.IsNaN(a.F) && math.IsNaN(b.F))
}

// drawn is an answer of some apps' series, with gaps where it has several
// steps.
func drawn(rnd *rand.Rand, g answer.Grid) parser.Value {
	var m promql.Matrix
	var v promql.Vector
	many := 1 + rnd.IntN(60)
	for i := range 1 + rnd.IntN(400) {
		metric := labels.FromStrings("app", fmt.Sprint(rnd.IntN(1+i%4)), "instance", fmt.Sprint("10.0.0.", i))
		var points []promql.FPoint
		for step := range g.Steps {
			if g.Steps > 1 && rnd.IntN(4) == 0 {
				continue
			}
			f := float64(rnd.IntN(many)) // often the same
			if many%2 == 0 {
				f = randomFloat(rnd)
			}
			points = append(points, promql.FPoint{T: g.Start + int64(step)*g.Step, F: f})
		}
		if len(points) > 0 {
			m, v = append(m, promql.Series{Metric: metric, Floats: points}), append(v, promql.Sample{Metric: metric, T: points[0].T, F: points[0].F})
		}
	}
	if g.Steps == 1 {
		return v
	}
	return m
}

func TestQuantilesAreThoseOfAnEngine(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 0))
	keep := []string{"app", "cluster"}
	for range 200 {
		g := answer.Grid{Start: 1_700_000_000_123, Step: 15_000, Steps: 1 + rnd.IntN(2)*rnd.IntN(30)}
		var plain, grouped []*answer.Answer
		for _, cluster := range []string{"a", "b", ""}[:1+rnd.IntN(3)] {
			body := encode(t, drawn(rnd, g))
			req := answer.Request{Grid: g, Labels: labels.FromMap(map[string]string{"cluster": cluster}), Projected: true, Keep: keep}
			if cluster == "" {
				req.Labels = labels.EmptyLabels()
			}
			one, err := answer.Decode(bytes.NewReader(body), req)
			if err != nil {
				t.Fatal(err)
			}
			req.Grouped = true
			if rnd.IntN(4) == 0 { // one of which all labels are kept
				req.Grouped, req.Projected = false, false
			}
			other, err := answer.Decode(bytes.NewReader(body), req)
			if err != nil {
				t.Fatal(err)
			}
			plain, grouped = append(plain, one), append(grouped, other)
		}
		q := []float64{0, 0.5, 0.9, 0.99, 1, rnd.Float64()}[rnd.IntN(6)]
		want := quantiles(t, q, g, plain)
		for range 2 { // once more: what is made of answers does not change them
			got, err := answer.Quantile(t.Context(), q, &g, keep, grouped)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%d groups, want %d: %v", len(got), len(want), err)
			}
			for _, s := range got {
				if have, wanted := read(t, s, g), want[s.Labels().String()]; !slices.EqualFunc(have, wanted, equal) {
					t.Fatalf("quantile %v of %s over %d steps:\n got %v\nwant %v", q, s.Labels(), g.Steps, have, wanted)
				}
			}
		}
	}
}

// What is sorted in any way, or the same, or against the order in which values
// are looked at, is found as well, and as fast.
func TestQuantilesOfManyValues(t *testing.T) {
	const n = 200_000
	orders := map[string]func(i int) float64{
		"ascending":  func(i int) float64 { return float64(i) },
		"descending": func(i int) float64 { return float64(n - 1 - i) },
		"pipe":       func(i int) float64 { return float64(min(2*i, 2*(n-1-i)+1)) },
		"the same":   func(int) float64 { return 42 },
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			values := make([]float64, n)
			g := answer.Grid{Start: 1000, Steps: 1}
			a := &answer.Answer{}
			for i := range values {
				values[i] = order(i)
				s, _ := answer.NewSeries(&g, labels.EmptyLabels(), 1, func(int) (int64, float64) { return 1000, values[i] })
				a.Series = append(a.Series, s)
			}
			slices.Sort(values)
			for _, at := range []int{0, 1, n / 2, n - 2, n - 1} {
				q := float64(at) / (n - 1)
				all, err := answer.Quantile(t.Context(), q, &g, nil, []*answer.Answer{a})
				if err != nil {
					t.Fatal(err)
				}
				got := read(t, all[0], g)[0].F
				if diff := got - values[at]; diff > 1e-6 || diff < -1e-6 {
					t.Errorf("quantile %v is %v, want %v", q, got, values[at])
				}
			}
		})
	}
}

func TestQuantilesEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := answer.Grid{Start: 1000, Step: 1000, Steps: 11_000}
	a, err := answer.Decode(bytes.NewReader(encode(t, drawn(rand.New(rand.NewPCG(8, 0)), g))), answer.Request{Grid: g})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := answer.Quantile(ctx, 0.5, &g, nil, []*answer.Answer{a}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
