package incident

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/midwatch-slo/midwatch/alert"
)

// Results of pages, as midwatch_pages_total names them.
const (
	resultSent    = "sent"
	resultRetried = "retried"
	resultDead    = "dead"
	resultDropped = "dropped"
)

type metrics struct {
	open     *prometheus.GaugeVec
	received *prometheus.CounterVec
	pages    *prometheus.CounterVec
	delay    prometheus.Histogram
	dead     prometheus.Counter
	queued   prometheus.Gauge
	oldest   prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "midwatch_incidents_open", Help: "Incidents that are not resolved.",
		}, []string{"level"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "midwatch_alerts_received_total", Help: "Alerts that were taken in and kept.",
		}, []string{"state"}),
		pages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "midwatch_pages_total", Help: "Tries to send a page, by what came of them.",
		}, []string{"channel", "result"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "midwatch_page_delay_seconds", Help: "Time from a page's cause to its acceptance by the provider.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}),
		dead: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "midwatch_pages_dead_total", Help: "Pages that reached a person by none of their contacts.",
		}),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "midwatch_outbox_queued_pages", Help: "Pages that no provider has accepted yet.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "midwatch_outbox_oldest_page_age_seconds", Help: "Age of the oldest queued page, 0 when there is none.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.open, m.received, m.pages, m.delay, m.dead, m.queued, m.oldest} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// survey sets the gauges to what the store holds.
func (m *metrics) survey(open map[alert.Level]int, queued int, oldest, at time.Time) {
	for _, l := range []alert.Level{alert.P1, alert.P2, alert.P3, alert.Info} {
		m.open.WithLabelValues(l.String()).Set(float64(open[l]))
	}
	m.queued.Set(float64(queued))
	age := 0.0
	if queued > 0 {
		age = max(0, at.Sub(oldest).Seconds())
	}
	m.oldest.Set(age)
}
