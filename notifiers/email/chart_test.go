package email

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"testing"

	"github.com/midwatch-slo/midwatch/page"
)

// draw returns the picture of standings.
func draw(t *testing.T, standings ...page.Standing) image.Image {
	t.Helper()
	font, err := typeface()
	if err != nil {
		t.Fatal(err)
	}
	b, err := picture(font, standings)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return drawn
}

// TestPicture looks at the ends of bars. A row begins at 32 + 64·i and is
// looked at 5 below that; the bar of the budget is 300 wide from 320, that of
// the burn rate 210 from 760, and ends at 1000 times the least.
func TestPicture(t *testing.T) {
	drawn := draw(t,
		page.Standing{Cluster: "hangzhou", BurnRate: 10, BudgetLeft: 0.61},
		page.Standing{Cluster: "北京", BurnRate: 0.5, BudgetLeft: 0.1},
		page.Standing{Cluster: "shenzhen", BurnRate: 0.01, BudgetLeft: -0.5},
		page.Standing{Cluster: "nobody knows", BurnRate: math.NaN(), BudgetLeft: math.Inf(-1)},
	)
	if got, want := drawn.Bounds(), image.Rect(0, 0, 1104, 284); got != want {
		t.Errorf("it is %v, want %v", got, want)
	}
	for _, c := range []struct {
		x, row int
		want   color.Color
	}{
		{5, 0, panel},
		{320 + 182, 0, good},
		{320 + 183, 0, track}, // 0.61 of 300 = 183
		{760 + 139, 0, bad},
		{760 + 140, 0, track}, // log 100 / log 1000 = 2/3 of 210
		{760 + 70, 0, ink},
		{760 + 71, 3, ink}, // as fast as allowed: a third
		{320 + 29, 1, scarce},
		{320 + 30, 1, track},
		{760 + 48, 1, good},
		{760 + 49, 1, track}, // log 5 / log 1000 = 0.233
		{320 + 149, 2, bad},
		{320 + 150, 2, track},
		{760, 2, track},
		{320, 3, track},
		{760, 3, track},
	} {
		if got := drawn.At(c.x, 32+64*c.row+5); !same(got, c.want) {
			t.Errorf("row %d at %d is %v, want %v", c.row, c.x, got, c.want)
		}
	}
}

func same(a, b color.Color) bool {
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	return ar == br && ag == bg && ab == bb
}

// TestPictureOfMany draws no more rows than there is room for.
func TestPictureOfMany(t *testing.T) {
	if got := draw(t, make([]page.Standing, 500)...).Bounds().Dy(); got != 2*32+8*64-36 {
		t.Errorf("%d pixels high", got)
	}
}

func BenchmarkPicture(b *testing.B) {
	font, err := typeface()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := picture(font, outage().SLO.Standings); err != nil {
			b.Fatal(err)
		}
	}
}
