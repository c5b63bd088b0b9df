package main

import (
	"math"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/rules/explain"
)

// chartWidth is how many columns the chart's longest bar has.
const chartWidth = 48

// chart draws, for each error ratio, how long it takes until the first alert
// and until the budget is gone, on a logarithmic scale.
func (t *explanationText) chart() {
	var longest time.Duration
	for _, o := range t.e.Outcomes {
		if first, ok := o.First(); ok {
			longest = max(longest, time.Duration(first.Latest))
		}
	}
	if longest == 0 {
		return
	}
	for _, o := range t.e.Outcomes {
		if o.BudgetGone != nil {
			longest = max(longest, time.Duration(*o.BudgetGone))
		}
	}
	s := scale{from: 30 * time.Second, to: longest}
	t.title("How long until it alerts, and until the budget is gone (✕)")
	t.line("  %8s %s", "", t.ink.dim(s.axis()))
	for _, o := range t.e.Outcomes {
		t.line("  %8s %s", explain.Ratio(o.Ratio), strings.TrimRight(t.bar(s, o), " "))
	}
}

// bar draws one ratio: a bar until it alerts, dots until the budget is gone.
func (t *explanationText) bar(s scale, o explain.Outcome) string {
	gone := -1
	if o.BudgetGone != nil {
		gone = int(s.at(time.Duration(*o.BudgetGone)))
	}
	first, ok := o.First()
	if !ok {
		return rest(0, gone)
	}
	length := s.at(time.Duration(first.Latest))
	bar := blocks(length)
	text := t.ink.level(first.Severity, bar)
	label := " " + t.ink.level(first.Severity, first.Severity) + " " + first.Latest.String()
	used := columns(bar) + columns(label) + 1
	if gone < used {
		return text + label
	}
	return text + label + " " + t.ink.dim(rest(used, gone))
}

// rest draws dots from a column until another, where the budget is gone.
func rest(from, gone int) string {
	if gone < from {
		return ""
	}
	return strings.Repeat("·", gone-from) + "✕"
}

// blocks draws a bar of so many columns, to an eighth of one.
func blocks(length float64) string {
	whole := int(length)
	bar := strings.Repeat("█", whole)
	if eighths := int((length - float64(whole)) * 8); eighths > 0 {
		bar += string(rune('█' + 8 - eighths))
	}
	return bar
}

// scale is a logarithmic scale of times.
type scale struct{ from, to time.Duration }

// at returns the column of a time.
func (s scale) at(d time.Duration) float64 {
	if d <= s.from {
		return 0
	}
	return chartWidth * math.Log(float64(d)/float64(s.from)) / math.Log(float64(s.to)/float64(s.from))
}

// axis names some times at their columns.
func (s scale) axis() string {
	const day = 24 * time.Hour
	line := ""
	for _, d := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, day, 3 * day, 10 * day, 30 * day, 90 * day, 365 * day} {
		at := int(s.at(d))
		if d > s.to || at < columns(line)+1 && line != "" {
			continue
		}
		line += strings.Repeat(" ", at-columns(line)) + "╷" + explain.Span(d).String()
	}
	return line
}
