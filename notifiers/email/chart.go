package email

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"

	"github.com/midwatch-slo/midwatch/page"
)

// The picture, in pixels; it is shown at half the size. Its background is its
// own, so that it reads the same in light and in dark mail readers.
const (
	chartWidth  = 1104
	chartMargin = 32
	rowHeight   = 64
	barHeight   = 28
	nameLeft    = chartMargin
	nameWidth   = 260
	budgetLeft  = 320
	budgetWidth = 300
	burnLeft    = 760
	burnWidth   = 210
	figureGap   = 14
	fontSize    = 26
	maxRows     = 8
)

// The least and the most that the bar of the burn rate shows; it grows with
// the logarithm.
const (
	leastBurn = 0.1
	mostBurn  = 100
)

var (
	panel  = color.RGBA{0x1b, 0x1f, 0x24, 0xff}
	track  = color.RGBA{0x33, 0x3c, 0x47, 0xff}
	ink    = color.RGBA{0xf0, 0xf2, 0xf4, 0xff}
	soft   = color.RGBA{0xa9, 0xb2, 0xbd, 0xff}
	good   = color.RGBA{0x4c, 0xb7, 0x82, 0xff}
	scarce = color.RGBA{0xe2, 0xa1, 0x39, 0xff}
	bad    = color.RGBA{0xff, 0x74, 0x68, 0xff}
)

// typeface returns the letters of pictures.
func typeface() (*sfnt.Font, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("parse typeface: %w", err)
	}
	return f, nil
}

// palette returns the colours above, and those between letters and the ground.
func palette() color.Palette {
	const shades = 16
	all := color.Palette{panel, track, good, scarce, bad}
	for _, letters := range []color.RGBA{ink, soft} {
		mix := func(from, to uint8, i int) uint8 { return uint8((int(from)*(shades-i) + int(to)*i) / shades) }
		for i := 1; i <= shades; i++ {
			all = append(all, color.RGBA{mix(panel.R, letters.R, i), mix(panel.G, letters.G, i), mix(panel.B, letters.B, i), 0xff})
		}
	}
	return all
}

// chart is a picture that is being drawn.
type chart struct {
	*image.Paletted
	font *sfnt.Font
	face font.Face
}

// picture draws, for each cluster, what is left of the budget and how fast it
// burns, as a PNG; nil when there is nothing to draw.
func picture(f *sfnt.Font, standings []page.Standing) ([]byte, error) {
	rows := worstFirst(standings)
	rows = rows[:min(len(rows), maxRows)]
	if len(rows) == 0 {
		return nil, nil
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: fontSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("draw picture: %w", err)
	}
	defer face.Close()
	c := chart{image.NewPaletted(image.Rect(0, 0, chartWidth, 2*chartMargin+rowHeight*len(rows)-(rowHeight-barHeight)), palette()), f, face}
	c.fill(c.Bounds(), panel)
	for i, s := range rows {
		c.row(i, s)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, c.Paletted); err != nil {
		return nil, fmt.Errorf("draw picture: %w", err)
	}
	return b.Bytes(), nil
}

func (c chart) row(i int, s page.Standing) {
	top := chartMargin + i*rowHeight
	c.write(nameLeft, top, nameWidth, ink, c.name(i, s.Cluster))

	c.fill(image.Rect(budgetLeft, top, budgetLeft+budgetWidth, top+barHeight), track)
	part, shade := budgetBar(s.BudgetLeft)
	c.fill(image.Rect(budgetLeft, top, budgetLeft+int(math.Round(part*budgetWidth)), top+barHeight), shade)
	c.write(budgetLeft+budgetWidth+figureGap, top, burnLeft-budgetLeft-budgetWidth-2*figureGap, soft, page.Percent(s.BudgetLeft))

	c.fill(image.Rect(burnLeft, top, burnLeft+burnWidth, top+barHeight), track)
	part, shade = burnBar(s.BurnRate)
	c.fill(image.Rect(burnLeft, top, burnLeft+int(math.Round(part*burnWidth)), top+barHeight), shade)
	allowed := burnLeft + int(math.Round(burnPart(1)*burnWidth)) // as fast as the budget allows
	c.fill(image.Rect(allowed, top-6, allowed+2, top+barHeight+6), ink)
	c.write(burnLeft+burnWidth+figureGap, top, chartWidth-chartMargin-burnLeft-burnWidth-figureGap, soft, page.Rate(s.BurnRate))
}

// budgetBar returns how much of the bar is filled, 0 to 1, and its colour. A
// budget that is spent fills the bar in red by as much as it is overspent.
func budgetBar(left float64) (part float64, shade color.Color) {
	switch {
	case math.IsNaN(left) || math.IsInf(left, 0):
		return 0, track
	case left <= 0:
		return max(0.01, min(-left, 1)), bad
	case left < 0.25:
		return left, scarce
	}
	return min(left, 1), good
}

func burnBar(rate float64) (part float64, shade color.Color) {
	switch {
	case math.IsNaN(rate) || math.IsInf(rate, 0):
		return 0, track
	case rate >= 1:
		return burnPart(rate), bad
	}
	return burnPart(rate), good
}

// burnPart returns where a burn rate is on the bar's scale, 0 to 1.
func burnPart(rate float64) float64 {
	if rate <= leastBurn {
		return 0
	}
	return min(math.Log(rate/leastBurn)/math.Log(mostBurn/leastBurn), 1)
}

// name returns a cluster's name, or the number of its row in the mail's table
// when there are no letters for it.
func (c chart) name(i int, cluster string) string {
	cluster = oneLine(cluster, maxName)
	var b sfnt.Buffer
	for _, r := range cluster {
		if g, err := c.font.GlyphIndex(&b, r); err != nil || g == 0 {
			return fmt.Sprintf("#%d", i+1)
		}
	}
	return cluster
}

func (c chart) fill(r image.Rectangle, shade color.Color) {
	index := uint8(c.Palette.Index(shade))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		line := c.Pix[c.PixOffset(r.Min.X, y):c.PixOffset(r.Max.X, y)]
		for x := range line {
			line[x] = index
		}
	}
}

// write writes text beside a bar, as much of it as has room.
func (c chart) write(left, top, room int, shade color.Color, text string) {
	runes := []rune(text)
	for len(runes) > 0 && font.MeasureString(c.face, text).Ceil() > room {
		runes = runes[:len(runes)-1]
		text = string(runes) + "…"
	}
	const baseline = 23 // below the top of a bar
	d := font.Drawer{Dst: c, Src: image.NewUniform(shade), Face: c.face, Dot: fixed.P(left, top+baseline)}
	d.DrawString(text)
}
