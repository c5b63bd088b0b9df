package answer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/midwatch-slo/midwatch/federation/answer"
)

// written returns the samples of an answer in words, markers included.
func written(a *answer.Answer) string {
	var b strings.Builder
	for _, s := range a.Series {
		b.WriteString(s.Labels().String())
		for it := s.Iterator(nil); it.Next() != chunkenc.ValNone; {
			t, f := it.At()
			fmt.Fprintf(&b, " %d:%v", t, f)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// An answer that is cut in pieces and put together again is the same.
func TestPieces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		g := answer.Grid{Start: 1000 * rnd.Int64N(100), Step: 1 + rnd.Int64N(500), Steps: 2 + rnd.IntN(60)}
		whole := &answer.Answer{}
		for i := range rnd.IntN(5) {
			var steps []int
			for step := range g.Steps {
				if rnd.IntN(3) > 0 {
					steps = append(steps, step)
				}
			}
			s, ok := answer.NewSeries(&g, labels.FromStrings("series", fmt.Sprint(i)), len(steps), func(i int) (int64, float64) {
				return g.Start + int64(steps[i])*g.Step, float64(steps[i])
			})
			if !ok {
				t.Fatal("the samples are not at steps")
			}
			if len(steps) > 0 {
				whole.Series = append(whole.Series, s)
			}
		}
		var pieces []*answer.Answer
		for from := 0; from < g.Steps; {
			n := 1 + rnd.IntN(g.Steps-from)
			pieces = append(pieces, answer.Cut(whole, g, from, n))
			from += n
		}
		again := answer.Join(&g, pieces)
		if !again.Sort() || written(again) != written(whole) || again.Size() <= 0 {
			t.Fatalf("in %d pieces, got\n%swant\n%s", len(pieces), written(again), written(whole))
		}
	}
}

func TestSortFindsTwins(t *testing.T) {
	g := answer.Grid{Steps: 1}
	one := func(name string) *answer.Series {
		s, _ := answer.NewSeries(&g, labels.FromStrings("a", name), 1, func(int) (int64, float64) { return 0, 1 })
		return s
	}
	if a := (&answer.Answer{Series: []*answer.Series{one("2"), one("1")}}); !a.Sort() || a.Series[0].Labels().Get("a") != "1" {
		t.Error("two series are not put in order")
	}
	if a := (&answer.Answer{Series: []*answer.Series{one("2"), one("1"), one("2")}}); a.Sort() {
		t.Error("twins are not found")
	}
}
