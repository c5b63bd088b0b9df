package main

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb"
)

// The series that queries.txt asks for are two hours long and begin when its
// times say, of which those here are as many seconds later.
const (
	scrape  = 15 * time.Second
	scrapes = 480
)

func listedStart() time.Time { return time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC) }

// kept is a series as a server keeps it.
type kept struct {
	labels  labels.Labels
	samples []sampled
}

type sampled struct {
	at    int64 // milliseconds
	value float64
}

// generator makes the series of a cluster. What is plain has neither staleness
// markers nor values that only Prometheus keeps: it is kept alike by all.
type generator struct {
	start  time.Time
	random *rand.Rand
	plain  bool
	out    []kept
}

// listed returns the series of a cluster that queries.txt asks for, without
// native histograms.
func listed(cluster string, seed uint64, start time.Time, plain bool) []kept {
	g := &generator{start: start, random: rand.New(rand.NewPCG(seed, 0)), plain: plain}
	for _, app := range []string{"order-service", "payment-service", "user-center"} {
		for _, status := range []string{"200", "500", "503"} {
			for _, pod := range []string{"a", "b"} {
				g.add(g.counter(1), "http_requests_total", "app", app, "status", status, "instance", pod)
			}
		}
		g.add(g.gauge(), "budget_left", "service", app)
		for i, le := range []string{"0.1", "0.5", "1", "+Inf"} {
			g.add(g.counter(float64(i+1)), "http_duration_seconds_bucket", "app", app, "le", le)
		}
	}
	for _, node := range []string{"n1", "n2", "n3"} {
		g.add(g.gauge(), "node_load1", "instance", node, "region", "self")
		g.add(func() float64 { return 1 }, "up", "instance", node, "job", "node")
	}
	g.add(g.gauge(), "node_info", "instance", "n1", "kernel", "6.1", "utf8.label", "日本")
	for _, instance := range []string{"n1", "n2"} {
		g.add(g.counter(1), "sparse", "instance", instance)
		g.thin()
	}
	if !plain {
		g.add(g.odd(), "odd_values", "instance", "n1")
	}
	if cluster == "tencent" {
		g.add(g.gauge(), "own", "prometheus", "monitoring/k8s")
		g.add(g.gauge(), "own", "prometheus", "other")
		g.add(g.gauge(), "only_tencent", "instance", "n1")
	}
	return g.out
}

// add makes a series with gaps, whose first sample is always there.
func (g *generator) add(next func() float64, name string, pairs ...string) {
	jitter := g.random.Int64N(3000)
	one := kept{labels: labels.FromStrings(append(pairs, "__name__", name)...)}
	away := 0
	for i := range scrapes {
		s := sampled{at: g.start.UnixMilli() + int64(i)*scrape.Milliseconds() + jitter, value: next()}
		switch {
		case away > 0:
			away--
			continue
		case i > 0 && g.random.IntN(80) == 0:
			away = 1 + g.random.IntN(40)
			if g.plain {
				continue
			}
			s.value = math.Float64frombits(value.StaleNaN)
		}
		one.samples = append(one.samples, s)
	}
	g.out = append(g.out, one)
}

// thin leaves of the last series one sample now and then.
func (g *generator) thin() {
	s := &g.out[len(g.out)-1].samples
	var left []sampled
	for i := 0; i < len(*s); i += 15 + g.random.IntN(10) {
		left = append(left, (*s)[i])
	}
	*s = left
}

// Values have three decimals: VictoriaMetrics keeps decimals.
func decimal(v float64) float64 { return math.Round(v*1000) / 1000 }

func (g *generator) counter(by float64) func() float64 {
	v := g.random.Float64() * 1000
	return func() float64 {
		v += g.random.ExpFloat64() * 10
		if g.random.IntN(150) == 0 {
			v = g.random.Float64()
		}
		return decimal(v * by)
	}
}

func (g *generator) gauge() func() float64 {
	v := g.random.NormFloat64() * 100
	return func() float64 {
		v += g.random.NormFloat64()
		return decimal(v)
	}
}

func (g *generator) odd() func() float64 {
	all := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64, 1}
	return func() float64 { return all[g.random.IntN(len(all))] }
}

// labelled returns series with more labels, which win.
func labelled(series []kept, more ...string) []kept {
	out := slices.Clone(series)
	for i := range out {
		b := labels.NewBuilder(out[i].labels)
		for k := 0; k < len(more); k += 2 {
			b.Set(more[k], more[k+1])
		}
		out[i].labels = b.Labels()
	}
	return out
}

// inTurns calls with all samples of series between two scrapes, and so on.
func inTurns(series []kept, add func(of []kept) error) error {
	next := make([]int, len(series))
	begin := series[0].samples[0].at
	for end := begin - begin%scrape.Milliseconds() + scrape.Milliseconds(); ; end += scrape.Milliseconds() {
		var turn []kept
		left := false
		for i, s := range series {
			from := next[i]
			for next[i] < len(s.samples) && s.samples[next[i]].at < end {
				next[i]++
			}
			left = left || next[i] < len(s.samples)
			if next[i] > from {
				turn = append(turn, kept{s.labels, s.samples[from:next[i]]})
			}
		}
		if len(turn) > 0 {
			if err := add(turn); err != nil {
				return err
			}
		}
		if !left {
			return nil
		}
	}
}

// writeBlock writes series as a block that a Prometheus serves.
func writeBlock(ctx context.Context, dir string, series []kept) error {
	w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, (24 * time.Hour).Milliseconds())
	if err != nil {
		return err
	}
	defer w.Close()
	err = inTurns(series, func(turn []kept) error {
		app := w.Appender(ctx)
		for _, s := range turn {
			for _, one := range s.samples {
				if _, err := app.Append(0, s.labels, one.at, one.value); err != nil {
					return err
				}
			}
		}
		return app.Commit()
	})
	if err == nil {
		_, err = w.Flush(ctx)
	}
	return err
}
