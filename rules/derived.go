package rules

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// derived adds the groups of SLOs that are counted from what others record,
// after those that they read: composites, and the rules by which Loki counts
// log lines.
func (c *compiler) derived(slos []slo.SLO) error {
	byID := map[string]slo.SLO{}
	if slices.ContainsFunc(slos, func(s slo.SLO) bool { return s.SLI.Composite != nil }) {
		for _, s := range slos {
			byID[s.ID()] = s
		}
	}
	var errs []error
	for _, s := range slos {
		if s.SLI.Composite == nil {
			continue
		}
		parts, err := partsOf(s, byID)
		if err == nil {
			err = c.add(c.file(prefix+"composites.yaml"), s, parts)
		}
		errs = append(errs, err)
	}
	c.logRules(slos)
	return errors.Join(errs...)
}

// partsOf returns the SLOs that a composite is made of, in its order.
func partsOf(s slo.SLO, byID map[string]slo.SLO) ([]slo.SLO, error) {
	var parts []slo.SLO
	for _, p := range s.SLI.Composite {
		part, ok := byID[p.ID()]
		switch {
		case !ok:
			return nil, fmt.Errorf("compile %s: there is no SLO %s", s.ID(), p.ID())
		case part.SLI.Composite != nil:
			return nil, fmt.Errorf("compile %s: SLO %s is a composite itself", s.ID(), p.ID())
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// composed is made of other SLOs: every second counts the same, with the
// average of their error ratios by weight. A part without traffic is good.
type composed struct {
	own    identified
	burst  time.Duration
	parts  []events
	weight []float64
	sum    float64 // of weights
}

func (c *compiler) composite(s slo.SLO, own identified, parts []slo.SLO) (composed, error) {
	out := composed{own: own, burst: c.burst}
	for i, p := range s.SLI.Composite {
		part, err := c.newEvents(parts[i], nil)
		if err != nil {
			return out, fmt.Errorf("%s: %w", p.ID(), err)
		}
		weight := exact(p.Weight.Rat())
		out.parts, out.weight, out.sum = append(out.parts, part), append(out.weight, weight), out.sum+weight
	}
	return out, nil
}

// nearest returns the recorded window of the parts that is nearest to d.
func (m composed) nearest(d time.Duration) time.Duration {
	if d == edge {
		return edge
	}
	return m.burst
}

func (m composed) total(d time.Duration) parser.Expr {
	var totals []parser.Expr
	for _, p := range m.parts {
		totals = append(totals, p.ownSeries(metric(totalSide, m.nearest(d))))
	}
	return aggregate(parser.GROUP, m.own.groups, chain(parser.LOR, totals...))
}

func (m composed) failed(d time.Duration, total parser.Expr) parser.Expr {
	none := mul(num(0), total)
	return m.weighted(none, func(p events, side string) parser.Expr { return p.ownSeries(metric(side, m.nearest(d))) })
}

func (m composed) share(d time.Duration) parser.Expr {
	none := mul(num(0), m.seen())
	return m.weighted(none, func(p events, side string) parser.Expr {
		return call("sum_over_time", over(p.ownSeries(metric(side, m.burst)), d))
	})
}

// weighted returns the average of the parts' error ratios, where none is what
// a part without traffic counts.
func (m composed) weighted(none parser.Expr, side func(p events, side string) parser.Expr) parser.Expr {
	var shares []parser.Expr
	for i, p := range m.parts {
		busy := above(sumBy(m.own.groups, side(p, totalSide)), num(0))
		ratio := div(sumBy(m.own.groups, side(p, errorsSide)), busy)
		shares = append(shares, mul(num(m.weight[i]), either(ratio, none)))
	}
	return div(chain(parser.ADD, shares...), num(m.sum))
}

func (m composed) seen() parser.Expr {
	var seen []parser.Expr
	for _, p := range m.parts {
		seen = append(seen, p.seen())
	}
	return aggregate(parser.GROUP, m.own.groups, chain(parser.LOR, seen...))
}
