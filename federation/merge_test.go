package federation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
)

// samplesAt makes samples of one replica: "time=value", "time!" for a staleness
// marker; times in seconds.
func samplesAt(t *testing.T, words ...string) lane {
	t.Helper()
	var l lane
	for _, word := range words {
		var sec, v float64
		if n, _ := fmt.Sscanf(word, "%g=%g", &sec, &v); n == 2 {
			l.real = append(l.real, sample{t: int64(sec * 1000), f: v})
		} else if n, _ := fmt.Sscanf(word, "%g!", &sec); n == 1 && word[len(word)-1] == '!' {
			l.marks = append(l.marks, sample{t: int64(sec * 1000), f: math.Float64frombits(value.StaleNaN)})
		} else {
			t.Fatalf("%q is not a sample", word)
		}
	}
	return l
}

// words is the opposite of samplesAt.
func (l lane) words() []string {
	var out []string
	for _, s := range l.within(math.MinInt64+1, math.MaxInt64) {
		if s.stale() {
			out = append(out, fmt.Sprintf("%g!", float64(s.t)/1000))
		} else {
			out = append(out, fmt.Sprintf("%g=%g", float64(s.t)/1000, s.f))
		}
	}
	return out
}

// What becomes of two replicas that scrape every 15 s.
func TestGapsAreFilled(t *testing.T) {
	type words = []string
	for _, c := range []struct {
		name       string
		a, b, want words
	}{
		{"both whole: one is enough", words{"0=1", "15=2", "30=3", "45=4"}, words{"7=1", "22=2", "37=3", "52=4"}, words{"0=1", "15=2", "30=3", "45=4"}},
		{"one missing scrape is replaced by one", words{"0=1", "15=2", "45=4", "60=5"}, words{"7=1", "22=2", "37=3", "52=4", "67=5"}, words{"0=1", "15=2", "37=3", "45=4", "60=5"}},
		{
			"a long gap",
			words{"0=1", "15=2", "90=7", "105=8"},
			words{"7=1", "22=2", "37=3", "52=4", "67=5", "82=6", "97=7", "112=8"},
			words{"0=1", "15=2", "37=3", "52=4", "67=5", "82=6", "90=7", "105=8"},
		},
		{"the same times", words{"0=1", "15=2", "60=5", "75=6"}, words{"0=1", "15=2", "30=3", "45=4", "60=5", "75=6"}, words{"0=1", "15=2", "30=3", "45=4", "60=5", "75=6"}},
		{"none to fill it", words{"0=1", "15=2", "60=5", "75=6"}, words{"7=1", "67=5", "82=6"}, words{"0=1", "15=2", "60=5", "75=6"}},
		{"it begins late and ends early", words{"60=5", "75=6"}, words{"7=1", "22=2", "37=3", "52=4", "67=5", "82=6", "97=7", "112=8"}, words{"7=1", "22=2", "37=3", "52=4", "60=5", "75=6", "97=7", "112=8"}},
		{"it has nothing", nil, words{"7=1", "22=2"}, words{"7=1", "22=2"}},
		{"the other has nothing", words{"0=1", "15=2", "60=3"}, nil, words{"0=1", "15=2", "60=3"}},
		{
			"a counter that the first saw later is not taken for a reset, on either side",
			words{"0=10", "15=29", "60=61", "75=75"},
			words{"7=17", "24=28", "39=39", "52=62", "67=67", "82=82"},
			words{"0=10", "15=29", "39=39", "60=61", "75=75"},
		},
		{
			"a reset is one",
			words{"0=10", "15=29", "75=20", "90=35"},
			words{"7=17", "24=2", "39=3", "54=10", "69=17", "84=32"},
			words{"0=10", "15=29", "24=2", "39=3", "54=10", "75=20", "90=35"},
		},
		{"a failed scrape of one does not end the series", words{"0=1", "15=2", "30!", "60=5", "75=6"}, words{"7=1", "22=2", "37=3", "52=4", "67=5"}, words{"0=1", "15=2", "37=3", "52=4", "60=5", "75=6"}},
		{"nor where the other is alive, but not to be used", words{"0=1", "15=2", "30!", "35=3"}, words{"7=1", "22=2", "37=3"}, words{"0=1", "15=2", "35=3"}},
		{"one that ends in one while the other is away ends", words{"0=1", "15=2"}, words{"7=1", "22!"}, words{"0=1", "15=2", "22!"}},
		{"one that both see the end of ends", words{"0=1", "15=2", "30!"}, words{"7=1", "22!"}, words{"0=1", "15=2", "30!"}},
		{"and begins again", words{"0=1", "15=2", "30!", "300=5", "315=6"}, words{"7=1", "22!", "292=4", "307=5"}, words{"0=1", "15=2", "30!", "292=4", "300=5", "315=6"}},
		{"a scrape that failed in both leaves a gap", words{"0=1", "15=2", "30!", "45=4"}, words{"1=1", "16=2", "31!", "46=4"}, words{"0=1", "15=2", "31!", "45=4"}},
		{
			"the scrape interval changes",
			words{"0=1", "15=2", "30=3", "45=4", "105=5", "165=6", "285=8", "345=9"},
			words{"7=1", "22=2", "37=3", "97=5", "157=6", "217=7", "277=8", "337=9"},
			words{"0=1", "15=2", "30=3", "45=4", "105=5", "165=6", "217=7", "285=8", "345=9"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := fillGaps(samplesAt(t, c.a...), samplesAt(t, c.b...), -1000_000, 1000_000)
			if d := cmp.Diff(c.want, got.words()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// randomLane is what a replica that scrapes every 15 s has of a counter:
// scrapes fail, are missing for a while, and the counter begins again.
func randomLane(rnd *rand.Rand, phase, jitter int64, resets []int64) lane {
	var l lane
	for t := phase; t < 7_200_000; t += 15_000 {
		switch rnd.IntN(80) {
		case 0:
			l.marks = append(l.marks, sample{t: t, f: math.Float64frombits(value.StaleNaN)})
			continue
		case 1:
			if t < 6_000_000 { // the ends have enough to tell the interval
				t += rnd.Int64N(40) * 15_000
			}
		}
		at := t + rnd.Int64N(jitter+1)
		begin := int64(0)
		for _, r := range resets {
			if r <= at {
				begin = r
			}
		}
		l.real = append(l.real, sample{t: at, f: float64(at-begin) / 1000})
	}
	return l
}

// filledByDefinition is the definition, sample by sample, for a scrape
// interval of 15 s.
func filledByDefinition(a, b lane) lane {
	const missed, apart = 26_250, 7_500
	out := lane{real: slices.Clone(a.real)}
	for _, s := range b.real {
		lo, hi := int64(math.MinInt64/2), int64(math.MaxInt64/2)
		for _, own := range a.real {
			if own.t <= s.t {
				lo = max(lo, own.t)
			}
			if own.t >= s.t {
				hi = min(hi, own.t)
			}
		}
		if hi-lo > missed && s.t-lo >= apart && hi-s.t >= apart {
			out.real = append(out.real, s)
		}
	}
	slices.SortFunc(out.real, func(x, y sample) int { return int(x.t - y.t) })
	marks := append(slices.Clone(a.marks), b.marks...)
	slices.SortStableFunc(marks, func(x, y sample) int { return int(x.t - y.t) })
	alive := func(l lane, t int64) bool {
		all := l.within(math.MinInt64/4, math.MaxInt64/4)
		i := after(all, t)
		return i > 0 && i < len(all) && !all[i-1].stale() && all[i].t-all[i-1].t <= missed
	}
	for i, s := range out.real {
		for _, m := range marks {
			if m.t > s.t && (i+1 == len(out.real) || m.t < out.real[i+1].t) && !alive(a, m.t) && !alive(b, m.t) {
				out.marks = append(out.marks, m)
				break
			}
		}
	}
	return out
}

func TestMergeIsAsDefined(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		resets := []int64{rnd.Int64N(7_200_000)}
		a, b := randomLane(rnd, rnd.Int64N(15_000), 0, resets), randomLane(rnd, rnd.Int64N(15_000), 0, resets)
		got, want := fillGaps(a, b, math.MinInt64/4, math.MaxInt64/4), filledByDefinition(a, b)
		if d := cmp.Diff(want.words(), got.words()); d != "" {
			t.Fatalf("seed %d (-want +got)\n%s", seed, d)
		}
	}
}

// What becomes of a sample does not depend on the time that a query reads.
func TestMergeDoesNotDependOnTheQuery(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		a, b := randomLane(rnd, rnd.Int64N(15_000), 300, nil), randomLane(rnd, rnd.Int64N(15_000), 300, nil)
		whole := fillGaps(a, b, math.MinInt64/4, math.MaxInt64/4)
		for range 20 {
			mint := 600_000 + rnd.Int64N(5_000_000)
			w, wide := widen(selection{mint: mint, maxt: mint + rnd.Int64N(900_000)}, math.MaxInt64/4)
			cut := func(l lane) lane {
				return lane{real: l.real[after(l.real, wide.mint-1):after(l.real, wide.maxt)], marks: l.marks[after(l.marks, wide.mint-1):after(l.marks, wide.maxt)]}
			}
			got := fillGaps(cut(a), cut(b), w.since, w.until)
			want := slices.DeleteFunc(whole.within(w.mint, w.maxt), leading(whole, w))
			have := slices.DeleteFunc(got.within(w.mint, w.maxt), leading(got, w))
			if d := cmp.Diff(fmt.Sprint(want), fmt.Sprint(have)); d != "" {
				t.Fatalf("seed %d from %d to %d (-want +got)\n%s", seed, w.mint, w.maxt, d)
			}
		}
	}
}

// leading tells of staleness markers before the first sample, which end
// nothing.
func leading(l lane, w mergeWindow) func(sample) bool {
	i := after(l.real, w.mint-1)
	return func(s sample) bool { return s.stale() && (i == len(l.real) || s.t < l.real[i].t) }
}

// A histogram that follows one of the other replica does not claim to continue
// the one before it in its own.
func TestHistogramsForgetWhatWasBefore(t *testing.T) {
	of := func(kind histogram.CounterResetHint, times ...int64) lane {
		var l lane
		for i, t := range times {
			h := tsdbutil.GenerateTestHistogram(t)
			if i > 0 || kind == histogram.GaugeType {
				h.CounterResetHint = kind
			}
			l.real = append(l.real, sample{t: t * 1000, h: h})
		}
		return l
	}
	for kind, want := range map[histogram.CounterResetHint]string{
		histogram.NotCounterReset: "0:0 15:2 37:0 52:2 60:0 75:2",
		histogram.GaugeType:       "0:3 15:3 37:3 52:3 60:3 75:3",
	} {
		got := ""
		for _, s := range fillGaps(of(kind, 0, 15, 60, 75), of(kind, 7, 22, 37, 52, 67), math.MinInt64/4, math.MaxInt64/4).real {
			got += fmt.Sprintf(" %d:%d", s.t/1000, s.h.CounterResetHint)
		}
		if got != " "+want {
			t.Errorf("got%s\nwant %s", got, want)
		}
	}
}

// The iterator is one like any other: it seeks, stays, and converts.
func TestMergedSeriesIterates(t *testing.T) {
	var in []chunks.Sample
	for i := range int64(40) {
		s := sample{t: i * 15_000, f: float64(i)}
		if i >= 20 {
			s = sample{t: i * 15_000, h: tsdbutil.GenerateTestHistogram(i)}
		}
		in = append(in, s)
	}
	one := storage.NewListSeries(labels.FromStrings("a", "b"), in)
	s := &mergedSeries{labels: one.Labels(), parts: []storage.Series{one, one}, window: mergeWindow{mint: 15_000, maxt: 500_000, since: -300_000, until: 600_000}}
	it := s.Iterator(nil)
	if typ := it.Seek(0); typ != chunkenc.ValFloat || it.AtT() != 15_000 {
		t.Errorf("got %v at %d, want the first", typ, it.AtT())
	}
	if it.Seek(31_000); it.AtT() != 45_000 || it.Seek(40_000) != chunkenc.ValFloat || it.AtT() != 45_000 {
		t.Errorf("got %d, want that it stays at 45000", it.AtT())
	}
	if typ := it.Seek(300_000); typ != chunkenc.ValHistogram {
		t.Errorf("got %v, want a histogram", typ)
	}
	_, h := it.AtHistogram(&histogram.Histogram{})
	_, fh := it.AtFloatHistogram(&histogram.FloatHistogram{})
	if want := tsdbutil.GenerateTestHistogram(20); !h.Equals(want) || !fh.Equals(want.ToFloat(nil)) {
		t.Errorf("got %v and %v, want %v", h, fh, want)
	}
	last := int64(0)
	for it.Next() != chunkenc.ValNone {
		last = it.AtT()
	}
	if last != 495_000 || it.Next() != chunkenc.ValNone || it.Seek(0) != chunkenc.ValNone || it.Err() != nil {
		t.Errorf("got the end at %d, want it at 495000, for good", last)
	}
}
