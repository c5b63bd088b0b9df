package explain

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/slo"
)

// Pace says how often things are looked at, and how many events there are.
type Pace struct {
	Scrape   time.Duration // between scrapes; 15s by default
	Interval time.Duration // between evaluations of the rules; 30s by default
	Traffic  float64       // events a second, all the time; 0: enough for every tier
}

// slow is how often windows of a day and more are evaluated.
const slow = 2 * time.Minute

// newest is the part of a window that is always read from raw counters.
const newest = 5 * time.Minute

func (p *Pace) defaults() {
	p.Scrape = cmp.Or(p.Scrape, 15*time.Second)
	p.Interval = cmp.Or(p.Interval, 30*time.Second)
}

// Firing is what a tier does about an error ratio that begins at once and
// stays.
type Firing struct {
	Tier     string `json:"tier"`
	Severity string `json:"severity"`
	Soonest  Span   `json:"soonest_seconds"`  // after the onset, when scrapes and evaluations come just in time
	Latest   Span   `json:"latest_seconds"`   // when they come as late as they can
	Resolves Span   `json:"resolves_seconds"` // at the latest so long after the end
}

// Pages says whether it wakes somebody.
func (f Firing) Pages() bool { return Wakes(f.Severity) }

// Wakes says whether alerts of a severity wake somebody: P1 and P2 do.
func Wakes(severity string) bool { return severity == "P1" || severity == "P2" }

// Outcome is what an error ratio that begins at once and stays leads to.
type Outcome struct {
	Ratio float64  `json:"error_ratio"`
	Fires []Firing `json:"fires"` // in the order of their times
	// BudgetGone is after how long a whole budget is spent; none at a ratio
	// that the objective allows.
	BudgetGone *Span `json:"budget_gone_seconds,omitempty"`
}

// First returns what fires first.
func (o Outcome) First() (Firing, bool) { return o.find(func(Firing) bool { return true }) }

// Page returns what first wakes somebody.
func (o Outcome) Page() (Firing, bool) { return o.find(Firing.Pages) }

func (o Outcome) find(want func(Firing) bool) (Firing, bool) {
	i := slices.IndexFunc(o.Fires, want)
	if i < 0 {
		return Firing{}, false
	}
	return o.Fires[i], true
}

// At returns what an error ratio, 0 to 1, leads to that begins at once, where
// nothing failed before, and stays while traffic is steady. Over a window W
// the ratio is then e·t/W after a time t, so a tier fires when the later of
// its windows passes its threshold: after W·threshold/e. It resolves when the
// sooner has fallen below it again.
func At(s slo.SLO, ratio float64, p Pace) Outcome {
	p.defaults()
	out := Outcome{Ratio: ratio}
	for _, t := range s.Alerts.Tiers {
		if f, ok := firing(s, t, ratio, p); ok {
			out.Fires = append(out.Fires, f)
		}
	}
	slices.SortStableFunc(out.Fires, func(a, b Firing) int {
		return cmp.Or(cmp.Compare(a.Soonest, b.Soonest), cmp.Compare(a.Severity, b.Severity))
	})
	if budget := float(s.ErrorBudget()); ratio >= budget && ratio > 0 {
		gone := Span(budget / ratio * float64(s.Window.Duration()))
		out.BudgetGone = &gone
	}
	return out
}

// firing returns when a tier fires, if it ever does.
func firing(s slo.SLO, t slo.Tier, ratio float64, p Pace) (Firing, bool) {
	long, short := thresholds(s, t)
	if ratio <= long || ratio <= short {
		return Firing{}, false
	}
	enough, ok := enoughFailures(s, t, ratio, p)
	if !ok {
		return Firing{}, false
	}
	late := max(share(t.Long, long/ratio), enough) + p.Scrape
	soon := soonest(max(share(t.Long, long/ratio), enough), p)
	if t.Short < newest {
		// It is read from raw series alone, which show all of it as soon as the
		// first of its scrapes is after the onset.
		soon = max(soon, share(t.Short-p.Scrape, short/ratio))
		late = max(late, min(share(t.Short, short/ratio)+p.Scrape, t.Short))
	} else {
		soon = max(soon, soonest(share(t.Short, short/ratio), p))
		late = max(late, share(t.Short, short/ratio)+p.Scrape)
	}
	calm := min(share(t.Long, 1-long/ratio), share(t.Short, 1-short/ratio))
	return Firing{
		Tier: t.Name, Severity: t.SeverityOf(s),
		Soonest:  Span(soon + t.For),
		Latest:   Span(late + t.For + lag(s, t, p)),
		Resolves: Span(calm + p.Scrape + lag(s, t, p)),
	}, true
}

// soonest returns when a window may first show what takes so long to gather.
// A rate reckons the whole of its range from the scrapes in it, so what is
// younger than five minutes weighs up to a scrape more than it should.
func soonest(after time.Duration, p Pace) time.Duration {
	return after - share(min(after, newest), float64(p.Scrape)/float64(newest))
}

// lag is how long after it is scraped a rule notices at the latest: with the
// next evaluation of the windows, and for long ones that of their own. A slice
// is judged when it is over.
func lag(s slo.SLO, t slo.Tier, p Pace) time.Duration {
	every := Every(s, t, p)
	d := every
	if every > p.Interval {
		d += p.Interval
	}
	if s.Slices != nil {
		d += s.Slices.Length
	}
	if t.For > 0 {
		d += every
	}
	return d
}

// Every returns how often a tier of an SLO is evaluated.
func Every(s slo.SLO, t slo.Tier, p Pace) time.Duration {
	switch {
	case t.Outage:
		return min(15*time.Second, p.Interval)
	case t.Long <= 6*time.Hour || Wakes(t.SeverityOf(s)):
		return p.Interval
	}
	return slow
}

func share(d time.Duration, of float64) time.Duration {
	return time.Duration(math.Round(float64(d) * of))
}

func thresholds(s slo.SLO, t slo.Tier) (long, short float64) {
	l, sh := t.Thresholds(s)
	return float(l), float(sh)
}

func float(r *big.Rat) float64 {
	f, _ := r.Float64()
	return f
}
