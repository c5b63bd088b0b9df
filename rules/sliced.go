package rules

import (
	"math/big"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// sliced counts slices of time instead of events: one that begins at each
// whole multiple of its length is good or bad as a whole, or counts with the
// share of its events that failed (OpenSLO's budgeting methods Timeslices and
// RatioTimeslices). A slice counts from its end on for as long as it was.
type sliced struct {
	of     indicator
	own    identified
	length time.Duration
	target slo.Decimal // zero: slices count with their shares
	burst  time.Duration
}

func (s sliced) total(time.Duration) parser.Expr { return s.seen() }

// failed is the state of the last whole slice, recorded as bursts are, of the
// moment that they measure. The newest minutes are what was recorded of them.
func (s sliced) failed(d time.Duration, total parser.Expr) parser.Expr {
	none := mul(num(0), total)
	if d != s.burst {
		recorded := call("avg_over_time", over(s.own.ownSeries(metric(errorsSide, s.burst)), max(d-s.burst/2, s.burst)))
		return either(both(maxBy(s.own.groups, recorded), above(total, num(0))), none)
	}
	return either(mul(s.last(), above(total, num(0))), none)
}

// last returns what the slice counts that was the last whole one half a burst
// ago. The subquery has one step within its range, at the end of that slice.
func (s sliced) last() parser.Expr {
	slice := subquery(s.share(s.length), s.length, s.length)
	slice.OriginalOffset = s.burst / 2
	return call("last_over_time", slice)
}

// share returns what a slice that ends now counts. Its share is rounded so
// that a target that is met exactly is met.
func (s sliced) share(d time.Duration) parser.Expr {
	share := s.of.share(d)
	if s.target.Rat().Sign() == 0 {
		return share
	}
	allowed := new(big.Rat).Quo(s.target.Rat(), big.NewRat(100, 1))
	allowed.Sub(big.NewRat(1, 1), allowed)
	bad := binary(parser.GTR, call("round", share, num(1e-9)), num(exact(allowed))).(*parser.BinaryExpr)
	bad.ReturnBool = true
	return bad
}

func (s sliced) seen() parser.Expr { return s.of.seen() }
