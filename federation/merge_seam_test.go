package federation

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	seamHours  = 3
	seamScrape = 15_000
	steadyRate = 40.0 // a second
)

// target is a counter that two replicas scrape.
type target struct {
	restarts []int64   // it begins again
	grown    []float64 // up to each second
}

func newTarget(rate func(t float64) float64, restarts ...int64) target {
	g := target{restarts: restarts, grown: make([]float64, seamHours*3600+60)}
	for i := range len(g.grown) - 1 {
		g.grown[i+1] = g.grown[i] + rate(float64(i))
	}
	return g
}

// value returns the counter at a time.
func (g target) value(t int64) float64 {
	begin := int64(0)
	for _, r := range g.restarts {
		if r <= t {
			begin = r
		}
	}
	at := func(t int64) float64 {
		k := t / 1000
		return g.grown[k] + (g.grown[k+1]-g.grown[k])*float64(t%1000)/1000
	}
	return at(t) - at(begin)
}

// scraper is a replica as it scrapes.
type scraper struct {
	phase   int64
	latency func() int64 // from the time of the sample to when its value is taken
	away    []span
}

func (p scraper) scrape(g target) lane {
	var l lane
	for t := p.phase; t < seamHours*3_600_000; t += seamScrape {
		if len(spans(p.away).within(span{t, t})) == 0 {
			l.real = append(l.real, sample{t: t, f: g.value(t + p.latency())})
		}
	}
	return l
}

// absences are times without a scrape, in order, that leave ten minutes at
// both ends.
func absences(rnd *rand.Rand) []span {
	var out spans
	for t := int64(600_000); t < seamHours*3_600_000-1_500_000; t += rnd.Int64N(1_800_000) {
		length := rnd.Int64N(60_000)
		if rnd.IntN(3) == 0 {
			length = rnd.Int64N(900_000)
		}
		out = out.with(span{t, t + length})
		t += length + 60_000
	}
	return out
}

// one serves one series.
type one struct{ series storage.Series }

func (o one) Querier(int64, int64) (storage.Querier, error) { return oneQuerier{one: o}, nil }

type oneQuerier struct {
	storage.LabelQuerier
	one one
}

func (oneQuerier) Close() error { return nil }
func (o oneQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return &justOne{series: o.one.series}
}

type justOne struct {
	series storage.Series
	read   bool
}

func (s *justOne) Next() bool                      { r := s.read; s.read = true; return !r }
func (s *justOne) At() storage.Series              { return s.series }
func (*justOne) Err() error                        { return nil }
func (*justOne) Warnings() annotations.Annotations { return nil }
func (l lane) series(set labels.Labels) storage.Series {
	list := make([]chunks.Sample, 0, len(l.real))
	for _, s := range l.within(math.MinInt64+1, math.MaxInt64) {
		list = append(list, s)
	}
	return storage.NewListSeries(set, list)
}

// evaluate asks a query of a series every 15 s, from the second hour on.
func evaluate(t *testing.T, s storage.Series, query string) []promql.FPoint {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e8, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	q, err := engine.NewRangeQuery(t.Context(), one{series: s}, nil, query, time.UnixMilli(600_000), time.UnixMilli(seamHours*3_600_000-600_000), 7*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	res := q.Exec(t.Context())
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	m, err := res.Matrix()
	if err != nil || len(m) != 1 {
		t.Fatalf("got %v, %v, want one series", m, err)
	}
	return m[0].Floats
}

// Where one replica has holes and the other does not, what is merged is what a
// replica without holes would have: increase differs by what the counter grows
// in two scrape intervals at most, as when the same target is scraped at other
// moments; count_over_time by one; and no seam is taken for a reset, even where
// one replica's scrapes take thirteen seconds longer than the other's.
func TestSeamsDoNotShow(t *testing.T) {
	set := labels.FromStrings("__name__", "x")
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		g := newTarget(func(float64) float64 { return steadyRate })
		bound := 2 * steadyRate * seamScrape / 1000
		if seed%2 == 1 {
			restarts := []int64{rnd.Int64N(seamHours * 3_600_000), rnd.Int64N(seamHours * 3_600_000)}
			slices.Sort(restarts)
			g = newTarget(func(t float64) float64 { return steadyRate * (1 + math.Sin(t/60)) }, restarts...)
			bound *= 2
		}
		a, b := pairOf(rnd)
		whole := scraper{phase: a.phase, latency: a.latency}.scrape(g).series(set)
		holed := &mergedSeries{
			labels: set, parts: []storage.Series{a.scrape(g).series(set), b.scrape(g).series(set)},
			window: mergeWindow{mint: 0, maxt: math.MaxInt64 / 4, since: -300_000, until: math.MaxInt64 / 4},
		}
		for query, bound := range map[string]float64{"increase(x[5m])": bound, "increase(x[1m])": bound, "count_over_time(x[5m])": 1} {
			got, want := evaluate(t, holed, query), evaluate(t, whole, query)
			if len(got) != len(want) {
				t.Fatalf("seed %d: %s: got %d points, want %d", seed, query, len(got), len(want))
			}
			for i := range got {
				if math.Abs(got[i].F-want[i].F) > bound {
					t.Fatalf("seed %d: %s at %d s: got %v, want %v within %v", seed, query, got[i].T/1000, got[i].F, want[i].F, bound)
				}
			}
		}
		for _, p := range evaluate(t, holed, "resets(x[3h])") {
			if int(p.F) > len(g.restarts) {
				t.Fatalf("seed %d at %d s: got %v resets of %d", seed, p.T/1000, p.F, len(g.restarts))
			}
		}
	}
}

// pairOf returns two replicas of which the first has holes and is slow.
func pairOf(rnd *rand.Rand) (a, b scraper) {
	slow := rnd.Int64N(13_000)
	a = scraper{phase: rnd.Int64N(seamScrape), latency: func() int64 { return slow + rnd.Int64N(200) }, away: absences(rnd)}
	b = scraper{phase: rnd.Int64N(seamScrape), latency: func() int64 { return rnd.Int64N(200) }}
	return a, b
}
