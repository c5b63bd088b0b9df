package slo

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// windowVariable stands for the range in expressions.
const windowVariable = "$window"

// standIn takes the place of windowVariable to parse an expression. It is as
// long as that, so that places stay what they are, and no range that anybody
// writes.
const (
	standIn      = "299993s"
	standInRange = 299993 * time.Second
)

// promql checks expressions in which $window stands for the range.
func (c *checker) promql(in PromQLText) *PromQL {
	const field = "spec.sli.promql"
	out := &PromQL{Errors: strings.TrimSpace(in.Errors), Good: strings.TrimSpace(in.Good), Total: strings.TrimSpace(in.Total), Unit: Unit(in.Unit)}
	c.either(field, out.Errors, out.Good, `errors: sum(rate(http_requests_total{status=~"5.."}[$window]))`)
	if out.Total == "" {
		c.missing(field+".total", "all events, such as total: sum(rate(http_requests_total[$window]))")
	}
	before := len(c.problems)
	var units []Unit
	for _, part := range []struct{ name, text string }{{".errors", out.Errors}, {".good", out.Good}, {".total", out.Total}} {
		if part.text == "" {
			continue
		}
		if unit := c.windowed(field+part.name, part.text); !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	switch out.Unit {
	case PerSecond, PerWindow:
	case "":
		if len(c.problems) == before {
			out.Unit = c.oneUnit(field, units)
		}
	default:
		c.add(field+".unit", "neither rate nor count", "rate: events a second, as rate() gives; count: events in the window, as increase() gives")
	}
	return out
}

// oneUnit returns the unit of all expressions, or asks for it.
func (c *checker) oneUnit(field string, units []Unit) Unit {
	if len(units) == 1 && units[0] != "" {
		return units[0]
	}
	if len(units) != 0 {
		c.add(field+".unit", "missing: the expressions do not tell whether they give a rate or a count", "unit: rate (events a second) or unit: count (events in the window), the same for all")
	}
	return ""
}

// windowed checks an expression in which every $window is a range. It returns
// its unit, or "" where that cannot be told.
func (c *checker) windowed(field, text string) Unit {
	const hint = "$window stands for the range, such as rate(http_requests_total[$window])"
	written := strings.Count(text, windowVariable)
	if written == 0 {
		c.add(field, "no $window", hint)
		return ""
	}
	expr := c.vector(field, text)
	if expr == nil {
		return ""
	}
	var units []Unit
	ranges := 0
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		if !isWindow(n) {
			return nil
		}
		ranges++
		if unit := unitOf(path); !slices.Contains(units, unit) {
			units = append(units, unit)
		}
		return nil
	})
	switch {
	case ranges != written:
		c.add(field, "$window stands where no range is", hint)
		return ""
	case len(units) != 1:
		return ""
	default:
		return units[0]
	}
}

// isWindow says whether a node is a range of $window.
func isWindow(n parser.Node) bool {
	switch x := n.(type) {
	case *parser.MatrixSelector:
		return x.Range == standInRange
	case *parser.SubqueryExpr:
		return x.Range == standInRange
	default:
		return false
	}
}

// unitOf returns the unit of the function that is called with a range, which
// is told by the nodes that it is in; "" when the function does not tell.
func unitOf(path []parser.Node) Unit {
	for _, n := range slices.Backward(path) {
		call, ok := n.(*parser.Call)
		if !ok {
			continue
		}
		switch call.Func.Name {
		case "rate", "irate", "deriv", "avg_over_time", "min_over_time", "max_over_time", "last_over_time", "quantile_over_time":
			return PerSecond
		case "increase", "sum_over_time", "count_over_time", "changes", "resets":
			return PerWindow
		default:
			return ""
		}
	}
	return ""
}
