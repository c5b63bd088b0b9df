package plan

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/teststorage"
)

type sample struct {
	t int64
	f float64
	h *histogram.Histogram
}

type series struct {
	labels  labels.Labels
	samples []sample
}

// data is some twenty series of one cluster: counters with resets, gauges,
// buckets, native histograms, one that mixes them with floats, and some that
// have labels of their own like external ones. Some are missing.
func data(rnd *rand.Rand) []series {
	var out []series
	add := func(kind func(*rand.Rand) func(i int) sample, pairs ...string) {
		if rnd.IntN(8) == 0 {
			return
		}
		next, jitter := kind(rnd), rnd.Int64N(3000)
		s := series{labels: labels.FromStrings(pairs...)}
		for i := range scrapes {
			one := next(i)
			one.t = origin + int64(i)*scrape + jitter
			switch n := rnd.IntN(60); {
			case n == 0 && one.h == nil:
				one.f = math.Float64frombits(value.StaleNaN)
			case n < 6:
				continue
			}
			s.samples = append(s.samples, one)
		}
		out = append(out, s)
	}
	for _, app := range []string{"order", "user"} {
		for _, pod := range []string{"a", "b"} {
			add(counter, "__name__", "req_total", "app", app, "pod", pod, "status", "200")
			add(counter, "__name__", "req_total", "app", app, "pod", pod, "status", "500")
			add(gauge, "__name__", "load", "app", app, "pod", pod)
		}
		add(gauge, "__name__", "limit", "app", app)
		for _, le := range []string{"0.1", "1", "+Inf"} {
			add(counter, "__name__", "dur_bucket", "app", app, "le", le)
		}
	}
	add(histograms, "__name__", "hist", "app", "order")
	add(mixed, "__name__", "both", "app", "user")
	add(gauge, "__name__", "unclean", "app", "order", "region", "self")
	add(gauge, "__name__", "unclean", "app", "user", "cluster", "a")
	add(gauge, "__name__", "limit", "app", "other", "replica", "7")
	return out
}

func counter(rnd *rand.Rand) func(int) sample {
	v := 0
	return func(int) sample {
		v += rnd.IntN(10)
		if rnd.IntN(40) == 0 {
			v = rnd.IntN(3)
		}
		return sample{f: float64(v)}
	}
}

func gauge(rnd *rand.Rand) func(int) sample {
	return func(int) sample { return sample{f: float64(rnd.IntN(2001)-1000) / 64} }
}

func histograms(rnd *rand.Rand) func(int) sample {
	n := int64(1)
	return func(int) sample {
		n += rnd.Int64N(3)
		return sample{h: tsdbutil.GenerateTestHistogram(n)}
	}
}

func mixed(rnd *rand.Rand) func(int) sample {
	floats, hists := counter(rnd), histograms(rnd)
	return func(i int) sample {
		if i/20%2 == 0 {
			return floats(i)
		}
		return hists(i)
	}
}

func load(t testing.TB, all []series) storage.Queryable {
	t.Helper()
	db := teststorage.New(t)
	next := make([]int, len(all))
	for i := range scrapes {
		app := db.Appender(context.Background())
		end := origin + int64(i+1)*scrape
		for k, s := range all {
			for ; next[k] < len(s.samples) && s.samples[next[k]].t < end; next[k]++ {
				one := s.samples[next[k]]
				var err error
				if one.h != nil {
					_, err = app.AppendHistogram(0, s.labels, one.t, one.h, nil)
				} else {
					_, err = app.Append(0, s.labels, one.t, one.f)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return db
}
