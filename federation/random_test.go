package federation_test

import (
	"fmt"
	oldrand "math/rand" //nolint:depguard // promqlsmith takes its type.
	"math/rand/v2"
	"testing"

	"github.com/cortexproject/promqlsmith"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/midwatch-slo/midwatch/federation"
)

// perWorld is how many random queries one world is asked.
const perWorld = 250

// tally counts how random queries were answered.
type tally struct {
	asked, answered, undetermined int
	runs                          map[federation.Run]int
}

func (a *tally) add(b tally) {
	a.asked += b.asked
	a.answered += b.answered
	a.undetermined += b.undetermined
	if a.runs == nil {
		a.runs = map[federation.Run]int{}
	}
	for run, n := range b.runs {
		a.runs[run] += n
	}
}

// Random queries of random worlds have the answers of one Prometheus. A
// failure names the world with its seed, the window and the query; kept in
// testdata/federation/cases.txt it is asked by TestCases from then on.
func TestRandomQueries(t *testing.T) {
	worlds := (*randomQueries + perWorld - 1) / perWorld
	all := make([]tally, worlds)
	t.Run("worlds", func(t *testing.T) {
		for i := range worlds {
			t.Run(fmt.Sprint(*randomSeed+uint64(i)), func(t *testing.T) {
				t.Parallel()
				all[i] = randomWorld(t, *randomSeed+uint64(i)).askRandom(t, *randomSeed+uint64(i))
			})
		}
	})
	var sum tally
	for _, one := range all {
		sum.add(one)
	}
	t.Logf("seeds %d to %d: %+v", *randomSeed, *randomSeed+uint64(worlds)-1, sum)
	if sum.answered < sum.asked/2 {
		t.Errorf("%d of %d random queries have an answer, want at least half", sum.answered, sum.asked)
	}
	if sum.undetermined > sum.asked/20 {
		t.Errorf("%d of %d answers cannot be compared, want at most a twentieth", sum.undetermined, sum.asked)
	}
}

func (w *world) askRandom(t *testing.T, seed uint64) tally {
	g := newGrammar(rand.New(rand.NewPCG(seed, 6)), sortedLabels(w.series), w.span)
	smith := newSmith(int64(seed), sortedLabels(w.series))
	out := tally{asked: perWorld, runs: map[federation.Run]int{}}
	for range perWorld {
		query, when := g.query(), g.window()
		w.lookback = g.lookback()
		if g.IntN(4) == 0 {
			query = smith.WalkRangeQuery().Pretty(0)
		}
		if isRangeType(w.parser, query) {
			when.end, when.step = when.start, 0
		}
		if w.compare(t, query, when) {
			out.answered++
		}
		out.runs[w.run]++
		if when.step > 0 { // of what is kept, some is asked for again
			w.compare(t, query, window{start: when.start.Add(when.step), end: when.end.Add(when.step), step: when.step})
			w.compare(t, query, when)
		}
		w.take(t)
	}
	out.undetermined = w.undetermined
	if share := out.runs[federation.Planned] * 100 / perWorld; share < w.pushes {
		t.Errorf("world %s: %d%% of the queries are answered by parts that the clusters evaluate, want %d%% or more: %v", w.name, share, w.pushes, out.runs)
	}
	return out
}

func newSmith(seed int64, series []labels.Labels) *promqlsmith.PromQLSmith {
	return promqlsmith.New(oldrand.New(oldrand.NewSource(seed)), series,
		promqlsmith.WithEnableOffset(true), promqlsmith.WithEnableAtModifier(true),
		promqlsmith.WithAtModifierMaxTimestamp(dataStart.Add(randomSpan).UnixMilli()),
		promqlsmith.WithEnableVectorMatching(true), promqlsmith.WithMaxDepth(4))
}
