package simulate

import (
	"time"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
)

// smear is how long errors stay in the ratio of five minutes.
const smear = 5 * time.Minute

// incidents returns those that are known of an SLO, or the times in which too
// many events failed that took a large share of the budget.
func (g *gatherer) incidents(r *row) (out []Incident) {
	whole := r.whole()
	if g.c.Incidents != nil {
		for _, k := range g.c.Incidents {
			if (k.SLO == "" || k.SLO == r.slo.ID()) && k.From.Before(g.c.To) && k.To.After(g.c.From) {
				out = append(out, r.known(k, whole))
			}
		}
		return out
	}
	for _, b := range r.spans.found {
		spent := quotient(b.failed, whole)
		if spent <= g.c.Spent {
			continue
		}
		from, to := time.UnixMilli(b.from).UTC(), time.UnixMilli(b.to).UTC()
		if end := to.Add(-smear); to.Before(g.c.To.Add(-time.Minute)) && end.After(from) {
			to = end
		}
		out = append(out, Incident{From: from, To: to, Spent: spent, Worst: b.worst})
	}
	return out
}

// whole returns the events that may fail over the window of the budget, at
// the traffic that there is in the mean.
func (r *row) whole() float64 {
	return r.budget * quotient(r.sum, r.count) * r.slo.Window.Duration().Seconds()
}

// known returns a known incident with what it took of the budget: the errors
// of all the times that touch it.
func (r *row) known(k Known, whole float64) Incident {
	i := Incident{Name: k.Name, From: k.From.UTC(), To: k.To.UTC()}
	for _, b := range r.spans.found {
		if time.UnixMilli(b.from).Before(k.To) && time.UnixMilli(b.to).After(k.From) {
			i.Spent += quotient(b.failed, whole)
			i.Worst = max(i.Worst, b.worst)
		}
	}
	return i
}

// judge says which alerts belong to incidents.
func (g *gatherer) judge(s *SLO, of slo.SLO) {
	for n := range s.Incidents {
		g.detect(&s.Incidents[n], s.Alerts)
	}
	for n := range s.Alerts {
		a := &s.Alerts[n]
		a.False = a.Name == "SLOErrorBudgetBurn" && !g.founded(*a, s.Incidents, of)
	}
}

// detect finds the first alerts that fire during an incident.
func (g *gatherer) detect(i *Incident, alerts []Alert) {
	for n, a := range alerts { // in the order of their beginnings
		if a.From.After(i.To) || !a.end(g.c.To).After(i.From) {
			continue
		}
		if i.First == nil {
			i.First, i.After = &n, explain.Span(max(0, a.From.Sub(i.From)))
		}
		if i.Woken == nil && a.Wakes() {
			i.Woken = &n
		}
	}
}

// founded tells whether there was an incident in the time that an alert looks
// at.
func (g *gatherer) founded(a Alert, incidents []Incident, of slo.SLO) bool {
	long := smear
	for _, t := range of.Alerts.Tiers {
		if t.Name == a.Tier {
			long = t.Long
		}
	}
	for _, i := range incidents {
		if i.From.Before(a.end(g.c.To)) && i.To.After(a.From.Add(-long-smear)) {
			return true
		}
	}
	return false
}
