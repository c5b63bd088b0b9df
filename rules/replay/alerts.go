package replay

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// alerts are those of one rule, as Prometheus keeps them.
type alerts struct {
	node   *node
	active map[uint64]*active
	fired  []Firing
}

// active is an alert that is pending or firing.
type active struct {
	labels  labels.Labels
	since   int64
	from    int64 // when it fired; 0 while it is pending
	value   float64
	keeping int64 // since when it fires without its expression; 0 when with it
}

// advance takes what the expression gave at steps, by the alerts' labels.
func (a *alerts) advance(steps []int64, found promql.Matrix) {
	if a.active == nil {
		a.active = map[uint64]*active{}
	}
	points := map[uint64][]promql.FPoint{}
	known := map[uint64]labels.Labels{}
	for h, at := range a.active {
		known[h] = at.labels
	}
	for _, s := range found {
		h := s.Metric.Hash()
		points[h], known[h] = s.Floats, s.Metric
	}
	for h, l := range known {
		a.follow(h, l, steps, points[h])
	}
}

// follow walks one alert through the steps.
func (a *alerts) follow(h uint64, l labels.Labels, steps []int64, points []promql.FPoint) {
	at := a.active[h]
	for _, t := range steps {
		for len(points) > 0 && points[0].T < t {
			points = points[1:]
		}
		if len(points) == 0 && at == nil {
			break
		}
		var value *float64
		if len(points) > 0 && points[0].T == t {
			value = &points[0].F
		}
		at = a.step(at, l, t, value)
	}
	if at == nil {
		delete(a.active, h)
		return
	}
	a.active[h] = at
}

// step is one evaluation of one alert, where the expression gave a value or
// nil. It returns the alert as it is then, nil when there is none.
func (a *alerts) step(at *active, l labels.Labels, t int64, value *float64) *active {
	switch {
	case value == nil && at == nil:
		return nil
	case value == nil && at.from == 0:
		return nil
	case value == nil:
		if a.node.keep > 0 && at.keeping == 0 {
			at.keeping = t
		}
		if a.node.keep == 0 || t-at.keeping >= a.node.keep {
			a.fired = append(a.fired, at.firing(t))
			return nil
		}
		return at
	case at == nil:
		at = &active{labels: l, since: t}
	}
	at.keeping = 0
	if at.from == 0 {
		at.value = *value
		if t-at.since >= a.node.hold {
			at.from = t
		}
	}
	return at
}

func (a *active) firing(to int64) Firing {
	f := Firing{Labels: a.labels, Active: time.UnixMilli(a.since).UTC(), From: time.UnixMilli(a.from).UTC(), Value: a.value}
	if to != 0 {
		f.To = time.UnixMilli(to).UTC()
	}
	return f
}

// finish returns all times in which an alert fired, also those that last.
func (a *alerts) finish() []Firing {
	for _, at := range a.active {
		if at.from != 0 {
			a.fired = append(a.fired, at.firing(0))
		}
	}
	return a.fired
}
