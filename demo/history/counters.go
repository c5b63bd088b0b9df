package history

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/demo/shop"
	"github.com/midwatch-slo/midwatch/demo/traffic"
)

// series is one series as it is appended.
type series struct {
	labels labels.Labels
	ref    storage.SeriesRef
	value  float64
}

func (s *series) append(app storage.Appender, t time.Time) (err error) {
	if s.ref, err = app.Append(s.ref, s.labels, t.UnixMilli(), s.value); err != nil {
		return fmt.Errorf("append %s at %s: %w", s.labels, t.Format(time.RFC3339), err)
	}
	return nil
}

// counters are the series of one route: what its service would have exposed.
type counters struct {
	past   past
	good   *series
	bad    *series
	zero   []*series // statuses that have not been answered yet
	bucket []*series // of the histogram, by bound, the last one is +Inf
	count  *series
	sum    *series
}

// Truth is what happened, counted while it was written.
type Truth struct {
	Total, Errors map[string]float64 // requests of the last 30 days by app
}

func newCounters(c traffic.Cluster, r traffic.Route, target map[string]string, end time.Time) *counters {
	make := func(name string, more ...string) *series {
		b := labels.NewBuilder(labels.FromMap(target))
		b.Set(model.MetricNameLabel, name).Set("app", r.App).Set("path", r.Path)
		for i := 0; i < len(more); i += 2 {
			b.Set(more[i], more[i+1])
		}
		return &series{labels: b.Labels()}
	}
	const histogram = "http_server_requests_seconds"
	k := &counters{past: newPast(c, r, end), count: make(histogram + "_count"), sum: make(histogram + "_sum")}
	for _, status := range shop.Statuses(r) {
		s := make("http_requests_total", "status", strconv.Itoa(status))
		switch status {
		case r.Status:
			k.good = s
		case traffic.ErrorStatus:
			k.bad = s
		default:
			k.zero = append(k.zero, s)
		}
	}
	for _, le := range append(shop.Buckets(), math.Inf(1)) {
		k.bucket = append(k.bucket, make(histogram+"_bucket", "le", labels.FormatOpenMetricsFloat(le)))
	}
	return k
}

// add counts the requests of the time since the last sample, which was that
// long ago, and returns how many there were and how many failed.
func (k *counters) add(dice *rand.Rand, t time.Time, since time.Duration) (total, failed float64) {
	perSecond, errors := k.past.at(t)
	mean := perSecond * since.Seconds()
	failed = poisson(dice, mean*errors)
	ok := poisson(dice, mean*(1-errors))
	total = ok + failed
	k.good.value += ok
	k.bad.value += failed
	k.count.value += total
	typical := latency(k.past.route)
	k.sum.value += total * typical
	bounds := shop.Buckets()
	for i, b := range k.bucket {
		share := 1.0
		if i < len(bounds) {
			share = 1 / (1 + math.Pow(typical/bounds[i], 6))
		}
		b.value += math.Round(total * share)
	}
	return total, failed
}

// latency is how long the live shop takes to answer a route, in seconds.
func latency(r traffic.Route) float64 {
	switch {
	case r.App == traffic.PaymentService:
		return traffic.Query.Seconds() + 0.001
	case r.Path == traffic.PathOrders:
		return traffic.Query.Seconds() + 0.006
	}
	return 0.004
}

func (k *counters) append(app storage.Appender, t time.Time) error {
	for _, s := range k.all() {
		if err := s.append(app, t); err != nil {
			return err
		}
	}
	return nil
}

func (k *counters) all() []*series {
	all := append([]*series{k.good, k.bad, k.count, k.sum}, k.zero...)
	return append(all, k.bucket...)
}

// writeRaw appends what scrapes would have found: up to the end, with the
// demo's own interval for the last part, a longer one before.
func (c Config) writeRaw(ctx context.Context, db storage.Appendable) (Truth, error) {
	truth := Truth{Total: map[string]float64{}, Errors: map[string]float64{}}
	dice := rand.New(rand.NewPCG(c.Cluster.Seed(), 30)) //nolint:gosec // the same in every run, on purpose.
	var all []*counters
	for _, r := range c.Cluster.Routes {
		all = append(all, newCounters(c.Cluster, r, c.Target(r.App), c.End))
	}
	app, pending := db.Appender(ctx), 0
	begin := c.End.Add(-month)
	last := c.begin()
	for t := last; !t.After(c.End); t = t.Add(c.step(t)) {
		for _, k := range all {
			total, failed := k.add(dice, t, t.Sub(last))
			if t.After(begin) {
				truth.Total[k.past.route.App] += total
				truth.Errors[k.past.route.App] += failed
			}
			if err := k.append(app, t); err != nil {
				return truth, err
			}
		}
		last = t
		if pending++; pending%5000 == 0 {
			if err := app.Commit(); err != nil {
				return truth, fmt.Errorf("commit raw series: %w", err)
			}
			app = db.Appender(ctx)
		}
		if ctx.Err() != nil {
			return truth, fmt.Errorf("write raw series: %w", ctx.Err())
		}
	}
	if err := app.Commit(); err != nil {
		return truth, fmt.Errorf("commit raw series: %w", err)
	}
	return truth, nil
}

// poisson draws how often something happened that happens mean times on
// average.
func poisson(dice *rand.Rand, mean float64) float64 {
	if mean <= 0 {
		return 0
	}
	if mean > 30 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*dice.NormFloat64()))
	}
	limit, n, p := math.Exp(-mean), 0.0, 1.0
	for {
		if p *= dice.Float64(); p <= limit {
			return n
		}
		n++
	}
}
