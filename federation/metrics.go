package federation

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are federation's own.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	up       *prometheus.GaugeVec
	queries  *prometheus.CounterVec
}

// newMetrics registers the metrics, or takes those that a federation built
// before has registered.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "midwatch", "federation"
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "requests_total",
			Help: "Selectors asked of a cluster, by result: success, error, timeout, canceled, too_much.",
		}, []string{"cluster", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_duration_seconds",
			Help:    "Time until a cluster's answer to one selector was read.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"cluster"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "cluster_up",
			Help: "Whether the cluster answered the last request that was put to it.",
		}, []string{"cluster"}),
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "queries_total",
			Help: "Queries by result: complete, partial, error.",
		}, []string{"result"}),
	}
	if reg == nil {
		return m, nil
	}
	var err error
	m.requests = register(reg, m.requests, &err)
	m.duration = register(reg, m.duration, &err)
	m.up = register(reg, m.up, &err)
	m.queries = register(reg, m.queries, &err)
	return m, err
}

func register[C prometheus.Collector](reg prometheus.Registerer, c C, failed *error) C {
	err := reg.Register(c)
	if err == nil {
		return c
	}
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if earlier, ok := already.ExistingCollector.(C); ok {
			return earlier
		}
	}
	*failed = errors.Join(*failed, fmt.Errorf("register metrics of federation: %w", err))
	return c
}

func (m *metrics) observe(cluster, result string, d time.Duration) {
	m.requests.WithLabelValues(cluster, result).Inc()
	m.duration.WithLabelValues(cluster).Observe(d.Seconds())
}

func (m *metrics) setUp(cluster string, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.up.WithLabelValues(cluster).Set(value)
}
