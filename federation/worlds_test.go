package federation_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/midwatch-slo/midwatch/federation"
)

const (
	randomScrapes = 160
	randomSpan    = randomScrapes * scrape
)

// kinds are the ways in which clusters are configured, and in which what they
// hold gets in the way; pushes is how many percent of random queries are
// answered by parts that the clusters evaluate, at the least.
var kinds = []worldKind{
	{"plain", plainClusters, 75},
	{"regions", regionalClusters, 75},
	{"uneven", unevenClusters, 0}, // no label tells all clusters apart
	{"lacking", lackingClusters, 75},
	{"pairs", pairedClusters, 75},
	{"hollow", hollowClusters, 75},
	{"olden", oldenClusters, 0}, // not all may be asked to evaluate ranges
	{"colliding", collidingClusters, 0},
	{"holed", holedClusters, 10},
}

type worldKind struct {
	name    string
	members func(rnd *rand.Rand) []member
	pushes  int
}

// randomWorld returns a world whose kind and data the seed decides.
func randomWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	return worldOfKind(t, int(seed%uint64(len(kinds))), seed)
}

func worldOfKind(t testing.TB, i int, seed uint64) *world {
	t.Helper()
	rnd, kind := rand.New(rand.NewPCG(seed, 5)), kinds[i]
	members := kind.members(rnd)
	if seed%3 == 0 { // its answers are kept
		for i := range members {
			members[i].SettledAfter = model.Duration(time.Hour)
		}
	}
	w := assemble(t, fmt.Sprintf("%s %d", kind.name, seed), randomSpan, members...)
	w.pushes = kind.pushes
	return w
}

// plainClusters are told apart by one label that their servers have too.
func plainClusters(rnd *rand.Rand) []member {
	var out []member
	for _, name := range []string{"hangzhou", "beijing", "tencent"} {
		out = append(out, member{
			Cluster: federation.Cluster{Name: name},
			standIn: standIn{own: map[string]string{"cluster": name}},
			series:  randomDataset(rnd),
		})
	}
	return out
}

// regionalClusters have two external labels, of which two clusters share one.
func regionalClusters(rnd *rand.Rand) []member {
	out := plainClusters(rnd)
	for i, region := range []string{"cn-east", "cn-north", "cn-east"} {
		out[i].Labels = map[string]string{"cluster": out[i].Name, "region": region}
		out[i].own = map[string]string{"cluster": "other", "extra": region}
	}
	return out
}

// unevenClusters have different external labels; series have some of these
// names themselves.
func unevenClusters(rnd *rand.Rand) []member {
	out := plainClusters(rnd)
	out[1].Labels = map[string]string{"cluster": "beijing", "region": "cn-north"}
	out[2].Labels = map[string]string{"site": "edge"}
	out[2].own = map[string]string{"site": "edge"}
	for i := range out {
		own := labels.FromStrings("__name__", "node_load1", "region", "self", "instance", fmt.Sprint("own", rnd.IntN(3)), "cluster", "own")
		out[i].series = append(out[i].series, randomSeries(rnd, gauge(rnd), own), randomSeries(rnd, counter(rnd), labels.FromStrings("__name__", "http_requests_total", "site", "self", "app", "user-center")))
	}
	return out
}

// lackingClusters have different external labels, and no series has any of
// these itself.
func lackingClusters(rnd *rand.Rand) []member {
	out := plainClusters(rnd)
	out[1].Labels = map[string]string{"cluster": "beijing", "zone": "north"}
	out[2].Labels = map[string]string{"site": "edge"}
	out[2].own = map[string]string{"site": "edge"}
	return out
}

// pairedClusters are HA pairs whose replicas hold the same.
func pairedClusters(rnd *rand.Rand) []member {
	out := plainClusters(rnd)[:2]
	for i := range out {
		out[i].ReplicaLabels = []string{"replica"}
		out[i].own = map[string]string{"cluster": out[i].Name, "replica": "0"}
		// Without a target it is never known that they are whole.
		out[i].series = append(out[i].series, always(labels.FromStrings("__name__", "up", "instance", "self", "job", "prometheus"), 1))
		out[i].holds = [][]testSeries{out[i].series, out[i].series}
	}
	// A series that has the replica label itself loses it.
	out[0].series = append(out[0].series, randomSeries(rnd, gauge(rnd), labels.FromStrings("__name__", "node_load1", "instance", "n9", "replica", "7")))
	out[0].holds = [][]testSeries{out[0].series, out[0].series}
	return out
}

// holedClusters are HA pairs whose replicas scrape the same at the same times,
// but were away for a while, one after the other.
func holedClusters(rnd *rand.Rand) []member {
	out := pairedClusters(rnd)
	for i := range out {
		out[i].series = regular(out[i].series)
		from := 5*time.Minute + time.Duration(rnd.Int64N(int64(8*time.Minute)))
		first := span{from, from + 2*time.Minute + time.Duration(rnd.Int64N(int64(5*time.Minute)))}
		from = first.to + 3*time.Minute + time.Duration(rnd.Int64N(int64(8*time.Minute)))
		second := span{from, from + 2*time.Minute + time.Duration(rnd.Int64N(int64(5*time.Minute)))}
		out[i].holds = [][]testSeries{without(out[i].series, first), without(out[i].series, second)}
	}
	return out
}

// span is a time since the data begins.
type span struct{ from, to time.Duration }

// without returns series as a server holds them that was away for a while.
func without(series []testSeries, away span) []testSeries {
	from, to := at(away.from).UnixMilli(), at(away.to).UnixMilli()
	out := make([]testSeries, 0, len(series))
	for _, s := range series {
		kept := slices.DeleteFunc(slices.Clone(s.samples), func(one sample) bool { return one.t >= from && one.t <= to })
		out = append(out, testSeries{labels: s.labels, samples: kept})
	}
	return out
}

// always returns a series of one value that is scraped at every turn.
func always(set labels.Labels, f float64) testSeries {
	s := testSeries{labels: set}
	for i := range scrapes {
		s.samples = append(s.samples, sample{t: dataStart.UnixMilli() + int64(i)*scrape.Milliseconds() + 4321, f: f})
	}
	return s
}

// regular returns what of series is scraped at least six times in a row: how
// far apart scrapes are can be told from that.
func regular(series []testSeries) []testSeries {
	var out []testSeries
	for _, s := range series {
		kept := testSeries{labels: s.labels}
		begin := 0
		for i := range s.samples {
			if i+1 < len(s.samples) && s.samples[i+1].t-s.samples[i].t < 2*scrape.Milliseconds() {
				continue
			}
			if i+1-begin >= 6 {
				kept.samples = append(kept.samples, s.samples[begin:i+1]...)
			}
			begin = i + 1
		}
		if len(kept.samples) > 0 {
			out = append(out, kept)
		}
	}
	return out
}

// hollowClusters are one that is empty, one with two metrics, and one whole.
func hollowClusters(rnd *rand.Rand) []member {
	out := plainClusters(rnd)
	out[0].series = nil
	out[1].series = slices.DeleteFunc(out[1].series, func(s testSeries) bool {
		name := s.labels.Get(model.MetricNameLabel)
		return name != "http_requests_total" && name != "node_load1"
	})
	return out
}

// oldenClusters are an old server, one that neither streams nor tells its
// configuration, and one with another lookback.
func oldenClusters(rnd *rand.Rand) []member {
	out := plainClusters(rnd)
	out[0].version = "2.42.0"
	out[1].sampled, out[1].hidden = true, true
	out[2].lookback = time.Minute
	return out
}

// collidingClusters have series that are the same once they are labelled.
func collidingClusters(rnd *rand.Rand) []member {
	out := plainClusters(rnd)
	out[2].Labels = map[string]string{"site": "edge"}
	out[2].own = map[string]string{"site": "edge"}
	out[0].Labels = map[string]string{"cluster": "hangzhou", "site": "edge"}
	for i, app := range []string{"order-service", "user-center"} {
		set := labels.FromStrings("__name__", "budget_left", "service", app, "cluster", "hangzhou")
		out[2].series = append(out[2].series, randomSeries(rnd, gauge(rnd), set))
		if i == 0 {
			out[1].series = append(out[1].series, randomSeries(rnd, gauge(rnd), set))
		}
	}
	for i := range out { // no two have a sample at the same time
		for _, s := range out[i].series {
			for k := range s.samples {
				s.samples[k].t += int64(i) - s.samples[k].t%3
			}
		}
	}
	return out
}

// randomDataset returns series of every kind for one cluster; of each that a
// cluster can have, some are missing.
func randomDataset(rnd *rand.Rand) []testSeries {
	var out []testSeries
	add := func(kind func(*rand.Rand) func(int) sample, name string, pairs ...string) {
		if rnd.IntN(6) > 0 {
			out = append(out, randomSeries(rnd, kind(rnd), labels.FromStrings(append(pairs, model.MetricNameLabel, name)...)))
		}
	}
	for _, app := range []string{"order-service", "payment-service", "user-center"} {
		for _, status := range []string{"200", "500"} {
			for _, pod := range []string{"a", "b"} {
				add(counter, "http_requests_total", "app", app, "status", status, "instance", pod)
			}
		}
		add(gauge, "budget_left", "service", app)
		add(histograms, "latency_seconds", "app", app)
		for i, le := range []string{"0.1", "1", "+Inf"} {
			add(scaled(counter, float64(i+1)), "http_duration_seconds_bucket", "app", app, "le", le)
		}
		add(events(0.1), "slo:sli_errors:rate5m", "slo", "availability", "service", app)
		add(events(5), "slo:sli_total:rate5m", "slo", "availability", "service", app)
		add(constant(0.995), "slo:objective:ratio", "slo", "availability", "service", app)
	}
	for _, node := range []string{"n1", "n2"} {
		add(gauge, "node_load1", "instance", node)
		add(floatHistograms, "queue_seconds", "instance", node)
		add(constant(1), "up", "instance", node, "job", "node")
	}
	add(gauge, "node_load1", "instance", "n3", "region", "self")
	add(mixed, "mixed_samples", "instance", "n1")
	add(constant(1), "node_info", "instance", "n1", "kernel", "6.1", "utf8.label", "日本")
	add(special, "odd_values", "instance", "n1")
	return out
}

// randomSeries makes a series that is scraped regularly on or off a grid,
// sparse, late, or ended early; with gaps, with and without markers.
func randomSeries(rnd *rand.Rand, next func(int) sample, set labels.Labels) testSeries {
	s := testSeries{labels: set}
	jitter := int64(0)
	if rnd.IntN(3) > 0 {
		jitter = rnd.Int64N(15_000)
	}
	every, first, last := 1, 0, randomScrapes
	switch rnd.IntN(12) {
	case 0: // about as far apart as the lookback reaches
		every = 15 + rnd.IntN(10)
	case 1:
		first = rnd.IntN(randomScrapes / 2)
	case 2:
		last = randomScrapes/2 + rnd.IntN(randomScrapes/2)
	}
	away := 0
	for i := first; i < last; i += every {
		one := next(i)
		one.t = dataStart.UnixMilli() + int64(i)*scrape.Milliseconds() + jitter
		switch {
		case away > 0:
			away--
			continue
		case i > first && rnd.IntN(60) == 0:
			away = rnd.IntN(40)
			if rnd.IntN(2) == 0 {
				continue
			}
			one = sample{t: one.t, f: math.Float64frombits(value.StaleNaN)}
		}
		s.samples = append(s.samples, one)
	}
	return s
}

// events is a recorded rate, most often without errors.
func events(scale float64) func(*rand.Rand) func(int) sample {
	return func(rnd *rand.Rand) func(int) sample {
		return func(int) sample { return sample{f: max(0, rnd.NormFloat64()*scale)} }
	}
}

func constant(f float64) func(*rand.Rand) func(int) sample {
	return func(*rand.Rand) func(int) sample {
		return func(int) sample { return sample{f: f} }
	}
}

// special has what arithmetic stumbles over.
func special(rnd *rand.Rand) func(int) sample {
	values := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1, 1e300}
	return func(i int) sample { return sample{f: values[(i/7+rnd.IntN(2))%len(values)]} }
}

// unify makes one of series with the same labels: samples in order of time,
// of each instant the first that comes.
func unify(series []testSeries) []testSeries {
	var out []testSeries
	at := map[string]int{}
	for _, s := range series {
		key := s.labels.String()
		i, known := at[key]
		if !known {
			at[key] = len(out)
			out = append(out, testSeries{labels: s.labels, samples: slices.Clone(s.samples)})
			continue
		}
		out[i].samples = append(out[i].samples, s.samples...)
		slices.SortStableFunc(out[i].samples, func(a, b sample) int { return int(a.t - b.t) })
		out[i].samples = slices.CompactFunc(out[i].samples, func(a, b sample) bool { return a.t == b.t })
	}
	return out
}
