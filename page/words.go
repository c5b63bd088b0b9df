package page

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// words are the phrases of one language. Formats number their arguments
// where another language may want another order.
type words struct {
	burns, budgetBurns, over, alertFires, resolved, combined, drill string
	again, raised, escalated, called, reopened, reopenedTimes       string
	acknowledged, stale, snoozed, muted, exercise                   string
	resolvedBy, resolvedAlone, merged                               string
	forWhom, onCall, service, what, slo, promise, answers           string
	clusters, since, sinceAgo, objective, standing                  string
	alerts, alertsFiring, budget, goneIn, ofCluster                 string
	compared, unavailable, incomplete, nothing                      string
	counts, countsAtLeast, trace, pod, cluster                      string
	acknowledgeOnPage, acknowledge                                  string
	incident, incidents, runbook, logs, sample, open                string
	budgetLeft, overspent                                           string
	levels, level, more, sinceShort                                 string // of a bundle
	report                                                          string
	colon, comma                                                    string
	sources                                                         map[string]string
	buttons                                                         Buttons
	units                                                           [4]string // seconds, minutes, hours, days
}

// Buttons are the texts of what a reader can press.
type Buttons struct{ Acknowledge, Escalate, Resolve, Snooze, Open string }

// Buttons returns the texts of buttons in the reader's language.
func (p Page) Buttons() Buttons { return p.words().buttons }

// Lang returns the language that a person is written to in: zh or en.
func (c Contact) Lang() string {
	if lang := strings.ToLower(c.Language); lang == "zh" || strings.HasPrefix(lang, "zh-") || strings.HasPrefix(lang, "zh_") {
		return "zh"
	}
	return "en"
}

func (p Page) words() words {
	if p.To.Lang() == "zh" {
		return chinese()
	}
	return english()
}

// source names a source of evidence at the beginning of a sentence.
func (w words) source(name string) string {
	if name == "" {
		return w.logs
	}
	return cmp.Or(w.sources[name], name)
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

// about tells a length of time that is an estimate, not more exactly than that
// deserves, and never as longer.
func (w words) about(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 3*day:
		d = d.Truncate(day)
	case d >= 3*time.Hour:
		d = d.Truncate(time.Hour)
	case d >= time.Minute:
		d = d.Truncate(time.Minute)
	}
	return w.span(d)
}

// left tells how much of the budget is left, 1 for all of it.
func (w words) left(left float64) string {
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

// figure writes a number with a true minus sign, in short when nobody would
// read all of its digits.
func figure(v float64, digits int, unit string) string {
	const most = 1e6
	switch {
	case !isNumber(v):
		return unknown
	case math.Abs(v) >= most:
		return strings.Replace(strconv.FormatFloat(v, 'g', 2, 64), "-", "−", 1) + unit
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', digits, 64), "-", "−", 1) + unit
}

func isNumber(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
