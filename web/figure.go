package web

import (
	"math"
	"strconv"
	"strings"
)

// tone says what a number means, for the few places where colour does.
type tone string

const (
	calm tone = ""
	low  tone = "low" // look at it
	bad  tone = "bad" // act on it
	mute tone = "mute"
)

// budgetTone is bad when the budget is overspent, low when less than a
// quarter is left.
func budgetTone(left float64) tone {
	switch {
	case !known(left):
		return mute
	case left < 0:
		return bad
	case left < 0.25:
		return low
	}
	return calm
}

// burnTone is bad from 6, where the budget of 30 days is gone in 5; low above
// 1, where it does not last for its window.
func burnTone(rate float64) tone {
	switch {
	case !known(rate):
		return mute
	case rate >= 6:
		return bad
	case rate > 1:
		return low
	}
	return calm
}

// bar is a budget as a bar of 100 units: what is left, or how far it is
// overspent.
type bar struct {
	Fill string
	Tone tone
}

func newBar(left float64) bar {
	b := bar{Fill: "0", Tone: budgetTone(left)}
	if known(left) {
		b.Fill = strconv.FormatFloat(100*math.Min(math.Abs(left), 1), 'f', 1, 64)
	}
	return b
}

// The size of a sparkline, in its own units.
const (
	sparkWidth  = 120.0
	sparkHeight = 26.0
	sparkMargin = 3.0
)

// spark is a line of values over time.
type spark struct {
	Path  string // SVG path data; "" when there is nothing to draw
	Zero  string // height of the line where the budget is spent
	EndX  string
	EndY  string
	Tone  tone
	Label string
}

// newSpark draws evenly spaced values, oldest first, on a scale that always
// has 0 and 1. Unknown values are gaps.
func newSpark(values []float64) spark {
	floor := 0.0
	for _, v := range values {
		if known(v) {
			floor = math.Min(floor, v)
		}
	}
	y := func(v float64) float64 {
		share := (math.Min(v, 1) - floor) / (1 - floor)
		return sparkMargin + (1-share)*(sparkHeight-2*sparkMargin)
	}
	s := spark{Zero: coord(y(0))}
	var path strings.Builder
	pen := "M"
	last, count := math.NaN(), 0
	for i, v := range values {
		if !known(v) {
			pen = "M"
			continue
		}
		x := sparkMargin + float64(i)/math.Max(float64(len(values)-1), 1)*(sparkWidth-2*sparkMargin)
		path.WriteString(pen + coord(x) + " " + coord(y(v)))
		pen, last, count = "L", v, count+1
		s.EndX, s.EndY = coord(x), coord(y(v))
	}
	if count < 2 {
		return spark{}
	}
	s.Path, s.Tone = path.String(), budgetTone(last)
	s.Label = "error budget over the last 30 days, now " + budget(last)
	return s
}

func coord(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
