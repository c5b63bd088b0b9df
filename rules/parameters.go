package rules

import (
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// parameterSeries holds what differs between SLOs, by the label parameter.
const parameterSeries = "slo:parameter:value"

// The values of the label parameter.
const (
	parameterObjective  = "objective"    // 0 to 1
	parameterBudget     = "error_budget" // 1 - objective
	parameterPeriod     = "period_days"  // of a calendar's window, of the unit at hand
	parameterCalendar   = "calendar"     // 1, with labels calendar and timezone
	parameterThreshold  = "threshold"    // of failed events, with labels tier, severity and, where it must hold for a time, period
	parameterFailures   = "min_failures" // where they are not the default, both
	parameterConfidence = "confidence_z" // the normal quantile of the confidence
	parameterSpent      = "budget_spent" // share, with labels percent and severity
	parameterFleet      = "fleet"        // 1; with the groups after a colon, where there are any
	parameterText       = "text"         // 1; its labels are the annotations of alerts
	parameterPageText   = "text_page"    // 1; of those of P1 and P2, where they differ
	parameterTicketText = "text_ticket"  // 1; of the others
)

// parameters returns the one rule that records all parameters of an SLO. All
// of them carry the SLO's own labels.
func (c *compiler) parameters(s slo.SLO) rulefmt.Rule {
	objective := c.memo.objective(s)
	parts := []parser.Expr{objective[0], objective[1], labelled(periodDays(s), "parameter", parameterPeriod)}
	if unit, zone := s.Window.Calendar(); unit != "" {
		parts = append(parts, constant(big.NewRat(1, 1), "parameter", parameterCalendar, "calendar", string(unit), "timezone", zone.String()))
	}
	if len(s.Alerts.Tiers) > 0 {
		parts = append(parts, c.memo.thresholds(s))
	}
	if hasOwnCaution(s) {
		parts = append(parts,
			constant(big.NewRat(int64(s.Alerts.MinFailures), 1), "parameter", parameterFailures),
			labelled(valued(quantile(s.Alerts.Confidence)), "parameter", parameterConfidence))
	}
	for _, b := range s.Alerts.BudgetSpent {
		parts = append(parts, labelled(constant(share(b.Percent), "percent", b.Percent.String(), "severity", b.Severity, "parameter", parameterSpent), ofFleetAlone(s)...))
	}
	if s.Scope == slo.ScopeFleet || s.Scope == slo.ScopeBoth {
		parts = append(parts, constant(big.NewRat(1, 1), "parameter", fleetParameter(s.GroupBy)))
	}
	parts = append(parts, texts(s)...)
	return c.record(parameterSeries, chain(parser.LOR, parts...), parameterLabels(s))
}

// parameterLabels returns what all parameters of an SLO carry.
func parameterLabels(s slo.SLO) map[string]string {
	out := ownLabels(s)
	out["slo"], out["service"] = s.Name, s.Service
	return out
}

// thresholds returns what each tier of an SLO fires above.
func thresholds(s slo.SLO) parser.Expr {
	bySeverity := map[string][]parser.Expr{}
	var order []string
	for _, t := range s.Alerts.Tiers {
		severity := t.SeverityOf(s)
		if bySeverity[severity] == nil {
			order = append(order, severity)
		}
		long, _ := t.Thresholds(s)
		e := constant(long, "tier", t.Name)
		if t.For > 0 {
			e = labelled(e, "period", span(t.For))
		}
		bySeverity[severity] = append(bySeverity[severity], e)
	}
	var parts []parser.Expr
	for _, severity := range order {
		extra := s.Alerts.Ticket.Labels
		if pages(severity) {
			extra = s.Alerts.Page.Labels
		}
		e := labelled(chain(parser.LOR, bySeverity[severity]...), "severity", severity)
		for _, name := range slices.Sorted(maps.Keys(extra)) {
			e = labelled(e, name, extra[name])
		}
		parts = append(parts, e)
	}
	return labelled(labelled(chain(parser.LOR, parts...), "parameter", parameterThreshold), ofFleetAlone(s)...)
}

// ofFleetAlone marks parameters of alerts that no cluster has by itself.
func ofFleetAlone(s slo.SLO) []string {
	if s.Scope == slo.ScopeFleet {
		return []string{"scope", fleetScope}
	}
	return nil
}

// pages says whether alerts of a severity wake somebody.
func pages(severity string) bool { return severity == "P1" || severity == "P2" }

func share(percent slo.Decimal) *big.Rat { return new(big.Rat).Quo(percent.Rat(), big.NewRat(100, 1)) }

// periodDays returns the length of the budget's window, in days: of a
// calendar's, that of the unit at hand.
func periodDays(s slo.SLO) parser.Expr {
	if unit, zone := s.Window.Calendar(); unit != "" {
		return calendar{unit: unit}.days(newClock(zone).local(0))
	}
	return valued(days(s.Window.Duration()))
}

// days returns a length of time in days, as the parameter says it.
func days(d time.Duration) float64 {
	return exact(big.NewRat(int64(d/time.Second), int64(day/time.Second)))
}

// hasOwnCaution says whether an SLO wants another certainty than most.
func hasOwnCaution(s slo.SLO) bool {
	return s.Alerts.MinFailures != slo.DefaultMinFailures || s.Alerts.Confidence.Rat().Cmp(slo.DefaultConfidence().Rat()) != 0
}

// quantile returns the quantile of the normal distribution of a confidence in
// percent, to four places: 3.0902 of 99.9. None is zero.
func quantile(confidence slo.Decimal) float64 {
	p := confidence.Float64() / 100
	if p <= 0.5 {
		return 0
	}
	return math.Round(math.Sqrt2*math.Erfinv(2*p-1)*1e4) / 1e4
}

func valued(v float64) parser.Expr { return call("vector", num(v)) }

// constant returns a series of a constant with labels, given as names and
// values.
func constant(v *big.Rat, labels ...string) parser.Expr {
	return labelled(valued(exact(v)), labels...)
}

// labelled sets labels that are not there yet, given as names and values: what
// joins a label that is not there with itself is the separator alone. It is
// what label_replace does, whose regular expression costs as much again.
func labelled(e parser.Expr, labels ...string) parser.Expr {
	for i := 0; i < len(labels); i += 2 {
		name := str(labels[i])
		e = call("label_join", e, name, str(labels[i+1]), name, name)
	}
	return e
}

// exact returns the float whose shortest decimal form is that of v, so that
// it prints as a person would write it.
func exact(v *big.Rat) float64 {
	places, finite := v.FloatPrec()
	if !finite {
		f, _ := v.Float64()
		return f
	}
	f, _ := strconv.ParseFloat(v.FloatString(places), 64)
	return f
}

// parameter returns one parameter of every SLO, one series each whatever
// else has the same name.
func parameter(name string) parser.Expr { return maxBy(identity(), parameters(name)) }

func parameters(name string) *parser.VectorSelector {
	return series(parameterSeries, eq("parameter", name), ofService())
}

// lasting returns the SLOs whose budget is for a rolling window of that
// length.
func (c *compiler) lasting(d time.Duration) parser.Expr {
	e := equals(parameter(parameterPeriod), num(days(d)))
	if !c.calendarSLOs {
		return e
	}
	return onIdentity(parser.LUNLESS, e, parameter(parameterCalendar))
}
