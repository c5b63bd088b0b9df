package federation_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"github.com/midwatch-slo/midwatch/federation"
)

const (
	scrape  = 15 * time.Second
	scrapes = 480 // two hours
)

// dataStart is when all test data begins.
var dataStart = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func at(offset time.Duration) time.Time { return dataStart.Add(offset) }

// sample is one float or one histogram.
type sample struct {
	t  int64
	f  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

// testSeries is one series as a cluster's Prometheus holds it.
type testSeries struct {
	labels  labels.Labels
	samples []sample
}

// dataset returns some 45 series of every kind for one cluster. The seed
// decides values, gaps, staleness markers and counter resets.
func dataset(seed int64, extra ...labels.Labels) []testSeries {
	rnd := rand.New(rand.NewPCG(uint64(seed), 0))
	var out []testSeries
	add := func(kind func(*rand.Rand) func(i int) sample, name string, pairs ...string) {
		out = append(out, generate(rnd, kind(rnd), labels.FromStrings(append(pairs, model.MetricNameLabel, name)...)))
	}
	for _, app := range []string{"order-service", "payment-service", "user-center"} {
		for _, status := range []string{"200", "500", "503"} {
			for _, pod := range []string{"a", "b"} {
				add(counter, "http_requests_total", "app", app, "status", status, "instance", pod)
			}
		}
		add(gauge, "budget_left", "service", app)
		add(histograms, "latency_seconds", "app", app)
		for i, le := range []string{"0.1", "0.5", "1", "+Inf"} {
			add(scaled(counter, float64(i+1)), "http_duration_seconds_bucket", "app", app, "le", le)
		}
	}
	for _, node := range []string{"n1", "n2", "n3"} {
		add(gauge, "node_load1", "instance", node, "region", "self")
		add(floatHistograms, "queue_seconds", "instance", node)
	}
	add(mixed, "mixed_samples", "instance", "n1")
	add(gauge, "node_info", "instance", "n1", "kernel", "6.1", "utf8.label", "日本")
	for _, l := range extra {
		out = append(out, generate(rnd, gauge(rnd), l))
	}
	return out
}

// oddities returns series that are sparse, or whose values are special.
func oddities(seed int64) []testSeries {
	rnd := rand.New(rand.NewPCG(uint64(seed), 1))
	out := []testSeries{
		generate(rnd, special(rnd), labels.FromStrings("__name__", "odd_values", "instance", "n1")),
		generate(rnd, constant(1)(rnd), labels.FromStrings("__name__", "up", "instance", "n1", "job", "node")),
	}
	for _, instance := range []string{"n1", "n2"} {
		s := generate(rnd, counter(rnd), labels.FromStrings("__name__", "sparse", "instance", instance))
		kept := s.samples[:0]
		for i := 0; i < len(s.samples); i += 15 + rnd.IntN(10) {
			kept = append(kept, s.samples[i])
		}
		s.samples = kept
		out = append(out, s)
	}
	return out
}

// generate makes a series whose first sample is always there.
func generate(rnd *rand.Rand, next func(i int) sample, set labels.Labels) testSeries {
	jitter := rnd.Int64N(3000)
	s := testSeries{labels: set}
	away := 0
	for i := range scrapes {
		one := next(i)
		one.t = dataStart.UnixMilli() + int64(i)*scrape.Milliseconds() + jitter
		switch {
		case away > 0:
			away--
			continue
		case i > 0 && rnd.IntN(80) == 0:
			away = 1 + rnd.IntN(40)
			if rnd.IntN(2) == 0 {
				continue
			}
			one = sample{t: one.t, f: math.Float64frombits(value.StaleNaN)}
		}
		s.samples = append(s.samples, one)
	}
	return s
}

func counter(rnd *rand.Rand) func(int) sample {
	v := rnd.Float64() * 1000
	return func(int) sample {
		v += rnd.ExpFloat64() * 10
		if rnd.IntN(150) == 0 {
			v = rnd.Float64()
		}
		return sample{f: v}
	}
}

func scaled(kind func(*rand.Rand) func(int) sample, by float64) func(*rand.Rand) func(int) sample {
	return func(rnd *rand.Rand) func(int) sample {
		next := kind(rnd)
		return func(i int) sample {
			s := next(i)
			s.f *= by
			return s
		}
	}
}

func gauge(rnd *rand.Rand) func(int) sample {
	v := rnd.NormFloat64() * 100
	return func(int) sample {
		v += rnd.NormFloat64()
		return sample{f: v}
	}
}

func histograms(rnd *rand.Rand) func(int) sample {
	n := int64(1)
	return func(int) sample {
		n += 1 + rnd.Int64N(5)
		if rnd.IntN(150) == 0 {
			n = 1
		}
		return sample{h: tsdbutil.GenerateTestHistogram(n)}
	}
}

func floatHistograms(rnd *rand.Rand) func(int) sample {
	next := histograms(rnd)
	return func(i int) sample { return sample{fh: next(i).h.ToFloat(nil)} }
}

// mixed changes between floats and histograms every 50 samples.
func mixed(rnd *rand.Rand) func(int) sample {
	floats, hists := counter(rnd), histograms(rnd)
	return func(i int) sample {
		if i/50%2 == 0 {
			return floats(i)
		}
		return hists(i)
	}
}

// relabel returns series as a single Prometheus would hold them for cluster c.
func relabel(c federation.Cluster, series []testSeries) []testSeries {
	out := make([]testSeries, 0, len(series))
	for _, s := range series {
		b := labels.NewBuilder(s.labels)
		b.Del(c.ReplicaLabels...)
		for name, v := range c.ExternalLabels() {
			b.Set(name, v)
		}
		out = append(out, testSeries{labels: b.Labels(), samples: s.samples})
	}
	return out
}

// load writes series into a storage, in order of time, and at each instant in
// order of labels.
func load(t testing.TB, into storage.Appendable, series []testSeries) {
	t.Helper()
	slices.SortFunc(series, func(a, b testSeries) int { return labels.Compare(a.labels, b.labels) })
	next, left := make([]int, len(series)), 0
	for _, s := range series {
		left += len(s.samples)
	}
	for end := dataStart.UnixMilli(); left > 0; end += scrape.Milliseconds() {
		app := into.Appender(context.Background())
		for k, s := range series {
			for ; next[k] < len(s.samples) && s.samples[next[k]].t < end; next[k]++ {
				if err := appendSample(app, s.labels, s.samples[next[k]]); err != nil {
					t.Fatalf("append to %s: %v", s.labels, err)
				}
				left--
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func appendSample(app storage.Appender, set labels.Labels, s sample) error {
	var err error
	if s.h != nil || s.fh != nil {
		_, err = app.AppendHistogram(0, set, s.t, s.h, s.fh)
	} else {
		_, err = app.Append(0, set, s.t, s.f)
	}
	return err
}

// sortedLabels returns the label sets of series, for generators of queries.
func sortedLabels(series []testSeries) []labels.Labels {
	out := make([]labels.Labels, len(series))
	for i, s := range series {
		out[i] = s.labels
	}
	slices.SortFunc(out, labels.Compare)
	return out
}

func describe(f float64, h *histogram.FloatHistogram) string {
	if h != nil {
		return h.String()
	}
	return fmt.Sprintf("%.17g", f)
}

func byLabels[T any](of func(T) labels.Labels) func(a, b T) int {
	return func(a, b T) int { return labels.Compare(of(a), of(b)) }
}
