// Package report composes the weekly report: how SLOs stand and what the week
// spent of their budgets, the incidents, how long it took to acknowledge and
// to repair, and who was woken when. It is pure: where the figures come from
// and who reads them is not its matter.
package report

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// Figures are what a report tells of a span of time.
type Figures struct {
	From, Until time.Time
	SLOs        []SLO
	Incidents   []alert.Incident // opened in the span, of all levels; without drills
	Pages       []Page           // that reached somebody in the span; without drills
	Missing     []string         // what could not be learned, such as a cluster that does not answer
}

// SLO is how one SLO stands at the end of the span.
type SLO struct {
	Service, Name string
	Objective     string  // percent, as its author wrote it
	Left          float64 // of the budget: 1 is all, below 0 is overspent; NaN when unknown
	Spent         float64 // of the budget, in the span: 1 is a whole budget; NaN when unknown
}

// Page is one page that reached somebody.
type Page struct {
	User, FullName string
	At             time.Time
	Level          alert.Level
}

// Reader is who reads it.
type Reader struct {
	Language string         // zh or en
	Location *time.Location // of times and of nights
}

// summary is what is computed of the incidents of a level.
type summary struct {
	level        alert.Level
	count        int
	acknowledged []time.Duration // from opening
	repaired     []time.Duration // from opening
	open         int
}

func (f Figures) summaries() (all []summary) {
	for _, level := range []alert.Level{alert.P1, alert.P2, alert.P3, alert.Info} {
		s := summary{level: level}
		for _, inc := range f.Incidents {
			if inc.Level == level {
				s.add(inc)
			}
		}
		if s.count > 0 {
			all = append(all, s)
		}
	}
	return all
}

func (s *summary) add(inc alert.Incident) {
	s.count++
	if !inc.AckedAt.IsZero() {
		s.acknowledged = append(s.acknowledged, inc.AckedAt.Sub(inc.OpenedAt))
	}
	if inc.ResolvedAt.IsZero() {
		s.open++
		return
	}
	s.repaired = append(s.repaired, inc.ResolvedAt.Sub(inc.OpenedAt))
}

// median returns the middle of some spans, the lower of the two middles of an
// even number, and whether there is any.
func median(spans []time.Duration) (time.Duration, bool) {
	if len(spans) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(spans))
	return sorted[(len(sorted)-1)/2], true
}

// person is how often somebody was paged, and how much of that was at night.
type person struct {
	name   string
	pages  int
	nights int     // pages from 22:00 to 08:00
	byHour [24]int // of the day
}

func (f Figures) people(loc *time.Location) []person {
	of := map[string]*person{}
	for _, p := range f.Pages {
		who := of[p.User]
		if who == nil {
			who = &person{name: cmp.Or(p.FullName, p.User)}
			of[p.User] = who
		}
		hour := p.At.In(loc).Hour()
		who.pages++
		who.byHour[hour]++
		if hour >= 22 || hour < 8 {
			who.nights++
		}
	}
	var all []person
	for _, who := range of {
		all = append(all, *who)
	}
	slices.SortFunc(all, func(a, b person) int {
		return cmp.Or(cmp.Compare(b.nights, a.nights), cmp.Compare(b.pages, a.pages), cmp.Compare(a.name, b.name))
	})
	return all
}

// byNeed returns the SLOs, those with the least of their budget left first
// and those of which nothing is known last.
func (f Figures) byNeed() []SLO {
	sorted := slices.Clone(f.SLOs)
	slices.SortStableFunc(sorted, func(a, b SLO) int {
		unknown := cmp.Compare(rank(a.Left), rank(b.Left))
		return cmp.Or(unknown, cmp.Compare(a.Left, b.Left), cmp.Compare(b.Spent, a.Spent),
			cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

func rank(v float64) int {
	if math.IsNaN(v) {
		return 1
	}
	return 0
}

// longest returns the incidents that took longest to repair or are open
// still, at most limit of them.
func (f Figures) longest(limit int) []alert.Incident {
	length := func(i alert.Incident) time.Duration {
		if i.ResolvedAt.IsZero() {
			return f.Until.Sub(i.OpenedAt)
		}
		return i.ResolvedAt.Sub(i.OpenedAt)
	}
	var sorted []alert.Incident
	for _, inc := range f.Incidents {
		if inc.Level != alert.Info {
			sorted = append(sorted, inc)
		}
	}
	slices.SortStableFunc(sorted, func(a, b alert.Incident) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(length(b), length(a)))
	})
	return sorted[:min(limit, len(sorted))]
}
