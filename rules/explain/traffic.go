package explain

import (
	"math"
	"time"

	"github.com/midwatch-slo/midwatch/slo"
)

// A tier fires only when over its long window the failures exceed
//
//	m − ½ + λ + z·√λ
//
// where λ is how many failures the objective allows there (or the tier's
// threshold, where that is lower), z the quantile of the standard normal
// distribution at the policy's confidence, and m the least number of failures.
// The half is for rates, which show the newest failures as a few percent more.

// almost is how much less than the least number of failures is enough.
const almost = 0.5

// allowed returns the share of events that may fail without that being odd.
func allowed(s slo.SLO, t slo.Tier) float64 {
	long, _ := thresholds(s, t)
	return min(float(s.ErrorBudget()), long)
}

// needed returns what the failures over a tier's long window must exceed when
// there are so many events in it, and whether there is such a condition.
func needed(s slo.SLO, t slo.Tier, events float64) (float64, bool) {
	m, z := conditions(s.Alerts)
	if m == 0 && z == 0 {
		return 0, false
	}
	expected := events * allowed(s, t)
	return m - almost + expected + z*math.Sqrt(expected), true
}

// conditions returns the least number of failures and the quantile of the
// confidence; 0 is none.
func conditions(p slo.Policy) (m, z float64) {
	return float64(p.MinFailures), Quantile(p.Confidence.Float64())
}

// Quantile returns the quantile of the standard normal distribution at a
// confidence in percent, such as 3.0902 at 99.9; 0 for none.
func Quantile(percent float64) float64 {
	if percent <= 0 || percent >= 100 {
		return 0
	}
	return max(0, math.Sqrt2*math.Erfinv(2*percent/100-1))
}

// enoughFailures returns after how long a tier has seen as many failures as
// it needs, and whether its long window ever holds so many.
func enoughFailures(s slo.SLO, t slo.Tier, ratio float64, p Pace) (time.Duration, bool) {
	traffic := p.Traffic
	if TimeBased(s) {
		traffic = 1 // a second is an event
	}
	if traffic <= 0 {
		return 0, true
	}
	need, is := needed(s, t, traffic*t.Long.Seconds())
	if !is {
		return 0, true
	}
	after := need / (ratio * traffic)
	return time.Duration(after * float64(time.Second)), after < t.Long.Seconds()
}

// TimeBased says whether an SLO counts time instead of events.
func TimeBased(s slo.SLO) bool {
	return s.Slices != nil || s.SLI.Gauge != nil || s.SLI.Composite != nil || s.SLI.Ratio != nil && s.SLI.Ratio.Total == ""
}

// ChanceDecides returns below how many events in a tier's long window the
// conditions of low traffic ask for more failures than its threshold does:
// infinitely many for a tier at a burn rate of 1 or less with a confidence,
// 0 where there are no conditions.
func ChanceDecides(s slo.SLO, t slo.Tier) float64 {
	m, z := conditions(s.Alerts)
	if m == 0 && z == 0 {
		return 0
	}
	b := allowed(s, t)
	long, _ := thresholds(s, t)
	excess := long/b - 1 // of the threshold over what is allowed
	if excess <= 0 {
		return math.Inf(1)
	}
	// excess·λ = m − ½ + z·√λ, solved for √λ.
	root := larger(excess, z, m-almost)
	return root * root / b
}

// larger returns the larger solution of a·x² = c + z·x, 0 when there is none
// above it.
func larger(a, z, c float64) float64 {
	return max(0, (z+math.Sqrt(max(0, z*z+4*a*c)))/(2*a))
}

// FewestEvents returns how many events a tier's long window must have so that
// it can fire at all, which is when every one of them fails.
func FewestEvents(s slo.SLO, t slo.Tier) float64 {
	m, z := conditions(s.Alerts)
	if m == 0 && z == 0 {
		return 0
	}
	// n > m − ½ + b·n + z·√(b·n), solved for √n.
	b := allowed(s, t)
	root := larger(1-b, z*math.Sqrt(b), m-almost)
	return math.Floor(root*root) + 1
}
