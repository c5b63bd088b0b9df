package fleet

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	evaluations *prometheus.CounterVec
	queries     *prometheus.CounterVec
	missing     *prometheus.GaugeVec
	leads       prometheus.Gauge
	delivered   prometheus.Counter
	refused     prometheus.Counter
	waiting     prometheus.Gauge
	filled      prometheus.Counter
	fillUntil   prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		evaluations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "midwatch_fleet_evaluations_total", Help: "Evaluations of groups of the fleet's rules: whole, or partial when data of a cluster was missing.",
		}, []string{"group", "result"}),
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "midwatch_fleet_queries_total", Help: "Queries over all clusters, for an evaluation or for a backfill.",
		}, []string{"purpose"}),
		missing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "midwatch_fleet_cluster_missing", Help: "Whether the fleet's rules are without data of a cluster.",
		}, []string{"cluster"}),
		leads: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "midwatch_fleet_leads", Help: "Whether this replica delivers the fleet's alerts and writes to remote storages.",
		}),
		delivered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "midwatch_fleet_alerts_delivered_total", Help: "Alerts of the fleet's rules that were taken in.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "midwatch_fleet_delivery_failures_total", Help: "How often alerts of the fleet's rules were not taken in; they are delivered again.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "midwatch_fleet_alerts_waiting", Help: "Alerts of the fleet's rules that are not taken in yet.",
		}),
		filled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "midwatch_fleet_backfilled_samples_total", Help: "Samples that were computed from what the clusters recorded before.",
		}),
		fillUntil: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "midwatch_fleet_backfill_remaining_seconds", Help: "Length of the time that is still to be backfilled.",
		}),
	}
	r.MustRegister(m.evaluations, m.queries, m.missing, m.leads, m.delivered, m.refused, m.waiting, m.filled, m.fillUntil)
	return m
}
