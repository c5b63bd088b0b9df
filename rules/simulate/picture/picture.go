// Package picture draws what a simulation tells as a PNG: for each SLO the
// error ratio, the budget, the incidents and the alerts, over one axis of
// time. It judges nothing.
package picture

import (
	"fmt"
	"image/color"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/midwatch-slo/midwatch/rules/simulate"
)

// The picture, in points; there are two pixels to a point.
const (
	width       = 960
	dpi         = 144
	margin      = 24
	left        = 76 // of the panels
	right       = width - margin
	titleHeight = 62
	headHeight  = 40
	ratioHeight = 104
	spendHeight = 84
	laneHeight  = 17
	axisHeight  = 26
	gap         = 17
	sectionGap  = 30
)

// maxSections is how many SLOs are drawn; of the others it says how many.
const maxSections = 16

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 0xff}
}

// palette is the colours of a picture. They are told apart by people who do
// not see red and green, too: the lanes are named.
type palette struct {
	ground, ink, soft, grid, excluded, incident, missed color.NRGBA
	ratio, ratioFill, left, leftFill, over, overFill    color.NRGBA
	severities                                          map[string]color.NRGBA
}

func colours() palette {
	return palette{
		ground: rgb(0xffffff), ink: rgb(0x1c2330), soft: rgb(0x6b7480), grid: rgb(0xe4e8ed),
		excluded: rgb(0xdfe3e8), incident: rgb(0xfdf0dc), missed: rgb(0xb02a8f),
		ratio: rgb(0xc2410c), ratioFill: rgb(0xf6c9ab), left: rgb(0x2b8a3e), leftFill: rgb(0xcdebd3), over: rgb(0xc92a2a), overFill: rgb(0xf7c9c9),
		severities: map[string]color.NRGBA{"P1": rgb(0xc92a2a), "P2": rgb(0xe8800c), "P3": rgb(0x1c6fc4), "Info": rgb(0x7d8793)},
	}
}

// sheet is a picture that is being drawn.
type sheet struct {
	draw.Canvas
	palette
	handler  text.Handler
	location *time.Location
	from, to time.Time
}

// Write writes the picture of a report. Times are those of a place.
func Write(w io.Writer, r simulate.Report, place *time.Location) error {
	shown := r.SLOs[:min(len(r.SLOs), maxSections)]
	height := vg.Length(titleHeight + margin - sectionGap/2)
	for _, s := range shown {
		height += sectionHeight(s) + sectionGap
	}
	canvas := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi))
	s := sheet{
		Canvas: draw.New(canvas), palette: colours(), location: place, from: r.From, to: r.To,
		handler: text.Plain{Fonts: font.NewCache(liberation.Collection())},
	}
	s.box(s.Min.X, s.Min.Y, s.Max.X, s.Max.Y, s.ground)
	top := s.title(r, len(shown))
	for _, one := range shown {
		s.section(one, top)
		top -= sectionHeight(one) + sectionGap
	}
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(w); err != nil {
		return fmt.Errorf("draw picture: %w", err)
	}
	return nil
}

func (s *sheet) title(r simulate.Report, shown int) vg.Length {
	top := s.Max.Y - margin
	what := "What these SLOs would have paged"
	if shown < len(r.SLOs) {
		what += fmt.Sprintf(" (%d of %d)", shown, len(r.SLOs))
	}
	s.write(margin, top-14, 16, true, s.ink, draw.XLeft, what)
	const form = "2 January 2006 15:04"
	s.write(margin, top-30, 10.5, false, s.soft, draw.XLeft, fmt.Sprintf("%s to %s (%s)", r.From.In(s.location).Format(form), r.To.In(s.location).Format(form+" MST"), spanText(r.To.Sub(r.From))))
	x := vg.Length(right)
	for _, l := range []struct {
		name  string
		shade color.NRGBA
	}{{"excluded", s.excluded}, {"incident", s.incident}} {
		x -= s.wide(l.name, 10) + 6
		s.write(x, top-14, 10, false, s.soft, draw.XLeft, l.name)
		x -= 20
		s.box(x, top-15, x+14, top-5, l.shade)
		s.frame(x, top-15, x+14, top-5, s.grid)
		x -= 8
	}
	return top - titleHeight + margin - 4
}

func spanText(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%.4g days", d.Hours()/24)
	}
	if d == time.Hour {
		return "1 hour"
	}
	return fmt.Sprintf("%.4g hours", d.Hours())
}

// lanes returns the severities of alerts, those that wake first.
func lanes(s simulate.SLO) (out []string) {
	for _, severity := range []string{"P1", "P2", "P3", "Info"} {
		for _, a := range s.Alerts {
			if a.Severity == severity {
				out = append(out, severity)
				break
			}
		}
	}
	for _, a := range s.Alerts {
		if !strings.Contains(" P1 P2 P3 Info "+strings.Join(out, " ")+" ", " "+a.Severity+" ") {
			out = append(out, a.Severity)
		}
	}
	return out
}

func sectionHeight(s simulate.SLO) vg.Length {
	return headHeight + ratioHeight + gap + spendHeight + gap + vg.Length(1+len(lanes(s)))*laneHeight + axisHeight
}

// section draws one SLO below a height.
func (s *sheet) section(one simulate.SLO, top vg.Length) {
	s.head(one, top)
	bottom := top - sectionHeight(one) + axisHeight
	s.shade(one, top-headHeight, bottom)
	s.axis(top-headHeight, bottom)
	at := top - headHeight
	s.ratioPanel(one, at-ratioHeight, at)
	at -= ratioHeight + gap
	s.budgetPanel(one, at-spendHeight, at)
	at -= spendHeight + gap
	s.incidents(one, at-laneHeight, at)
	for _, severity := range lanes(one) {
		at -= laneHeight
		s.alerts(one, severity, at-laneHeight, at)
	}
}

func (s *sheet) head(one simulate.SLO, top vg.Length) {
	name := []string{one.ID()}
	for _, k := range slices.Sorted(maps.Keys(one.Labels)) {
		name = append(name, k+"="+one.Labels[k])
	}
	s.write(left, top-13, 13, true, s.ink, draw.XLeft, clip(strings.Join(name, "  "), 70))
	objective := fmt.Sprintf("%s%% over %s", trimmed(one.Objective), one.Window)
	s.write(left, top-28, 10, false, s.soft, draw.XLeft, objective+" · "+Summary(one))
	if one.Short() {
		s.write(right, top-13, 10, false, s.over, draw.XRight, "history begins "+one.History.In(s.location).Format("2 January 15:04"))
	}
}

// Summary says in a line how many alerts there are, how many of them page, and
// how many incidents.
func Summary(one simulate.SLO) string {
	wakes, missed, unfounded := 0, 0, 0
	for _, a := range one.Alerts {
		if a.Wakes() {
			wakes++
		}
		if a.False {
			unfounded++
		}
	}
	for _, i := range one.Incidents {
		if i.Missed() {
			missed++
		}
	}
	return fmt.Sprintf("%s, %s, %d false · %s, %d missed",
		number(len(one.Alerts), "alert"), number(wakes, "page"), unfounded, number(len(one.Incidents), "incident"), missed)
}

func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shade marks incidents and exclusions behind all panels.
func (s *sheet) shade(one simulate.SLO, top, bottom vg.Length) {
	for _, i := range one.Incidents {
		a, b := s.wideEnough(s.x(i.From), s.x(i.To), 1)
		s.box(a, bottom, b, top, s.incident)
	}
	for _, e := range one.Excluded {
		a, b := s.wideEnough(s.x(e.From), s.x(e.To), 1)
		s.box(a, bottom, b, top, s.excluded)
	}
}

// incidents draws the lane of incidents.
func (s *sheet) incidents(one simulate.SLO, bottom, top vg.Length) {
	s.lane("incidents", bottom, top)
	for _, i := range one.Incidents {
		a, b := s.wideEnough(s.x(i.From), s.x(i.To), 3)
		if i.Missed() {
			s.box(a, bottom+4, b, top-4, s.missed)
			s.beside(a, b, bottom+5, s.missed, "missed")
			continue
		}
		s.box(a, bottom+4, b, top-4, s.ink)
	}
}

// alerts draws the lane of a severity. What is false is a frame.
func (s *sheet) alerts(one simulate.SLO, severity string, bottom, top vg.Length) {
	s.lane(severity, bottom, top)
	shade, ok := s.severities[severity]
	if !ok {
		shade = s.soft
	}
	labelled := vg.Length(0)
	for _, a := range one.Alerts {
		if a.Severity != severity {
			continue
		}
		to := s.to
		if a.To != nil {
			to = *a.To
		}
		x0, x1 := s.wideEnough(s.x(a.From), s.x(to), 3)
		if a.False {
			s.box(x0, bottom+4, x1, top-4, s.ground)
			s.frame(x0, bottom+4, x1, top-4, shade)
		} else {
			s.box(x0, bottom+4, x1, top-4, shade)
		}
		what := a.Tier
		if what == "" {
			what = strings.TrimPrefix(a.Name, "SLO")
		}
		if x0 > labelled {
			labelled = s.beside(x0, x1, bottom+5, shade, what)
		}
	}
}

func (s *sheet) lane(name string, bottom, top vg.Length) {
	s.line(left, (bottom+top)/2, right, (bottom+top)/2, 0.5, s.grid)
	s.write(left-8, bottom+5, 9.5, false, s.soft, draw.XRight, name)
}

// beside writes right of a bar, or left of it where there is no room, and
// returns where that ends.
func (s *sheet) beside(x0, x1, y vg.Length, shade color.NRGBA, what string) vg.Length {
	w := s.wide(what, 8.5)
	if x1+4+w <= right {
		s.write(x1+4, y, 8.5, false, shade, draw.XLeft, what)
		return x1 + 8 + w
	}
	s.write(x0-4, y, 8.5, false, shade, draw.XRight, what)
	return x1
}
