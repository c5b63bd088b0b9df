package history

import (
	"math"
	"time"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

// An incident of the past.
type incident struct {
	cluster, app string
	ago          time.Duration // before the end of the history, when it began
	lasted       time.Duration
	spent        float64 // share of 30 days' error budget, 0 to 1
	objective    float64 // that the budget belongs to, 0 to 1
}

// incidents are why budgets are not whole. None is younger than four days, so
// that no window of an alert sees one.
func incidents() []incident {
	const day = 24 * time.Hour
	return []incident{
		{"hangzhou", traffic.PaymentService, 13*day + 5*time.Hour, 35 * time.Minute, 0.14, 0.9995},
		{"hangzhou", traffic.PaymentService, 6*day + 9*time.Hour, 20 * time.Minute, 0.06, 0.9995},
		{"hangzhou", traffic.PaymentService, 34 * day, 40 * time.Minute, 0.31, 0.9995},
		{"hangzhou", traffic.OrderService, 20*day + 2*time.Hour, 50 * time.Minute, 0.22, 0.999},
		{"beijing", traffic.UserCenter, 9*day + 7*time.Hour, 45 * time.Minute, 0.47, 0.999},
		{"beijing", traffic.PaymentService, 17 * day, 15 * time.Minute, 0.05, 0.9995},
		{"beijing", traffic.OrderService, 41 * day, 25 * time.Minute, 0.35, 0.999},
		{"tencent", traffic.OrderService, 5*day + 3*time.Hour, 90 * time.Minute, 0.45, 0.999},
	}
}

// The last flat of a history carries exactly what the live load carries; in
// the blend before that the curve goes over to it.
const (
	flat  = 75 * time.Minute
	blend = 90 * time.Minute
)

// swing is how many times the live load the shop's people sent at t, in a
// history that ends at end: from 1 in the small hours to 4 in the afternoon,
// less at weekends. It is never below 1, so that an outage of today weighs no
// more in a long window than its own length.
func swing(t, end time.Time) float64 {
	local := t.In(time.FixedZone("CST", 8*3600))
	hour := float64(local.Hour()) + float64(local.Minute())/60
	top := 3.0
	if d := local.Weekday(); d == time.Saturday || d == time.Sunday {
		top = 2.2
	}
	curve := top * (1 - math.Cos(2*math.Pi*(hour-4)/24)) / 2
	before := min(1, max(0, float64(end.Sub(t)-flat)/float64(blend)))
	return 1 + curve*before*before*(3-2*before)
}

// past is how one route of one cluster did over the history.
type past struct {
	route     traffic.Route
	end       time.Time
	incidents []span
}

// span is an incident as its route saw it.
type span struct {
	from, to time.Time
	ratio    float64 // of requests that failed
}

// newPast spreads each incident's share of the error budget over the requests
// that the route got while it lasted.
func newPast(c traffic.Cluster, r traffic.Route, end time.Time) past {
	p := past{route: r, end: end}
	requests := 0.0 // of 30 days
	for _, i := range incidents() {
		if i.cluster != c.Name || i.app != r.App {
			continue
		}
		if requests == 0 {
			requests = volume(end.Add(-month), end, end)
		}
		s := span{from: end.Add(-i.ago), to: end.Add(i.lasted - i.ago)}
		s.ratio = i.spent * (1 - i.objective) * requests / volume(s.from, s.to, end)
		p.incidents = append(p.incidents, s)
	}
	return p
}

// volume is how many times one second's live load was sent from one instant
// to another.
func volume(from, to, end time.Time) float64 {
	var sum float64
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		sum += 60 * swing(t, end)
	}
	return sum
}

// at returns requests a second at t, and the share of them that failed.
func (p past) at(t time.Time) (perSecond, errors float64) {
	errors = p.route.Errors
	for _, s := range p.incidents {
		if !t.Before(s.from) && t.Before(s.to) {
			errors += s.ratio
		}
	}
	return p.route.PerSecond() * swing(t, p.end), errors
}
