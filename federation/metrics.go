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
	changed  *prometheus.GaugeVec
	replicas *prometheus.GaugeVec
	lacking  *prometheus.GaugeVec
	missing  *prometheus.GaugeVec
	doubtful *prometheus.GaugeVec
	queries  *prometheus.CounterVec
}

// newMetrics registers the metrics, or takes those that a federation built
// before has registered.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "midwatch", "federation"
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "requests_total",
			Help: "Selectors asked of a cluster, by result: success, error, timeout, canceled, too_much, not_asked (since it does not answer probes).",
		}, []string{"cluster", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_duration_seconds",
			Help:    "Time until a cluster's answer to one selector was read.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"cluster"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "cluster_up",
			Help: "Whether the cluster answers: whether one of its servers answers probes, or, where nothing probes it, whether it answered the last query.",
		}, []string{"cluster"}),
		changed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "cluster_up_changed_timestamp_seconds",
			Help: "Since when the cluster answers, or does not, in seconds since 1970.",
		}, []string{"cluster"}),
		replicas: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "replica_up",
			Help: "Whether a server of the cluster answers probes. One that does not is not asked.",
		}, []string{"cluster", "url"}),
		lacking: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "replica_lacking_seconds",
			Help: "How much of the last day the server lacks data of that another replica has, as far as is known.",
		}, []string{"cluster", "url"}),
		missing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "replica_missing_targets",
			Help: "How many targets another replica finds up that the server does not scrape, or finds down.",
		}, []string{"cluster", "url"}),
		doubtful: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "cluster_doubtful",
			Help: "Whether one replica of the cluster answers alone and is known to lack data of the last day, or was not searched for gaps yet.",
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
	m.changed = register(reg, m.changed, &err)
	m.replicas = register(reg, m.replicas, &err)
	m.lacking = register(reg, m.lacking, &err)
	m.missing = register(reg, m.missing, &err)
	m.doubtful = register(reg, m.doubtful, &err)
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

func (m *metrics) setUp(cluster string, up bool) { m.up.WithLabelValues(cluster).Set(oneIf(up)) }

func (m *metrics) setChanged(cluster string, at time.Time) {
	m.changed.WithLabelValues(cluster).Set(float64(at.UnixMilli()) / 1000)
}

func (m *metrics) setReplica(cluster string, r *replica) {
	m.replicas.WithLabelValues(cluster, r.address()).Set(oneIf(r.state.get().health == healthUp))
}

func (m *metrics) setLacking(cluster, url string, d time.Duration, l Lacking) {
	m.lacking.WithLabelValues(cluster, url).Set(d.Seconds())
	m.missing.WithLabelValues(cluster, url).Set(float64(len(l.Targets) + l.MoreTargets))
}

func (m *metrics) setDoubtful(cluster string, is bool) {
	m.doubtful.WithLabelValues(cluster).Set(oneIf(is))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
