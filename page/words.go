package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// words are the phrases of one language. Formats number their arguments
// where another language may want another order.
type words struct {
	burns, over, alertFires, resolved              string
	again, raised, acknowledged, stale             string
	resolvedBy, resolvedAlone                      string
	forWhom, onCall, service, what, slo, promise   string
	clusters, since, sinceAgo, objective, standing string
	compared, unavailable, incomplete, nothing     string
	counts, countsAtLeast, trace, pod, cluster     string
	acknowledgeOnPage, acknowledge                 string
	incident, runbook, logs, sample                string
	budgetLeft, overspent                          string
	units                                          [4]string // seconds, minutes, hours, days
}

func english() words {
	return words{
		burns: "budget burns %s×", over: "after %s", alertFires: "an alert fires", resolved: "Resolved",
		again:         "Sent again at %s: nobody has acknowledged it.",
		raised:        "Raised to %s.",
		acknowledged:  "Acknowledged by %s.",
		stale:         "Stale: its alerts stopped coming without saying that they are resolved. It may still fail.",
		resolvedBy:    "Resolved at %[1]s by %[2]s.",
		resolvedAlone: "Resolved at %s: all its alerts are.",
		forWhom:       "For", onCall: "%s, on call", service: "Service", what: "What", slo: "SLO", promise: "Promise",
		clusters: "Clusters", since: "Since", sinceAgo: "%[1]s, %[2]s ago",
		objective:  "%[1]s: %[2]s%% over %[3]s",
		standing:   "burns %[1]s, errors %[2]s, %[3]s",
		budgetLeft: "budget left %s", overspent: "budget overspent by %s",
		compared:    "%[1]s, last %[2]s against the same before",
		unavailable: "%[1]s: not available (%[2]s)",
		incomplete:  "%[1]s: incomplete (%[2]s)",
		nothing:     "%[1]s: nothing in the last %[2]s",
		counts:      "%[1]d lines, %[2]d before", countsAtLeast: "at least %[1]d lines, %[2]d before",
		trace: "traceId %s", pod: "pod %s", cluster: "in %s",
		acknowledgeOnPage: "Acknowledge on the incident's page, or: midwatch incident ack %d",
		acknowledge:       "Acknowledge: midwatch incident ack %d",
		incident:          "Incident", runbook: "Runbook", logs: "Logs", sample: "e.g.",
		units: [4]string{"s", "min", "h", "d"},
	}
}

// source names a source of evidence at the beginning of a sentence.
func (w words) source(name string) string {
	if name == "logs" || name == "" {
		return w.logs
	}
	return name
}

// span tells a length of time in its two largest units, such as "2 h 5 min".
func (w words) span(d time.Duration) string {
	s := int64(max(d, 0).Round(time.Second) / time.Second)
	sizes := [4]int64{1, 60, 3600, 86400}
	for i := 3; i > 0; i-- {
		if s < sizes[i] {
			continue
		}
		text := fmt.Sprintf("%d %s", s/sizes[i], w.units[i])
		if rest := s % sizes[i] / sizes[i-1]; rest > 0 && i > 1 {
			text += fmt.Sprintf(" %d %s", rest, w.units[i-1])
		}
		return text
	}
	return fmt.Sprintf("%d %s", s, w.units[0])
}

// budget tells how much of the budget is left, 1 for all of it.
func (w words) budget(left float64) string {
	if left < 0 {
		return fmt.Sprintf(w.overspent, Percent(-left))
	}
	return fmt.Sprintf(w.budgetLeft, Percent(left))
}

// times writes a burn rate without its unit: "2.3" below ten, "23" above.
func times(v float64) string {
	if math.Abs(v) < 9.95 {
		return figure(v, 1, "")
	}
	return figure(v, 0, "")
}

// Rate writes a burn rate, such as "2.3×"; "?" is unknown.
func Rate(v float64) string {
	if text := times(v); text != unknown {
		return text + "×"
	}
	return unknown
}

// Percent writes a ratio in percent with two digits that mean something, such
// as "1.2%"; "?" is unknown.
func Percent(ratio float64) string {
	v := ratio * 100
	switch size := math.Abs(v); {
	case size >= 9.95 || v == 0:
		return figure(v, 0, "%")
	case size >= 0.995:
		return figure(v, 1, "%")
	case size >= 0.0995:
		return figure(v, 2, "%")
	}
	return figure(v, 3, "%")
}

const unknown = "?"

// figure writes a number with a true minus sign.
func figure(v float64, digits int, unit string) string {
	if !isNumber(v) {
		return unknown
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', digits, 64), "-", "−", 1) + unit
}

func isNumber(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
