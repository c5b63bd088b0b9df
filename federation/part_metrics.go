package federation

import (
	"github.com/prometheus/client_golang/prometheus"
)

// runs counts how queries were answered.
type runs struct {
	total *prometheus.CounterVec
}

// newRuns registers the metric, or takes the one that a federation built
// before has registered.
func newRuns(reg prometheus.Registerer) (*runs, error) {
	r := &runs{total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "midwatch", Subsystem: "federation", Name: "runs_total",
		Help: "Queries by how they were answered: planned, with parts of them evaluated in the clusters; or over raw samples, and why: " +
			"nothing, forced, remembered, holes, histograms, labels, overflow, times, annotated, refused, failed.",
	}, []string{"run"})}
	var err error
	if reg != nil {
		r.total = register(reg, r.total, &err)
	}
	return r, err
}

func (r *runs) note(run Run) { r.total.WithLabelValues(string(run)).Inc() }
