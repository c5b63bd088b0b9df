package compare

import (
	"math/big"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
)

type matcher = labels.Matcher

// Wake is a change in who gets woken by an SLO when so much fails.
type Wake struct {
	SLO   string  `json:"slo"`
	Ratio float64 `json:"error_ratio"`
	// Lost says that this woke somebody, and does so no more.
	Lost   bool            `json:"lost"`
	Before *explain.Firing `json:"before,omitempty"` // what woke first; none: nobody
	After  *explain.Firing `json:"after,omitempty"`
}

// ratios returns the error ratios at which two SLOs are compared: round ones
// above what both allow.
func ratios(p pair) []float64 {
	var all []float64
	for _, s := range []*slo.SLO{p.old, p.new} {
		if s == nil {
			continue
		}
		for _, r := range explain.Ratios(*s) {
			if isRound(r) {
				all = append(all, r)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	slices.Reverse(all)
	return all
}

// isRound says whether a ratio is one, two or five of a power of ten.
func isRound(r float64) bool {
	for power := int64(1); power <= 1e12; power *= 10 {
		for _, of := range []int64{1, 2, 5} {
			if f, _ := big.NewRat(1, of*power).Float64(); f == r {
				return true
			}
		}
	}
	return false
}

// wakes returns the ratios at which somebody else is woken, or nobody, or at
// another time.
func wakes(p pair, pace explain.Pace) (out []Wake) {
	for _, ratio := range ratios(p) {
		before, after := page(p.old, ratio, pace), page(p.new, ratio, pace)
		if same(before, after) {
			continue
		}
		out = append(out, Wake{SLO: p.id(), Ratio: ratio, Lost: before != nil && after == nil, Before: before, After: after})
	}
	return out
}

func page(s *slo.SLO, ratio float64, pace explain.Pace) *explain.Firing {
	if s == nil {
		return nil
	}
	f, ok := explain.At(*s, ratio, pace).Page()
	if !ok {
		return nil
	}
	return &f
}

func same(a, b *explain.Firing) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Severity == b.Severity && a.Latest == b.Latest
}

func rat(r *big.Rat) string { return explain.Decimal(r) }
