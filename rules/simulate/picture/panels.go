package picture

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
	"time"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/midwatch-slo/midwatch/rules/simulate"
)

// x returns where a time is.
func (s *sheet) x(at time.Time) vg.Length {
	share := at.Sub(s.from).Seconds() / s.to.Sub(s.from).Seconds()
	return left + vg.Length(max(0, min(share, 1)))*(right-left)
}

// wideEnough widens a bar to so many points, within the panels.
func (s *sheet) wideEnough(a, b, least vg.Length) (from, to vg.Length) {
	if b-a < least {
		middle := (a + b) / 2
		a, b = middle-least/2, middle+least/2
	}
	return max(a, left), min(b, right)
}

// columns returns the largest and smallest value of each point of width;
// where there is none the value before it goes on.
func (s *sheet) columns(points []simulate.Point) (high, low []float64) {
	n := right - left
	high, low = make([]float64, n), make([]float64, n)
	for i := range high {
		high[i], low[i] = math.NaN(), math.NaN()
	}
	for _, p := range points {
		i := min(max(0, int(s.x(p.At)-left)), n-1)
		if math.IsNaN(high[i]) || p.Value > high[i] {
			high[i] = p.Value
		}
		if math.IsNaN(low[i]) || p.Value < low[i] {
			low[i] = p.Value
		}
	}
	for i := 1; i < n; i++ {
		if math.IsNaN(high[i]) {
			high[i], low[i] = high[i-1], low[i-1]
		}
	}
	return high, low
}

// ratioPanel draws the error ratio over five minutes on a logarithmic scale,
// and the ratio that the objective allows.
func (s *sheet) ratioPanel(one simulate.SLO, bottom, top vg.Length) {
	budget := 1 - one.Objective/100
	decades := max(2, math.Ceil(-math.Log10(budget))+1)
	y := func(v float64) vg.Length {
		share := 1 + math.Log10(max(v, 1e-12))/decades
		return bottom + vg.Length(max(0, min(share, 1)))*(top-bottom)
	}
	for d := 0.0; d <= decades; d++ {
		v := math.Pow(10, -d)
		s.line(left, y(v), right, y(v), 0.5, s.grid)
		s.write(left-8, y(v)-3, 9, false, s.soft, draw.XRight, trimmed(v*100)+"%")
	}
	high, _ := s.columns(one.Ratio)
	for i, v := range high {
		if !math.IsNaN(v) && v > 0 {
			x := left + vg.Length(i)
			s.box(x, bottom, x+1, y(v), s.ratioFill)
		}
	}
	s.curve(high, y, s.ratio, func(v float64) bool { return v > 0 })
	s.dashed(left, y(budget), right, y(budget), s.ink)
	s.write(left+4, y(budget)+3, 9.5, false, s.ink, draw.XLeft, fmt.Sprintf("objective allows %s%%", trimmed(budget*100)))
	s.caption(top, "error ratio over 5m")
}

// budgetPanel draws what is left of the budget.
func (s *sheet) budgetPanel(one simulate.SLO, bottom, top vg.Length) {
	lowest := 0.0
	if len(one.Budget.Points) > 0 {
		lowest = min(0, one.Budget.Lowest.Value)
	}
	floor := 0.0
	if lowest < 0 {
		floor = math.Floor(max(lowest, -10)*2) / 2
	}
	y := func(v float64) vg.Length {
		return bottom + vg.Length((max(floor, min(v, 1))-floor)/(1-floor))*(top-bottom)
	}
	for _, v := range []float64{floor, 0, 0.5, 1} {
		if v == 0.5 && floor < -1 || v == floor && floor > -0.3 && floor < 0 {
			continue
		}
		s.line(left, y(v), right, y(v), 0.5, s.grid)
		s.write(left-8, y(v)-3, 9, false, s.soft, draw.XRight, trimmed(v*100)+"%")
	}
	_, low := s.columns(one.Budget.Points)
	for i, v := range low {
		x := left + vg.Length(i)
		switch {
		case math.IsNaN(v):
		case v >= 0:
			s.box(x, y(0), x+1, y(v), s.leftFill)
		default:
			s.box(x, y(v), x+1, y(0), s.overFill)
		}
	}
	s.curve(low, y, s.left, func(v float64) bool { return v >= 0 })
	s.curve(low, y, s.over, func(v float64) bool { return v < 0 })
	if floor < 0 {
		s.line(left, y(0), right, y(0), 0.8, s.soft)
	}
	s.caption(top, "budget left")
	if n := len(one.Budget.Points); n > 0 {
		end := one.Budget.End
		shade := s.left
		if end < 0 {
			shade = s.over
		}
		s.tag(right-4-s.wide(percent(end), 9.5), min(y(end)-13, top-26), percent(end), shade) // below the caption
	}
}

// curve draws the values that are wanted as lines.
func (s *sheet) curve(values []float64, y func(float64) vg.Length, shade color.NRGBA, want func(float64) bool) {
	var points []vg.Point
	stroke := func() {
		if len(points) > 1 {
			s.StrokeLines(draw.LineStyle{Color: shade, Width: 1.1}, points)
		}
		points = nil
	}
	for i, v := range values {
		if math.IsNaN(v) || !want(v) {
			stroke()
			continue
		}
		if i > 0 && len(points) == 0 && !math.IsNaN(values[i-1]) {
			points = append(points, vg.Point{X: left + vg.Length(i) - 0.5, Y: y(values[i-1])})
		}
		points = append(points, vg.Point{X: left + vg.Length(i) + 0.5, Y: y(v)})
	}
	stroke()
}

// axis draws the ticks of time below the panels.
func (s *sheet) axis(top, bottom vg.Length) {
	s.line(left, bottom, right, bottom, 0.8, s.soft)
	step, form := s.ticks()
	for at := s.firstTick(step); !at.After(s.to); at = next(at, step) {
		x := s.x(at)
		s.line(x, bottom, x, top, 0.4, s.grid)
		s.line(x, bottom-3, x, bottom, 0.8, s.soft)
		label := at.Format(form)
		if form == "15:04" && at.Hour() == 0 && at.Minute() == 0 {
			label = at.Format("2 Jan")
		}
		if w := s.wide(label, 9) / 2; x-w > left-20 && x+w < right+8 {
			s.write(x, bottom-15, 9, false, s.soft, draw.XCenter, label)
		}
	}
}

// ticks returns the step between ticks and how their times are written.
func (s *sheet) ticks() (time.Duration, string) {
	const most = 13
	const day = 24 * time.Hour
	for _, step := range []time.Duration{
		5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		day, 2 * day, 4 * day, 7 * day, 14 * day, 30 * day, 60 * day,
	} {
		if s.to.Sub(s.from)/step <= most {
			if step < day {
				return step, "15:04"
			}
			return step, "2 Jan"
		}
	}
	return 120 * day, "Jan 2006"
}

// firstTick returns the first multiple of a step in a day, or the first
// midnight.
func (s *sheet) firstTick(step time.Duration) time.Time {
	from := s.from.In(s.location)
	at := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, s.location)
	for at.Before(from) {
		at = next(at, min(step, 24*time.Hour))
	}
	return at
}

// next returns the tick after another: days are the calendar's.
func next(at time.Time, step time.Duration) time.Time {
	if days := int(step / (24 * time.Hour)); days > 0 {
		return at.AddDate(0, 0, days)
	}
	return at.Add(step)
}

func (s *sheet) caption(top vg.Length, what string) {
	s.tag(right-4-s.wide(what, 9.5), top-12, what, s.soft)
}

// tag writes a small text on a ground of its own.
func (s *sheet) tag(x, y vg.Length, what string, shade color.NRGBA) {
	s.box(x-3, y-2.5, x+s.wide(what, 9.5)+3, y+9, color.NRGBA{0xff, 0xff, 0xff, 0xd0})
	s.write(x, y, 9.5, false, shade, draw.XLeft, what)
}

func (s *sheet) style(size float64, bold bool, shade color.Color, align draw.XAlignment) draw.TextStyle {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Length(size)}
	if bold {
		f.Weight = 3 // bold, of golang.org/x/image/font
	}
	return draw.TextStyle{Color: shade, Font: f, XAlign: align, Handler: s.handler}
}

func (s *sheet) write(x, y vg.Length, size float64, bold bool, shade color.Color, align draw.XAlignment, what string) {
	s.FillText(s.style(size, bold, shade, align), vg.Point{X: x, Y: y}, what)
}

func (s *sheet) wide(what string, size float64) vg.Length {
	style := s.style(size, false, s.ink, draw.XLeft)
	return style.Width(what)
}

func (s *sheet) box(x0, y0, x1, y1 vg.Length, shade color.Color) {
	s.SetColor(shade)
	s.Fill(vg.Rectangle{Min: vg.Point{X: x0, Y: y0}, Max: vg.Point{X: x1, Y: y1}}.Path())
}

func (s *sheet) frame(x0, y0, x1, y1 vg.Length, shade color.Color) {
	s.SetColor(shade)
	s.SetLineWidth(1)
	s.SetLineDash(nil, 0)
	s.Stroke(vg.Rectangle{Min: vg.Point{X: x0, Y: y0}, Max: vg.Point{X: x1, Y: y1}}.Path())
}

func (s *sheet) line(x0, y0, x1, y1, thick vg.Length, shade color.Color) {
	s.StrokeLine2(draw.LineStyle{Color: shade, Width: thick}, x0, y0, x1, y1)
}

func (s *sheet) dashed(x0, y0, x1, y1 vg.Length, shade color.Color) {
	s.StrokeLine2(draw.LineStyle{Color: shade, Width: 0.9, Dashes: []vg.Length{4, 3}}, x0, y0, x1, y1)
}

// trimmed writes a number with at most five digits.
func trimmed(v float64) string { return strconv.FormatFloat(round(v), 'f', -1, 64) }

func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 5-math.Ceil(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

func percent(v float64) string { return fmt.Sprintf("%.1f%%", v*100) }

// clip shortens a text to so many characters.
func clip(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}
